// C functions that Python calls, and the selection of the instruction set. No exception leaves this file.

#include <cstring>

#include "processor.h"

namespace {

// Best instruction set of the processor, at most ``most``; null = no limit.
InstructionSet select(const char* most) {
    bool is_allowed = !most;
    for (const InstructionSet& set : instruction_sets()) {
        is_allowed = is_allowed || std::strcmp(set.name, most) == 0;
        if (is_allowed && set.is_available) return set;
    }
    return PORTABLE;
}

InstructionSet current = select(nullptr);

}  // namespace

const Kernels& selected_kernels() { return *current.kernels; }

extern "C" {

// Instruction set of the kernels: a name in compiler_options.txt.
const char* elite_instructions() { return current.name; }

// For tests: use at most the instruction set ``most`` from now on; null = no limit. Names of other architectures leave
// the portable kernels.
void elite_limit(const char* most) { current = select(most); }

// In the functions below, format is a NumberFormat.
int elite_has_format(int format) { return current.kernels->rows[format] ? 1 : 0; }

int64_t elite_packed_size(int64_t in_channels, int64_t out_channels, int format) {
    return current.kernels->packed_size[format](in_channels, out_channels);
}

void elite_pack(const float* weight, int64_t count, int64_t in_channels, int64_t out_channels, void* packed, int format) {
    current.kernels->pack[format](weight, count, in_channels, out_channels, packed);
}

void elite_rows(const Rows* job, int format) { current.kernels->rows[format](*job); }

void elite_pool(const Pool* job, int format) { current.kernels->pool[format](*job); }

void elite_chain(const Chain* job, int format) { current.kernels->chain[format](*job); }

void elite_weight_gradient(const WeightGradient* job) { current.kernels->weight_gradient(*job); }

void elite_point_means(const PointMeans* job, int64_t voxels, float* out) { current.kernels->point_means(*job, voxels, out); }

void elite_point_means_gradient(const PointMeansGradient* job) { current.kernels->point_means_gradient(*job); }

void elite_combine(const Combine* job) { current.kernels->combine(*job); }

void elite_sums(const Sums* job) { current.kernels->sums(*job); }
}
