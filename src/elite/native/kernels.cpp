// Sums of products over rows, written once and compiled for several instruction sets (INSTRUCTIONS names the namespace).
//
// A tile is R gathered input rows times a panel of V vectors of output channels: R x V accumulators stay in registers
// while the input channels pass by. The rows of a block keep their sums in a scratch that fits the cache, and the weights
// of one kernel position stay in the first level of it while the block's pairs pass by.

#include "kernels.h"

#include <immintrin.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

namespace INSTRUCTIONS {

void combine(const Combine&);  // training.cpp
void sums(const Sums&);

namespace {

#if defined(__AVX512F__)
using Vector = __m512;
constexpr int WIDTH = 16, TILE = 6, PANEL = 4;  // 24 accumulators, 4 weights and a number: 29 of 32 registers
inline Vector load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Vector v) { _mm512_storeu_ps(p, v); }
inline Vector all(float x) { return _mm512_set1_ps(x); }
inline Vector multiply_add(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
#else
using Vector = __m256;
constexpr int WIDTH = 8, TILE = 6, PANEL = 2;  // 12 + 2 + 1 of 16 registers
inline Vector load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, Vector v) { _mm256_storeu_ps(p, v); }
inline Vector all(float x) { return _mm256_set1_ps(x); }
inline Vector multiply_add(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
#endif

constexpr int64_t BLOCK = 512;  // rows whose sums are in cache together
constexpr int64_t CHUNK = 64;   // pairs whose outer products are summed in one go
constexpr int64_t GROUPS = 16;  // of blocks, in the gradient of the weights
constexpr int POSITIONS = 27, CENTRE = 13;

inline int64_t padded(int64_t channels) { return (channels + WIDTH - 1) / WIDTH * WIDTH; }

// ---- numbers: float, and bfloat16 where the machine multiplies it ------------------------------------------------

struct Float {
    using Stored = float;
    static constexpr int STEP = 1;  // input channels that one multiply-add takes
    static Vector spread(const float* p) { return all(*p); }
    static Vector weight(const float* p) { return load(p); }
    static Vector step(Vector a, Vector w, Vector sum) { return multiply_add(a, w, sum); }
    static void write(float* out, const float* row, int64_t n) { std::memcpy(out, row, n * sizeof(float)); }
    static float read(const float* p) { return *p; }
    static Vector read_vector(const float* p) { return load(p); }
};

#if defined(__AVX512BF16__)
struct BFloat16 {
    using Stored = uint16_t;
    static constexpr int STEP = 2;
    static Vector spread(const uint16_t* p) {
        int32_t pair;
        std::memcpy(&pair, p, sizeof pair);
        return _mm512_castsi512_ps(_mm512_set1_epi32(pair));
    }
    static Vector weight(const uint16_t* p) { return _mm512_loadu_ps(reinterpret_cast<const float*>(p)); }
    static Vector step(Vector a, Vector w, Vector sum) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)w); }
    static uint16_t rounded(float x) {
        __m128bh r = _mm_cvtneps_pbh(_mm_set_ss(x));
        return static_cast<uint16_t>(_mm_extract_epi16((__m128i)r, 0));
    }
    static void write(uint16_t* out, const float* row, int64_t n) {
        int64_t c = 0;
        for (; c + 16 <= n; c += 16)
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + c), (__m256i)_mm512_cvtneps_pbh(load(row + c)));
        for (; c < n; ++c) out[c] = rounded(row[c]);
    }
    static float read(const uint16_t* p) {
        uint32_t bits = static_cast<uint32_t>(*p) << 16;
        float x;
        std::memcpy(&x, &bits, sizeof x);
        return x;
    }
    static Vector read_vector(const uint16_t* p) {
        const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
        return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
    }
};
#endif

// ---- packed weights: panel by panel, each input channel's output channels together, zeros at the end -------------

int64_t packed_size(int64_t in_channels, int64_t out_channels) {  // of one matrix, in numbers
    return (in_channels + in_channels % 2) * padded(out_channels);
}

template <class Number>
void pack_matrix(const float* weight, int64_t in_channels, int64_t out_channels, typename Number::Stored* packed) {
    constexpr int64_t panel = PANEL * WIDTH;
    std::vector<float> line(panel * Number::STEP);
    for (int64_t first = 0; first < out_channels; first += panel) {
        const int64_t wide = padded(std::min(panel, out_channels - first));
        for (int64_t c = 0; c < in_channels; c += Number::STEP) {
            for (int64_t o = 0; o < wide; ++o)
                for (int64_t s = 0; s < Number::STEP; ++s) {
                    const bool inside = c + s < in_channels && first + o < out_channels;
                    line[o * Number::STEP + s] = inside ? weight[(c + s) * out_channels + first + o] : 0.0f;
                }
            Number::write(packed, line.data(), wide * Number::STEP);
            packed += wide * Number::STEP;
        }
    }
}

void pack(const float* weight, int64_t count, int64_t in_channels, int64_t out_channels, void* packed, bool bf16) {
    const int64_t size = packed_size(in_channels, out_channels);
    for (int64_t i = 0; i < count; ++i) {
        const float* matrix = weight + i * in_channels * out_channels;
#if defined(__AVX512BF16__)
        if (bf16) {
            pack_matrix<BFloat16>(matrix, in_channels, out_channels, static_cast<uint16_t*>(packed) + i * size);
            continue;
        }
#endif
        (void)bf16;
        pack_matrix<Float>(matrix, in_channels, out_channels, static_cast<float*>(packed) + i * size);
    }
}

// ---- rows times matrices ------------------------------------------------------------------------------------------

// Adds R input rows times V vectors of a packed panel to R rows of sums.
template <class Number, int R, int V>
inline void tile(const typename Number::Stored* const* in, int64_t in_channels, const typename Number::Stored* weight,
                 float* const* sums) {
    Vector sum[R][V];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[r][v] = load(sums[r] + v * WIDTH);
    for (int64_t c = 0; c < in_channels; c += Number::STEP) {
        Vector w[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) w[v] = Number::weight(weight + v * WIDTH * Number::STEP);
        weight += V * WIDTH * Number::STEP;
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vector number = Number::spread(in[r] + c);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) sum[r][v] = Number::step(number, w[v], sum[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) store(sums[r] + v * WIDTH, sum[r][v]);
}

template <class Number, int V, int R>
inline void tiles_of(int rest, const typename Number::Stored* const* in, int64_t in_channels,
                     const typename Number::Stored* weight, float* const* sums) {
    if (rest == R)
        tile<Number, R, V>(in, in_channels, weight, sums);
    else if constexpr (R > 1)
        tiles_of<Number, V, R - 1>(rest, in, in_channels, weight, sums);
}

// sums[target[p] - start] += feats[source[p]] @ panel for p in [begin, end); source or target null: p itself.
template <class Number, int V>
void panel_of_pairs(const typename Number::Stored* feats, int64_t in_channels, const typename Number::Stored* weight,
                    const int32_t* source, const int32_t* target, int64_t begin, int64_t end, int64_t start, float* sums,
                    int64_t width) {
    const typename Number::Stored* in[TILE];
    float* out[TILE];
    for (int64_t p = begin; p < end; p += TILE) {
        const int count = static_cast<int>(std::min<int64_t>(TILE, end - p));
        for (int r = 0; r < count; ++r) {
            in[r] = feats + (source ? source[p + r] : p + r) * in_channels;
            out[r] = sums + ((target ? target[p + r] : p + r) - start) * width;
        }
        if (source)  // the next tile's rows are anywhere: ask for them while this one is at work
            for (int64_t q = p + TILE; q < std::min(end, p + 2 * TILE); ++q)
                for (int64_t c = 0; c < in_channels; c += 64 / sizeof *feats)
                    __builtin_prefetch(feats + source[q] * in_channels + c);
        tiles_of<Number, V, TILE>(count, in, in_channels, weight, out);
    }
}

template <class Number>
void add_products(const typename Number::Stored* feats, int64_t in_channels, const typename Number::Stored* weight,
                  int64_t out_channels, const int32_t* source, const int32_t* target, int64_t begin, int64_t end,
                  int64_t start, float* sums) {
    if (begin == end) return;
    const int64_t width = padded(out_channels), taken = (in_channels + Number::STEP - 1) / Number::STEP * Number::STEP;
    for (int64_t first = 0; first < width; first += PANEL * WIDTH) {
        const int vectors = static_cast<int>(std::min<int64_t>(PANEL * WIDTH, width - first) / WIDTH);
        const auto run = [&](auto panel) {
            panel(feats, in_channels, weight, source, target, begin, end, start, sums + first, width);
        };
        if (vectors == 1) run(panel_of_pairs<Number, 1>);
        if (vectors == 2) run(panel_of_pairs<Number, 2>);
#if defined(__AVX512F__)
        if (vectors == 3) run(panel_of_pairs<Number, 3>);
        if (vectors == 4) run(panel_of_pairs<Number, 4>);
#endif
        weight += taken * vectors * WIDTH;
    }
}

// The pairs of a position whose target lies in [start, end): (source, target, first pair, end of pairs).
struct Run {
    const int32_t *source, *target;
    int64_t begin, end;
};

Run run_of(const Pairs& pairs, int position, int64_t start, int64_t end) {
    const int64_t k = position < CENTRE ? position : POSITIONS - 1 - position;
    const int32_t *first = pairs.first + k * pairs.stride, *second = pairs.second + k * pairs.stride;
    if (position > CENTRE) std::swap(first, second);
    const int32_t* last = first + pairs.count[k];
    return {second, first, std::lower_bound(first, last, start) - first, std::lower_bound(first, last, end) - first};
}

// Whole cache lines: a vector that lies across two of them takes twice as long.
struct Free {
    void operator()(float* p) const { std::free(p); }
};
using Aligned = std::unique_ptr<float, Free>;

Aligned allocate(size_t numbers) {
    return Aligned(static_cast<float*>(std::aligned_alloc(64, (numbers + 15) / 16 * 16 * sizeof(float))));
}

float* scratch(size_t numbers) {  // of this thread, kept for the next call
    thread_local Aligned kept;
    thread_local size_t size = 0;
    if (size < numbers) {
        kept = allocate(numbers);
        size = numbers;
    }
    return kept.get();
}

template <class Number>
void finish_row(const Rows& job, int64_t r, float* sums) {
    using Stored = typename Number::Stored;
    const int64_t n = job.channels;
    const float slope = job.slope;
    if (job.add) {
        const Stored* add = static_cast<const Stored*>(job.add) + (job.add_row ? job.add_row[r] : r) * n;
        for (int64_t c = 0; c < n; ++c) sums[c] += Number::read(add + c);
    }
    for (int64_t c = 0; c < n; ++c) sums[c] = sums[c] > 0 ? sums[c] : slope * sums[c];
    if (job.wide)
        std::memcpy(static_cast<float*>(job.out) + r * n, sums, n * sizeof(float));
    else
        Number::write(static_cast<Stored*>(job.out) + r * n, sums, n);
    if (!job.sum) return;
    const Stored* plus = static_cast<const Stored*>(job.plus) + r * n;
    for (int64_t c = 0; c < n; ++c) sums[c] += Number::read(plus + c);
    Number::write(static_cast<Stored*>(job.sum) + r * n, sums, n);
}

template <class Number>
void block_of_rows(const Rows& job, int64_t start, int64_t end) {
    using Stored = typename Number::Stored;
    const int64_t width = padded(job.channels);
    float* sums = scratch(BLOCK * width);
    for (int64_t r = 0; r < end - start; ++r) {
        std::fill_n(sums + r * width, width, 0.0f);
        if (job.bias) std::copy_n(job.bias, job.channels, sums + r * width);
    }
    if (job.conv) {
        const Stored *feats = static_cast<const Stored*>(job.conv), *weight = static_cast<const Stored*>(job.conv_weight);
        const int64_t size = packed_size(job.conv_channels, job.channels);
        for (int k = 0; k < POSITIONS; ++k, weight += size) {
            const Run run = k == CENTRE ? Run{nullptr, nullptr, start, end} : run_of(*job.pairs, k, start, end);
            add_products<Number>(feats, job.conv_channels, weight, job.channels, run.source, run.target, run.begin,
                                 run.end, start, sums);
        }
    }
    if (job.own)
        add_products<Number>(static_cast<const Stored*>(job.own), job.own_channels,
                             static_cast<const Stored*>(job.own_weight), job.channels, nullptr, nullptr, start, end,
                             start, sums);
    for (int64_t r = start; r < end; ++r) finish_row<Number>(job, r, sums + (r - start) * width);
}

template <class Number>
void rows(const Rows& job) {
    const int64_t blocks = (job.rows + BLOCK - 1) / BLOCK;
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t b = 0; b < blocks; ++b) block_of_rows<Number>(job, b * BLOCK, std::min(job.rows, (b + 1) * BLOCK));
}

// ---- sums over groups of rows -------------------------------------------------------------------------------------

// The sum for one target of V vectors of channels, which stay in registers.
template <class Number, int V>
void pooled_vectors(const Pool& job, int64_t target, int64_t first, float* sums) {
    Vector sum[V];
    for (Vector& v : sum) v = all(0);
    for (int64_t e = job.offsets[target]; e < job.offsets[target + 1]; ++e) {
        const auto* row = static_cast<const typename Number::Stored*>(job.feats) + job.column[e] * job.channels + first;
        const Vector times = all(job.count ? static_cast<float>(job.count[e]) : 1.0f);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[v] = multiply_add(times, Number::read_vector(row + v * WIDTH), sum[v]);
    }
    for (int v = 0; v < V; ++v) store(sums + first + v * WIDTH, sum[v]);
}

template <class Number>
void pooled_row(const Pool& job, int64_t target, float* sums) {
    int64_t c = 0;
    for (; c + 4 * WIDTH <= job.channels; c += 4 * WIDTH) pooled_vectors<Number, 4>(job, target, c, sums);
    for (; c + WIDTH <= job.channels; c += WIDTH) pooled_vectors<Number, 1>(job, target, c, sums);
    for (; c < job.channels; ++c) {
        sums[c] = 0;
        for (int64_t e = job.offsets[target]; e < job.offsets[target + 1]; ++e) {
            const auto* row = static_cast<const typename Number::Stored*>(job.feats) + job.column[e] * job.channels;
            sums[c] += (job.count ? static_cast<float>(job.count[e]) : 1.0f) * Number::read(row + c);
        }
    }
}

template <class Number>
void pool(const Pool& job) {
    const int64_t n = job.channels;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < job.targets; ++t) {
        float* sums = scratch(n);
        pooled_row<Number>(job, t, sums);
        const float total = job.total ? static_cast<float>(job.total[t]) : 1.0f, slope = job.slope;
        for (int64_t c = 0; c < n; ++c) {
            const float mean = sums[c] / total;
            sums[c] = mean > 0 ? mean : slope * mean;
        }
        Number::write(static_cast<typename Number::Stored*>(job.out) + t * n, sums, n);
    }
}

// ---- points to voxels ---------------------------------------------------------------------------------------------

void ten_numbers(const PointMeans& job, int64_t voxel, const float* mean, int64_t point, float* numbers) {
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

void mean_point(const PointMeans& job, int64_t voxel, float* mean) {
    std::fill_n(mean, 3, 0.0f);
    const int64_t begin = job.offsets[voxel], end = job.offsets[voxel + 1];
    for (int64_t e = begin; e < end; ++e)
        for (int axis = 0; axis < 3; ++axis) mean[axis] += job.points[3 * job.order[e] + axis];
    for (int axis = 0; axis < 3; ++axis) mean[axis] /= static_cast<float>(end - begin);
}

void hidden_row(const PointMeans& job, const float* numbers, float* hidden) {  // before its ReLU
    const int64_t n = job.channels;
#pragma omp simd
    for (int64_t c = 0; c < n; ++c) {
        float sum = job.bias[c];
#pragma GCC unroll 10
        for (int j = 0; j < 10; ++j) sum += numbers[j] * job.weight[j * n + c];
        hidden[c] = sum;
    }
}

template <class Number>
void point_means(const PointMeans& job) {
    const int64_t n = job.channels;
#pragma omp parallel for schedule(static)
    for (int64_t v = 0; v < job.voxels; ++v) {
        const int64_t begin = job.offsets[v], end = job.offsets[v + 1];
        float *sums = scratch(2 * n), *hidden = sums + n;
        float mean[3], numbers[10];
        mean_point(job, v, mean);
        std::fill_n(sums, n, 0.0f);
        for (int64_t e = begin; e < end; ++e) {
            ten_numbers(job, v, mean, job.order[e], numbers);
            hidden_row(job, numbers, hidden);
            for (int64_t c = 0; c < n; ++c) sums[c] += hidden[c] > 0 ? hidden[c] : 0.0f;
        }
        for (int64_t c = 0; c < n; ++c) sums[c] /= static_cast<float>(end - begin);
        Number::write(static_cast<typename Number::Stored*>(job.out) + v * n, sums, n);
    }
}

// ---- gradients: of what point_means learns ---------------------------------------------------------------------------

// sums: 11 x channels, those of the weight and then of the bias.
void add_point_gradients(const PointMeans& job, const float* grad, int64_t voxel, float* sums, float* hidden) {
    const int64_t n = job.channels, begin = job.offsets[voxel], end = job.offsets[voxel + 1];
    const float share = 1.0f / static_cast<float>(end - begin);
    float mean[3], numbers[10];
    mean_point(job, voxel, mean);
    for (int64_t e = begin; e < end; ++e) {
        ten_numbers(job, voxel, mean, job.order[e], numbers);
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
        for (int64_t v = g * of.voxels / GROUPS; v < (g + 1) * of.voxels / GROUPS; ++v)
            add_point_gradients(of, job.grad + v * n, v, sums.get() + g * size, scratch(n));
    for (int64_t c = 0; c < size; ++c) {
        float sum = 0;
        for (int64_t g = 0; g < GROUPS; ++g) sum += sums.get()[g * size + c];
        (c < 10 * n ? job.weight[c] : job.bias[c - 10 * n]) = sum;
    }
}

// ---- gradient of the weights --------------------------------------------------------------------------------------

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

// The last vector of a gradient row may reach over its end, so a chunk's rows are copied with zeros behind them.
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

// Blocks of rows are shared out over a fixed number of groups, each with a sum of its own: whoever works on a group, the
// same numbers are added in the same order. Within a block all positions find its rows in cache.
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

const Kernels kernels = {
    packed_size,
    pack,
    rows<Float>,
#if defined(__AVX512BF16__)
    rows<BFloat16>,
#else
    nullptr,
#endif
    pool<Float>,
#if defined(__AVX512BF16__)
    pool<BFloat16>,
#else
    nullptr,
#endif
    point_means<Float>,
#if defined(__AVX512BF16__)
    point_means<BFloat16>,
#else
    nullptr,
#endif
    weight_gradient,
    point_means_gradient,
    combine,
    sums,
};

}  // namespace INSTRUCTIONS
