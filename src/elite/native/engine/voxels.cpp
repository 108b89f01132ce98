#include "voxels.h"

#include <algorithm>
#include <new>

#include "../geometry.h"
#include "../sorting.h"
#include "error.h"

namespace elite {
namespace {

constexpr int64_t HALF_OF_POSITIONS = 13;  // kernel positions with neighbours of their own; the others mirror them

void require_done(int32_t status) {
    if (status == ELITE_NO_MEMORY) throw std::bad_alloc();
    if (status == ELITE_TOO_LARGE)
        throw Error(ELITE_ERROR_SCAN,
                    "scan: expected points whose voxels have keys of 63 bits, found more points or a larger extent. Crop "
                    "or split the scan.");
}

// Arrays of geometry.h for n points; those of several levels have room for n rows each.
struct Arrays {
    int64_t n, levels;
    int64_t *batch, *voxels, *coords, *point_to_voxel;
    int32_t* order;
    int64_t *offsets, *pairs, *source, *target, *count, *target_offsets, *columns, *weights, *groups, *point_to_group,
        *group_to_voxel, *blocks, *voxel_to_block, *voxels_by_block, *block_offsets, *sizes;

    Arrays(int64_t n, int64_t levels, Arena& arena) : n(n), levels(levels) {
        const int64_t fine = levels - 1;
        batch = arena.take<int64_t>(n);
        voxels = arena.take<int64_t>(levels);
        coords = arena.take<int64_t>(levels * n * 4);
        point_to_voxel = arena.take<int64_t>(levels * n);
        order = arena.take<int32_t>(levels * n);
        offsets = arena.take<int64_t>(levels * (n + 1));
        pairs = arena.take<int64_t>(fine);
        for (int64_t** array :
             {&source, &target, &count, &columns, &weights, &group_to_voxel, &voxel_to_block, &voxels_by_block})
            *array = arena.take<int64_t>(fine * n);
        for (int64_t** array : {&target_offsets, &block_offsets}) *array = arena.take<int64_t>(fine * (n + 1));
        groups = arena.take<int64_t>(1);
        point_to_group = arena.take<int64_t>(n);
        blocks = arena.take<int64_t>(fine);
        sizes = arena.take<int64_t>(2 * fine * n);  // of the voxels of the coarse levels, and of the blocks
    }
};

struct PairArrays {
    int32_t *first, *second;
    int64_t* count;

    PairArrays(int64_t voxels, Arena& arena) {
        first = arena.take<int32_t>(HALF_OF_POSITIONS * voxels);
        second = arena.take<int32_t>(HALF_OF_POSITIONS * voxels);
        count = arena.take<int64_t>(HALF_OF_POSITIONS);
    }
};

const int64_t* differences(const int64_t* offsets, int64_t count, int64_t* out) {
    for (int64_t i = 0; i < count; ++i) out[i] = offsets[i + 1] - offsets[i];
    return out;
}

}  // namespace

VoxelGrid::VoxelGrid(const StudentConfig& config) {
    std::copy_n(config.low, 3, low_);
    std::copy_n(config.high, 3, high_);
    for (int axis = 0; axis < 3; ++axis)
        cell_size_[axis] = (high_[axis] - low_[axis]) / static_cast<float>(config.cells[axis]);
    for (int64_t stride : config.strides)
        for (int64_t cells : config.cells) cells_.push_back(static_cast<float>((cells + stride - 1) / stride));
}

ScanGeometry VoxelGrid::geometry(const Points& points, Arena& arena) const {
    const int64_t n = points.count, fine = levels() - 1;
    const Arrays a(n, levels(), arena);
    std::fill_n(a.batch, n, 0);
    require_done(elite_levels(points.xyz, a.batch, n, low_, high_, cells_.data(), levels(), a.voxels, a.coords,
                              a.point_to_voxel, a.order, a.offsets));
    require_done(elite_joins(n, levels(), a.voxels, a.point_to_voxel, a.order, a.offsets, a.pairs, a.source, a.target,
                             a.count, a.target_offsets, a.columns, a.weights, a.groups, a.point_to_group,
                             a.group_to_voxel));
    require_done(elite_blocks(n, fine, a.voxels, a.coords, a.blocks, a.voxel_to_block, a.voxels_by_block,
                              a.block_offsets));
    ScanGeometry out{{}, {}, *a.groups, a.point_to_group};
    for (int64_t l = 0; l <= fine; ++l)
        out.levels.push_back({a.voxels[l], a.coords + 4 * l * n, a.order + l * n, a.offsets + l * (n + 1)});
    for (int64_t l = 0; l < fine; ++l) {
        const Level &level = out.levels[l], &next = out.levels[l + 1];
        const PairArrays pairs(level.voxels, arena);
        require_done(elite_neighbours(level.coords, level.voxels, pairs.first, pairs.second, pairs.count));
        const int64_t* of_block = a.block_offsets + l * (n + 1);
        int64_t* sizes = a.sizes + 2 * l * n;
        out.stages.push_back({
            {pairs.first, pairs.second, pairs.count, level.voxels},
            {a.blocks[l], of_block, a.voxels_by_block + l * n, nullptr, differences(of_block, a.blocks[l], sizes)},
            {next.voxels, a.target_offsets + l * (n + 1), a.columns + l * n, a.weights + l * n,
             differences(next.offsets, next.voxels, sizes + n)},
            a.voxel_to_block + l * n,
            a.group_to_voxel + l * n,
        });
    }
    return out;
}

void VoxelGrid::reserve(int64_t points, Arena& arena) const {
    Arrays(points, levels(), arena);
    for (int64_t l = 0; l + 1 < levels(); ++l) PairArrays(points, arena);
}

}  // namespace elite
