// From a scan to labels: selection of the points in the volume, network, probabilities, points outside the volume.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "../include/elite.h"
#include "arena.h"
#include "model_file.h"
#include "network.h"

namespace elite {

// Everything that calls share. ``precision`` may be that of the file.
struct Model {
    StudentConfig config;
    std::vector<ClassSpec> classes;
    std::string taxonomy, sensor, instructions;
    float sensor_height;
    SensorFiles sensor_files;
    elite_precision precision;
    Network network;

    Model(const ModelFile& file, elite_precision precision);
};

class Session {
  public:
    explicit Session(std::shared_ptr<const Model> model) : model_(std::move(model)) {}

    // Both throw Error.
    void segment(const elite_scan& scan, float fill_radius, const elite_result& result);
    GroupLogits run(const elite_scan& scan);

    void reserve(int64_t points);
    int64_t bytes() const { return arena_.bytes(); }
    const elite_seconds& seconds() const { return seconds_; }

  private:
    struct Crop;
    GroupLogits logits_of(const Points& points);
    template <class Step>
    auto timed(double& seconds, const Step& step);

    std::shared_ptr<const Model> model_;
    Arena arena_;
    elite_seconds seconds_{};
};

// Write label 0 for all points.
void write_no_answers(const elite_result& result, int64_t points, int64_t classes);

}  // namespace elite
