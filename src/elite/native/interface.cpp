// The C functions of kernels.h that Python calls, and the choice of the instruction set. No exception leaves this file.

#include "kernels.h"

#include <cstring>

namespace {

struct Choice {
    const char* name;
    const Kernels* kernels;
};

const Choice NONE = {"none", nullptr};

bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

// The best that the processor has, from ``most`` downwards.
Choice choose(const char* most) {
    const Choice choices[] = {
        {"avx512bf16", has_avx512() && __builtin_cpu_supports("avx512bf16") ? &avx512bf16::kernels : nullptr},
        {"avx512", has_avx512() ? &avx512::kernels : nullptr},
        {"avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2::kernels : nullptr},
    };
    bool allowed = false;
    for (const Choice& choice : choices) {
        allowed = allowed || std::strcmp(choice.name, most) == 0;
        if (allowed && choice.kernels) return choice;
    }
    return NONE;
}

Choice chosen = choose("avx512bf16");

}  // namespace

extern "C" {

// Which instruction set the kernels use: avx512bf16, avx512, avx2, or none.
const char* elite_instructions() { return chosen.name; }

// For tests: nothing better than ``most`` from now on.
void elite_limit(const char* most) { chosen = choose(most); }

int elite_has_bf16() { return chosen.kernels && chosen.kernels->rows_bf16 ? 1 : 0; }

int64_t elite_packed_size(int64_t in_channels, int64_t out_channels) {
    return chosen.kernels->packed_size(in_channels, out_channels);
}

void elite_pack(const float* weight, int64_t count, int64_t in_channels, int64_t out_channels, void* packed, int bf16) {
    chosen.kernels->pack(weight, count, in_channels, out_channels, packed, bf16 != 0);
}

void elite_rows(const Rows* job, int bf16) { (bf16 ? chosen.kernels->rows_bf16 : chosen.kernels->rows)(*job); }

void elite_pool(const Pool* job, int bf16) { (bf16 ? chosen.kernels->pool_bf16 : chosen.kernels->pool)(*job); }

void elite_chain(const Chain* job, int bf16) { (bf16 ? chosen.kernels->chain_bf16 : chosen.kernels->chain)(*job); }

void elite_weight_gradient(const WeightGradient* job) { chosen.kernels->weight_gradient(*job); }

void elite_point_means(const PointMeans* job, int64_t voxels, float* out) { chosen.kernels->point_means(*job, voxels, out); }

void elite_point_means_gradient(const PointMeansGradient* job) { chosen.kernels->point_means_gradient(*job); }

void elite_combine(const Combine* job) { chosen.kernels->combine(*job); }

void elite_sums(const Sums* job) { chosen.kernels->sums(*job); }
}
