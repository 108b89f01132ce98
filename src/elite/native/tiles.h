// Tile registers of AMX: 16 rows of 64 bytes. The compiler does not know of them, so their numbers are constants, and the
// assembler instructions keep their order.
#pragma once
#if defined(__AMX_TILE__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace INSTRUCTIONS {
namespace {

constexpr int TILE_ROWS = 16, TILE_BYTES = 64;

struct NoTiles {  // of a format
    static constexpr bool EXIST = false;
    struct Enabled {};
};

#if defined(__AMX_TILE__)
constexpr int INPUTS = 4, WEIGHTS = 5;  // tiles of a product; the first four are its sums

template <int TILE>
inline void load_tile(const void* from, int64_t stride) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(TILE) : "memory");
}

// Call visit(constant) for each of the first V tiles.
template <int V, class Visit>
inline void each_tile(const Visit& visit) {
    visit(std::integral_constant<int, 0>());
    if constexpr (V > 1) visit(std::integral_constant<int, 1>());
    if constexpr (V > 2) visit(std::integral_constant<int, 2>());
    if constexpr (V > 3) visit(std::integral_constant<int, 3>());
}

// While it exists, this thread may use the tiles, which have their largest size. The system saves them when it switches
// threads.
struct EnabledTiles {
    EnabledTiles() {
        struct {
            uint8_t palette = 1, start_row = 0, reserved[14] = {};
            uint16_t bytes[16] = {};
            uint8_t rows[16] = {};
        } shapes;
        static_assert(sizeof shapes == 64);
        std::fill_n(shapes.bytes, 8, uint16_t{TILE_BYTES});
        std::fill_n(shapes.rows, 8, uint8_t{TILE_ROWS});
        __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
    }
    ~EnabledTiles() { __asm__ volatile("tilerelease"); }
    EnabledTiles(const EnabledTiles&) = delete;
};

// Sums of the products of one format, for V vectors of output channels. A line of a tile has 64 bytes of a row.
template <class Format>
struct ProductTiles {
    static constexpr bool EXIST = true;
    using Enabled = EnabledTiles;

    template <int V>
    static void clear() {
        each_tile<V>([](auto v) { __asm__ volatile("tilezero %%tmm%c0" : : "i"(v())); });
    }
    template <int V>
    static void add_product(const void* lines, const void* weight) {
        load_tile<INPUTS>(lines, TILE_BYTES);
        each_tile<V>([&](auto v) {
            load_tile<WEIGHTS>(static_cast<const char*>(weight) + v * TILE_BYTES, V * TILE_BYTES);
            Format::template multiply<v()>();
        });
    }
    template <int V>
    static void store(int32_t* sums) {
        each_tile<V>([&](auto v) {
            __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)"
                             :
                             : "r"(sums + v * TILE_ROWS), "r"(int64_t{V * TILE_BYTES}), "i"(v())
                             : "memory");
        });
    }

  protected:
    static __m512i read_line(const void* row, int64_t bytes) {
        return _mm512_maskz_loadu_epi8(~uint64_t{0} >> (TILE_BYTES - std::min<int64_t>(TILE_BYTES, bytes)), row);
    }
};

struct Int8Tiles : ProductTiles<Int8Tiles> {
    static void copy_line(const uint8_t* row, int64_t left, uint8_t* line) {  // as signed numbers
        _mm512_store_si512(line, _mm512_xor_si512(read_line(row, left), _mm512_set1_epi8(-128)));
    }
    template <int SUMS>
    static void multiply() {
        __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(SUMS), "i"(INPUTS), "i"(WEIGHTS));
    }
};

struct BFloat16Tiles : ProductTiles<BFloat16Tiles> {
    static void copy_line(const uint16_t* row, int64_t left, uint16_t* line) {
        _mm512_store_si512(line, read_line(row, 2 * left));
    }
    template <int SUMS>
    static void multiply() {
        __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(SUMS), "i"(INPUTS), "i"(WEIGHTS));
    }
};
#endif

}  // namespace
}  // namespace INSTRUCTIONS
