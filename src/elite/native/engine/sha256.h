#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace elite {

// SHA-256 of the concatenated parts (FIPS 180-4), as 64 hexadecimal digits.
std::string sha256(const std::vector<std::string_view>& parts);

}  // namespace elite
