// Points of sensor_msgs/PointCloud2 messages, read and appended to. Nothing here depends on ROS.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace elite_ros {

// A message that cannot be labelled: what was expected, what was found, and a remedy.
struct CloudError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct PointField {
    std::string name;
    uint32_t offset;
    uint8_t datatype;
    uint32_t count;
};

// A message without its header. Its bytes belong to the caller. Any content is allowed: functions check it.
struct PointCloud {
    uint32_t height = 0, width = 0;
    std::vector<PointField> fields;
    bool is_bigendian = false;
    uint32_t point_step = 0, row_step = 0;
    const uint8_t* data = nullptr;
    uint64_t size = 0;

    uint64_t points() const { return uint64_t(height) * width; }
};

struct Box {
    std::array<float, 3> low, high;
};

// Meaning of the fields of a cloud.
struct Sensor {
    std::string intensity_field;     // empty = the first of remission, intensity, reflectivity, i
    float intensity_max = 1;         // value that becomes 1
    bool has_intensity = true;       // otherwise it is 0 for all points, and no field is required
    std::array<int, 3> axes{1, 2, 3};  // fields that point forward, left and up: 1, 2, 3 = x, y, z; negative = opposite
    std::optional<Box> ego_box;      // the vehicle (m, x forward, y left, z up), whose points have no answer
    float shift = 0;                 // added to z (m)
};

// Measured points of a cloud: those at the origin, with NaN or infinity, or on the vehicle are not among them.
struct Scan {
    std::vector<float> xyz;        // metres, x forward, y left, z up
    std::vector<float> intensity;  // 0 to 1
    std::vector<uint32_t> index;   // of each point in the cloud
};

// Throws CloudError: sizes contradict each other, a field is missing, or coordinates are too large for a sensor.
Scan measured_points(const PointCloud& cloud, const Sensor& sensor);

constexpr uint8_t NO_ANSWER = 255;  // class_id

// One value per point of a cloud.
struct Answers {
    std::vector<uint8_t> class_id;
    std::vector<float> probability, entropy;

    // Of points without an answer.
    explicit Answers(uint64_t points) : class_id(points, NO_ANSWER), probability(points, 0), entropy(points, 1) {}
};

// Parts of a message that differ from those of the original one.
struct LabelledCloud {
    std::vector<PointField> fields;
    uint32_t point_step = 0, row_step = 0;
    std::vector<uint8_t> data;
};

// Append class_id, probability and entropy to the end of every point, in the byte order of the cloud; all other bytes
// keep their values and their order. Throws CloudError, as ``measured_points``, or if the cloud has one of the fields.
LabelledCloud append_answers(const PointCloud& cloud, const Answers& answers);

// Throws CloudError if the cloud has one of the fields already.
void require_unlabelled(const PointCloud& cloud);

}  // namespace elite_ros
