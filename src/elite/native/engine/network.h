// The student with its batch norms folded into the layers next to them, and its forward pass for one scan. The PyTorch
// network (elite/student/spvcnn.py) defines the result; logits equal its to about 1e-5.
#pragma once
#include <memory>
#include <vector>

#include "arena.h"
#include "voxels.h"

namespace elite {

// Matrices in the layout of the kernels, in one number format.
struct PackedWeight {
    Block numbers;
    NumberFormat format;
    int64_t in_channels, out_channels;
};

// leaky(x @ weight + bias); a slope of 1 = no leaky ReLU.
struct Layer {
    PackedWeight weight;
    std::vector<float> bias;
    float slope;
};

struct ResidualBlock {
    PackedWeight first, second, shortcut;
    std::vector<float> first_bias, bias;
};

struct PointEncoder {
    std::vector<Layer> context;  // for the mean features of a 2x2x2 block
    Layer own, fuse, out;
};

struct Stage {
    std::vector<ResidualBlock> blocks;
    PointEncoder encoder;
    Layer classifier;  // its share of the first layer of the classifier
};

// Logits of the groups of points that share their voxels.
struct GroupLogits {
    int64_t groups;
    const float* logits;  // groups x classes
    const int64_t* point_to_group;
};

class Network {
  public:
    // Throws Error if a weight is missing, or the processor lacks the instructions of the precision.
    Network(const ModelFile& file, NumberFormat format);

    ScanGeometry geometry(const Points& points, Arena& arena) const { return grid_.geometry(points, arena); }

    // The result is in memory of the arena, from which the geometry was taken before.
    GroupLogits logits(const Points& points, const ScanGeometry& geometry, Arena& arena) const;

    // Take the memory for so many points, whatever their voxels.
    void reserve(int64_t points, Arena& arena) const;

  private:
    struct Features;
    struct Buffers;
    void voxel_features(const Points& points, const Level& level, const Buffers& buffers) const;
    void find_means_with_age(const Points& points, const Level& level, const Buffers& buffers) const;
    void run_stage(const Stage& stage, const StageGeometry& geometry, int64_t voxels, const Features& features,
                   float* classified) const;
    void run_block(const ResidualBlock& block, const Pairs& pairs, int64_t voxels, const void* in, void* hidden,
                   void* out, const void* plus, void* sum) const;

    const Kernels& kernels_;
    NumberFormat format_;
    VoxelGrid grid_;
    int64_t channels_, classes_;
    bool has_age_;
    Layer point_hidden_, point_out_, last_;
    std::vector<Stage> stages_;
};

}  // namespace elite
