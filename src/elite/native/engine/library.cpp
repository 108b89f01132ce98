// The functions of elite.h. Every exception becomes a status here.

#include <omp.h>

#include <algorithm>
#include <cstdio>

#include "answers.h"
#include "error.h"
#include "segmentation.h"

struct elite_model {
    std::shared_ptr<const elite::Model> shared;
};
struct elite_session {
    std::shared_ptr<const elite::Model> model;
    elite::Session session;
};

namespace {

constexpr int MOST_THREADS = 256;

thread_local char last_error[1024] = "";

elite_status failure(elite_status status, const char* message) {
    std::snprintf(last_error, sizeof last_error, "%s", message);
    return status;
}

template <class Job>
elite_status guarded(const Job& job) noexcept {
    try {
        job();
        return ELITE_OK;
    } catch (const elite::Error& error) {
        return failure(error.status, error.what());
    } catch (...) {  // bad_alloc, or a length that no memory has
        return failure(ELITE_ERROR_MEMORY, "memory: expected more, found too little. Split the scan, or close sessions.");
    }
}

void require_pointers(bool given) {
    if (!given) throw elite::Error(ELITE_ERROR_ARGUMENT, "argument: expected a pointer, found null. Give one.");
}

// The number of threads of the current call; kernels use that of OpenMP.
class Threads {
  public:
    explicit Threads(const elite_options* options) : before_(omp_get_max_threads()) {
        const int given = options ? options->threads : 0;
        if (given < 0)
            throw elite::Error(ELITE_ERROR_ARGUMENT, "threads: expected at least 0, found fewer. Use 0 for all.");
        omp_set_num_threads(given ? std::min(given, MOST_THREADS) : omp_get_num_procs());
    }
    ~Threads() { omp_set_num_threads(before_); }

  private:
    int before_;
};

void open_contents(std::string_view bytes, elite_precision precision, elite_model** model) {
    if (precision < ELITE_FP32 || precision > ELITE_PRECISION_OF_FILE)
        throw elite::Error(ELITE_ERROR_ARGUMENT, "precision: expected an elite_precision, found another value. Correct it.");
    *model = new elite_model{std::make_shared<const elite::Model>(elite::ModelFile(bytes), precision)};
}

const elite::ClassSpec* class_of(const elite_model* model, int32_t label) {
    if (!model || label < 0 || label >= static_cast<int32_t>(model->shared->classes.size())) return nullptr;
    return &model->shared->classes[static_cast<size_t>(label)];
}

}  // namespace

int32_t elite_api_version(void) { return ELITE_API_VERSION; }

const char* elite_last_error(void) { return last_error; }

elite_status elite_open(const char* path, elite_precision precision, elite_model** model) {
    return guarded([&] {
        require_pointers(path && model);
        *model = nullptr;
        open_contents(elite::read_file(path), precision, model);
    });
}

elite_status elite_open_bytes(const void* bytes, int64_t size, elite_precision precision, elite_model** model) {
    return guarded([&] {
        require_pointers(bytes && model);
        *model = nullptr;
        if (size < 0) throw elite::Error(ELITE_ERROR_ARGUMENT, "size: expected at least 0, found less. Correct it.");
        open_contents({static_cast<const char*>(bytes), static_cast<size_t>(size)}, precision, model);
    });
}

void elite_close(elite_model* model) { delete model; }

elite_info elite_model_info(const elite_model* model) {
    if (!model) return {};
    const elite::Model& m = *model->shared;
    elite_info info{};
    info.classes = static_cast<int32_t>(m.config.classes);
    info.channels = static_cast<int32_t>(m.config.channels);
    info.past_scans = static_cast<int32_t>(m.config.past_scans);
    info.precision = m.precision;
    std::copy_n(m.config.low, 3, info.low);
    std::copy_n(m.config.high, 3, info.high);
    info.sensor_height = m.sensor_height;
    info.sensor = m.sensor.c_str();
    info.taxonomy = m.taxonomy.c_str();
    info.instructions = m.instructions.c_str();
    return info;
}

elite_sensor elite_model_sensor(const elite_model* model) {
    if (!model) return {};
    const elite::SensorFiles& files = model->shared->sensor_files;
    elite_sensor sensor{};
    sensor.intensity_field = files.intensity_field.empty() ? nullptr : files.intensity_field.c_str();
    sensor.intensity_max = files.intensity_max;
    std::copy_n(files.axes, 3, sensor.axes);
    sensor.has_ego_box = files.has_ego_box;
    std::copy_n(files.ego_low, 3, sensor.ego_low);
    std::copy_n(files.ego_high, 3, sensor.ego_high);
    return sensor;
}

const char* elite_class_name(const elite_model* model, int32_t label) {
    const elite::ClassSpec* found = class_of(model, label);
    return found ? found->name.c_str() : nullptr;
}

uint32_t elite_class_color(const elite_model* model, int32_t label) {
    const elite::ClassSpec* found = class_of(model, label);
    return found ? found->color : 0;
}

elite_status elite_new_session(const elite_model* model, elite_session** session) {
    return guarded([&] {
        require_pointers(model && session);
        *session = nullptr;
        *session = new elite_session{model->shared, elite::Session(model->shared)};
    });
}

void elite_close_session(elite_session* session) { delete session; }

elite_status elite_reserve(elite_session* session, int64_t points) {
    return guarded([&] {
        require_pointers(session);
        session->session.reserve(points);
    });
}

int64_t elite_session_bytes(const elite_session* session) { return session ? session->session.bytes() : 0; }

elite_status elite_segment(elite_session* session, const elite_scan* scan, const elite_options* options,
                           const elite_result* result) {
    const elite_status status = guarded([&] {
        require_pointers(session && scan && result);
        const Threads threads(options);
        session->session.segment(*scan, options ? options->fill_radius : 0, *result);
    });
    if (status == ELITE_ERROR_SCAN) elite::write_no_answers(*result, scan->points, session->model->config.classes);
    return status;
}

elite_status elite_run(elite_session* session, const elite_scan* scan, const elite_options* options, elite_groups* groups) {
    return guarded([&] {
        require_pointers(session && scan && groups);
        *groups = {};
        const Threads threads(options);
        const elite::GroupLogits found = session->session.run(*scan);
        *groups = {found.groups, found.logits, found.point_to_group};
    });
}

elite_status elite_answers(const float* logits, int64_t rows, int32_t classes, const elite_options* options,
                           const elite_result* result) {
    return guarded([&] {
        require_pointers((logits || rows == 0) && result);
        if (rows < 0 || classes < 2 || classes > 256)
            throw elite::Error(ELITE_ERROR_ARGUMENT,
                               "logits: expected at least 0 rows of 2 to 256 classes, found others. Correct them.");
        const Threads threads(options);
        elite::find_answers(logits, rows, classes, *result);
    });
}

elite_seconds elite_last_seconds(const elite_session* session) {
    return session ? session->session.seconds() : elite_seconds{};
}
