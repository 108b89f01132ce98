#include "sha256.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace elite {
namespace {

// First 32 bits of the fractional parts of the cube roots of the first 64 primes.
constexpr uint32_t ROUNDS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

uint32_t turned(uint32_t x, int bits) { return x >> bits | x << (32 - bits); }

class Sha256 {
  public:
    void add(std::string_view bytes) {
        length_ += bytes.size();
        while (!bytes.empty()) {
            const size_t count = std::min(bytes.size(), sizeof block_ - filled_);
            std::memcpy(block_ + filled_, bytes.data(), count);
            filled_ += count;
            bytes.remove_prefix(count);
            if (filled_ == sizeof block_) finish_block();
        }
    }

    std::string digits() {
        const uint64_t bits = length_ * 8;
        add(std::string_view("\x80", 1));
        while (filled_ != 56) add(std::string_view("\0", 1));
        char size[8];
        for (int i = 0; i < 8; ++i) size[i] = static_cast<char>(bits >> (56 - 8 * i));
        add({size, 8});
        std::string out;
        for (uint32_t word : state_)
            for (int shift = 28; shift >= 0; shift -= 4) out += "0123456789abcdef"[word >> shift & 15];
        return out;
    }

  private:
    void finish_block() {
        uint32_t w[64], s[8];
        for (int i = 0; i < 16; ++i)
            w[i] = uint32_t(block_[4 * i]) << 24 | uint32_t(block_[4 * i + 1]) << 16 | uint32_t(block_[4 * i + 2]) << 8 |
                   uint32_t(block_[4 * i + 3]);
        for (int i = 16; i < 64; ++i) {
            const uint32_t a = w[i - 15], b = w[i - 2];
            const uint32_t first = turned(a, 7) ^ turned(a, 18) ^ a >> 3, second = turned(b, 17) ^ turned(b, 19) ^ b >> 10;
            w[i] = w[i - 16] + first + w[i - 7] + second;
        }
        std::memcpy(s, state_, sizeof s);
        for (int i = 0; i < 64; ++i) {
            const uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
            const uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
            const uint32_t low = turned(s[0], 2) ^ turned(s[0], 13) ^ turned(s[0], 22);
            const uint32_t high = turned(s[4], 6) ^ turned(s[4], 11) ^ turned(s[4], 25);
            const uint32_t first = s[7] + high + choice + ROUNDS[i] + w[i], second = low + majority;
            for (int j = 7; j > 0; --j) s[j] = s[j - 1];
            s[4] += first;
            s[0] = first + second;
        }
        for (int i = 0; i < 8; ++i) state_[i] += s[i];
        filled_ = 0;
    }

    // First 32 bits of the fractional parts of the square roots of the first eight primes.
    uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t block_[64];
    size_t filled_ = 0;
    uint64_t length_ = 0;
};

}  // namespace

std::string sha256(const std::vector<std::string_view>& parts) {
    Sha256 hash;
    for (std::string_view part : parts) hash.add(part);
    return hash.digits();
}

}  // namespace elite
