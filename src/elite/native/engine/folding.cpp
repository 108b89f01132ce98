#include "folding.h"

#include <algorithm>
#include <cmath>

#include "error.h"

namespace elite {
namespace {

constexpr int64_t POSITIONS = 27;
constexpr double EPSILON = 1e-5;  // of PyTorch's batch norms

std::vector<float> rounded(const std::vector<double>& numbers) {
    std::vector<float> out(numbers.begin(), numbers.end());
    for (float number : out)
        if (!std::isfinite(number)) damaged("weights whose products with their batch norms overflow");
    return out;
}

}  // namespace

FoldedLinear linear_of(const ModelFile& file, const std::string& name, int64_t in, int64_t out, bool has_bias) {
    FoldedLinear layer{in, out, std::vector<double>(in * out), std::vector<double>(out)};
    const auto stored = file.tensor(name + ".weight", {out, in});
    for (int64_t o = 0; o < out; ++o)
        for (int64_t i = 0; i < in; ++i) layer.weight[i * out + o] = stored[o * in + i];
    if (has_bias) {
        const auto bias = file.tensor(name + ".bias", {out});
        layer.bias.assign(bias.begin(), bias.end());
    }
    return layer;
}

Scaling scaling_of(const ModelFile& file, const std::string& name, int64_t channels) {
    const auto weight = file.tensor(name + ".weight", {channels}), bias = file.tensor(name + ".bias", {channels});
    const auto mean = file.tensor(name + ".running_mean", {channels}), variance = file.tensor(name + ".running_var", {channels});
    Scaling norm{std::vector<double>(channels), std::vector<double>(channels)};
    for (int64_t c = 0; c < channels; ++c) {
        if (variance[c] < 0) damaged("a negative variance in '" + name + "'");
        norm.scale[c] = weight[c] / std::sqrt(variance[c] + EPSILON);
        norm.shift[c] = bias[c] - mean[c] * norm.scale[c];
    }
    return norm;
}

FoldedLinear FoldedLinear::inputs(int64_t begin, int64_t end) const {
    FoldedLinear part{end - begin, out, {weight.begin() + begin * out, weight.begin() + end * out}, std::vector<double>(out)};
    if (begin == 0) part.bias = bias;
    return part;
}

FoldedLinear Scaling::after(FoldedLinear layer) const {
    for (int64_t o = 0; o < layer.out; ++o) {
        for (int64_t i = 0; i < layer.in; ++i) layer.weight[i * layer.out + o] *= scale[o];
        layer.bias[o] = layer.bias[o] * scale[o] + shift[o];
    }
    return layer;
}

FoldedLinear Scaling::before(FoldedLinear layer) const {
    for (int64_t i = 0; i < layer.in; ++i)
        for (int64_t o = 0; o < layer.out; ++o) {
            layer.bias[o] += shift[i] * layer.weight[i * layer.out + o];
            layer.weight[i * layer.out + o] *= scale[i];
        }
    return layer;
}

PackedWeight Packer::matrices(const std::vector<float>& numbers, int64_t count, int64_t in, int64_t out,
                              NumberFormat format) const {
    constexpr int64_t bytes_of_number[FORMATS] = {4, 2, 1};
    const int64_t size = count * kernels_.packed_size[format](in, out);
    PackedWeight packed{Block(size * bytes_of_number[format]), format, in, out};
    kernels_.pack[format](numbers.data(), count, in, out, packed.numbers.data());
    return packed;
}

Layer Packer::layer(const FoldedLinear& linear, NumberFormat format, float slope) const {
    return {matrices(rounded(linear.weight), 1, linear.in, linear.out, format), rounded(linear.bias), slope};
}

std::vector<float> scaled_convolution(const ModelFile& file, const std::string& name, int64_t channels, const Scaling& norm) {
    const auto stored = file.tensor(name + ".weight", {POSITIONS, channels, channels});
    std::vector<double> scaled(stored.begin(), stored.end());
    for (size_t i = 0; i < scaled.size(); ++i) scaled[i] *= norm.scale[i % channels];
    return rounded(scaled);
}

}  // namespace elite
