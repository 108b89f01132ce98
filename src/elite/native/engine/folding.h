// Layers of a model file, with batch norms in eval mode folded into the layers next to them, in double.
#pragma once
#include <string>
#include <vector>

#include "model_file.h"
#include "network.h"

namespace elite {

// x @ weight + bias; weight is in x out, as the kernels read it.
struct FoldedLinear {
    int64_t in, out;
    std::vector<double> weight, bias;

    // Outputs of the rows [begin, end) of the input, without the bias unless they start at 0.
    FoldedLinear inputs(int64_t begin, int64_t end) const;
};

// x * scale + shift per channel.
struct Scaling {
    std::vector<double> scale, shift;

    FoldedLinear after(FoldedLinear layer) const;
    FoldedLinear before(FoldedLinear layer) const;
};

FoldedLinear linear_of(const ModelFile& file, const std::string& name, int64_t in, int64_t out, bool has_bias = true);
Scaling scaling_of(const ModelFile& file, const std::string& name, int64_t channels);

// Folds and packs layers for the kernels, in one number format.
class Packer {
  public:
    static constexpr float SLOPE = 0.1f;  // of the leaky ReLUs

    Packer(const Kernels& kernels, NumberFormat format) : kernels_(kernels), format_(format) {}

    Layer layer(const FoldedLinear& linear, float slope = 1) const;

    // Parts of the student (elite/student/blocks.py) with this name in the file.
    ResidualBlock residual_block(const ModelFile& file, const std::string& name, int64_t channels) const;
    PointEncoder point_encoder(const ModelFile& file, const std::string& name, int64_t channels) const;

  private:
    PackedWeight matrices(const std::vector<float>& numbers, int64_t count, int64_t in, int64_t out) const;
    PackedWeight convolution(const ModelFile& file, const std::string& name, int64_t channels, const Scaling& norm) const;

    const Kernels& kernels_;
    NumberFormat format_;
};

}  // namespace elite
