#include "network.h"

#include <algorithm>

#include "error.h"
#include "folding.h"

namespace elite {
namespace {

constexpr int64_t POINT_FEATURES = 10;

int64_t row_bytes(NumberFormat format, int64_t channels) {
    switch (format) {
        case BFLOAT16: return 2 * channels;
        case INT8: return channels + static_cast<int64_t>(sizeof(float));
        default: return 4 * channels;
    }
}

const Kernels& kernels_for(NumberFormat format, int64_t channels) {
    const Kernels& kernels = selected_kernels();
    if (!kernels.rows[format])
        throw Error(ELITE_ERROR_PROCESSOR, std::string("precision ") +
                                               (format == INT8 ? "int8: expected a processor with AVX512-VNNI or AVX-VNNI"
                                                               : "bf16: expected a processor with AVX512-BF16") +
                                               ", found another one. Use ELITE_FP32.");
    if (format == BFLOAT16 && channels % 4)
        throw Error(ELITE_ERROR_PROCESSOR, "precision bf16: expected a multiple of 4 channels, found " +
                                               std::to_string(channels) + ". Use ELITE_FP32.");
    return kernels;
}

Rows job_of(const Layer& layer) {
    Rows job{};
    job.channels = layer.weight.out_channels;
    job.dense_weight = layer.weight.numbers.data();
    job.dense_channels = layer.weight.in_channels;
    job.bias = layer.bias.data();
    job.slope = layer.slope;
    return job;
}

Pool job_of(const Sources& sources, int64_t channels, const void* feats) {
    return {sources.targets, channels, feats, sources.offsets, sources.columns, sources.count, sources.total, 1, nullptr};
}

// Input rows of a chain: exactly one of the three.
struct ChainInput {
    const void* feats = nullptr;
    const Pool* pool = nullptr;
    const PointMeans* points = nullptr;
};

// The last layer writes to ``out``.
void run_chain(const Kernels& kernels, const ChainInput& input, int64_t rows, const std::vector<const Layer*>& layers,
               std::vector<Rows> jobs, void* out, NumberFormat out_format) {
    jobs.back().out = out;
    jobs.back().out_format = out_format;
    const PackedWeight& first = layers.front()->weight;
    const int64_t channels = input.points ? input.points->channels : first.in_channels;
    kernels.chain[first.format]({rows, channels, input.feats, input.pool, input.points,
                                 static_cast<int64_t>(jobs.size()), jobs.data()});
}

void run_chain(const Kernels& kernels, const ChainInput& input, int64_t rows, const std::vector<const Layer*>& layers,
               void* out, NumberFormat out_format) {
    std::vector<Rows> jobs;
    for (const Layer* layer : layers) jobs.push_back(job_of(*layer));
    run_chain(kernels, input, rows, layers, std::move(jobs), out, out_format);
}

// Features of a point as in elite/student/point_mlp.py.
void write_features(const Points& points, int64_t point, const float* mean, const float* corner, float* out) {
    const float* p = points.xyz + 3 * point;
    for (int axis = 0; axis < 3; ++axis) {
        out[axis] = p[axis];
        out[4 + axis] = p[axis] - mean[axis];
        out[7 + axis] = p[axis] - corner[axis];
    }
    out[3] = points.intensity[point];
    out[POINT_FEATURES] = points.age[point];
}

}  // namespace

// Rows of a stage, one per voxel of its input grid.
struct Network::Features {
    void *feats, *sum, *first, *second, *hidden, *pooled;

    Features(int64_t bytes, Arena& arena) {
        for (void** array : {&feats, &sum, &first, &second, &hidden, &pooled}) *array = arena.take<char>(bytes);
    }
};

// Memory of a call: ``voxels`` of the level with the most, ``coarse`` voxels of all levels but the first.
struct Network::Buffers {
    Features features;
    float *classified, *logits;
    int64_t *columns, *offsets;
    // Of the points with an age.
    float *point_features, *point_rows, *means;
    int64_t *point_columns, *sizes;

    Buffers(const Network& network, int64_t points, int64_t voxels, int64_t coarse, int64_t groups, Arena& arena)
        : features(voxels * row_bytes(network.format_, network.channels_), arena) {
        const auto stages = static_cast<int64_t>(network.stages_.size());
        classified = arena.take<float>(coarse * 2 * network.channels_);
        logits = arena.take<float>(groups * network.classes_);
        columns = arena.take<int64_t>(groups * stages);
        offsets = arena.take<int64_t>(groups + 1);
        if (!network.has_age_) return;
        point_features = arena.take<float>(points * (POINT_FEATURES + 1));
        point_rows = arena.take<float>(points * network.channels_);
        means = arena.take<float>(voxels * network.channels_);
        point_columns = arena.take<int64_t>(points);
        sizes = arena.take<int64_t>(voxels);
    }
};

Network::Network(const ModelFile& file, NumberFormat format)
    : kernels_(kernels_for(format, file.config.channels)),
      format_(format),
      grid_(file.config),
      channels_(file.config.channels),
      classes_(file.config.classes),
      has_age_(file.config.past_scans > 0) {
    // Metres and intensity in one row of int8 would lose too much, and so would rounded means of ages.
    const Packer pack(kernels_, format), pack_floats(kernels_, FLOAT32);
    const Packer& first = format == INT8 || has_age_ ? pack_floats : pack;
    point_hidden_ = pack_floats.layer(linear_of(file, "point_mlp.hidden", POINT_FEATURES + has_age_, channels_), 0);
    point_out_ = first.layer(linear_of(file, "point_mlp.out", channels_, channels_));
    const auto count = static_cast<int64_t>(file.config.strides.size()) - 1;
    const FoldedLinear classifier = linear_of(file, "classifier.0", channels_ * count, 2 * channels_);
    for (int64_t i = 0; i < count; ++i) {
        const std::string name = "stages." + std::to_string(i);
        Stage stage;
        for (const char* block : {".voxel.0", ".voxel.1"})
            stage.blocks.push_back(pack.residual_block(file, name + block, channels_));
        stage.encoder = pack.point_encoder(file, name + ".point", channels_);
        stage.classifier = pack.layer(classifier.inputs(i * channels_, (i + 1) * channels_));
        stages_.push_back(std::move(stage));
    }
    last_ = pack_floats.layer(linear_of(file, "classifier.2", 2 * channels_, classes_));
}

GroupLogits Network::logits(const Points& points, const ScanGeometry& geometry, Arena& arena) const {
    int64_t most = 0, coarse = -geometry.levels[0].voxels;
    for (const Level& level : geometry.levels) {
        most = std::max(most, level.voxels);
        coarse += level.voxels;
    }
    const auto stages = static_cast<int64_t>(stages_.size());
    const Buffers buffers(*this, points.count, most, coarse, geometry.groups, arena);
    voxel_features(points, geometry.levels[0], buffers);
    for (int64_t i = 0, row = 0; i < stages; ++i) {
        run_stage(stages_[i], geometry.stages[i], geometry.levels[i].voxels, buffers.features,
                  buffers.classified + row * 2 * channels_);
        for (int64_t g = 0; g < geometry.groups; ++g)
            buffers.columns[g * stages + i] = geometry.stages[i].group_to_voxel[g] + row;
        row += geometry.levels[i + 1].voxels;
    }
    for (int64_t g = 0; g <= geometry.groups; ++g) buffers.offsets[g] = g * stages;
    const Pool sums{geometry.groups, 2 * channels_, buffers.classified, buffers.offsets, buffers.columns, nullptr, nullptr, 0,
                    nullptr};
    run_chain(kernels_, {nullptr, &sums, nullptr}, geometry.groups, {&last_}, buffers.logits, FLOAT32);
    return {geometry.groups, buffers.logits, geometry.point_to_group};
}

void Network::voxel_features(const Points& points, const Level& level, const Buffers& buffers) const {
    void* feats = buffers.features.feats;
    if (has_age_) {
        find_means_with_age(points, level, buffers);
        return run_chain(kernels_, {buffers.means, nullptr, nullptr}, level.voxels, {&point_out_}, feats, format_);
    }
    const auto* weight = static_cast<const float*>(point_hidden_.weight.numbers.data());
    const PointMeans means{channels_,    points.xyz,  points.intensity,  level.order, level.offsets,
                           level.coords, grid_.low(), grid_.cell_size(), weight,      point_hidden_.bias.data()};
    run_chain(kernels_, {nullptr, nullptr, &means}, level.voxels, {&point_out_}, feats, format_);
}

// Mean over the points of each voxel of relu(features @ weight + bias) with the age as the eleventh feature, which
// PointMeans lacks.
void Network::find_means_with_age(const Points& points, const Level& level, const Buffers& buffers) const {
    constexpr int64_t width = POINT_FEATURES + 1;
    for (int64_t v = 0; v < level.voxels; ++v) {
        const int64_t begin = level.offsets[v], end = level.offsets[v + 1];
        float mean[3] = {0, 0, 0}, corner[3];
        for (int axis = 0; axis < 3; ++axis) {
            for (int64_t e = begin; e < end; ++e) mean[axis] += points.xyz[3 * level.order[e] + axis];
            mean[axis] /= static_cast<float>(end - begin);
            const auto cell = static_cast<float>(level.coords[4 * v + 3 - axis]);
            corner[axis] = cell * grid_.cell_size()[axis] + grid_.low()[axis];
        }
        for (int64_t e = begin; e < end; ++e)
            write_features(points, level.order[e], mean, corner, buffers.point_features + e * width);
        buffers.sizes[v] = end - begin;
    }
    for (int64_t e = 0; e < points.count; ++e) buffers.point_columns[e] = e;
    run_chain(kernels_, {buffers.point_features, nullptr, nullptr}, points.count, {&point_hidden_}, buffers.point_rows,
              FLOAT32);
    kernels_.pool[FLOAT32]({level.voxels, channels_, buffers.point_rows, level.offsets, buffers.point_columns, nullptr,
                            buffers.sizes, 1, buffers.means});
}

// The input of the next stage replaces ``features.feats``.
void Network::run_stage(const Stage& stage, const StageGeometry& geometry, int64_t voxels, const Features& features,
                        float* classified) const {
    const auto& [feats, sum, first, second, hidden, pooled] = features;
    const PointEncoder& encoder = stage.encoder;
    run_block(stage.blocks[0], geometry.neighbours, voxels, feats, hidden, first, nullptr, nullptr);
    run_block(stage.blocks[1], geometry.neighbours, voxels, first, hidden, second, feats, sum);

    void *context = hidden, *fused = first;
    const Pool blocks = job_of(geometry.blocks, channels_, sum);
    std::vector<const Layer*> to_context;
    for (const Layer& layer : encoder.context) to_context.push_back(&layer);
    run_chain(kernels_, {nullptr, &blocks, nullptr}, geometry.blocks.targets, to_context, context, format_);
    Rows own = job_of(encoder.own), fuse = job_of(encoder.fuse);
    fuse.add = context;
    fuse.add_row = geometry.voxel_to_block;
    run_chain(kernels_, {sum, nullptr, nullptr}, voxels, {&encoder.own, &encoder.fuse}, {own, fuse}, fused, format_);

    Pool of_voxels = job_of(geometry.pooling, channels_, second);
    of_voxels.out = pooled;
    kernels_.pool[format_](of_voxels);
    const Pool of_points = job_of(geometry.pooling, channels_, fused);
    Rows out = job_of(encoder.out);
    out.plus = pooled;
    out.sum = feats;
    run_chain(kernels_, {nullptr, &of_points, nullptr}, geometry.pooling.targets, {&encoder.out, &stage.classifier},
              {out, job_of(stage.classifier)}, classified, FLOAT32);
}

// Two convolutions; the second includes the shortcut.
void Network::run_block(const ResidualBlock& block, const Pairs& pairs, int64_t voxels, const void* in, void* hidden,
                        void* out, const void* plus, void* sum) const {
    Rows job{};
    job.rows = voxels;
    job.channels = job.conv_channels = channels_;
    job.pairs = &pairs;
    job.slope = Packer::SLOPE;
    job.out_format = format_;
    Rows first = job, second = job;
    first.conv = in;
    first.conv_weight = block.first.numbers.data();
    first.bias = block.first_bias.data();
    first.out = hidden;
    second.conv = hidden;
    second.conv_weight = block.second.numbers.data();
    second.dense = in;
    second.dense_weight = block.shortcut.numbers.data();
    second.dense_channels = channels_;
    second.bias = block.bias.data();
    second.out = out;
    second.plus = plus;
    second.sum = sum;
    kernels_.rows[format_](first);
    kernels_.rows[format_](second);
}

void Network::reserve(int64_t points, Arena& arena) const {
    grid_.reserve(points, arena);
    Buffers(*this, points, points, static_cast<int64_t>(stages_.size()) * points, points, arena);
}

}  // namespace elite
