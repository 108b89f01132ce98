// Vectors of one instruction set: WIDTH floats (Vector) or as many 32-bit integers (Integers), and their operations.
//
// Included by the sources that are compiled once per instruction set (INSTRUCTIONS is the name of the namespace). Tiles of
// products have TILE rows and up to PANEL vectors. ELITE_BFLOAT16 and ELITE_INT8 are defined where the set multiplies
// such numbers.
#pragma once
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(ELITE_NEON)
#include <arm_neon.h>
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>

#if !defined(__AVX2__) || defined(__AVX512BF16__)
#define ELITE_BFLOAT16
#endif
#if !defined(__AVX2__) || defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#define ELITE_INT8
#endif

namespace INSTRUCTIONS {
namespace {

#if defined(__AVX512F__)
using Vector = __m512;
using Integers = __m512i;
constexpr int WIDTH = 16, TILE = 6, PANEL = 4;  // 24 accumulators, 4 weights and 1 input: 29 of 32 registers
inline Vector load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Vector v) { _mm512_storeu_ps(p, v); }
inline Vector all(float x) { return _mm512_set1_ps(x); }
inline Vector multiply_add(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
inline Vector leaky(Vector v, Vector slope) {
    return _mm512_mask_mul_ps(v, _mm512_cmp_ps_mask(v, all(0), _CMP_NGT_UQ), v, slope);
}
inline Integers load_integers(const void* p) { return _mm512_loadu_si512(p); }
inline Integers all_integers(int32_t x) { return _mm512_set1_epi32(x); }
inline Vector to_floats(Integers v) { return _mm512_cvtepi32_ps(v); }
inline Integers add(Integers a, Integers b) { return _mm512_add_epi32(a, b); }
inline Integers load_bytes(const uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline void store_bytes(uint8_t* p, Integers v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v));
}
inline Integers to_integers(Vector v) { return _mm512_cvtps_epi32(v); }
inline Integers larger(Integers a, Integers b) { return _mm512_max_epu32(a, b); }
inline Integers size_bits(Vector v) { return _mm512_and_si512(_mm512_castps_si512(v), all_integers(0x7fffffff)); }
inline uint32_t largest_of(Integers v) { return _mm512_reduce_max_epu32(v); }
#elif defined(__AVX2__)
using Vector = __m256;
using Integers = __m256i;
constexpr int WIDTH = 8, TILE = 6, PANEL = 2;  // 12 + 2 + 1 of 16 registers
inline Vector load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, Vector v) { _mm256_storeu_ps(p, v); }
inline Vector all(float x) { return _mm256_set1_ps(x); }
inline Vector multiply_add(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
inline Vector leaky(Vector v, Vector slope) {
    return _mm256_blendv_ps(v, v * slope, _mm256_cmp_ps(v, all(0), _CMP_NGT_UQ));
}
inline Integers load_integers(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline Integers all_integers(int32_t x) { return _mm256_set1_epi32(x); }
inline Vector to_floats(Integers v) { return _mm256_cvtepi32_ps(v); }
inline Integers add(Integers a, Integers b) { return _mm256_add_epi32(a, b); }
inline Integers load_bytes(const uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
inline void store_bytes(uint8_t* p, Integers v) {
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
}
inline Integers to_integers(Vector v) { return _mm256_cvtps_epi32(v); }
inline Integers larger(Integers a, Integers b) { return _mm256_max_epu32(a, b); }
inline Integers size_bits(Vector v) { return _mm256_and_si256(_mm256_castps_si256(v), all_integers(0x7fffffff)); }
inline uint32_t largest_of(Integers v) {
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4e));
    return static_cast<uint32_t>(_mm_cvtsi128_si32(_mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1))));
}
#else
// Vectors of GCC and Clang, for any processor; ELITE_NEON adds instructions of aarch64.
typedef float Vector __attribute__((vector_size(16)));
typedef int32_t Integers __attribute__((vector_size(16)));
typedef int16_t Words __attribute__((vector_size(16)));
typedef uint16_t Halves __attribute__((vector_size(8)));
typedef uint8_t Bytes __attribute__((vector_size(4)));
#if defined(ELITE_NEON)
constexpr int WIDTH = 4, TILE = 6, PANEL = 4;  // as with AVX-512, which has as many registers
#else
constexpr int WIDTH = 4, TILE = 6, PANEL = 2;
#endif
template <class Result>
inline Result load_as(const void* p) {
    Result v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
inline Vector load(const float* p) { return load_as<Vector>(p); }
inline void store(float* p, Vector v) { std::memcpy(p, &v, sizeof v); }
inline Vector all(float x) { return Vector{x, x, x, x}; }
inline Vector multiply_add(Vector a, Vector b, Vector c) {
#if defined(ELITE_NEON)
    return (Vector)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#elif defined(__FP_FAST_FMAF)
    for (int i = 0; i < WIDTH; ++i) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
#else
    return a * b + c;
#endif
}
inline Vector leaky(Vector v, Vector slope) { return v > 0 ? v : v * slope; }
inline Integers load_integers(const void* p) { return load_as<Integers>(p); }
inline Integers all_integers(int32_t x) { return Integers{x, x, x, x}; }
inline Vector to_floats(Integers v) { return __builtin_convertvector(v, Vector); }
inline Integers add(Integers a, Integers b) { return a + b; }
inline Integers load_bytes(const uint8_t* p) { return __builtin_convertvector(load_as<Bytes>(p), Integers); }
inline void store_bytes(uint8_t* p, Integers v) {
    const Bytes bytes = __builtin_convertvector(v, Bytes);
    std::memcpy(p, &bytes, sizeof bytes);
}
inline Integers to_integers(Vector v) {  // up to 2^22: the sum has the unit 1
    const Vector unit = all(3 << 22);
    return (Integers)(v + unit) - (Integers)unit;
}
inline Integers larger(Integers a, Integers b) { return a > b ? a : b; }
inline Integers size_bits(Vector v) { return (Integers)v & all_integers(0x7fffffff); }
inline uint32_t largest_of(Integers v) { return std::max<uint32_t>(std::max(v[0], v[1]), std::max(v[2], v[3])); }
#endif

// ---- products of int8: sum + four numbers of a row times four weights, for each sum --------------------------------------

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
constexpr bool SIGNED_ROWS = false;  // numbers of a row are bytes from 0 to 255, else from -128 to 127
inline Integers add_four_products(Integers row, Integers weight, Integers sum) {
    // gcc 12 moves the sums of the intrinsic through memory.
#if defined(__AVX512VNNI__)
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(row), "v"(weight));
#else
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(row), "x"(weight));
#endif
    return sum;
}
#elif defined(ELITE_INT8)
constexpr bool SIGNED_ROWS = true;
inline Integers add_four_products(Integers row, Integers weight, Integers sum) {
#if defined(__ARM_FEATURE_DOTPROD) && defined(ELITE_NEON)
    return (Integers)vdotq_s32((int32x4_t)sum, (int8x16_t)row, (int8x16_t)weight);
#else
    const Words r = (Words)row, w = (Words)weight;
    const Words twos = (r >> 8) * (w >> 8) + (r << 8 >> 8) * (w << 8 >> 8);  // two products are less than 2^15
    return sum + ((Integers)twos >> 16) + ((Integers)twos << 16 >> 16);
#endif
}
#endif

// ---- products of bfloat16: sum + two numbers of a row times two weights, for each sum ------------------------------------

#if defined(__AVX512BF16__)
inline Vector add_two_products(Vector row, Vector weight, Vector sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)row, (__m512bh)weight);
}
inline Vector load_bfloat16(const uint16_t* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
inline void store_bfloat16(uint16_t* p, Vector v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(v));
}
inline uint16_t to_bfloat16(float x) {
    __m128bh r = _mm_cvtneps_pbh(_mm_set_ss(x));
    return static_cast<uint16_t>(_mm_extract_epi16((__m128i)r, 0));
}
#elif defined(ELITE_BFLOAT16)
inline Vector load_bfloat16(const uint16_t* p) {
    return (Vector)(__builtin_convertvector(load_as<Halves>(p), Integers) << 16);
}
#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC) && defined(ELITE_NEON)
inline Vector add_two_products(Vector row, Vector weight, Vector sum) {
    return (Vector)vbfdotq_f32((float32x4_t)sum, (bfloat16x8_t)row, (bfloat16x8_t)weight);
}
inline void store_bfloat16(uint16_t* p, Vector v) {
    const bfloat16x4_t halves = vcvt_bf16_f32((float32x4_t)v);
    std::memcpy(p, &halves, sizeof halves);
}
#else
inline Vector add_two_products(Vector row, Vector weight, Vector sum) {
    const Integers high = all_integers(-(1 << 16)), r = (Integers)row, w = (Integers)weight;
    sum = multiply_add((Vector)(r << 16), (Vector)(w << 16), sum);
    return multiply_add((Vector)(r & high), (Vector)(w & high), sum);
}
inline void store_bfloat16(uint16_t* p, Vector v) {  // rounded to the nearest, ties to even
    const Integers bits = (Integers)v, rounded = bits + 0x7fff + (bits >> 16 & 1);
    const Halves halves = __builtin_convertvector((v == v ? rounded : bits | 1 << 22) >> 16, Halves);
    std::memcpy(p, &halves, sizeof halves);
}
#endif
inline uint16_t to_bfloat16(float x) {
    uint16_t numbers[WIDTH];
    store_bfloat16(numbers, all(x));
    return numbers[0];
}
#endif

}  // namespace
}  // namespace INSTRUCTIONS
