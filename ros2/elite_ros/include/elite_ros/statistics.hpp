// Counts of clouds by outcome, and their latencies, for /diagnostics.
#pragma once
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace elite_ros {

struct Counts {
    uint64_t labelled = 0, dropped = 0, failed = 0;
    uint64_t measured = 0, answered = 0, bright = 0;  // points of the labelled clouds, see Labelled
    std::string last_error;
};

enum class Health { Ok, Warning, Error };

struct Report {
    Health health = Health::Ok;
    std::string summary;
    std::vector<std::pair<std::string, std::string>> values;
};

// May be used by several threads at once.
class Statistics {
  public:
    void add_labelled(double latency_s, uint64_t measured, uint64_t answered, uint64_t bright);
    void add_dropped(uint64_t clouds);
    void add_failed(const std::string& error);

    // All counts so far. Drops and failures since the last report make it a warning, and it is an error if clouds arrive
    // and none of them was labelled since.
    Report report(uint64_t waiting);

  private:
    Counts counts_, reported_;
    std::vector<double> latencies_;  // s, of the last clouds, in a ring
    std::mutex mutex_;
};

// Percentile (0 to 100) of values, with linear interpolation; 0 without values.
double percentile(std::vector<double> values, double percent);

}  // namespace elite_ros
