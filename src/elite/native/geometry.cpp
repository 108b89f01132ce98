// See geometry.h. All functions sort: a voxel is a key, a group is a run of equal keys.

#include "geometry.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include "sorting.h"

namespace {

// ---- keys --------------------------------------------------------------------------------------------------------

// Smallest and largest index along batch, z, y, x.
struct Box {
    std::array<int64_t, 4> low{}, high{};
};

// A key has a bit field for each of batch, z, y, x, in this order of significance, so keys ascend with coords. Along
// z, y, x one value below and one above the occupied values stay free: a step of one never changes the next field.
struct Fields {
    std::array<int64_t, 4> base;
    std::array<int, 4> bits;

    explicit Fields(const Box& box) {
        for (int axis = 0; axis < 4; ++axis) {
            const uint64_t span = uint64_t(box.high[axis]) - uint64_t(box.low[axis]);
            if (span > uint64_t(1) << 60 || box.low[axis] == std::numeric_limits<int64_t>::min()) throw TooLarge();
            const int free = axis > 0;
            base[axis] = box.low[axis] - free;
            bits[axis] = bits_for(span + 2 * free);
        }
    }
    int used() const { return bits[0] + bits[1] + bits[2] + bits[3]; }
    int shift(int axis) const { return axis == 3 ? 0 : bits[axis + 1] + shift(axis + 1); }
    uint64_t key(const int64_t* coords) const {
        uint64_t key = 0;
        for (int axis = 0; axis < 4; ++axis) key = key << bits[axis] | uint64_t(coords[axis] - base[axis]);
        return key;
    }
    void coords(uint64_t key, int64_t* coords) const {
        for (int axis = 3; axis >= 0; --axis) {
            coords[axis] = int64_t(key & ((uint64_t(1) << bits[axis]) - 1)) + base[axis];
            key >>= bits[axis];
        }
    }
};

// Entry i of ``entries`` is the key of row i. Successive rows of one key become one entry, with the number of their run in
// place of a row: successive points of a beam share voxels, so that there are fewer entries to sort. Run r has the rows
// starts[r] .. starts[r + 1] - 1.
std::unique_ptr<int32_t[]> join_runs(Entries& entries) {
    auto starts = room<int32_t>(entries.size + 1);
    int64_t runs = 0;
    uint64_t previous = ~uint64_t(0);
    for (int64_t i = 0; i < entries.size; ++i) {
        const uint64_t key = entries.key(i);
        starts[runs] = int32_t(i);  // kept if a run begins here, else overwritten: no branch to mispredict
        entries.set(runs, key);
        runs += key != previous;
        previous = key;
    }
    starts[runs] = int32_t(entries.size);
    entries.size = runs;
    return starts;
}

// Number the equal keys of sorted runs: the group of each row, the rows of each group. Calls visit(group, key), more than
// once for some groups. Returns the number of groups.
template <class Row, class Visit>
int64_t group(const Entries& sorted, const int32_t* starts, int64_t* row_to_group, Row* order, int64_t* offsets,
              const Visit& visit) {
    int64_t groups = 0, rows = 0;
    uint64_t previous = ~uint64_t(0);
    for (int64_t i = 0; i < sorted.size; ++i) {
        const uint64_t key = sorted.key(i);
        const int64_t run = sorted.row(i);
        offsets[groups] = rows;  // kept if a group begins here
        groups += key != previous;
        previous = key;
        visit(groups - 1, key);
        for (int64_t row = starts[run]; row < starts[run + 1]; ++row) {
            row_to_group[row] = groups - 1;
            order[rows++] = Row(row);
        }
    }
    offsets[groups] = rows;
    return groups;
}

// ---- levels ------------------------------------------------------------------------------------------------------

template <class T>
struct Ends {
    T least, greatest;
};

// Smallest and largest value; NaN is ignored.
template <class T>
Ends<T> ends(const T* values, int64_t n) {
    T least = n ? values[0] : T(0), greatest = least;
#pragma omp simd reduction(min : least) reduction(max : greatest)
    for (int64_t i = 0; i < n; ++i) {
        least = values[i] < least ? values[i] : least;
        greatest = values[i] > greatest ? values[i] : greatest;
    }
    return {least, greatest};
}

// Points minus the low corner, one array per axis, and their range.
struct Shifted {
    std::unique_ptr<float[]> axis[3];
    Ends<float> reach[3];
    Ends<int64_t> batches;
};

Shifted subtract(const float* points, const int64_t* batch_index, int64_t n, const float* low) {
    Shifted out;
    bool numbers = true;
    for (int axis = 0; axis < 3; ++axis) {
        out.axis[axis] = room<float>(n);
        float* values = out.axis[axis].get();
        for (int64_t i = 0; i < n; ++i) {
            values[i] = points[3 * i + axis] - low[axis];
            numbers &= values[i] == values[i];
        }
        out.reach[axis] = ends(values, n);
    }
    if (!numbers) throw TooLarge();
    out.batches = ends(batch_index, n);
    return out;
}

// floor((cells * difference) / size), with each operation rounded to float, as in PyTorch.
inline int32_t cell(float cells, float difference, float size) {
    const float value = (cells * difference) / size;
    const int32_t toward_zero = int32_t(value);
    return toward_zero - (value < float(toward_zero));
}

// Range of the cells. Rounding is monotonic, so the smallest and the largest point determine it.
Box occupied(const Shifted& points, const float* cells, const float* size) {
    Box box;
    box.low[0] = points.batches.least, box.high[0] = points.batches.greatest;
    for (int axis = 0; axis < 3; ++axis) {
        const Ends<float> reach = points.reach[axis];
        for (float end : {reach.least, reach.greatest}) {
            if (!(std::fabs((cells[axis] * end) / size[axis]) < float(1 << 30))) throw TooLarge();
        }
        const int32_t first = cell(cells[axis], reach.least, size[axis]);
        const int32_t last = cell(cells[axis], reach.greatest, size[axis]);
        box.low[3 - axis] = std::min(first, last), box.high[3 - axis] = std::max(first, last);
    }
    return box;
}

void fill(Entries& entries, const Fields& fields, const Shifted& points, const int64_t* batch_index, const float* cells,
          const float* size) {
    const float *x = points.axis[0].get(), *y = points.axis[1].get(), *z = points.axis[2].get();
    const float cx = cells[0], cy = cells[1], cz = cells[2], sx = size[0], sy = size[1], sz = size[2];
    const int32_t bx = int32_t(fields.base[3]), by = int32_t(fields.base[2]), bz = int32_t(fields.base[1]);
    const int64_t bb = fields.base[0], size_of_all = entries.size;
    const int to_x = entries.row_bits, to_y = to_x + fields.bits[3];
    const int to_z = to_y + fields.bits[2], to_b = to_z + fields.bits[1];
    uint64_t* words = entries.words.get();
    for (int64_t i = 0; i < size_of_all; ++i) {
        const uint64_t in_x = uint32_t(cell(cx, x[i], sx) - bx);
        const uint64_t in_y = uint32_t(cell(cy, y[i], sy) - by);
        const uint64_t in_z = uint32_t(cell(cz, z[i], sz) - bz);
        words[i] = uint64_t(batch_index[i] - bb) << to_b | in_z << to_z | in_y << to_y | in_x << to_x | uint64_t(i);
    }
}

// ---- joins -------------------------------------------------------------------------------------------------------

// Distinct (group, value) pairs in ascending order, and the number of members of each; value[i] belongs to member
// order[i]. Returns the number of pairs. A group has few distinct values, so a linear search among them is fast.
int64_t distinct_pairs(int64_t groups, const int64_t* offsets, const int64_t* value, int64_t* group, int64_t* distinct,
                       int64_t* count) {
    int64_t pairs = 0;
    for (int64_t g = 0; g < groups; ++g) {
        const int64_t begin = pairs;
        for (int64_t i = offsets[g], next; i < offsets[g + 1]; i = next) {
            next = i + 1;
            while (next < offsets[g + 1] && value[next] == value[i]) ++next;
            int64_t at = pairs;
            while (at > begin && distinct[at - 1] > value[i]) --at;
            if (at > begin && distinct[at - 1] == value[i]) {
                count[at - 1] += next - i;
                continue;
            }
            std::copy_backward(distinct + at, distinct + pairs, distinct + pairs + 1);
            std::copy_backward(count + at, count + pairs, count + pairs + 1);
            distinct[at] = value[i], count[at] = next - i, group[pairs] = g;
            ++pairs;
        }
    }
    return pairs;
}

std::unique_ptr<int64_t[]> gather(const int64_t* values, const int32_t* order, int64_t n) {
    auto out = room<int64_t>(n);
    for (int64_t i = 0; i < n; ++i) out[i] = values[order[i]];
    return out;
}

// The pairs sorted by target, then source.
void by_target(int64_t pairs, const int64_t* source, const int64_t* target, const int64_t* count, int64_t targets,
               int64_t* offsets, int64_t* columns, int64_t* weights) {
    std::fill(offsets, offsets + targets + 1, 0);
    for (int64_t e = 0; e < pairs; ++e) ++offsets[target[e] + 1];
    for (int64_t t = 0; t < targets; ++t) offsets[t + 1] += offsets[t];
    auto place = room<int64_t>(targets);
    std::copy(offsets, offsets + targets, place.get());
    for (int64_t e = 0; e < pairs; ++e) {
        const int64_t at = place[target[e]]++;
        columns[at] = source[e], weights[at] = count[e];
    }
}

// Groups of points that share their voxel on level 1 and the key of all further levels, numbered in ascending order of
// these tuples; group_to_voxel is (levels - 1) x n.
int64_t share_groups(int64_t n, int64_t levels, const int64_t* voxels, const int64_t* point_to_voxel,
                      const int32_t* order, const int64_t* offsets, int64_t* point_to_group, int64_t* group_to_voxel) {
    std::vector<int> bits(levels);
    int used = 0;
    for (int64_t l = 2; l < levels; ++l) used += bits[l] = bits_for(uint64_t(voxels[l]));
    if (used > 62) throw TooLarge();
    auto key = room<int64_t>(n), distinct = room<int64_t>(n), count = room<int64_t>(n);
    std::fill(key.get(), key.get() + n, 0);
    for (int64_t l = 2; l < levels; ++l) {
        const int64_t* voxel = point_to_voxel + l * n;
        for (int64_t i = 0; i < n; ++i) key[i] = key[i] << bits[l] | voxel[i];
    }
    const int64_t voxels1 = voxels[1];
    order += n, offsets += n + 1;
    key = gather(key.get(), order, n);
    const int64_t groups = distinct_pairs(voxels1, offsets, key.get(), group_to_voxel, distinct.get(), count.get());
    for (int64_t v = 0, begin = 0; v < voxels1; ++v) {
        int64_t end = begin;
        while (end < groups && group_to_voxel[end] == v) ++end;
        for (int64_t i = offsets[v]; i < offsets[v + 1]; ++i) {
            int64_t found = begin;
            while (distinct[found] != key[i]) ++found;
            point_to_group[order[i]] = found;
        }
        begin = end;
    }
    for (int64_t l = levels - 1; l >= 2; --l) {
        for (int64_t g = 0; g < groups; ++g) {
            group_to_voxel[(l - 1) * n + g] = distinct[g] & ((int64_t(1) << bits[l]) - 1);
            distinct[g] >>= bits[l];
        }
    }
    return groups;
}

// ---- coords ------------------------------------------------------------------------------------------------------

Box occupied(const int64_t* coords, int64_t voxels) {
    Box box;
    if (voxels) std::copy(coords, coords + 4, box.low.begin()), std::copy(coords, coords + 4, box.high.begin());
    for (int64_t v = 0; v < voxels; ++v) {
        for (int axis = 0; axis < 4; ++axis) {
            box.low[axis] = std::min(box.low[axis], coords[4 * v + axis]);
            box.high[axis] = std::max(box.high[axis], coords[4 * v + axis]);
        }
    }
    return box;
}

// Pairs of the three positions dx = -1, 0, 1 of one line (dz, dy). ``step`` is the difference between a voxel's key and
// the key at dx = -1. Wanted keys ascend, so one pass over the keys finds all of them. Each candidate is written before
// the comparison, and overwritten by the next one if it is not a pair.
void walk_line(const std::vector<uint64_t>& keys, int64_t voxels, uint64_t step, int32_t* first, int32_t* second,
               int64_t* count) {
    int64_t at[3] = {0, 0, 0};
    int64_t start = 0;
    for (int64_t v = 0; v < voxels; ++v) {
        const uint64_t wanted = keys[v] + step;
        while (keys[start] < wanted) ++start;
        int64_t next = start;
        for (int dx = 0; dx < 3; ++dx) {
            const bool found = keys[next] == wanted + dx;
            first[dx * voxels + at[dx]] = int32_t(v);
            second[dx * voxels + at[dx]] = int32_t(next);
            at[dx] += found, next += found;
        }
    }
    std::copy(at, at + 3, count);
}

// Kernel position 12: the previous voxel along x.
void walk_before(const std::vector<uint64_t>& keys, int64_t voxels, int32_t* first, int32_t* second, int64_t* count) {
    int64_t at = 0;
    for (int64_t v = 1; v < voxels; ++v) {
        first[at] = int32_t(v), second[at] = int32_t(v - 1);
        at += keys[v] - keys[v - 1] == 1;
    }
    *count = at;
}

}  // namespace

int32_t elite_levels(const float* points, const int64_t* batch_index, int64_t n, const float* low, const float* high,
                     const float* cells, int64_t levels, int64_t* voxels, int64_t* coords, int64_t* point_to_voxel,
                     int32_t* order, int64_t* offsets) {
    const float size[] = {high[0] - low[0], high[1] - low[1], high[2] - low[2]};
    Shifted shifted;
    const int32_t status = run(1, [&](int64_t) { shifted = subtract(points, batch_index, n, low); });
    if (status != ELITE_DONE) return status;
    return run(levels, [&](int64_t l) {
        const Fields fields(occupied(shifted, cells + 3 * l, size));
        Entries entries(n, fields.used());
        fill(entries, fields, shifted, batch_index, cells + 3 * l, size);
        const auto runs = join_runs(entries);
        sort(entries);
        voxels[l] = group(entries, runs.get(), point_to_voxel + l * n, order + l * n, offsets + l * (n + 1),
                          [&](int64_t v, uint64_t key) { fields.coords(key, coords + 4 * (l * n + v)); });
    });
}

int32_t elite_joins(int64_t n, int64_t levels, const int64_t* voxels, const int64_t* point_to_voxel,
                    const int32_t* order, const int64_t* offsets, int64_t* pairs, int64_t* source, int64_t* target,
                    int64_t* count, int64_t* target_offsets, int64_t* columns, int64_t* weights, int64_t* groups,
                    int64_t* point_to_group, int64_t* group_to_voxel) {
    return run(levels, [&](int64_t job) {
        if (job == 0) {  // the longest job comes first
            *groups = share_groups(n, levels, voxels, point_to_voxel, order, offsets, point_to_group, group_to_voxel);
            return;
        }
        const int64_t l = job - 1, fine = l * n, coarse = (l + 1) * n;
        const auto targets = gather(point_to_voxel + coarse, order + fine, n);
        pairs[l] = distinct_pairs(voxels[l], offsets + l * (n + 1), targets.get(), source + fine, target + fine,
                                  count + fine);
        by_target(pairs[l], source + fine, target + fine, count + fine, voxels[l + 1], target_offsets + l * (n + 1),
                  columns + fine, weights + fine);
    });
}

int32_t elite_blocks(int64_t n, int64_t levels, const int64_t* voxels, const int64_t* coords, int64_t* blocks,
                     int64_t* voxel_to_block, int64_t* order, int64_t* offsets) {
    return run(levels, [&](int64_t l) {
        const int64_t count = voxels[l], *zyx = coords + 4 * l * n;
        Box box = occupied(zyx, count);
        for (int axis = 1; axis < 4; ++axis) box.low[axis] >>= 1, box.high[axis] >>= 1;
        const Fields fields(box);
        Entries entries(count, fields.used());
        for (int64_t v = 0; v < count; ++v) {
            const int64_t halved[] = {zyx[4 * v], zyx[4 * v + 1] >> 1, zyx[4 * v + 2] >> 1, zyx[4 * v + 3] >> 1};
            entries.set(v, fields.key(halved));
        }
        const auto runs = join_runs(entries);
        sort(entries);
        blocks[l] = group(entries, runs.get(), voxel_to_block + l * n, order + l * n, offsets + l * (n + 1),
                          [](int64_t, uint64_t) {});
    });
}

int32_t elite_group(const int64_t* group, int64_t n, int64_t groups, int64_t* order, int64_t* offsets) {
    return run(1, [&](int64_t) {
        std::vector<int64_t> place(groups + 1);
        for (int64_t i = 0; i < n; ++i) ++place[group[i] + 1];
        std::partial_sum(place.begin(), place.end(), place.begin());
        std::copy(place.begin(), place.end(), offsets);
        for (int64_t i = 0; i < n; ++i) order[place[group[i]]++] = i;
    });
}

int32_t elite_neighbours(const int64_t* coords, int64_t voxels, int32_t* first, int32_t* second, int64_t* count) {
    std::vector<uint64_t> keys;
    uint64_t steps[5] = {};
    const int32_t status = run(1, [&](int64_t) {
        const Fields fields(occupied(coords, voxels));
        if (fields.used() > 63 || voxels > std::numeric_limits<int32_t>::max()) throw TooLarge();
        keys.resize(voxels + 3, ~uint64_t(0));  // three keys of no voxel, because a pass may read beyond the last
        for (int64_t v = 0; v < voxels; ++v) keys[v] = fields.key(coords + 4 * v);
        const uint64_t y = uint64_t(1) << fields.shift(2), z = uint64_t(1) << fields.shift(1);
        const uint64_t lines[] = {0 - z - y - 1, 0 - z - 1, 0 - z + y - 1, 0 - y - 1};
        std::copy(lines, lines + 4, steps);
    });
    if (status != ELITE_DONE) return status;
    return run(5, [&](int64_t line) {
        int32_t *line_first = first + 3 * line * voxels, *line_second = second + 3 * line * voxels;
        if (line < 4) {
            walk_line(keys, voxels, steps[line], line_first, line_second, count + 3 * line);
        } else {
            walk_before(keys, voxels, line_first, line_second, count + 12);
        }
    });
}
