#include "answers.h"

#include <algorithm>
#include <cmath>

#include "error.h"

namespace elite {
namespace {

constexpr int64_t MOST_CLASSES = 256;  // labels are bytes

// False if a logit is not finite. ``shares`` has room for the probability of each class.
bool find_answer(const float* logits, int64_t classes, int64_t row, float* shares, const elite_result& result) {
    const float* best = std::max_element(logits + 1, logits + classes);
    double sum = 0, mean = 0;  // of the differences to the best logit
    for (int64_t c = 1; c < classes; ++c) {
        if (!std::isfinite(logits[c])) return false;
        const float above = logits[c] - *best;
        shares[c] = std::exp(above);
        sum += shares[c];
        if (shares[c] > 0) mean += static_cast<double>(shares[c]) * above;  // else 0: the difference may be infinite
    }
    shares[0] = 0;
    for (int64_t c = 1; c < classes; ++c) shares[c] = static_cast<float>(shares[c] / sum);
    if (result.labels) result.labels[row] = static_cast<uint8_t>(best - logits);
    if (result.probabilities) result.probabilities[row] = shares[best - logits];
    const double most = std::log(static_cast<double>(std::max<int64_t>(classes - 1, 2)));
    if (result.entropy)
        result.entropy[row] = static_cast<float>(std::clamp((std::log(sum) - mean / sum) / most, 0.0, 1.0));
    return true;
}

}  // namespace

void find_answers(const float* logits, int64_t rows, int64_t classes, const elite_result& result) {
    bool finite = true;
#pragma omp parallel reduction(&& : finite)
    {
        float own[MOST_CLASSES];  // an allocation could throw, which ends the process in a parallel region
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; ++row) {
            float* shares = result.class_probabilities ? result.class_probabilities + row * classes : own;
            finite = find_answer(logits + row * classes, classes, row, shares, result) && finite;
        }
    }
    if (!finite)
        throw Error(ELITE_ERROR_SCAN,
                    "scan: expected finite logits, found NaN or infinite ones. Check the intensity: 0 to 1 is usual.");
}

}  // namespace elite
