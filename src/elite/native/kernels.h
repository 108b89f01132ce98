// Arguments of the kernels: records of pointers, shared with Python through ctypes (records.py mirrors them).
//
// Rows are contiguous: row r of C channels is at feats + r * C. A kernel has one variant per format of its rows and weights;
// sums are float in all. Rows of int8 have C bytes and a float, see numbers.h. One thread sums each output row in one
// order, so the result does not depend on the number of threads.
#pragma once
#include <cstdint>

enum NumberFormat { FLOAT32, BFLOAT16, INT8, FORMATS };

// Neighbouring voxels of one grid: for each position k < 13, voxel first[k * stride + p] has the neighbour
// second[k * stride + p], 0 <= p < count[k], both ascending. Position 26 - k has the same pairs exchanged.
struct Pairs {
    const int32_t* first;
    const int32_t* second;
    const int64_t* count;
    int64_t stride;
};

// out[r] = leaky(bias + sum_k conv[neighbour_k(r)] @ conv_weight[k] + dense[r] @ dense_weight + add[add_row[r]])
// sum[r] = out[r] + plus[r]
// Null is allowed for conv, dense, bias, add, add_row (means r), and plus together with sum. Weights are packed (see
// pack). The format of out may differ from that of the other rows.
struct Rows {
    int64_t rows;
    int64_t channels;
    const void* conv;
    const void* conv_weight;
    int64_t conv_channels;
    const Pairs* pairs;
    const void* dense;
    const void* dense_weight;
    int64_t dense_channels;
    const float* bias;
    const void* add;
    const int64_t* add_row;
    float slope;
    void* out;
    int64_t out_format;
    const void* plus;
    void* sum;
};

// out[t] = leaky(sum_e count[e] feats[column[e]] / total[t]), offsets[t] <= e < offsets[t + 1].
// Without count, every entry counts once. Without total, the result is the sum.
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

// Mean over the points of each voxel of relu(features @ weight + bias), with the ten features of a point (see PointMLP).
// Every voxel has at least one point.
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

// Rows pass through ``count`` layers. The rows are feats, pooled, or means of points; the other two are null. conv and
// dense of a layer are ignored, and out may be null except for the last layer. Small blocks of rows pass through all
// layers, so intermediate results stay in the cache.
struct Chain {
    int64_t rows;
    int64_t channels;  // of the input rows
    const void* feats;
    const Pool* pool;
    const PointMeans* points;
    int64_t count;
    const Rows* layers;
};

// Gradients of weight and bias in PointMeans, from grad (voxels x channels), the gradient of the means.
struct PointMeansGradient {
    PointMeans of;
    int64_t voxels;
    const float* weight;  // 10 x channels, not packed
    const float* grad;    // voxels x channels
    float* grad_weight;
    float* grad_bias;
};

// weight[k] = sum over pairs of feats[neighbour]^T grad[voxel], for all 27 positions; without pairs feats^T grad.
struct WeightGradient {
    int64_t rows;
    int64_t in_channels;
    int64_t out_channels;
    const float* feats;
    const float* grad;
    const Pairs* pairs;
    float* weight;
};

// out = leaky(first_scale * first' + second_scale * second + shift); scales and shift have one number per channel.
// first' is first where sign > 0, sign_slope * first elsewhere. sign and second may be null; without sign, first' = first.
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
// feats' is feats where sign > 0, slope * feats elsewhere. sign, first and second may be null; without sign,
// feats' = feats.
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

// The kernels for one instruction set, by NumberFormat. Those of formats that it does not multiply are null.
struct Kernels {
    int64_t (*packed_size[FORMATS])(int64_t in_channels, int64_t out_channels);
    void (*pack[FORMATS])(const float* weight, int64_t count, int64_t in_channels, int64_t out_channels, void* packed);
    void (*rows[FORMATS])(const Rows&);
    void (*pool[FORMATS])(const Pool&);
    void (*chain[FORMATS])(const Chain&);
    void (*weight_gradient)(const WeightGradient&);
    void (*point_means)(const PointMeans&, int64_t voxels, float* out);
    void (*point_means_gradient)(const PointMeansGradient&);
    void (*combine)(const Combine&);
    void (*sums)(const Sums&);
};

namespace portable { extern const Kernels kernels; }
namespace avx2 { extern const Kernels kernels; }
namespace avxvnni { extern const Kernels kernels; }
namespace avx512 { extern const Kernels kernels; }
namespace avx512vnni { extern const Kernels kernels; }
namespace avx512bf16 { extern const Kernels kernels; }
namespace avx512amx { extern const Kernels kernels; }
namespace neon { extern const Kernels kernels; }
namespace neondot { extern const Kernels kernels; }
namespace neonbf16 { extern const Kernels kernels; }

// The kernels in use (interface.cpp).
const Kernels& selected_kernels();
