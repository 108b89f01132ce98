// Weight of each error in the Lovasz-softmax loss, per class: a sort, and one pass over the sorted errors.

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "sorting.h"

namespace {

// Bits of a non-negative float or NaN, which ascend with its value.
uint32_t bits_of(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits & 0x7fffffff;
}

constexpr int64_t MAX_ROWS = int64_t(1) << 24;  // largest number of rows that a float counts exactly

void weigh(const float* errors, const float* is_class, int64_t rows, float* steps) {
    if (rows > MAX_ROWS) throw TooLarge();
    uint32_t largest = 0;
    float total = 0;
    for (int64_t r = 0; r < rows; ++r) {
        largest = std::max(largest, bits_of(errors[r]));
        total += is_class[r];
    }
    Entries entries(rows, bits_for(largest));
    for (int64_t r = 0; r < rows; ++r) entries.set(r, largest - bits_of(errors[r]));
    sort(entries);
    float intersection = total, union_size = total, before = 0;
    for (int64_t i = 0; i < rows; ++i) {
        const int64_t row = entries.row(i);
        intersection -= is_class[row];
        union_size += 1 - is_class[row];
        const float loss = 1 - intersection / union_size;
        steps[row] = loss - before;
        before = loss;
    }
}

}  // namespace

// errors, is_class (1 where a row belongs to the class, else 0), steps: classes x rows. steps[c][r] is the increase of
// 1 - IoU of class c when row r becomes wrong, after all rows with larger errors and earlier rows with an equal error.
// Returns an EliteStatus. The PyTorch implementation (elite/losses/lovasz.py) is bit-identical.
extern "C" int32_t elite_lovasz_steps(const float* errors, const float* is_class, int64_t classes, int64_t rows,
                                      float* steps) {
    return run(classes, [&](int64_t c) { weigh(errors + c * rows, is_class + c * rows, rows, steps + c * rows); });
}
