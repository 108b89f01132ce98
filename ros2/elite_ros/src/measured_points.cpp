// The measured points of a message.
#include <cmath>
#include <cstdio>

#include "layout.hpp"

namespace elite_ros {
namespace {

constexpr double FARTHEST = 10'000;  // m
constexpr uint64_t MOST_POINTS = (uint64_t(1) << 31) - 1;
using Names = std::vector<std::string>;
const Names INTENSITY_FIELDS = {"remission", "intensity", "reflectivity", "i"};

// One number of every point.
struct Column {
    uint64_t offset;
    uint8_t datatype;
};

template <class T>
void read_as(const PointCloud& cloud, uint64_t offset, double* out, size_t stride) {
    const Number<T> number(cloud);
    for (uint64_t row = 0; row < cloud.height; ++row) {
        const uint8_t* point = cloud.data + row * row_bytes(cloud) + offset;
        for (uint64_t i = 0; i < cloud.width; ++i, point += cloud.point_step, out += stride)
            *out = static_cast<double>(number.read(point));
    }
}

// Numbers of all eight types fit into double. Those of two points are ``stride`` apart in ``out``.
void read(const PointCloud& cloud, Column column, double* out, size_t stride) {
    switch (column.datatype) {
        case 1: return read_as<int8_t>(cloud, column.offset, out, stride);
        case 2: return read_as<uint8_t>(cloud, column.offset, out, stride);
        case 3: return read_as<int16_t>(cloud, column.offset, out, stride);
        case 4: return read_as<uint16_t>(cloud, column.offset, out, stride);
        case 5: return read_as<int32_t>(cloud, column.offset, out, stride);
        case 6: return read_as<uint32_t>(cloud, column.offset, out, stride);
        case 7: return read_as<float>(cloud, column.offset, out, stride);
        default: return read_as<double>(cloud, column.offset, out, stride);
    }
}

std::string lower(std::string name) {
    for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 'a' - 'A');
    return name;
}

// The first of these fields that exists, in any case of letters.
std::optional<Column> find(const PointCloud& cloud, const Names& wanted) {
    for (const std::string& name : wanted) {
        std::optional<Column> found;  // the last one, if fields differ in the case of letters only
        for (const PointField& field : cloud.fields) {
            const Names names = names_of(field);
            for (size_t i = 0; i < names.size(); ++i)
                if (lower(names[i]) == lower(name)) found = {field.offset + i * SIZES[field.datatype], field.datatype};
        }
        if (found) return found;
    }
    return {};
}

std::string joined(const Names& words, const char* between) {
    std::string all;
    for (const std::string& word : words) all += (all.empty() ? "" : between) + word;
    return all;
}

[[noreturn]] void refuse_fields(const PointCloud& cloud, const Names& missing) {
    Names found;
    for (const PointField& field : cloud.fields)
        for (const std::string& name : names_of(field)) found.push_back(name);
    refuse("fields " + joined(missing, ", "), found.empty() ? "none" : joined(found, ", "),
           "Correct the columns or the intensity field of the sensor.");
}

// Columns of x, y, z, and of the intensity if the sensor has one.
std::vector<Column> columns_of(const PointCloud& cloud, const Sensor& sensor) {
    std::vector<Names> wanted = {{"x"}, {"y"}, {"z"}};
    if (sensor.has_intensity)
        wanted.push_back(sensor.intensity_field.empty() ? INTENSITY_FIELDS : Names{sensor.intensity_field});
    std::vector<Column> columns;
    Names missing;
    for (const Names& names : wanted) {
        if (const auto found = find(cloud, names))
            columns.push_back(*found);
        else
            missing.push_back(joined(names, " or "));
    }
    if (!missing.empty()) refuse_fields(cloud, missing);
    return columns;
}

// Refuse coordinates of a map, which float would round to decimetres, and other units.
void require_metres(const std::vector<double>& xyz) {
    double farthest = 0;
    for (size_t i = 0; i < xyz.size(); i += 3) {
        if (!std::isfinite(xyz[i]) || !std::isfinite(xyz[i + 1]) || !std::isfinite(xyz[i + 2])) continue;
        for (size_t axis = 0; axis < 3; ++axis) farthest = std::max(farthest, std::fabs(xyz[i + axis]));
    }
    if (farthest <= FARTHEST) return;
    char number[32];
    std::snprintf(number, sizeof number, "%.6g", farthest);
    refuse("metres in the sensor frame", "coordinates of up to " + std::string(number),
           "Subtract the position of the sensor, or convert the unit.");
}

using Point = std::array<float, 3>;

Point in_our_axes(const double* xyz, const std::array<int, 3>& axes) {
    Point point;
    for (size_t i = 0; i < 3; ++i) {
        const auto value = static_cast<float>(xyz[std::abs(axes[i]) - 1]);
        point[i] = axes[i] < 0 ? -value : value;
    }
    return point;
}

bool is_measured(const Point& point, float intensity, const std::optional<Box>& ego_box) {
    bool finite = std::isfinite(intensity), nonzero = false, on_vehicle = ego_box.has_value();
    for (size_t axis = 0; axis < 3; ++axis) {
        finite = finite && std::isfinite(point[axis]);
        nonzero = nonzero || point[axis] != 0;
        on_vehicle = on_vehicle && point[axis] >= ego_box->low[axis] && point[axis] <= ego_box->high[axis];
    }
    return finite && nonzero && !on_vehicle;
}

// Select the measured points.
Scan select(const std::vector<double>& xyz, const std::vector<double>& intensity, const Sensor& sensor) {
    const size_t count = intensity.size();
    Scan scan;
    scan.xyz.resize(3 * count);
    scan.intensity.resize(count);
    scan.index.resize(count);
    size_t kept = 0;
    for (size_t i = 0; i < count; ++i) {
        Point point = in_our_axes(&xyz[3 * i], sensor.axes);
        const float scaled = static_cast<float>(intensity[i]) / sensor.intensity_max;
        if (!is_measured(point, scaled, sensor.ego_box)) continue;
        point[2] += sensor.shift;
        std::copy(point.begin(), point.end(), &scan.xyz[3 * kept]);
        scan.intensity[kept] = scaled;
        scan.index[kept++] = static_cast<uint32_t>(i);
    }
    scan.xyz.resize(3 * kept);
    scan.intensity.resize(kept);
    scan.index.resize(kept);
    return scan;
}

}  // namespace

Scan measured_points(const PointCloud& cloud, const Sensor& sensor) {
    check_layout(cloud);
    const std::vector<Column> columns = columns_of(cloud, sensor);
    const uint64_t count = cloud.points();
    if (count > MOST_POINTS) refuse("less than 2^31 points", std::to_string(count));
    if (count == 0) return {};
    std::vector<double> xyz(3 * count), intensity(count);
    for (size_t axis = 0; axis < 3; ++axis) read(cloud, columns[axis], xyz.data() + axis, 3);
    if (sensor.has_intensity) read(cloud, columns[3], intensity.data(), 1);
    require_metres(xyz);
    return select(xyz, intensity, sensor);
}

}  // namespace elite_ros
