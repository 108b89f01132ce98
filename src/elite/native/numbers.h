// Rows of vectors, and the formats of numbers that an instruction set multiplies: float, bfloat16, int8.
//
// A format has Stored numbers. A row of C channels has width(C) of them, which Reader reads and write_row writes as vectors of
// floats. STEP input channels are multiplied at once, in tiles DEPTH. The sums and inputs of BLOCK rows fit into the cache.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tiles.h"
#include "vectors.h"

namespace INSTRUCTIONS {
namespace {

inline int64_t rounded_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

inline int64_t padded(int64_t channels) { return rounded_up(channels, WIDTH); }

// Number of channels of the default student. Functions with a ``Channels`` argument take it as this type, so that the
// compiler unrolls their loops and keeps a row in registers, or any other number as int64_t.
using UsualChannels = std::integral_constant<int64_t, 64>;

// Call visit(channel, numbers left) for each vector of a row. For fours of vectors, numbers left is a constant, at least
// WIDTH, so that the compiler drops the code of incomplete vectors.
template <class Channels, class Visit>
inline void each_vector(Channels channels, const Visit& visit) {
    int64_t c = 0;
    for (; c + 4 * WIDTH <= channels; c += 4 * WIDTH)
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) visit(c + v * WIDTH, int64_t{WIDTH});
    for (; c < channels; c += WIDTH) visit(c, channels - c);
}

// The vector at p of a row with ``rest`` numbers left, padded with zeros.
template <class Format>
inline Vector read_some(const typename Format::Stored* p, int64_t rest) {
    if (rest >= WIDTH) return Format::read_vector(p);
    typename Format::Stored whole[WIDTH];
    std::fill_n(whole, WIDTH, Format::ZERO);
    std::memcpy(whole, p, rest * sizeof *p);
    return Format::read_vector(whole);
}

template <class Format>
inline void write_some(typename Format::Stored* p, Vector v, int64_t rest) {
    if (rest >= WIDTH) return Format::write_vector(p, v);
    typename Format::Stored whole[WIDTH];
    Format::write_vector(whole, v);
    std::memcpy(p, whole, rest * sizeof *p);
}

// Rows of numbers that need no scale.
template <class Format, class Number>
struct PlainRows {
    using Stored = Number;
    static constexpr Number ZERO = 0;
    static constexpr int HEADER = 0;  // numbers per output channel before the weights of a panel
    static constexpr int64_t BLOCK = 512;
    using Tiles = NoTiles;
    using Sum = Vector;
    static int64_t width(int64_t channels) { return channels; }
    static float scale_of(const Number*, int64_t) { return 1; }
    static Sum start(const Number*, const float* before) { return load(before); }
    static Vector load_sum(const int32_t* p) { return load(reinterpret_cast<const float*>(p)); }
    static Vector scales(const Number*) { return all(1); }
    static Vector finish(Sum sum, float, Vector, const float*) { return sum; }
    struct Reader {
        const Number* row;
        Reader(const Number* row, int64_t) : row(row) {}
        Vector operator()(int64_t c, int64_t rest) const { return read_some<Format>(row + c, rest); }
    };
    template <class Channels>
    static void write_row(Number* out, const float* row, Channels n) {
        each_vector(n, [&](int64_t c, int64_t rest) { write_some<Format>(out + c, load(row + c), rest); });
    }
};

struct Float : PlainRows<Float, float> {
    static constexpr int STEP = 1, DEPTH = STEP;
    static Vector spread(const float* p) { return all(*p); }
    static Vector weight(const float* p) { return load(p); }
    static Vector step(Vector a, Vector w, Vector sum) { return multiply_add(a, w, sum); }
    static float from_float(float x) { return x; }
    static Vector read_vector(const float* p) { return load(p); }
    static void write_vector(float* p, Vector v) { store(p, v); }
};

#if defined(ELITE_BFLOAT16)
struct BFloat16 : PlainRows<BFloat16, uint16_t> {
    static constexpr int STEP = 2;
#if defined(__AMX_BF16__)
    using Tiles = BFloat16Tiles;
    static constexpr int DEPTH = TILE_BYTES / 2;
    static Vector finish(Vector sum, float, Vector, const float* before) { return sum + load(before); }
#else
    static constexpr int DEPTH = STEP;
#endif
    static Vector spread(const uint16_t* p) {
        int32_t pair;
        std::memcpy(&pair, p, sizeof pair);
        return (Vector)all_integers(pair);
    }
    static Vector weight(const uint16_t* p) { return load(reinterpret_cast<const float*>(p)); }
    static Vector step(Vector a, Vector w, Vector sum) { return add_two_products(a, w, sum); }
    static uint16_t from_float(float x) { return to_bfloat16(x); }
    static Vector read_vector(const uint16_t* p) { return load_bfloat16(p); }
    static void write_vector(uint16_t* p, Vector v) { store_bfloat16(p, v); }
};
#endif

#if defined(ELITE_INT8)
// A row of C channels has C bytes, each its number / scale + 128, and then the scale, the largest size / 127 as a float.
// NaN and infinity make the scale NaN or infinite.
struct Int8 {
    using Stored = uint8_t;
    static constexpr uint8_t ZERO = 128;
    static constexpr int STEP = 4;
#if defined(__AMX_INT8__)
    using Tiles = Int8Tiles;
    static constexpr int DEPTH = TILE_BYTES;
#else
    using Tiles = NoTiles;
    static constexpr int DEPTH = STEP;
#endif
    static constexpr int64_t BLOCK = 1024;
    static constexpr int HEADER = 8;  // bytes per output channel before its weights: sum of the weights, scale
    static constexpr float MOST = 127, LEAST = 1e-30f;  // rows without larger numbers are 0
    static int64_t width(int64_t channels) { return channels + static_cast<int64_t>(sizeof(float)); }
    using Sum = Integers;
    static Sum start(const uint8_t* starts, const float*) {
        return SIGNED_ROWS ? all_integers(0) : load_integers(starts);
    }
    static Integers load_sum(const int32_t* p) { return load_integers(p); }
    static Vector scales(const uint8_t* scales) { return load(reinterpret_cast<const float*>(scales)); }
    static Vector finish(Sum sum, float row_scale, Vector scale, const float* before) {
        return multiply_add(to_floats(sum) * scale, all(row_scale), load(before));
    }
    static float scale_of(const uint8_t* row, int64_t channels) {
        float scale;
        std::memcpy(&scale, row + channels, sizeof scale);
        return scale;
    }
    static Integers weight(const uint8_t* p) { return load_integers(p); }
    static Integers spread(const uint8_t* p) {
        int32_t four;
        std::memcpy(&four, p, sizeof four);
        return all_integers(SIGNED_ROWS ? four ^ static_cast<int32_t>(0x80808080) : four);
    }
    static Integers step(Integers a, Integers w, Integers sum) { return add_four_products(a, w, sum); }
    static void write_vector(uint8_t* p, Vector v) { store_bytes(p, add(to_integers(v), all_integers(ZERO))); }
    static Vector read_vector(const uint8_t* p) { return to_floats(add(load_bytes(p), all_integers(-ZERO))); }
    struct Reader {
        const uint8_t* row;
        const Vector scale;
        Reader(const uint8_t* row, int64_t channels) : row(row), scale(all(scale_of(row, channels))) {}
        Vector operator()(int64_t c, int64_t rest) const { return read_some<Int8>(row + c, rest) * scale; }
    };
    template <class Channels>
    static void write_row(uint8_t* out, const float* row, Channels n) {  // row is padded with zeros
        Integers bits = all_integers(0);  // as integers, floats have the order of their sizes, and NaN is the largest
        each_vector(n, [&](int64_t c, int64_t) { bits = larger(bits, size_bits(load(row + c))); });
        const uint32_t most = largest_of(bits);
        float largest;
        std::memcpy(&largest, &most, sizeof largest);
        const float scale = largest / MOST;
        const Vector inverse = all(largest > LEAST ? MOST / largest : 0.0f);
        each_vector(n, [&](int64_t c, int64_t rest) { write_some<Int8>(out + c, load(row + c) * inverse, rest); });
        std::memcpy(out + n, &scale, sizeof scale);
    }
};
#endif

}  // namespace
}  // namespace INSTRUCTIONS
