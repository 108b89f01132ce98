// The geometry of a batch of scans: voxels, their neighbours, and how rows of one grid meet the next. What the arrays
// mean, and their exact order, is said by the torch formulation (elite/sparse), which these functions equal bit for
// bit.
//
// Arrays are plain, contiguous and the caller's. Where the number of rows is known only afterwards, the caller gives
// room for the most that can be, and the function says how much of it was used. ``levels`` arrays follow one another,
// each with room for n rows (n + 1 offsets). Groups are compressed rows: the members of group g are order[offsets[g]]
// .. order[offsets[g + 1] - 1], ascending. Results do not depend on the number of threads. What is returned is an
// EliteStatus (sorting.h).
#pragma once
#include <cstdint>

extern "C" {

// Voxels of n points (n x 3) at each level: voxels[l] of them, their coords (batch, z, y, x) ascending, the voxel of
// each point, and the points of each voxel. cells: levels x 3, along x, y, z.
int32_t elite_levels(const float* points, const int64_t* batch_index, int64_t n, const float* low, const float* high,
                     const float* cells, int64_t levels, int64_t* voxels, int64_t* coords, int64_t* point_to_voxel,
                     int32_t* order, int64_t* offsets);

// What joins the levels (at least two) that elite_levels made. Pool l: pairs[l] distinct (source voxel of level l,
// target voxel of level l + 1), source major, with the points in each; then the same pairs by target: of target t they
// are columns, weights[target_offsets[t]] ... Classes: points that share their voxel on every level from 1 on;
// class_to_voxel has the voxel of each class on level l + 1.
int32_t elite_joins(int64_t n, int64_t levels, const int64_t* voxels, const int64_t* point_to_voxel,
                    const int32_t* order, const int64_t* offsets, int64_t* pairs, int64_t* source, int64_t* target,
                    int64_t* count, int64_t* target_offsets, int64_t* columns, int64_t* weights, int64_t* classes,
                    int64_t* point_to_class, int64_t* class_to_voxel);

// Blocks of 2x2x2 voxels (coords rounded down to half) of each level, ascending: the block of each voxel, and its
// members.
int32_t elite_blocks(int64_t n, int64_t levels, const int64_t* voxels, const int64_t* coords, int64_t* blocks,
                     int64_t* voxel_to_block, int64_t* order, int64_t* offsets);

// The members of each group, where row i of n belongs to group[i].
int32_t elite_group(const int64_t* group, int64_t n, int64_t groups, int64_t* order, int64_t* offsets);

// Neighbours at kernel positions k = 0 .. 12 (over (dz, dy, dx), dx fastest) of ascending distinct voxels: voxel
// first[k * voxels + p] has the neighbour second[k * voxels + p], 0 <= p < count[k], both ascending.
int32_t elite_neighbours(const int64_t* coords, int64_t voxels, int32_t* first, int32_t* second, int64_t* count);
}
