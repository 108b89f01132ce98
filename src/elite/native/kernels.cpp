// Sums of products over rows, compiled once per instruction set (INSTRUCTIONS is the name of the namespace).
//
// The sums of a block of rows fit into the cache, and the weights of one kernel position stay in its first level during
// the loop over the block's pairs.

#include "kernels.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "packing.h"
#include "products.h"

namespace INSTRUCTIONS {

void combine(const Combine&);  // training.cpp
void sums(const Sums&);

namespace {

constexpr int64_t BLOCK = Float::BLOCK;
constexpr int64_t FEW = 192;    // rows of a block that passes through several layers: a multiple of the tiles
constexpr int64_t CHUNK = 64;   // pairs whose outer products are summed at once
constexpr int64_t GROUPS = 16;  // groups of blocks with separate sums, in gradients of weights
constexpr int POSITIONS = 27, CENTRE = 13;

// ---- rows times matrices ------------------------------------------------------------------------------------------

// Pairs of a position with a target in [start, end): (source, target, first pair, end of pairs).
struct Run {
    const int32_t *source, *target;
    int64_t begin, end;
};

Run run_of(const Pairs& pairs, int position, int64_t start, int64_t end) {
    const int64_t k = position < CENTRE ? position : POSITIONS - 1 - position;
    const int32_t *first = pairs.first + k * pairs.stride, *second = pairs.second + k * pairs.stride;
    if (position > CENTRE) std::swap(first, second);
    const int32_t* last = first + pairs.count[k];
    const int32_t* begin = std::lower_bound(first, last, start);
    last = std::min(last, begin + (end - start));  // targets ascend
    return {second, first, begin - first, std::lower_bound(begin, last, end) - first};
}

// Aligned to cache lines: a vector across two of them takes twice as long.
struct Free {
    void operator()(float* p) const { std::free(p); }
};
using Aligned = std::unique_ptr<float, Free>;

Aligned allocate(size_t numbers) {
    return Aligned(static_cast<float*>(std::aligned_alloc(64, (numbers + 15) / 16 * 16 * sizeof(float))));
}

float* scratch(size_t numbers) {  // of this thread, reused by the next call
    thread_local Aligned kept;
    thread_local size_t size = 0;
    if (size < numbers) {
        kept = allocate(numbers);
        size = numbers;
    }
    return kept.get();
}

// The row ``r`` of n channels of ``rows`` becomes ``row``, in a format that may differ from that of the kernel.
template <class Channels>
[[gnu::always_inline]] inline void write_any(NumberFormat format, void* rows, int64_t r, const float* row, Channels n) {
    if (format == FLOAT32) Float::write_row(static_cast<float*>(rows) + r * n, row, n);
#if defined(ELITE_INT8)
    if (format == INT8) Int8::write_row(static_cast<uint8_t*>(rows) + r * Int8::width(n), row, n);
#endif
#if defined(ELITE_BFLOAT16)
    if (format == BFLOAT16) BFloat16::write_row(static_cast<uint16_t*>(rows) + r * n, row, n);
#endif
}

// Convert the padded sums of row r of n channels, in place, to its outputs, and to ``next`` if it is not null.
template <class Format, class Channels>
void finish_row_of(Channels n, const Rows& job, int64_t r, float* sums, typename Format::Stored* next) {
    using Stored = typename Format::Stored;
    const int64_t width = Format::width(n);
    const Vector slope = all(job.slope);
    if (job.add) {
        const int64_t row = job.add_row ? job.add_row[r] : r;
        const typename Format::Reader add(static_cast<const Stored*>(job.add) + row * width, n);
        each_vector(n, [&](int64_t c, int64_t rest) { store(sums + c, leaky(load(sums + c) + add(c, rest), slope)); });
    } else {
        each_vector(n, [&](int64_t c, int64_t) { store(sums + c, leaky(load(sums + c), slope)); });
    }
    if (next) Format::write_row(next, sums, n);
    if (job.out) write_any(static_cast<NumberFormat>(job.out_format), job.out, r, sums, n);
    if (!job.sum) return;
    const typename Format::Reader plus(static_cast<const Stored*>(job.plus) + r * width, n);
    each_vector(n, [&](int64_t c, int64_t rest) { store(sums + c, load(sums + c) + plus(c, rest)); });
    Format::write_row(static_cast<Stored*>(job.sum) + r * width, sums, n);
}

template <class Format>
void finish_row(const Rows& job, int64_t r, float* sums, typename Format::Stored* next) {
    if (job.channels == UsualChannels::value)
        finish_row_of<Format>(UsualChannels(), job, r, sums, next);
    else
        finish_row_of<Format>(job.channels, job, r, sums, next);
}

void copy_padded(const float* bias, int64_t channels, float* padded_bias) {
    std::fill_n(padded_bias, padded(channels), 0.0f);
    if (bias) std::copy_n(bias, channels, padded_bias);
}

// A convolution starts with the centre position, at which every voxel is its own neighbour: it initialises the sums with
// the bias.
template <class Format>
void block_of_rows(const Rows& job, int64_t start, int64_t end) {
    using Stored = typename Format::Stored;
    [[maybe_unused]] typename Format::Tiles::Enabled tiles;
    const int64_t width = padded(job.channels);
    float *sums = scratch((Format::BLOCK + 1) * width), *bias = sums + Format::BLOCK * width;
    copy_padded(job.bias, job.channels, bias);
    const auto add = [&](const void* feats, const Stored* weight, int64_t in_channels, const Run& run, const float* begin) {
        add_products<Format>(static_cast<const Stored*>(feats), in_channels, weight, job.channels, run.source, run.target,
                             run.begin, run.end, start, begin, sums);
    };
    const Run all_rows{nullptr, nullptr, start, end};
    if (job.conv) {
        const auto* weight = static_cast<const Stored*>(job.conv_weight);
        const int64_t size = packed_size<Format>(job.conv_channels, job.channels);
        add(job.conv, weight + CENTRE * size, job.conv_channels, all_rows, bias);
        for (int k = 0; k < POSITIONS; ++k)
            if (k != CENTRE) add(job.conv, weight + k * size, job.conv_channels, run_of(*job.pairs, k, start, end), nullptr);
    }
    if (job.dense)
        add(job.dense, static_cast<const Stored*>(job.dense_weight), job.dense_channels, all_rows, job.conv ? nullptr : bias);
    for (int64_t r = start; r < end; ++r) finish_row<Format>(job, r, sums + (r - start) * width, nullptr);
}

template <class Format>
void rows(const Rows& job) {
    constexpr int64_t block = Format::BLOCK;
    const int64_t blocks = (job.rows + block - 1) / block;
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t b = 0; b < blocks; ++b) block_of_rows<Format>(job, b * block, std::min(job.rows, (b + 1) * block));
}

// ---- sums over groups of rows -------------------------------------------------------------------------------------

// V vectors of one target row, from channel ``first`` on, with sums in registers.
template <class Format, int V>
void pooled_vectors(const Pool& job, int64_t target, int64_t first, float* out) {
    Vector sum[V];
    const int64_t rest = V > 1 ? V * WIDTH : job.channels - first, width = Format::width(job.channels);
    for (Vector& v : sum) v = all(0);
    for (int64_t e = job.offsets[target]; e < job.offsets[target + 1]; ++e) {
        const auto* row = static_cast<const typename Format::Stored*>(job.feats) + job.column[e] * width;
        const typename Format::Reader numbers(row, job.channels);
        const Vector times = all(job.count ? static_cast<float>(job.count[e]) : 1.0f);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[v] = multiply_add(times, numbers(first + v * WIDTH, rest - v * WIDTH), sum[v]);
    }
    const Vector share = all(job.total ? 1.0f / static_cast<float>(job.total[target]) : 1.0f), slope = all(job.slope);
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(out + first + v * WIDTH, leaky(sum[v] * share, slope));
}

// ``row`` has room for a padded row.
template <class Format>
void pooled_row(const Pool& job, int64_t target, float* row, typename Format::Stored* out) {
    int64_t c = 0;
    for (; c + 4 * WIDTH <= job.channels; c += 4 * WIDTH) pooled_vectors<Format, 4>(job, target, c, row);
    for (; c < job.channels; c += WIDTH) pooled_vectors<Format, 1>(job, target, c, row);
    Format::write_row(out, row, job.channels);
}

template <class Format>
void pool(const Pool& job) {
    auto* out = static_cast<typename Format::Stored*>(job.out);
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < job.targets; ++t)
        pooled_row<Format>(job, t, scratch(padded(job.channels)), out + t * Format::width(job.channels));
}

// ---- points to voxels ---------------------------------------------------------------------------------------------

void point_features(const PointMeans& job, int64_t voxel, const float* mean, int64_t point, float* numbers) {
    const float* p = job.points + 3 * point;
    const int64_t* zyx = job.coords + 4 * voxel + 1;
    for (int axis = 0; axis < 3; ++axis) {
        const float corner = static_cast<float>(zyx[2 - axis]) * job.size[axis] + job.corner[axis];
        numbers[axis] = p[axis];
        numbers[4 + axis] = p[axis] - mean[axis];
        numbers[7 + axis] = p[axis] - corner;
    }
    numbers[3] = job.remission[point];
}

void mean_of(const PointMeans& job, int64_t voxel, float* mean) {
    const int64_t begin = job.offsets[voxel], end = job.offsets[voxel + 1];
    std::fill_n(mean, 3, 0.0f);
    for (int64_t e = begin; e < end; ++e)
        for (int axis = 0; axis < 3; ++axis) mean[axis] += job.points[3 * job.order[e] + axis];
    for (int axis = 0; axis < 3; ++axis) mean[axis] /= static_cast<float>(end - begin);
}

// Rows of the voxels [start, end), at most FEW, each with at least one point. Their points are contiguous and processed
// FEW at a time. ``memory`` has room for 2 FEW + 1 padded rows.
template <class Format>
void rows_of_points(const PointMeans& job, int64_t start, int64_t end, float* memory, typename Format::Stored* out) {
    const int64_t n = job.channels, width = padded(n);
    float *sums = memory, *hidden = sums + FEW * width, *bias = hidden + FEW * width;
    float numbers[FEW * 10], mean[3];
    int64_t voxel_of[FEW], voxel = start - 1;
    copy_padded(job.bias, n, bias);
    std::fill_n(sums, (end - start) * width, 0.0f);
    for (int64_t first = job.offsets[start], last = job.offsets[end]; first < last; first += FEW) {
        const int64_t count = std::min(FEW, last - first);
        for (int64_t i = 0; i < count; ++i) {
            if (first + i == job.offsets[voxel + 1]) mean_of(job, ++voxel, mean);
            voxel_of[i] = voxel - start;
            point_features(job, voxel, mean, job.order[first + i], numbers + 10 * i);
        }
        add_products<Float>(numbers, 10, job.weight, n, nullptr, nullptr, 0, count, 0, bias, hidden);
        for (int64_t i = 0; i < count; ++i)
            for (int64_t c = 0; c < width; c += WIDTH) {
                float* sum = sums + voxel_of[i] * width + c;
                store(sum, load(sum) + leaky(load(hidden + i * width + c), all(0)));
            }
    }
    for (int64_t v = start; v < end; ++v) {
        const Vector share = all(1.0f / static_cast<float>(job.offsets[v + 1] - job.offsets[v]));
        float* row = sums + (v - start) * width;
        for (int64_t c = 0; c < n; c += WIDTH) store(row + c, load(row + c) * share);
        Format::write_row(out + (v - start) * Format::width(n), row, n);
    }
}

// ---- several layers ------------------------------------------------------------------------------

template <class Format>
void block_of_chain(const Chain& job, int64_t start, int64_t end) {
    using Stored = typename Format::Stored;
    [[maybe_unused]] typename Format::Tiles::Enabled tiles;
    int64_t width = padded(job.channels);
    for (int64_t l = 0; l < job.count; ++l) width = std::max(width, padded(job.layers[l].channels));
    float* memory = scratch((3 * FEW + 1) * width);
    float *sums = memory, *bias = sums + FEW * width;
    auto* between = reinterpret_cast<Stored*>(memory + (2 * FEW + 1) * width);
    const Stored* in = between;
    if (job.feats) in = static_cast<const Stored*>(job.feats) + start * Format::width(job.channels);
    if (job.points) rows_of_points<Format>(*job.points, start, end, memory, between);
    for (int64_t r = start; job.pool && r < end; ++r)
        pooled_row<Format>(*job.pool, r, sums, between + (r - start) * Format::width(job.channels));
    for (int64_t l = 0; l < job.count; ++l) {
        const Rows& layer = job.layers[l];
        const int64_t n = layer.channels;
        copy_padded(layer.bias, n, bias);
        add_products<Format>(in, layer.dense_channels, static_cast<const Stored*>(layer.dense_weight), n, nullptr, nullptr, 0,
                             end - start, 0, bias, sums);
        for (int64_t r = start; r < end; ++r)
            finish_row<Format>(layer, r, sums + (r - start) * padded(n),
                               l + 1 < job.count ? between + (r - start) * Format::width(n) : nullptr);
        in = between;
    }
}

template <class Format>
void chain(const Chain& job) {
    const int64_t blocks = (job.rows + FEW - 1) / FEW;
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t b = 0; b < blocks; ++b) block_of_chain<Format>(job, b * FEW, std::min(job.rows, (b + 1) * FEW));
}

void point_means(const PointMeans& job, int64_t voxels, float* out) {
    const int64_t blocks = (voxels + FEW - 1) / FEW, memory = (2 * FEW + 1) * padded(job.channels);
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t b = 0; b < blocks; ++b)
        rows_of_points<Float>(job, b * FEW, std::min(voxels, (b + 1) * FEW), scratch(memory), out + b * FEW * job.channels);
}

// ---- gradients of the weights of point_means ---------------------------------------------------------------------------

void hidden_row(const PointMeansGradient& job, const float* numbers, float* hidden) {  // before its ReLU
    const int64_t n = job.of.channels;
#pragma omp simd
    for (int64_t c = 0; c < n; ++c) {
        float sum = job.of.bias[c];
#pragma GCC unroll 10
        for (int j = 0; j < 10; ++j) sum += numbers[j] * job.weight[j * n + c];
        hidden[c] = sum;
    }
}

// sums: 11 x channels, of the weight and then of the bias.
void add_point_gradients(const PointMeansGradient& job, int64_t voxel, float* sums, float* hidden) {
    const PointMeans& of = job.of;
    const int64_t n = of.channels, begin = of.offsets[voxel], end = of.offsets[voxel + 1];
    const float* grad = job.grad + voxel * n;
    const float share = 1.0f / static_cast<float>(end - begin);
    float mean[3], numbers[10];
    mean_of(of, voxel, mean);
    for (int64_t e = begin; e < end; ++e) {
        point_features(of, voxel, mean, of.order[e], numbers);
        hidden_row(job, numbers, hidden);
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) {
            const float passed = hidden[c] > 0 ? share * grad[c] : 0.0f;
#pragma GCC unroll 10
            for (int j = 0; j < 10; ++j) sums[j * n + c] += numbers[j] * passed;
            sums[10 * n + c] += passed;
        }
    }
}

void point_means_gradient(const PointMeansGradient& job) {
    const PointMeans& of = job.of;
    const int64_t n = of.channels, size = 11 * n;
    const Aligned sums = allocate(GROUPS * size);
    std::fill_n(sums.get(), GROUPS * size, 0.0f);
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t g = 0; g < GROUPS; ++g)
        for (int64_t v = g * job.voxels / GROUPS; v < (g + 1) * job.voxels / GROUPS; ++v)
            add_point_gradients(job, v, sums.get() + g * size, scratch(n));
    for (int64_t c = 0; c < size; ++c) {
        float sum = 0;
        for (int64_t g = 0; g < GROUPS; ++g) sum += sums.get()[g * size + c];
        (c < 10 * n ? job.grad_weight[c] : job.grad_bias[c - 10 * n]) = sum;
    }
}

// ---- gradient of weights --------------------------------------------------------------------------------------

// sums (in_channels x width) += feats^T grad over the pairs: R input channels times V vectors of output channels.
template <int R, int V>
inline void outer_tile(const float* const* feats, const float* const* grad, int count, int64_t c, int64_t o, float* sums,
                       int64_t width) {
    Vector sum[R][V];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[r][v] = load(sums + r * width + v * WIDTH);
    for (int p = 0; p < count; ++p) {
        Vector g[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) g[v] = load(grad[p] + o + v * WIDTH);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vector number = all(feats[p][c + r]);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) sum[r][v] = multiply_add(number, g[v], sum[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) store(sums + r * width + v * WIDTH, sum[r][v]);
}

template <int V, int R>
inline void outer_tiles_of(int64_t rest, const float* const* feats, const float* const* grad, int count, int64_t c,
                           int64_t o, float* sums, int64_t width) {
    if (rest >= R)
        outer_tile<R, V>(feats, grad, count, c, o, sums, width);
    else if constexpr (R > 1)
        outer_tiles_of<V, R - 1>(rest, feats, grad, count, c, o, sums, width);
}

template <int V>
void outer_panel(const float* const* feats, const float* const* grad, int count, int64_t in_channels, int64_t o,
                 float* sums, int64_t width) {
    for (int64_t c = 0; c < in_channels; c += TILE)
        outer_tiles_of<V, TILE>(in_channels - c, feats, grad, count, c, o, sums + c * width + o, width);
}

// The last vector of a gradient row may exceed it, so the rows of a chunk are copied and padded with zeros.
void outer_chunk(const WeightGradient& job, const Run& run, int64_t begin, int count, float* copied, float* sums) {
    const int64_t width = padded(job.out_channels);
    const float *feats[CHUNK], *grad[CHUNK];
    for (int i = 0; i < count; ++i) {
        const int64_t p = begin + i, source = run.source ? run.source[p] : p, target = run.target ? run.target[p] : p;
        feats[i] = job.feats + source * job.in_channels;
        grad[i] = job.grad + target * job.out_channels;
        if (width != job.out_channels) {
            std::fill_n(copied + i * width, width, 0.0f);
            std::copy_n(grad[i], job.out_channels, copied + i * width);
            grad[i] = copied + i * width;
        }
    }
    int64_t o = 0;
    for (; o + PANEL * WIDTH <= width; o += PANEL * WIDTH)
        outer_panel<PANEL>(feats, grad, count, job.in_channels, o, sums, width);
    for (; o < width; o += WIDTH) outer_panel<1>(feats, grad, count, job.in_channels, o, sums, width);
}

// Blocks of rows are distributed over a fixed number of groups with separate sums, so the order of additions does not
// depend on the threads. Within a block, all positions find its rows in the cache.
void gradient_of_group(const WeightGradient& job, int64_t start, int64_t end, float* sums) {
    const int64_t width = padded(job.out_channels), size = job.in_channels * width;
    const int positions = job.pairs ? POSITIONS : 1;
    float* copied = scratch(CHUNK * width);
    std::fill_n(sums, positions * size, 0.0f);
    for (int64_t row = start; row < end; row += BLOCK)
        for (int k = 0; k < positions; ++k) {
            const int64_t last = std::min(end, row + BLOCK);
            const bool itself = !job.pairs || k == CENTRE;
            const Run run = itself ? Run{nullptr, nullptr, row, last} : run_of(*job.pairs, k, row, last);
            for (int64_t p = run.begin; p < run.end; p += CHUNK)
                outer_chunk(job, run, p, static_cast<int>(std::min(CHUNK, run.end - p)), copied, sums + k * size);
        }
}

void weight_gradient(const WeightGradient& job) {
    const int64_t lines = (job.pairs ? POSITIONS : 1) * job.in_channels;
    const int64_t width = padded(job.out_channels), size = lines * width;
    const int64_t blocks = (job.rows + BLOCK - 1) / BLOCK, groups = std::min(blocks, GROUPS);
    const Aligned sums = allocate(std::max<int64_t>(1, groups) * size);
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t g = 0; g < groups; ++g)
        gradient_of_group(job, g * blocks / groups * BLOCK, std::min(job.rows, (g + 1) * blocks / groups * BLOCK),
                          sums.get() + g * size);
    for (int64_t row = 0; row < lines; ++row)
        for (int64_t o = 0; o < job.out_channels; ++o) {
            float sum = 0;
            for (int64_t g = 0; g < groups; ++g) sum += sums.get()[g * size + row * width + o];
            job.weight[row * job.out_channels + o] = sum;
        }
}

}  // namespace

#if defined(ELITE_BFLOAT16)
#define ELITE_BFLOAT16_OF(kernel) kernel<BFloat16>
#else
#define ELITE_BFLOAT16_OF(kernel) nullptr
#endif
#if defined(ELITE_INT8)
#define ELITE_INT8_OF(kernel) kernel<Int8>
#else
#define ELITE_INT8_OF(kernel) nullptr
#endif
#define ELITE_FORMATS_OF(kernel) {kernel<Float>, ELITE_BFLOAT16_OF(kernel), ELITE_INT8_OF(kernel)}

const Kernels kernels = {
    ELITE_FORMATS_OF(packed_size),
    ELITE_FORMATS_OF(pack),
    ELITE_FORMATS_OF(rows),
    ELITE_FORMATS_OF(pool),
    ELITE_FORMATS_OF(chain),
    weight_gradient,
    point_means,
    point_means_gradient,
    combine,
    sums,
};

}  // namespace INSTRUCTIONS
