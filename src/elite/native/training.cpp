// Passes over all rows in training, except products. Plain loops that the compiler vectorises (INSTRUCTIONS is the name of
// the namespace, as in kernels.cpp).

#include <algorithm>
#include <vector>

#include "kernels.h"

namespace INSTRUCTIONS {
namespace {

constexpr int64_t BLOCK = 512;  // rows per thread and step
constexpr int64_t GROUPS = 16;  // groups of rows with separate sums, independent of the number of threads

template <bool SIGN, bool SECOND>
void combine_rows(const Combine& job, int64_t start, int64_t end) {
    const int64_t n = job.channels;
    const float slope = job.slope, sign_slope = job.sign_slope;
    for (int64_t r = start; r < end; ++r) {
        const float *first = job.first + r * n, *sign = job.sign + (SIGN ? r * n : 0);
        const float* second = job.second + (SECOND ? r * n : 0);
        float* out = job.out + r * n;
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) {
            float x = first[c];
            if (SIGN) x = sign[c] > 0 ? x : sign_slope * x;
            x = job.first_scale[c] * x + job.shift[c];
            if (SECOND) x += job.second_scale[c] * second[c];
            out[c] = x > 0 ? x : slope * x;
        }
    }
}

template <bool SIGN, bool FIRST, bool SECOND>
void sum_rows(const Sums& job, int64_t start, int64_t end, double* sums) {
    const int64_t n = job.channels;
    const float slope = job.slope;
    double *plain = sums, *with_first = sums + n, *with_second = sums + 2 * n;
    for (int64_t r = start; r < end; ++r) {
        const float *feats = job.feats + r * n, *sign = job.sign + (SIGN ? r * n : 0);
        const float *first = job.first + (FIRST ? r * n : 0), *second = job.second + (SECOND ? r * n : 0);
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) {
            float x = feats[c];
            if (SIGN) x = sign[c] > 0 ? x : slope * x;
            plain[c] += x;
            if (FIRST) with_first[c] += double(x) * first[c];
            if (SECOND) with_second[c] += double(x) * second[c];
        }
    }
}

}  // namespace

void combine(const Combine& job) {
    const auto rows = job.sign ? (job.second ? combine_rows<true, true> : combine_rows<true, false>)
                               : (job.second ? combine_rows<false, true> : combine_rows<false, false>);
    const int64_t blocks = (job.rows + BLOCK - 1) / BLOCK;
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < blocks; ++b) rows(job, b * BLOCK, std::min(job.rows, (b + 1) * BLOCK));
}

void sums(const Sums& job) {
    const auto with_sign = job.second ? sum_rows<true, true, true>
                           : job.first ? sum_rows<true, true, false>
                                       : sum_rows<true, false, false>;
    const auto without = job.second ? sum_rows<false, true, true>
                         : job.first ? sum_rows<false, true, false>
                                     : sum_rows<false, false, false>;
    const auto rows = job.sign ? with_sign : without;
    const int64_t size = 3 * job.channels;
    std::vector<double> of_group(GROUPS * size);
#pragma omp parallel for schedule(static)
    for (int64_t g = 0; g < GROUPS; ++g)
        rows(job, g * job.rows / GROUPS, (g + 1) * job.rows / GROUPS, of_group.data() + g * size);
    for (int64_t c = 0; c < size; ++c) {
        job.out[c] = 0;
        for (int64_t g = 0; g < GROUPS; ++g) job.out[c] += of_group[g * size + c];
    }
}

}  // namespace INSTRUCTIONS
