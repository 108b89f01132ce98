// Geometry of a batch of scans: voxels, their neighbours, and the maps between rows of successive grids. The PyTorch
// implementation (elite/sparse/torch_geometry.py) defines the meaning and order of the arrays; the results are
// bit-identical.
//
// Arrays are contiguous and allocated by the caller. If the number of rows is not known in advance, the caller allocates
// the maximum, and the function returns the number used. Arrays of several levels are stored one after the other, each
// with room for n rows (n + 1 offsets). Groups are compressed sparse rows: the members of group g are order[offsets[g]]
// .. order[offsets[g + 1] - 1], ascending. Results do not depend on the number of threads. All functions return an
// EliteStatus (sorting.h).
#pragma once
#include <cstdint>

extern "C" {

// Voxels of n points (n x 3) at each level: their number voxels[l], their coords (batch, z, y, x) ascending, the voxel
// of each point, and the points of each voxel. cells: levels x 3, along x, y, z.
int32_t elite_levels(const float* points, const int64_t* batch_index, int64_t n, const float* low, const float* high,
                     const float* cells, int64_t levels, int64_t* voxels, int64_t* coords, int64_t* point_to_voxel,
                     int32_t* order, int64_t* offsets);

// Maps between the levels (at least two) of elite_levels. Pool l: pairs[l] distinct (source voxel of level l, target
// voxel of level l + 1), sorted by source, with the number of points in each. The same pairs sorted by target: those of
// target t are columns, weights[target_offsets[t]] .. Groups: points that share their voxel on every level from 1 on;
// group_to_voxel is the voxel of each group on level l + 1.
int32_t elite_joins(int64_t n, int64_t levels, const int64_t* voxels, const int64_t* point_to_voxel,
                    const int32_t* order, const int64_t* offsets, int64_t* pairs, int64_t* source, int64_t* target,
                    int64_t* count, int64_t* target_offsets, int64_t* columns, int64_t* weights, int64_t* groups,
                    int64_t* point_to_group, int64_t* group_to_voxel);

// Blocks of 2x2x2 voxels (coords halved and rounded down) of each level, ascending: the block of each voxel, and the
// voxels of each block.
int32_t elite_blocks(int64_t n, int64_t levels, const int64_t* voxels, const int64_t* coords, int64_t* blocks,
                     int64_t* voxel_to_block, int64_t* order, int64_t* offsets);

// Members of each group; row i of n belongs to group[i].
int32_t elite_group(const int64_t* group, int64_t n, int64_t groups, int64_t* order, int64_t* offsets);

// Neighbours at kernel positions k = 0 .. 12 (over (dz, dy, dx), dx fastest) of ascending distinct voxels: voxel
// first[k * voxels + p] has the neighbour second[k * voxels + p], 0 <= p < count[k], both ascending.
int32_t elite_neighbours(const int64_t* coords, int64_t voxels, int32_t* first, int32_t* second, int64_t* count);
}
