// What each error weighs in the Lovasz-softmax loss, class by class: a sort, and one walk over what it sorted.

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "sorting.h"

namespace {

// Of a float that is not negative, or not a number, the bits rise with it.
uint32_t bits_of(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits & 0x7fffffff;
}

constexpr int64_t MOST_ROWS = int64_t(1) << 24;  // so far a float counts them

void weigh(const float* errors, const float* truth, int64_t rows, float* steps) {
    if (rows > MOST_ROWS) throw TooLarge();
    uint32_t largest = 0;
    float total = 0;
    for (int64_t r = 0; r < rows; ++r) {
        largest = std::max(largest, bits_of(errors[r]));
        total += truth[r];
    }
    Entries entries(rows, bits_for(largest));
    for (int64_t r = 0; r < rows; ++r) entries.set(r, largest - bits_of(errors[r]));
    sort(entries);
    float intersection = total, together = total, before = 0;
    for (int64_t i = 0; i < rows; ++i) {
        const int64_t row = entries.row(i);
        intersection -= truth[row];
        together += 1 - truth[row];
        const float loss = 1 - intersection / together;
        steps[row] = loss - before;
        before = loss;
    }
}

}  // namespace

// errors, truth (1 where a row is of the class, 0 elsewhere), steps: classes x rows. steps[c][r] is how much 1 - IoU of
// class c grows when row r becomes wrong, after all rows with larger errors and those before r with the same one.
// Returns an EliteStatus. What torch makes of the same (elite/losses/lovasz.py) is equal to the last bit.
extern "C" int32_t elite_lovasz_steps(const float* errors, const float* truth, int64_t classes, int64_t rows,
                                      float* steps) {
    return run(classes, [&](int64_t c) { weigh(errors + c * rows, truth + c * rows, rows, steps + c * rows); });
}
