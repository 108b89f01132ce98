// Layout of the points of a message: checks, and numbers at any address in any byte order.
#pragma once
#include <algorithm>
#include <cstring>

#include "elite_ros/point_cloud.hpp"

namespace elite_ros {

constexpr uint64_t SIZES[] = {0, 1, 1, 2, 2, 4, 4, 4, 8};  // bytes of datatypes 1 to 8

[[noreturn]] void refuse(const std::string& expected, const std::string& found,
                         const std::string& remedy = "Correct its driver, or skip it.");

// Check that all fields of all points are inside the data. Throws CloudError.
void check_layout(const PointCloud& cloud);

// Bytes from row to row. Drivers of clouds with a single row write any row step.
inline uint64_t row_bytes(const PointCloud& cloud) {
    return cloud.height > 1 ? cloud.row_step : uint64_t(cloud.width) * cloud.point_step;
}

// Names of the numbers of a field: f, or f_0, f_1, ... of several. Bytes of padding have none: fields without a name, or
// with one that begins with "_".
std::vector<std::string> names_of(const PointField& field);

inline bool is_big_endian_machine() {
    const uint16_t one = 1;
    uint8_t first;
    std::memcpy(&first, &one, 1);
    return first == 0;
}

// Numbers of the type T at any address, in the byte order of the cloud.
template <class T>
class Number {
  public:
    explicit Number(const PointCloud& cloud) : is_swapped_(cloud.is_bigendian != is_big_endian_machine()) {}

    T read(const uint8_t* from) const {
        uint8_t bytes[sizeof(T)];
        std::memcpy(bytes, from, sizeof bytes);
        if (is_swapped_) std::reverse(bytes, bytes + sizeof bytes);
        T value;
        std::memcpy(&value, bytes, sizeof bytes);
        return value;
    }
    void write(uint8_t* to, T value) const {
        std::memcpy(to, &value, sizeof value);
        if (is_swapped_) std::reverse(to, to + sizeof value);
    }

  private:
    bool is_swapped_;
};

}  // namespace elite_ros
