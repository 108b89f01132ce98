// Sums of products of gathered rows and a packed matrix.
//
// A tile is R gathered input rows times a panel of V vectors of output channels: R x V accumulators stay in registers
// during the loop over input channels.
#pragma once
#include "numbers.h"
#include "tiles.h"

namespace INSTRUCTIONS {
namespace {

// Rows of a tile: as many as fit into the registers.
template <class Format>
constexpr int rows_of_tile(int vectors) {
    return Format::Tiles::EXIST ? TILE_ROWS : 2 * vectors > PANEL ? TILE : 2 * TILE;
}

// Add R input rows times V vectors of a packed panel to R rows of sums, or to ``bias`` if it is not null.
template <class Format, int R, int V>
inline void tile(const typename Format::Stored* const* in, int64_t in_channels, const typename Format::Stored* weight,
                 const float* bias, float* const* sums) {
    typename Format::Sum sum[R][V];
    const auto *starts = weight, *scales = weight + Format::HEADER / 2 * V * WIDTH;
    weight += Format::HEADER * V * WIDTH;
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v)
            sum[r][v] = Format::start(starts + v * WIDTH * 4, (bias ? bias : sums[r]) + v * WIDTH);
    for (int64_t c = 0; c < in_channels; c += Format::STEP) {
        typename Format::Sum w[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) w[v] = Format::weight(weight + v * WIDTH * Format::STEP);
        weight += V * WIDTH * Format::STEP;
#pragma GCC unroll 12
        for (int r = 0; r < R; ++r) {
            const typename Format::Sum number = Format::spread(in[r] + c);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) sum[r][v] = Format::step(number, w[v], sum[r][v]);
        }
    }
    Vector scale[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) scale[v] = Format::scales(scales + v * WIDTH * 4);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
        const float row_scale = Format::scale_of(in[r], in_channels);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v)
            store(sums[r] + v * WIDTH,
                  Format::finish(sum[r][v], row_scale, scale[v], (bias ? bias : sums[r]) + v * WIDTH));
    }
}

template <class Format, int V, int R>
inline void tiles_of(int rest, const typename Format::Stored* const* in, int64_t in_channels,
                     const typename Format::Stored* weight, const float* bias, float* const* sums) {
    if (rest == R)
        tile<Format, R, V>(in, in_channels, weight, bias, sums);
    else if constexpr (R > 1)
        tiles_of<Format, V, R - 1>(rest, in, in_channels, weight, bias, sums);
}

// As ``tile``, in tile registers, for up to TILE_ROWS rows.
template <class Format, int V>
inline void tile_in_registers(int count, const typename Format::Stored* const* in, int64_t in_channels,
                              const typename Format::Stored* weight, const float* bias, float* const* sums) {
    using Tiles = typename Format::Tiles;
    constexpr int64_t line = V * WIDTH;
    alignas(64) typename Format::Stored rows[TILE_ROWS * Format::DEPTH];
    alignas(64) int32_t sum[TILE_ROWS * line];
    Vector scale[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) scale[v] = Format::scales(weight + Format::HEADER / 2 * line + v * WIDTH * 4);
    weight += Format::HEADER * line;
    Tiles::template clear<V>();
    for (int64_t c = 0; c < in_channels; c += Format::DEPTH, weight += Format::DEPTH * line) {
        for (int r = 0; r < count; ++r) Tiles::copy_line(in[r] + c, in_channels - c, rows + r * Format::DEPTH);
        Tiles::template add_product<V>(rows, weight);
    }
    Tiles::template store<V>(sum);
    for (int r = 0; r < count; ++r) {
        const float row_scale = Format::scale_of(in[r], in_channels);
        float* to = sums[r];
        const float* before = bias ? bias : to;
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            const auto product = Format::load_sum(sum + r * line + v * WIDTH);
            store(to + v * WIDTH, Format::finish(product, row_scale, scale[v], before + v * WIDTH));
        }
    }
}

// sums[target[p] - start] += feats[source[p]] @ panel for p in [begin, end). If source or target is null, p replaces it.
// If bias is not null, it replaces the previous sums.
template <class Format, int V>
void panel_of_pairs(const typename Format::Stored* feats, int64_t in_channels, const typename Format::Stored* weight,
                    const int32_t* source, const int32_t* target, int64_t begin, int64_t end, int64_t start,
                    const float* bias, float* sums, int64_t width) {
    constexpr int most = rows_of_tile<Format>(V);
    const typename Format::Stored* in[most];
    const int64_t width_in = Format::width(in_channels);
    float* out[most];
    for (int64_t p = begin; p < end; p += most) {
        const int count = static_cast<int>(std::min<int64_t>(most, end - p));
        for (int r = 0; r < count; ++r) {
            in[r] = feats + (source ? source[p + r] : p + r) * width_in;
            out[r] = sums + ((target ? target[p + r] : p + r) - start) * width;
        }
        if (source)  // prefetch the scattered rows of the next tile
            for (int64_t q = p + most; q < std::min(end, p + 2 * most); ++q)
                for (int64_t c = 0; c < width_in; c += 64 / sizeof *feats)
                    __builtin_prefetch(feats + source[q] * width_in + c);
        if constexpr (Format::Tiles::EXIST)
            tile_in_registers<Format, V>(count, in, in_channels, weight, bias, out);
        else
            tiles_of<Format, V, most>(count, in, in_channels, weight, bias, out);
    }
}

template <class Format>
void add_products(const typename Format::Stored* feats, int64_t in_channels, const typename Format::Stored* weight,
                  int64_t out_channels, const int32_t* source, const int32_t* target, int64_t begin, int64_t end,
                  int64_t start, const float* bias, float* sums) {
    if (begin == end) return;
    const int64_t width = padded(out_channels), taken = rounded_up(in_channels, Format::DEPTH) + Format::HEADER;
    for (int64_t first = 0; first < width; first += PANEL * WIDTH) {
        const int vectors = static_cast<int>(std::min<int64_t>(PANEL * WIDTH, width - first) / WIDTH);
        const auto run = [&](auto panel) {
            panel(feats, in_channels, weight, source, target, begin, end, start, bias ? bias + first : nullptr,
                  sums + first, width);
        };
        if (vectors == 1) run(panel_of_pairs<Format, 1>);
        if (vectors == 2) run(panel_of_pairs<Format, 2>);
        if constexpr (PANEL == 4) {
            if (vectors == 3) run(panel_of_pairs<Format, 3>);
            if (vectors == 4) run(panel_of_pairs<Format, 4>);
        }
        weight += taken * vectors * WIDTH;
    }
}

}  // namespace
}  // namespace INSTRUCTIONS
