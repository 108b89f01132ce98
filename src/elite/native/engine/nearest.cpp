#include "nearest.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace elite {
namespace {

constexpr int64_t LEAF = 16;           // most points of one
constexpr int64_t MOST_LEAVES = 1024;  // per search
constexpr int64_t SAMPLE = 32;         // every 32nd candidate bounds the distance to the nearest one
constexpr int CELLS = 64;              // along x and y, of the grid that finds the candidates within that distance

double squared_distance(const double* query, const float* point) {
    double sum = 0;  // squares of floats can be infinite
    for (int axis = 0; axis < 3; ++axis) sum += (query[axis] - point[axis]) * (query[axis] - point[axis]);
    return sum;
}

// ---- tree --------------------------------------------------------------------------------------------------------

struct Entry {
    float position[3];
    int32_t row;
};

struct Split {
    float position;
    int32_t axis;
};

int64_t inner_nodes(int64_t count) {
    int64_t leaves = 1;
    while (leaves * LEAF < count) leaves *= 2;
    return leaves;
}

int64_t middle(int64_t begin, int64_t end) { return begin + (end - begin) / 2; }

struct Found {
    double squared;
    int64_t row;
};

// The entries of a node are contiguous, those below its split first. The children of node i are 2 i + 1 and 2 i + 2.
class Tree {
  public:
    // Reorders the entries. ``splits`` has room for inner_nodes(count).
    Tree(Entry* entries, int64_t count, Split* splits) : entries_(entries), splits_(splits), count_(count) {
        build(0, count, 0);
    }

    Found find(const float* query) const {
        Search search{{query[0], query[1], query[2]}, {0, 0, 0}, {std::numeric_limits<double>::infinity(), 0}, MOST_LEAVES};
        visit(0, count_, 0, 0, search);
        return search.found;
    }

  private:
    struct Search {
        double query[3];
        double offset[3];  // along each axis, from the query to the cell of the node
        Found found;
        int64_t leaves;    // still to visit
    };

    // Split at the median of the axis along which the points extend most.
    void build(int64_t begin, int64_t end, int64_t node) {
        if (end - begin <= LEAF) return;
        float low[3], high[3];
        std::copy_n(entries_[begin].position, 3, low);
        std::copy_n(low, 3, high);
        for (int64_t i = begin + 1; i < end; ++i)
            for (int axis = 0; axis < 3; ++axis) {
                low[axis] = std::min(low[axis], entries_[i].position[axis]);
                high[axis] = std::max(high[axis], entries_[i].position[axis]);
            }
        int widest = 0;
        for (int axis = 1; axis < 3; ++axis)
            if (high[axis] - low[axis] > high[widest] - low[widest]) widest = axis;
        const int64_t split = middle(begin, end);
        std::nth_element(entries_ + begin, entries_ + split, entries_ + end,
                         [widest](const Entry& a, const Entry& b) { return a.position[widest] < b.position[widest]; });
        splits_[node] = {entries_[split].position[widest], widest};
        build(begin, split, 2 * node + 1);
        build(split, end, 2 * node + 2);
    }

    // Search the nodes whose cells are nearer than the nearest entry so far; ``squared`` is the distance to this one.
    void visit(int64_t begin, int64_t end, int64_t node, double squared, Search& search) const {
        if (search.leaves == 0) return;
        if (end - begin <= LEAF) {
            --search.leaves;
            for (int64_t i = begin; i < end; ++i) {
                const double distance = squared_distance(search.query, entries_[i].position);
                if (distance < search.found.squared) search.found = {distance, entries_[i].row};
            }
            return;
        }
        const auto [position, axis] = splits_[node];
        const int64_t split = middle(begin, end);
        const double beyond = search.query[axis] - position, before = search.offset[axis];
        const bool is_above = beyond >= 0;
        const auto child = [&](bool above, double distance) {
            above ? visit(split, end, 2 * node + 2, distance, search) : visit(begin, split, 2 * node + 1, distance, search);
        };
        child(is_above, squared);
        const double far = squared - before * before + beyond * beyond;
        if (far >= search.found.squared) return;
        search.offset[axis] = beyond;
        child(!is_above, far);
        search.offset[axis] = before;
    }

    Entry* entries_;
    Split* splits_;
    int64_t count_;
};

// ---- candidates within reach ---------------------------------------------------------------------------------------

// Grid over x and y of the candidates, whose cells are covered by squares around the queries.
class Cover {
  public:
    explicit Cover(const PointRows& candidates) : change_((CELLS + 2) * (CELLS + 2)) {
        for (int axis = 0; axis < 2; ++axis) {
            float low = candidates.xyz[axis], high = low;
            for (int64_t i = 1; i < candidates.count; ++i) {
                low = std::min(low, candidates.xyz[3 * i + axis]);
                high = std::max(high, candidates.xyz[3 * i + axis]);
            }
            low_[axis] = low;
            cell_[axis] = std::max((static_cast<double>(high) - low) / CELLS, 1e-3);
        }
    }

    // A margin of one cell and a fraction of the distance allows for rounding.
    void add(const float* query, double reach) {
        int first[2], beyond[2];
        for (int axis = 0; axis < 2; ++axis) {
            const double centre = (query[axis] - low_[axis]) / cell_[axis], radius = reach / cell_[axis];
            const double margin = 1 + 1e-15 * radius;
            first[axis] = static_cast<int>(std::clamp(std::floor(centre - radius - margin), 0.0, double(CELLS)));
            beyond[axis] = static_cast<int>(std::clamp(std::floor(centre + radius + margin) + 1, 0.0, CELLS + 1.0));
        }
        at(first[0], first[1]) += 1, at(first[0], beyond[1]) -= 1;
        at(beyond[0], first[1]) -= 1, at(beyond[0], beyond[1]) += 1;
    }

    // Convert the changes at the corners of the squares to the number of squares over each cell.
    void finish() {
        for (int x = 0; x < CELLS + 2; ++x)
            for (int y = 1; y < CELLS + 2; ++y) at(x, y) += at(x, y - 1);
        for (int x = 1; x < CELLS + 2; ++x)
            for (int y = 0; y < CELLS + 2; ++y) at(x, y) += at(x - 1, y);
    }

    bool contains(const float* point) {
        return at(static_cast<int>((point[0] - low_[0]) / cell_[0]), static_cast<int>((point[1] - low_[1]) / cell_[1])) > 0;
    }

  private:
    int64_t& at(int x, int y) { return change_[x * (CELLS + 2) + y]; }

    double low_[2], cell_[2];
    std::vector<int64_t> change_;
};

}  // namespace

void find_nearest(const PointRows& candidates, const PointRows& queries, Arena& arena, int64_t* rows) {
    auto* entries = arena.take<Entry>(candidates.count);
    auto* splits = arena.take<Split>(inner_nodes(candidates.count));
    auto* reach = arena.take<double>(queries.count);
    if (queries.count == 0) return;
    int64_t kept = 0;
    const auto keep = [&](int64_t row) {
        const float* p = candidates.xyz + 3 * row;
        entries[kept++] = {{p[0], p[1], p[2]}, static_cast<int32_t>(row)};
    };
    for (int64_t row = 0; row < candidates.count; row += SAMPLE) keep(row);
    const Tree sample(entries, kept, splits);
#pragma omp parallel for schedule(dynamic, 256)
    for (int64_t q = 0; q < queries.count; ++q) reach[q] = std::sqrt(sample.find(queries.xyz + 3 * q).squared);

    Cover cover(candidates);
    for (int64_t q = 0; q < queries.count; ++q) cover.add(queries.xyz + 3 * q, reach[q]);
    cover.finish();
    kept = 0;
    for (int64_t row = 0; row < candidates.count; ++row)
        if (cover.contains(candidates.xyz + 3 * row)) keep(row);
    const Tree near(entries, kept, splits);
#pragma omp parallel for schedule(dynamic, 256)
    for (int64_t q = 0; q < queries.count; ++q) rows[q] = near.find(queries.xyz + 3 * q).row;
}

void reserve_nearest(int64_t candidates, int64_t queries, Arena& arena) {
    arena.take<Entry>(candidates);
    arena.take<Split>(inner_nodes(candidates));
    arena.take<double>(queries);
}

bool is_farther(float radius, const float* point, const float* other) {
    const double query[] = {point[0], point[1], point[2]};
    return squared_distance(query, other) > static_cast<double>(radius) * radius;
}

}  // namespace elite

int32_t elite_nearest(const float* candidates, int64_t candidate_count, const float* queries, int64_t query_count,
                      int64_t* rows) {
    try {
        elite::Arena arena;
        elite::find_nearest({candidates, candidate_count}, {queries, query_count}, arena, rows);
        return 0;
    } catch (...) {  // bad_alloc, or a length that no memory has
        return 1;
    }
}
