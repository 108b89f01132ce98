#include "model_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "error.h"
#include "sha256.h"

namespace elite {
namespace {

constexpr std::string_view FORMAT = "elite-model-1", KIND = "elite-model-";
constexpr uint64_t LARGEST_HEADER = 1 << 22, LARGEST_FILE = uint64_t(1) << 32;
constexpr int64_t MOST_CELLS = 1 << 24;  // the largest whole number that float separates from its neighbours
constexpr double FARTHEST = 1e6;         // m
constexpr size_t MOST_STRIDES = 16;
constexpr int64_t MOST_CHANNELS = 1024, MOST_CLASSES = 256;
constexpr size_t DIGITS = 64;  // of the hash

int64_t between(int64_t least, const Json& value, int64_t most, const char* name) {
    const int64_t found = value.integer();
    if (found < least || found > most) damaged(std::string(name) + " of " + std::to_string(found));
    return found;
}

uint64_t little_endian(std::string_view bytes) {
    uint64_t value = 0;
    for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
}

// The text of the metadata entry of the format.
const std::string& about_of(const Json& header) {
    if (const Json* metadata = header.find("__metadata__")) {
        if (const Json* found = metadata->find(FORMAT)) return found->string();
        for (const auto& member : metadata->members())
            if (member.first.compare(0, KIND.size(), KIND) == 0)
                throw Error(ELITE_ERROR_MODEL, "model: expected the format " + std::string(FORMAT) + ", found " +
                                                   member.first + ". Update libelite.");
    }
    throw Error(ELITE_ERROR_MODEL,
                "model: expected a file of 'elite export', found another safetensors file. Convert it with 'elite export "
                "STUDENT -o MODEL.elite'.");
}

void check_hash(std::string_view bytes, size_t header_end, const std::string& expected) {
    const std::string_view header = bytes.substr(0, header_end);
    const size_t at = header.find(expected);
    if (expected.size() != DIGITS || at == header.npos || header.find(expected, at + 1) != header.npos)
        damaged("no hash of its contents");
    const std::string zeros(DIGITS, '0');
    if (sha256({bytes.substr(0, at), zeros, bytes.substr(at + DIGITS)}) != expected)
        damaged("contents that do not fit its hash");
}

float from_half(uint16_t half) {
    const uint32_t sign = uint32_t(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3FF;
    if (exponent == 0) {
        const float small = std::ldexp(static_cast<float>(fraction), -24);
        return sign ? -small : small;
    }
    const uint32_t bits = sign | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

size_t bytes_of(const std::string& type) {
    if (type == "F32") return 4;
    if (type == "F16") return 2;
    if (type == "I64") return 8;
    damaged("numbers of the type " + type.substr(0, 8));
}

// Axes as "x", "+y" or "-z".
void read_axes(const std::vector<Json>& names, int32_t (&axes)[3]) {
    if (names.size() != 3) damaged("another number of axes");
    for (size_t i = 0; i < 3; ++i) {
        const std::string& name = names[i].string();
        const size_t axis = std::string_view("xyz").find(name.empty() ? '?' : name.back());
        const bool is_known = name.size() == 1 || (name.size() == 2 && (name[0] == '+' || name[0] == '-'));
        if (axis == std::string_view::npos || !is_known) damaged("the axis '" + name.substr(0, 20) + "'");
        axes[i] = (name[0] == '-' ? -1 : 1) * static_cast<int32_t>(axis + 1);
    }
}

void read_corner(const std::vector<Json>& numbers, float (&corner)[3]) {
    if (numbers.size() != 3) damaged("a corner without three numbers");
    for (size_t i = 0; i < 3; ++i) corner[i] = static_cast<float>(numbers[i].number());
}

}  // namespace

ModelFile::ModelFile(std::string_view bytes) {
    const uint64_t length = bytes.size() < 8 ? 0 : little_endian(bytes.substr(0, 8));
    if (length < 2 || length > LARGEST_HEADER || length > bytes.size() - 8)
        damaged("a file of " + std::to_string(bytes.size()) + " bytes that is truncated or of another kind");
    const Json header = Json::parse(bytes.substr(8, length));
    const Json about = Json::parse(about_of(header));
    check_hash(bytes, 8 + length, about.at("sha256").string());
    read_tensors(header, bytes.substr(8 + length));
    read_config(about.at("config"));
    read_domain(about);
}

// Every byte belongs to one tensor.
void ModelFile::read_tensors(const Json& header, std::string_view data) {
    uint64_t used = 0;
    for (const auto& [name, entry] : header.members()) {
        if (name == "__metadata__") continue;
        Tensor tensor{entry.at("dtype").string(), {}, {}};
        uint64_t size = bytes_of(tensor.type);
        for (const Json& axis : entry.at("shape").items()) {
            tensor.shape.push_back(between(1, axis, 1 << 24, "an axis"));
            size *= static_cast<uint64_t>(tensor.shape.back());
            if (size > LARGEST_FILE) damaged("a tensor that is larger than the file");
        }
        const auto& offsets = entry.at("data_offsets").items();
        if (offsets.size() != 2) damaged("offsets of another number");
        const auto end_of_data = static_cast<int64_t>(data.size());
        const int64_t begin = between(0, offsets[0], end_of_data, "an offset");
        const int64_t end = between(begin, offsets[1], end_of_data, "an offset");
        if (static_cast<uint64_t>(end - begin) != size) damaged("offsets that do not fit the shape of '" + name + "'");
        tensor.numbers = data.substr(begin, size);
        tensors_[name] = std::move(tensor);
        used += size;
    }
    if (used != data.size()) damaged("bytes that belong to no tensor");
}

void ModelFile::read_config(const Json& values) {
    config.channels = between(2, values.at("channels"), MOST_CHANNELS, "channels");
    if (config.channels % 2) damaged("an odd number of channels");
    config.classes = between(2, values.at("classes"), MOST_CLASSES, "classes");
    const Json* past_scans = values.find("past_scans");
    config.past_scans = past_scans ? between(0, *past_scans, 1 << 16, "past scans") : 0;
    for (const Json& stride : values.at("strides").items()) {
        const int64_t least = config.strides.empty() ? 1 : config.strides.back() + 1;
        config.strides.push_back(between(least, stride, config.strides.empty() ? 1 : MOST_CELLS, "a stride"));
    }
    if (config.strides.size() < 2 || config.strides.size() > MOST_STRIDES) damaged("another number of strides");
    const auto &cells = values.at("cells").items(), &volume = values.at("volume").items();
    if (cells.size() != 3 || volume.size() != 2) damaged("a grid of other dimensions");
    const auto &low = volume[0].items(), &high = volume[1].items();
    if (low.size() != 3 || high.size() != 3) damaged("a volume of other dimensions");
    for (int axis = 0; axis < 3; ++axis) {
        config.cells[axis] = between(1, cells[axis], MOST_CELLS, "cells");
        config.low[axis] = static_cast<float>(low[axis].number());
        config.high[axis] = static_cast<float>(high[axis].number());
        const bool is_near = std::fabs(low[axis].number()) <= FARTHEST && std::fabs(high[axis].number()) <= FARTHEST;
        if (!is_near || !(config.low[axis] < config.high[axis])) damaged("an impossible volume");
    }
}

void ModelFile::read_domain(const Json& about) {
    const auto &specs = about.at("taxonomy").at("classes").items(), &colors = about.at("colors").items();
    if (static_cast<int64_t>(specs.size()) != config.classes || colors.size() != specs.size())
        damaged(std::to_string(specs.size()) + " names and " + std::to_string(colors.size()) + " colours for " +
                std::to_string(config.classes) + " classes");
    for (size_t i = 0; i < specs.size(); ++i) {
        uint32_t color = 0;
        if (colors[i].items().size() != 3) damaged("a colour that is not RGB");
        for (const Json& part : colors[i].items())
            color = color << 8 | static_cast<uint32_t>(between(0, part, 255, "a colour"));
        classes.push_back({specs[i].at("name").string(), color});
    }
    taxonomy = about.at("taxonomy").at("name").string();
    read_sensor(about.at("sensor"));
    const std::string& name = about.at("precision").string();
    if (name != "fp32" && name != "bf16" && name != "int8") damaged("the precision '" + name.substr(0, 20) + "'");
    precision = name == "fp32" ? ELITE_FP32 : name == "bf16" ? ELITE_BF16 : ELITE_INT8;
}

// Files of earlier versions lack some of the values.
void ModelFile::read_sensor(const Json& about) {
    sensor = about.at("name").string();
    if (const Json* height = about.find("height")) sensor_height = static_cast<float>(height->number());
    if (const Json* field = about.find("intensity_field")) sensor_files.intensity_field = field->string();
    if (const Json* most = about.find("remission_max")) sensor_files.intensity_max = static_cast<float>(most->number());
    if (!(sensor_files.intensity_max > 0)) damaged("an intensity of at most 0");
    if (const Json* columns = about.find("columns")) {
        const auto is_remission = [](const Json& column) { return column.string() == "remission"; };
        if (std::none_of(columns->items().begin(), columns->items().end(), is_remission)) sensor_files.intensity_max = 0;
    }
    if (const Json* axes = about.find("axes")) read_axes(axes->items(), sensor_files.axes);
    if (const Json* box = about.find("ego_box")) {
        if (box->items().size() != 2) damaged("an ego_box without two corners");
        sensor_files.has_ego_box = true;
        read_corner(box->items()[0].items(), sensor_files.ego_low);
        read_corner(box->items()[1].items(), sensor_files.ego_high);
    }
}

std::vector<float> ModelFile::tensor(const std::string& name, std::initializer_list<int64_t> shape) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) damaged("no '" + name + "', or a configuration of other layers");
    const Tensor& tensor = found->second;
    if (tensor.shape != std::vector<int64_t>(shape)) damaged("'" + name + "' of another shape than its configuration");
    const bool half = tensor.type == "F16";
    if (!half && tensor.type != "F32") damaged("whole numbers in '" + name + "'");
    std::vector<float> numbers(tensor.numbers.size() / (half ? 2 : 4));
    for (size_t i = 0; i < numbers.size(); ++i) {
        if (half) {
            uint16_t bits;
            std::memcpy(&bits, tensor.numbers.data() + 2 * i, sizeof bits);
            numbers[i] = from_half(bits);
        } else {
            std::memcpy(&numbers[i], tensor.numbers.data() + 4 * i, sizeof numbers[i]);
        }
        if (!std::isfinite(numbers[i])) damaged("NaN or infinity in '" + name + "'");
    }
    return numbers;
}

std::string read_file(const char* path) {
    const auto fail = [&](const std::string& found) {
        throw Error(ELITE_ERROR_MODEL, std::string(path) + ": expected a model file, found " + found + ". Check the path.");
    };
    struct Descriptor {
        int number;
        ~Descriptor() {
            if (number >= 0) close(number);
        }
    } file{open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)};  // opening a pipe would wait
    struct stat properties;
    if (file.number < 0 || fstat(file.number, &properties)) fail(std::strerror(errno));
    if (!S_ISREG(properties.st_mode)) fail("a folder, pipe or device");
    if (static_cast<uint64_t>(properties.st_size) > LARGEST_FILE) fail("a file that is too large");
    std::string bytes(static_cast<size_t>(properties.st_size), '\0');
    size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t count = read(file.number, bytes.data() + done, bytes.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail(std::strerror(errno));
        if (count == 0) fail("a file that became shorter");
        done += static_cast<size_t>(count);
    }
    return bytes;
}

}  // namespace elite
