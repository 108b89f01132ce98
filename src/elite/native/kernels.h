// What the kernels work on. Plain records of pointers, shared with Python through ctypes (records.py mirrors them).
//
// Rows are stored one after the other, row r of C channels at feats + r * C. A kernel's numbers are float, or bfloat16 if
// it is called so; sums are made in float either way. Every output row is summed by one thread in one order, so the result
// does not depend on the number of threads.
#pragma once
#include <cstdint>

// Which voxels of one grid are neighbours: for position k of the first thirteen, voxel first[k * stride + p] has the
// neighbour second[k * stride + p], 0 <= p < count[k], both ascending. Position 26 - k has the same pairs exchanged.
struct Pairs {
    const int32_t* first;
    const int32_t* second;
    const int64_t* count;
    int64_t stride;
};

// out[r] = leaky(bias + sum_k conv[neighbour_k(r)] @ conv_weight[k] + own[r] @ own_weight + add[add_row[r]])
// sum[r] = out[r] + plus[r]
// Any of conv, own, bias, add, add_row (then r itself), plus with sum may be null. Weights are packed (see pack). With
// wide, out is float though all else is bfloat16.
struct Rows {
    int64_t rows;
    int64_t channels;
    const void* conv;
    const void* conv_weight;
    int64_t conv_channels;
    const Pairs* pairs;
    const void* own;
    const void* own_weight;
    int64_t own_channels;
    const float* bias;
    const void* add;
    const int64_t* add_row;
    float slope;
    void* out;
    int64_t wide;
    const void* plus;
    void* sum;
};

// out[t] = leaky(sum_e count[e] feats[column[e]] / total[t]), offsets[t] <= e < offsets[t + 1].
// count null: every entry counts once; total null: the sum itself.
struct Pool {
    int64_t targets;
    int64_t channels;
    const void* feats;
    const int64_t* offsets;
    const int64_t* column;
    const int64_t* count;
    const int64_t* total;
    float slope;
    void* out;
};

// Mean over the points of each voxel of relu(numbers @ weight + bias), numbers = the ten of the point (see PointMLP).
// Every voxel has a point.
struct PointMeans {
    int64_t channels;
    const float* points;     // n x 3
    const float* remission;  // n
    const int32_t* order;    // points by voxel
    const int64_t* offsets;
    const int64_t* coords;   // voxels x 4: batch, z, y, x
    const float* corner;     // 3: low corner of the volume
    const float* size;       // 3: of a voxel
    const float* weight;     // 10 x channels, packed as float
    const float* bias;
};

// Rows that are given (feats), pooled or made of points, one of these, pass through ``count`` layers. Of a layer conv and
// own are not looked at, and out may be null but for the last one. A few rows go all the way together, so that what lies
// between two layers never leaves the cache.
struct Chain {
    int64_t rows;
    int64_t channels;  // of the rows that come
    const void* feats;
    const Pool* pool;
    const PointMeans* points;
    int64_t count;
    const Rows* layers;
};

// Gradients of weight and bias in PointMeans, grad (voxels x channels) being that of the means.
struct PointMeansGradient {
    PointMeans of;
    int64_t voxels;
    const float* weight;  // 10 x channels, not packed
    const float* grad;    // voxels x channels
    float* grad_weight;
    float* grad_bias;
};

// weight[k] = sum over pairs of feats[neighbour]^T grad[voxel], for all 27 positions; pairs null: feats^T grad alone.
struct WeightGradient {
    int64_t rows;
    int64_t in_channels;
    int64_t out_channels;
    const float* feats;
    const float* grad;
    const Pairs* pairs;
    float* weight;
};

// out = leaky(first_scale * first' + second_scale * second + shift); scales and shift are one number a channel.
// first' is first where sign > 0, sign_slope * first elsewhere. sign null: first' = first; second may be null too.
struct Combine {
    int64_t rows;
    int64_t channels;
    const float* first;
    const float* first_scale;
    const float* sign;
    float sign_slope;
    const float* second;
    const float* second_scale;
    const float* shift;
    float slope;
    float* out;  // may be one of the inputs
};

// Over all rows, per channel: out[0] = sum of feats', out[1] = sum of feats' * first, out[2] = sum of feats' * second.
// feats' is feats where sign > 0, slope * feats elsewhere. sign null: feats' = feats; first and second may be null.
struct Sums {
    int64_t rows;
    int64_t channels;
    const float* feats;
    const float* sign;
    float slope;
    const float* first;
    const float* second;
    double* out;  // 3 x channels
};

// The kernels as one instruction set has them. bfloat16 is null where it has none.
struct Kernels {
    int64_t (*packed_size)(int64_t in_channels, int64_t out_channels);
    void (*pack)(const float* weight, int64_t count, int64_t in_channels, int64_t out_channels, void* packed, bool bf16);
    void (*rows)(const Rows&);
    void (*rows_bf16)(const Rows&);
    void (*pool)(const Pool&);
    void (*pool_bf16)(const Pool&);
    void (*chain)(const Chain&);
    void (*chain_bf16)(const Chain&);
    void (*weight_gradient)(const WeightGradient&);
    void (*point_means)(const PointMeans&, int64_t voxels, float* out);
    void (*point_means_gradient)(const PointMeansGradient&);
    void (*combine)(const Combine&);
    void (*sums)(const Sums&);
};

namespace avx2 { extern const Kernels kernels; }
namespace avx512 { extern const Kernels kernels; }
namespace avx512bf16 { extern const Kernels kernels; }
