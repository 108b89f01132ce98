#include "elite_ros/labeller.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

namespace elite_ros {
namespace {

constexpr int64_t MOST_THREADS = 1024;

[[noreturn]] void refuse_option(const std::string& name, const std::string& expected, const std::string& found,
                                const std::string& remedy = "Change the parameter.") {
    throw std::runtime_error(name + ": expected " + expected + ", found " + found + ". " + remedy);
}

void require_ok(elite_status status) {
    if (status != ELITE_OK) throw std::runtime_error(elite_last_error());
}

elite_precision precision_of(const std::string& name) {
    const char* const names[] = {"fp32", "bf16", "int8", ""};
    for (int precision : {ELITE_FP32, ELITE_BF16, ELITE_INT8, ELITE_PRECISION_OF_FILE})
        if (name == names[precision]) return static_cast<elite_precision>(precision);
    refuse_option("precision", "fp32, bf16 or int8", "'" + name + "'");
}

float shift_of(const elite_info& info, float height) {
    if (height == 0) return 0;
    if (!(height > 0)) refuse_option("height", "metres above the ground", std::to_string(height));
    if (info.sensor_height < 0)
        refuse_option("height", "a model whose training sensor has a height", "none for " + std::string(info.sensor),
                      "Leave the parameter out.");
    return height - info.sensor_height;
}

Sensor training_sensor(const elite_model* model) {
    const elite_sensor files = elite_model_sensor(model);
    Sensor sensor;
    sensor.intensity_field = files.intensity_field ? files.intensity_field : "";
    sensor.has_intensity = files.intensity_max > 0;
    if (sensor.has_intensity) sensor.intensity_max = files.intensity_max;
    std::copy_n(files.axes, 3, sensor.axes.begin());
    if (!files.has_ego_box) return sensor;
    sensor.ego_box.emplace();
    std::copy_n(files.ego_low, 3, sensor.ego_box->low.begin());
    std::copy_n(files.ego_high, 3, sensor.ego_box->high.begin());
    return sensor;
}

Box box_of(const std::vector<double>& numbers) {
    Box box{};
    bool is_box = numbers.size() == 6;
    for (size_t axis = 0; is_box && axis < 3; ++axis) {
        box.low[axis] = static_cast<float>(numbers[axis]);
        box.high[axis] = static_cast<float>(numbers[3 + axis]);
        is_box = box.low[axis] < box.high[axis];
    }
    if (!is_box) refuse_option("ego_box", "two corners, low and high", std::to_string(numbers.size()) + " numbers");
    return box;
}

void require_no_intensity(const LabellerOptions& options) {
    const bool has_field = !options.intensity_field.empty();
    if (has_field || options.intensity_max > 0)
        refuse_option(has_field ? "intensity_field" : "intensity_max", "a model that was trained with intensity",
                      "one without", "Leave the parameter out.");
}

Sensor sensor_of(const elite_model* model, const LabellerOptions& options) {
    Sensor sensor = training_sensor(model);
    if (!(options.intensity_max >= 0)) refuse_option("intensity_max", "at least 0", std::to_string(options.intensity_max));
    if (!sensor.has_intensity) require_no_intensity(options);
    if (!options.intensity_field.empty()) sensor.intensity_field = options.intensity_field;
    if (options.intensity_max > 0) sensor.intensity_max = options.intensity_max;
    if (!options.use_intensity) sensor.has_intensity = false;
    if (!options.axes.empty()) sensor.axes = axes_of(options.axes);
    if (!options.ego_box.empty()) sensor.ego_box = box_of(options.ego_box);
    sensor.shift = shift_of(elite_model_info(model), options.height);
    return sensor;
}

}  // namespace

std::array<int, 3> axes_of(const std::string& directions) {
    const std::pair<const char*, int> known[] = {{"forward", 1}, {"front", 1}, {"backward", -1}, {"back", -1},
                                                 {"left", 2},    {"right", -2}, {"up", 3},       {"down", -3}};
    std::array<int, 3> axes{};
    std::istringstream words(directions);
    std::string word;
    int axis = 0;
    while (std::getline(words, word, '-')) {
        const auto* found = std::find_if(std::begin(known), std::end(known), [&](auto& k) { return word == k.first; });
        if (++axis > 3 || found == std::end(known)) axis = 4;
        if (axis <= 3) axes[static_cast<size_t>(std::abs(found->second)) - 1] = found->second < 0 ? -axis : axis;
    }
    const auto cross = [&](int i, int j) {  // +1 if the axes i and j are in the order of a right-handed frame
        return (std::abs(axes[j]) - std::abs(axes[i]) + 3) % 3 == 1 ? 1 : -1;
    };
    const bool is_frame = axis == 3 && axes[0] && axes[1] && axes[2];
    const auto sign = [](int value) { return value < 0 ? -1 : 1; };
    if (!is_frame || sign(axes[0]) * sign(axes[1]) * sign(axes[2]) * cross(0, 1) < 0)
        refuse_option("axes", "the directions of x, y and z in a right-handed frame, such as forward-left-up",
                      "'" + directions + "'");
    return axes;
}

Labeller::Labeller(const std::string& model_file, const LabellerOptions& options) {
    if (options.threads < 0 || options.threads > MOST_THREADS)
        refuse_option("threads", "0 to " + std::to_string(MOST_THREADS), std::to_string(options.threads));
    if (!(options.fill_radius >= 0)) refuse_option("fill_radius", "at least 0 m", std::to_string(options.fill_radius));
    elite_model* model = nullptr;
    require_ok(elite_open(model_file.c_str(), precision_of(options.precision), &model));
    model_.reset(model);
    const elite_info info = elite_model_info(model);
    if (info.past_scans > 0)
        refuse_option(model_file, "a model of single scans", "one that requires past scans", "Use another model.");
    elite_session* session = nullptr;
    require_ok(elite_new_session(model, &session));
    session_.reset(session);
    options_.threads = static_cast<int32_t>(options.threads);
    options_.fill_radius = options.fill_radius;
    sensor_ = sensor_of(model, options);
    for (int label = 0; label < info.classes; ++label)
        class_names_[label == 0 ? NO_ANSWER : label] = elite_class_name(model, label);
}

Labelled Labeller::label(const PointCloud& cloud) {
    require_unlabelled(cloud);
    const Scan scan = measured_points(cloud, sensor_);
    Answers answers(cloud.points());
    if (!scan.index.empty()) find_answers(scan, answers);
    Labelled labelled;
    labelled.cloud = append_answers(cloud, answers);
    labelled.measured = scan.index.size();
    const auto has_answer = [](uint8_t class_id) { return class_id != NO_ANSWER; };
    labelled.answered = static_cast<uint64_t>(
        std::count_if(answers.class_id.begin(), answers.class_id.end(), has_answer));
    const auto is_bright = [](float intensity) { return intensity > 1; };
    labelled.bright = static_cast<uint64_t>(std::count_if(scan.intensity.begin(), scan.intensity.end(), is_bright));
    return labelled;
}

void Labeller::find_answers(const Scan& scan, Answers& answers) {
    const size_t count = scan.index.size();
    std::vector<uint8_t> labels(count);
    std::vector<float> probabilities(count), entropy(count);
    elite_scan points{};
    points.points = static_cast<int64_t>(count);
    points.xyz = scan.xyz.data();
    points.xyz_stride = 3 * sizeof(float);
    points.intensity = scan.intensity.data();
    points.intensity_stride = sizeof(float);
    elite_result result{};
    result.labels = labels.data();
    result.probabilities = probabilities.data();
    result.entropy = entropy.data();
    if (elite_segment(session_.get(), &points, &options_, &result) != ELITE_OK) throw CloudError(elite_last_error());
    for (size_t i = 0; i < count; ++i) {
        const uint32_t at = scan.index[i];
        answers.class_id[at] = labels[i] == 0 ? NO_ANSWER : labels[i];
        answers.probability[at] = probabilities[i];
        answers.entropy[at] = entropy[i];
    }
}

std::string Labeller::description() const {
    const elite_info info = elite_model_info(model_.get());
    const char* const names[] = {"fp32", "bf16", "int8"};
    return std::string(names[info.precision]) + ", " + info.instructions;
}

}  // namespace elite_ros
