// Model files (*.elite): a safetensors file whose metadata entry "elite-model-1" contains, as JSON, the configuration of
// the student ("config"), its classes ("taxonomy", "colors"), the sensor of the training scans ("sensor"), the precision
// to run it with ("precision"), and the SHA-256 of the file ("sha256"), in which these 64 digits count as zeros.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "../include/elite.h"
#include "json.h"

namespace elite {

// Configuration of a student; elite/config/student.py describes it.
struct StudentConfig {
    int64_t channels, classes, past_scans;
    std::vector<int64_t> strides;
    int64_t cells[3];
    float low[3], high[3];
};

// How files of the training scans state points; elite/sensor.py describes it.
struct SensorFiles {
    std::string intensity_field;  // empty = not named
    float intensity_max = 1;      // 0 = without intensity
    int32_t axes[3] = {1, 2, 3};
    bool has_ego_box = false;
    float ego_low[3] = {}, ego_high[3] = {};
};

struct ClassSpec {
    std::string name;
    uint32_t color;  // 0xRRGGBB
};

class ModelFile {
  public:
    // Parse the contents of a file, which must outlive the result. Throws Error.
    explicit ModelFile(std::string_view bytes);

    // Numbers of a tensor as float. Throws Error if it is missing, not finite, or has another shape or type.
    std::vector<float> tensor(const std::string& name, std::initializer_list<int64_t> shape) const;

    StudentConfig config;
    std::vector<ClassSpec> classes;
    std::string taxonomy, sensor;
    float sensor_height = -1;  // m; negative = unknown
    SensorFiles sensor_files;
    elite_precision precision;

  private:
    struct Tensor {
        std::string type;
        std::vector<int64_t> shape;
        std::string_view numbers;
    };
    void read_tensors(const Json& header, std::string_view data);
    void read_config(const Json& about);
    void read_domain(const Json& about);
    void read_sensor(const Json& about);

    std::map<std::string, Tensor> tensors_;
};

// Contents of a regular file. Throws Error.
std::string read_file(const char* path);

}  // namespace elite
