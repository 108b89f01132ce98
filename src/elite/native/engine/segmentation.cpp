#include "segmentation.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "answers.h"
#include "error.h"
#include "nearest.h"

extern "C" const char* elite_instructions();

namespace elite {
namespace {

constexpr int64_t MOST_POINTS = (int64_t(1) << 31) - 1;
constexpr int64_t NO_ANSWER = -1;  // instead of a row

NumberFormat format_of(elite_precision precision) {
    return precision == ELITE_BF16 ? BFLOAT16 : precision == ELITE_INT8 ? INT8 : FLOAT32;
}

void require(bool condition, const char* expected) {
    if (condition) return;
    throw Error(ELITE_ERROR_ARGUMENT, std::string("scan: expected ") + expected + ", found others. Correct it.");
}

void check_column(int64_t points, const void* start, int64_t stride, int64_t bytes, const char* expected) {
    require(points == 0 || (start && stride >= bytes && stride <= (int64_t(1) << 20)), expected);
}

void check_scan(const elite_scan& scan, bool needs_age) {
    require(scan.points >= 0 && scan.points <= MOST_POINTS, "a number of points in [0, 2^31)");
    check_column(scan.points, scan.xyz, scan.xyz_stride, 12, "xyz with a stride of at least 12 bytes");
    if (scan.intensity)
        check_column(scan.points, scan.intensity, scan.intensity_stride, 4, "intensity with a stride of at least 4 bytes");
    if (needs_age)
        check_column(scan.points, scan.age, scan.age_stride, 4, "age, which the model requires, with such a stride");
}

// One float of a column at any address.
float number(const void* start, int64_t stride, int64_t point) {
    float value;
    std::memcpy(&value, static_cast<const char*>(start) + point * stride, sizeof value);
    return value;
}

// Answers of groups of points.
struct GroupAnswers {
    uint8_t* labels;
    float *probabilities, *entropy, *class_probabilities;

    GroupAnswers(int64_t groups, int64_t classes, Arena& arena)
        : labels(arena.take<uint8_t>(groups)),
          probabilities(arena.take<float>(groups)),
          entropy(arena.take<float>(groups)),
          class_probabilities(arena.take<float>(groups * classes)) {}
    elite_result result() const { return {labels, probabilities, entropy, class_probabilities}; }
};

void write_answer(const elite_result& result, int64_t point, const GroupAnswers& answers, int64_t group, int64_t classes) {
    if (result.labels) result.labels[point] = answers.labels[group];
    if (result.probabilities) result.probabilities[point] = answers.probabilities[group];
    if (result.entropy) result.entropy[point] = answers.entropy[group];
    if (result.class_probabilities)
        std::copy_n(answers.class_probabilities + group * classes, classes, result.class_probabilities + point * classes);
}

void write_no_answer(const elite_result& result, int64_t point, int64_t classes) {
    if (result.labels) result.labels[point] = 0;
    if (result.probabilities) result.probabilities[point] = 0;
    if (result.entropy) result.entropy[point] = 1;
    if (result.class_probabilities) std::fill_n(result.class_probabilities + point * classes, classes, 0.0f);
}

}  // namespace

void write_no_answers(const elite_result& result, int64_t points, int64_t classes) {
    for (int64_t i = 0; i < points; ++i) write_no_answer(result, i, classes);
}

Model::Model(const ModelFile& file, elite_precision wanted)
    : config(file.config),
      classes(file.classes),
      taxonomy(file.taxonomy),
      sensor(file.sensor),
      instructions(elite_instructions()),
      sensor_height(file.sensor_height),
      sensor_files(file.sensor_files),
      precision(wanted == ELITE_PRECISION_OF_FILE ? file.precision : wanted),
      network(file, format_of(precision)) {}

// Selected points, and finite ones outside the volume.
struct Session::Crop {
    float *xyz, *intensity, *age, *outside_xyz;
    int64_t *row;      // of each point of the scan, among the selected ones; outside points first have NO_ANSWER
    int64_t *outside;  // numbers of the points outside the volume
    int64_t count = 0, own_count = 0, outside_count = 0;  // own_count: those without an age

    Crop(int64_t points, bool has_age, Arena& arena)
        : xyz(arena.take<float>(3 * points)),
          intensity(arena.take<float>(points)),
          age(has_age ? arena.take<float>(points) : nullptr),
          outside_xyz(arena.take<float>(3 * points)),
          row(arena.take<int64_t>(points)),
          outside(arena.take<int64_t>(points)) {}

    // Select all points in their order.
    void add_all(const elite_scan& scan) {
        add(scan, nullptr, [](float) { return true; });
        own_count = count;
    }

    // Select the points strictly inside the volume; those of past scans, which have an age, follow the others.
    void add_inside(const elite_scan& scan, const StudentConfig& volume) {
        add(scan, &volume, [](float seconds) { return !(seconds > 0); });
        own_count = count;
        if (age) add(scan, &volume, [](float seconds) { return seconds > 0; });
    }

    // Select those of the points with such an age.
    template <class IsWanted>
    void add(const elite_scan& scan, const StudentConfig* volume, const IsWanted& is_wanted) {
        for (int64_t i = 0; i < scan.points; ++i) {
            float p[5] = {0, 0, 0, 0, 0};
            std::memcpy(p, static_cast<const char*>(scan.xyz) + i * scan.xyz_stride, 3 * sizeof *p);
            if (scan.intensity) p[3] = number(scan.intensity, scan.intensity_stride, i);
            if (age) p[4] = number(scan.age, scan.age_stride, i);
            if (!is_wanted(p[4])) continue;
            row[i] = NO_ANSWER;
            if (volume && !std::all_of(p, p + 5, [](float x) { return std::isfinite(x); })) continue;
            if (volume && !is_inside(p, *volume)) {
                std::copy_n(p, 3, outside_xyz + 3 * outside_count);
                outside[outside_count++] = i;
                continue;
            }
            std::copy_n(p, 3, xyz + 3 * count);
            intensity[count] = p[3];
            if (age) age[count] = p[4];
            row[i] = count++;
        }
    }

    static bool is_inside(const float* p, const StudentConfig& volume) {
        bool inside = true;
        for (int axis = 0; axis < 3; ++axis) inside = inside && p[axis] > volume.low[axis] && p[axis] < volume.high[axis];
        return inside;
    }

    // Give each point outside the row of its nearest selected one (of the scan itself, if it has any), unless that is too
    // far away (0 = no limit).
    void fill(float radius, Arena& arena) const {
        auto* nearest = arena.take<int64_t>(outside_count);
        find_nearest({xyz, own_count ? own_count : count}, {outside_xyz, outside_count}, arena, nearest);
        for (int64_t i = 0; i < outside_count; ++i)
            if (radius == 0 || !is_farther(radius, outside_xyz + 3 * i, xyz + 3 * nearest[i])) row[outside[i]] = nearest[i];
    }

    static void reserve_fill(int64_t points, Arena& arena) {
        arena.take<int64_t>(points);
        reserve_nearest(points, points, arena);
    }

    Points points() const { return {count, xyz, intensity, age}; }
};

template <class Step>
auto Session::timed(double& seconds, const Step& step) {
    struct Clock {
        double& seconds;
        std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
        ~Clock() { seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); }
    } clock{seconds};
    return step();
}

GroupLogits Session::logits_of(const Points& points) {
    const ScanGeometry geometry = timed(seconds_.geometry, [&] { return model_->network.geometry(points, arena_); });
    return timed(seconds_.network, [&] { return model_->network.logits(points, geometry, arena_); });
}

GroupLogits Session::run(const elite_scan& scan) {
    const bool has_age = model_->config.past_scans > 0;
    arena_.restart();
    seconds_ = {};
    check_scan(scan, has_age);
    Crop crop(scan.points, has_age, arena_);
    timed(seconds_.crop, [&] { crop.add_all(scan); });
    if (crop.count == 0) throw Error(ELITE_ERROR_SCAN, "scan: expected points, found none. Skip the scan.");
    return logits_of(crop.points());
}

void Session::segment(const elite_scan& scan, float fill_radius, const elite_result& result) {
    const StudentConfig& config = model_->config;
    const int64_t classes = config.classes;
    arena_.restart();
    seconds_ = {};
    check_scan(scan, config.past_scans > 0);
    require(fill_radius >= 0, "a fill_radius of at least 0");
    Crop crop(scan.points, config.past_scans > 0, arena_);
    timed(seconds_.crop, [&] { crop.add_inside(scan, config); });
    if (crop.count == 0)
        throw Error(ELITE_ERROR_SCAN, "scan: expected points in the volume of the model, found none of " +
                                          std::to_string(scan.points) +
                                          ". Convert them to metres in the frame of the sensor, x forward, z up.");
    const GroupLogits found = logits_of(crop.points());
    timed(seconds_.labels, [&] {
        const GroupAnswers answers(found.groups, classes, arena_);
        find_answers(found.logits, found.groups, classes, answers.result());
        crop.fill(fill_radius, arena_);
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < scan.points; ++i) {
            if (crop.row[i] == NO_ANSWER)
                write_no_answer(result, i, classes);
            else
                write_answer(result, i, answers, found.point_to_group[crop.row[i]], classes);
        }
    });
}

void Session::reserve(int64_t points) {
    require(points >= 0 && points <= MOST_POINTS, "a number of points in [0, 2^31)");
    arena_.restart();
    Crop(points, model_->config.past_scans > 0, arena_);
    model_->network.reserve(points, arena_);
    GroupAnswers(points, model_->config.classes, arena_);
    Crop::reserve_fill(points, arena_);
}

}  // namespace elite
