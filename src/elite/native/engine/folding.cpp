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
    const auto numbers = [&](const char* part) { return file.tensor(name + part, {channels}); };
    const auto weight = numbers(".weight"), bias = numbers(".bias");
    const auto mean = numbers(".running_mean"), variance = numbers(".running_var");
    Scaling norm{std::vector<double>(channels), std::vector<double>(channels)};
    for (int64_t c = 0; c < channels; ++c) {
        if (variance[c] < 0) damaged("a negative variance in '" + name + "'");
        norm.scale[c] = weight[c] / std::sqrt(variance[c] + EPSILON);
        norm.shift[c] = bias[c] - mean[c] * norm.scale[c];
    }
    return norm;
}

FoldedLinear FoldedLinear::inputs(int64_t begin, int64_t end) const {
    FoldedLinear part{end - begin, out, {}, std::vector<double>(out)};
    part.weight.assign(weight.begin() + begin * out, weight.begin() + end * out);
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

PackedWeight Packer::matrices(const std::vector<float>& numbers, int64_t count, int64_t in, int64_t out) const {
    constexpr int64_t bytes_of_number[FORMATS] = {4, 2, 1};
    const int64_t size = count * kernels_.packed_size[format_](in, out);
    PackedWeight packed{Block(size * bytes_of_number[format_]), format_, in, out};
    kernels_.pack[format_](numbers.data(), count, in, out, packed.numbers.data());
    return packed;
}

Layer Packer::layer(const FoldedLinear& linear, float slope) const {
    return {matrices(rounded(linear.weight), 1, linear.in, linear.out), rounded(linear.bias), slope};
}

// The 27 matrices of a convolution, followed by the scale of its norm.
PackedWeight Packer::convolution(const ModelFile& file, const std::string& name, int64_t channels,
                                 const Scaling& norm) const {
    const auto stored = file.tensor(name + ".weight", {POSITIONS, channels, channels});
    std::vector<double> scaled(stored.begin(), stored.end());
    for (size_t i = 0; i < scaled.size(); ++i) scaled[i] *= norm.scale[i % channels];
    return matrices(rounded(scaled), POSITIONS, channels, channels);
}

ResidualBlock Packer::residual_block(const ModelFile& file, const std::string& name, int64_t channels) const {
    const Scaling first = scaling_of(file, name + ".norm1", channels);
    const Scaling second = scaling_of(file, name + ".norm2", channels);
    const FoldedLinear shortcut = scaling_of(file, name + ".shortcut_norm", channels)
                                      .after(linear_of(file, name + ".shortcut", channels, channels, false));
    ResidualBlock block{convolution(file, name + ".conv1", channels, first),
                        convolution(file, name + ".conv2", channels, second), layer(shortcut).weight, {}, {}};
    for (int64_t c = 0; c < channels; ++c) {
        block.first_bias.push_back(static_cast<float>(first.shift[c]));
        block.bias.push_back(static_cast<float>(second.shift[c] + shortcut.bias[c]));
    }
    return block;
}

// The published network concatenates own features and those of the block; the half of ``fuse`` for the latter runs per
// block instead.
PointEncoder Packer::point_encoder(const ModelFile& file, const std::string& name, int64_t channels) const {
    const int64_t half = channels / 2;
    const auto linear = [&](const char* part, int64_t in, int64_t out) { return linear_of(file, name + part, in, out); };
    const auto norm = [&](const char* part) { return scaling_of(file, name + part, half); };
    const FoldedLinear fuse = linear(".fuse", 2 * channels, channels);
    PointEncoder encoder;
    encoder.context.push_back(layer(linear(".block.0", channels, half), SLOPE));
    encoder.context.push_back(layer(norm(".block.2").before(linear(".block.3", half, half)), SLOPE));
    encoder.context.push_back(layer(norm(".block.5").before(linear(".block.6", half, channels)), SLOPE));
    encoder.context.push_back(layer(fuse.inputs(channels, 2 * channels)));
    encoder.own = layer(linear(".own", channels, channels), SLOPE);
    encoder.fuse = layer(fuse.inputs(0, channels), SLOPE);
    encoder.out = layer(linear(".out", channels, channels));
    return encoder;
}

}  // namespace elite
