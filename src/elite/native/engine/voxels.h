// Geometry of one scan in memory of an arena: geometry.h, with one batch.
#pragma once
#include <cstdint>
#include <vector>

#include "../kernels.h"
#include "arena.h"
#include "model_file.h"

namespace elite {

// Points in metres, in the frame of the sensor. Age is in seconds; null for models without past scans.
struct Points {
    int64_t count;
    const float* xyz;
    const float* intensity;
    const float* age;
};

// Voxels of one stride in ascending order, and the points of each: order[offsets[v]] .. order[offsets[v + 1] - 1].
struct Level {
    int64_t voxels;
    const int64_t* coords;  // batch, z, y, x
    const int32_t* order;
    const int64_t* offsets;
};

// Rows of one level by their 2x2x2 block, or by the voxel of the next level: entries of target t are columns[offsets[t]]
// .. ; ``count`` is null where each counts once. ``total`` is the sum of the counts of a target.
struct Sources {
    int64_t targets;
    const int64_t* offsets;
    const int64_t* columns;
    const int64_t* count;
    const int64_t* total;
};

// Maps from the rows of a level to those of the next one.
struct StageGeometry {
    Pairs neighbours;
    Sources blocks, pooling;
    const int64_t* voxel_to_block;
    const int64_t* group_to_voxel;  // voxel of each group of points on the next level
};

struct ScanGeometry {
    std::vector<Level> levels;
    std::vector<StageGeometry> stages;
    int64_t groups;
    const int64_t* point_to_group;
};

class VoxelGrid {
  public:
    explicit VoxelGrid(const StudentConfig& config);

    // Throws Error if the points are too far apart for the keys of their voxels.
    ScanGeometry geometry(const Points& points, Arena& arena) const;

    // Take the memory for the geometry of so many points.
    void reserve(int64_t points, Arena& arena) const;

    const float* low() const { return low_; }
    const float* cell_size() const { return cell_size_; }
    int64_t levels() const { return static_cast<int64_t>(cells_.size()) / 3; }

  private:
    float low_[3], high_[3], cell_size_[3];  // m; of stride 1
    std::vector<float> cells_;               // levels x 3, along x, y, z
};

}  // namespace elite
