#include "elite_ros/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <tuple>

namespace elite_ros {
namespace {

constexpr uint64_t REMEMBERED = 1000;   // latencies
constexpr double MOST_BRIGHT = 0.001;  // share of points with an intensity above 1

std::string milliseconds(double seconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", 1000 * seconds);
    return text;
}

std::pair<Health, std::string> judged(const Counts& now, const Counts& before) {
    const uint64_t labelled = now.labelled - before.labelled, failed = now.failed - before.failed;
    const uint64_t dropped = now.dropped - before.dropped;
    if (failed) return {labelled ? Health::Warning : Health::Error, std::to_string(failed) + " clouds failed: " + now.last_error};
    if (dropped) return {Health::Warning, std::to_string(dropped) + " clouds dropped"};
    if (static_cast<double>(now.bright) > MOST_BRIGHT * static_cast<double>(now.measured))
        return {Health::Warning, "intensity: expected 0 to 1, found more. Set intensity_max or intensity_field."};
    return {Health::Ok, labelled ? "labelling" : "no clouds"};
}

}  // namespace

void Statistics::add_labelled(double latency_s, uint64_t measured, uint64_t answered, uint64_t bright) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (latencies_.size() < REMEMBERED)
        latencies_.push_back(latency_s);
    else
        latencies_[counts_.labelled % REMEMBERED] = latency_s;
    ++counts_.labelled;
    counts_.measured += measured;
    counts_.answered += answered;
    counts_.bright += bright;
}

void Statistics::add_dropped(uint64_t clouds) {
    const std::lock_guard<std::mutex> lock(mutex_);
    counts_.dropped += clouds;
}

void Statistics::add_failed(const std::string& error) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++counts_.failed;
    counts_.last_error = error;
}

Report Statistics::report(uint64_t waiting) {
    const std::lock_guard<std::mutex> lock(mutex_);
    Report report;
    std::tie(report.health, report.summary) = judged(counts_, reported_);
    report.values = {
        {"latency p50 (ms)", milliseconds(percentile(latencies_, 50))},
        {"latency p95 (ms)", milliseconds(percentile(latencies_, 95))},
        {"clouds labelled", std::to_string(counts_.labelled)},
        {"clouds dropped", std::to_string(counts_.dropped)},
        {"clouds failed", std::to_string(counts_.failed)},
        {"clouds waiting", std::to_string(waiting)},
        {"points measured", std::to_string(counts_.measured)},
        {"points with an answer", std::to_string(counts_.answered)},
        {"last error", counts_.last_error},
    };
    reported_ = counts_;
    return report;
}

double percentile(std::vector<double> values, double percent) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const double at = percent / 100 * static_cast<double>(values.size() - 1);
    const auto below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

}  // namespace elite_ros
