// C functions that Python calls, and the selection of the instruction set. No exception leaves this file.

#include "kernels.h"

#include <cpuid.h>

#include <cstring>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

struct InstructionSet {
    const char* name;
    const Kernels* kernels;
};

const InstructionSet NONE = {"none", nullptr};

bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

// Whether the processor multiplies tiles, and Linux lets this process use their registers, which it must request.
bool has_tiles() {
#if defined(__linux__)
    constexpr unsigned AMX = 1u << 22 | 1u << 24 | 1u << 25;  // bf16, tiles, int8
    constexpr int REQUEST_PERMISSION = 0x1023, TILE_DATA = 18;
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || ~d & AMX) return false;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}

// Best instruction set of the processor, at most ``most``.
InstructionSet select(const char* most) {
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool has_vnni = has_avx512() && __builtin_cpu_supports("avx512vnni");
    const bool has_bf16 = has_vnni && __builtin_cpu_supports("avx512bf16");
    const InstructionSet sets[] = {
        {"avx512amx", has_bf16 && has_tiles() ? &avx512amx::kernels : nullptr},
        {"avx512bf16", has_bf16 ? &avx512bf16::kernels : nullptr},
        {"avx512vnni", has_vnni ? &avx512vnni::kernels : nullptr},
        {"avx512", has_avx512() ? &avx512::kernels : nullptr},
        {"avxvnni", has_avx2 && __builtin_cpu_supports("avxvnni") ? &avxvnni::kernels : nullptr},
        {"avx2", has_avx2 ? &avx2::kernels : nullptr},
    };
    bool allowed = false;
    for (const InstructionSet& set : sets) {
        allowed = allowed || std::strcmp(set.name, most) == 0;
        if (allowed && set.kernels) return set;
    }
    return NONE;
}

InstructionSet current = select("avx512amx");

}  // namespace

const Kernels* selected_kernels() { return current.kernels; }

extern "C" {

// Instruction set of the kernels: avx512amx, avx512bf16, avx512vnni, avx512, avxvnni, avx2, or none.
const char* elite_instructions() { return current.name; }

// For tests: use at most the instruction set ``most`` from now on.
void elite_limit(const char* most) { current = select(most); }

// In the functions below, format is a NumberFormat.
int elite_has_format(int format) { return current.kernels && current.kernels->rows[format] ? 1 : 0; }

int64_t elite_packed_size(int64_t in_channels, int64_t out_channels, int format) {
    return current.kernels->packed_size[format](in_channels, out_channels);
}

void elite_pack(const float* weight, int64_t count, int64_t in_channels, int64_t out_channels, void* packed, int format) {
    current.kernels->pack[format](weight, count, in_channels, out_channels, packed);
}

void elite_rows(const Rows* job, int format) { current.kernels->rows[format](*job); }

void elite_pool(const Pool* job, int format) { current.kernels->pool[format](*job); }

void elite_chain(const Chain* job, int format) { current.kernels->chain[format](*job); }

void elite_weight_gradient(const WeightGradient* job) { current.kernels->weight_gradient(*job); }

void elite_point_means(const PointMeans* job, int64_t voxels, float* out) { current.kernels->point_means(*job, voxels, out); }

void elite_point_means_gradient(const PointMeansGradient* job) { current.kernels->point_means_gradient(*job); }

void elite_combine(const Combine* job) { current.kernels->combine(*job); }

void elite_sums(const Sums* job) { current.kernels->sums(*job); }
}
