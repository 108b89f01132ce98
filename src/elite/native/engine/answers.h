// From logits to the most probable class, its probability and the entropy.
#pragma once
#include <cstdint>

#include "../include/elite.h"

namespace elite {

// Write the answer of each row of logits: a softmax over the classes 1 .. classes - 1, at most 255. Throws Error if a logit of these is
// not finite.
void find_answers(const float* logits, int64_t rows, int64_t classes, const elite_result& result);

}  // namespace elite
