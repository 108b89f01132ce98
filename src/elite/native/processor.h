// Instruction sets of this architecture, and whether the processor has them.
#pragma once
#include <vector>

#include "kernels.h"

#if defined(__linux__)
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
#endif

namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "Model files and scans are little-endian.");

struct InstructionSet {
    const char* name;
    const Kernels* kernels;
    bool is_available;
};

const InstructionSet PORTABLE = {"portable", &portable::kernels, true};

#if defined(__x86_64__)
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

// Best first.
std::vector<InstructionSet> instruction_sets() {
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool has_vnni = has_avx512() && __builtin_cpu_supports("avx512vnni");
    const bool has_bf16 = has_vnni && __builtin_cpu_supports("avx512bf16");
    return {
        {"avx512amx", &avx512amx::kernels, has_bf16 && has_tiles()},
        {"avx512bf16", &avx512bf16::kernels, has_bf16},
        {"avx512vnni", &avx512vnni::kernels, has_vnni},
        {"avx512", &avx512::kernels, has_avx512()},
        {"avxvnni", &avxvnni::kernels, has_avx2 && __builtin_cpu_supports("avxvnni")},
        {"avx2", &avx2::kernels, has_avx2},
        PORTABLE,
    };
}

#elif defined(__aarch64__)
std::vector<InstructionSet> instruction_sets() {
    bool has_dot = false, has_bf16 = false;
#if defined(__linux__)
    has_dot = getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
    has_bf16 = has_dot && getauxval(AT_HWCAP2) & HWCAP2_BF16;
#endif
    return {
        {"neonbf16", &neonbf16::kernels, has_bf16},
        {"neondot", &neondot::kernels, has_dot},
        {"neon", &neon::kernels, true},
        PORTABLE,
    };
}

#else
std::vector<InstructionSet> instruction_sets() { return {PORTABLE}; }
#endif

}  // namespace
