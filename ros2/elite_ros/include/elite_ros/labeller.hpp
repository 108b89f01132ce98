// Labels for the points of clouds, by a model of libelite. Nothing here depends on ROS.
#pragma once
#include <elite.h>

#include <map>
#include <memory>
#include <string>

#include "elite_ros/point_cloud.hpp"

namespace elite_ros {

// Differences from the model and from the LiDAR of its training scans. Empty values mean none.
struct LabellerOptions {
    int64_t threads = 0;            // at most 1024; 0 = all processors
    std::string precision;          // fp32, bf16 or int8; empty = as the model file states
    float fill_radius = 0;          // m; points outside the volume without a point inside this near have no answer; 0 = all have
    std::string intensity_field;    // name of the intensity
    float intensity_max = 0;        // value of the field that becomes 1
    bool use_intensity = true;      // false = 0 for all points
    std::string axes;               // directions of x, y and z, such as right-forward-up
    float height = 0;               // of the sensor above the ground (m), if it differs from that of the training scans
    std::vector<double> ego_box;    // low and high corner of the vehicle (m, x forward, y left, z up): 6 numbers
};

// A labelled cloud, and properties of its points.
struct Labelled {
    LabelledCloud cloud;
    uint64_t measured = 0, answered = 0;  // points
    uint64_t bright = 0;                  // measured points with an intensity above 1
};

// A model, and the memory for one cloud at a time. Calls of one object come from one thread at a time.
class Labeller {
  public:
    // Throws std::runtime_error for a model or options that are not usable.
    Labeller(const std::string& model_file, const LabellerOptions& options);

    // Throws CloudError for a cloud that cannot be labelled. The next one can be.
    Labelled label(const PointCloud& cloud);

    // Name of each class_id, with that of points without an answer.
    const std::map<int, std::string>& class_names() const { return class_names_; }

    // Such as "fp32, avx512".
    std::string description() const;

  private:
    struct Close {
        void operator()(elite_model* model) const { elite_close(model); }
        void operator()(elite_session* session) const { elite_close_session(session); }
    };
    void find_answers(const Scan& scan, Answers& answers);

    std::unique_ptr<elite_model, Close> model_;
    std::unique_ptr<elite_session, Close> session_;
    elite_options options_{};
    Sensor sensor_;
    std::map<int, std::string> class_names_;
};

// Axes that point forward, left and up, from the directions of x, y and z, such as right-forward-up. Throws
// std::runtime_error.
std::array<int, 3> axes_of(const std::string& directions);

}  // namespace elite_ros
