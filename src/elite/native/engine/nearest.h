// Nearest points, by k-d trees.
#pragma once
#include <cstdint>

#include "arena.h"

namespace elite {

// Finite points: x, y, z of each, in metres.
struct PointRows {
    const float* xyz;
    int64_t count;
};

// Row of the candidate (at least one) that is nearest to each query. Among equally near candidates the choice is
// arbitrary but repeatable. The time is bounded for any input: a search that visits very many leaves of the tree returns
// the nearest candidate so far.
void find_nearest(const PointRows& candidates, const PointRows& queries, Arena& arena, int64_t* rows);

// Take the memory for so many candidates and queries.
void reserve_nearest(int64_t candidates, int64_t queries, Arena& arena);

// Whether a point is farther than ``radius`` (m) from another one.
bool is_farther(float radius, const float* point, const float* other);

}  // namespace elite

// find_nearest for Python; 0, or 1 without memory. A candidate's row is below 2^31.
extern "C" int32_t elite_nearest(const float* candidates, int64_t candidate_count, const float* queries,
                                 int64_t query_count, int64_t* rows);
