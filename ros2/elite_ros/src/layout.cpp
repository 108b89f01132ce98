#include "layout.hpp"

#include <set>

namespace elite_ros {
namespace {

constexpr uint64_t MOST_NUMBERS = 256, MOST_BYTES = 1 << 16;  // of a point
constexpr size_t LONGEST_NAME = 60;                            // in messages

std::string text(uint64_t number) { return std::to_string(number); }

uint64_t count_of(const PointField& field) { return std::max<uint64_t>(field.count, 1); }  // drivers write 0 for 1

bool is_printable(const std::string& name) {
    return std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < ' ' || c == 0x7F; });
}

std::string quoted(const std::string& name) {
    return ("'" + (is_printable(name) ? name : "...") + "'").substr(0, LONGEST_NAME);
}

void check_field(const PointCloud& cloud, const PointField& field) {
    const std::string name = "the field " + quoted(field.name);
    if (field.datatype < 1 || field.datatype > 8 || !is_printable(field.name))
        refuse("printable names and datatypes 1 to 8", text(field.datatype) + " of " + name);
    const uint64_t end = field.offset + count_of(field) * SIZES[field.datatype];
    if (end > cloud.point_step) refuse("points of " + text(cloud.point_step) + " bytes", name + " up to byte " + text(end));
}

void check_names(const PointCloud& cloud) {
    std::set<std::string> names;
    for (const PointField& field : cloud.fields)
        for (const std::string& name : names_of(field))
            if (!names.insert(name).second) refuse("fields of different names", quoted(name) + " twice");
}

void check_size(const PointCloud& cloud) {
    if (cloud.point_step > MOST_BYTES)
        refuse("points of at most " + text(MOST_BYTES) + " bytes", text(cloud.point_step));
    const std::string size =
        text(cloud.height) + " x " + text(cloud.width) + " points of " + text(cloud.point_step) + " bytes";
    const uint64_t row = row_bytes(cloud);
    if (row < uint64_t(cloud.width) * cloud.point_step) refuse(size, "rows of " + text(cloud.row_step) + " bytes");
    if (cloud.height * row > cloud.size) refuse(size, text(cloud.size) + " bytes in rows of " + text(row));
}

}  // namespace

void refuse(const std::string& expected, const std::string& found, const std::string& remedy) {
    throw CloudError("expected " + expected + ", found " + found + ". " + remedy);
}

std::vector<std::string> names_of(const PointField& field) {
    if (field.name.empty() || field.name[0] == '_') return {};
    if (count_of(field) == 1) return {field.name};
    std::vector<std::string> names;
    for (uint64_t i = 0; i < count_of(field); ++i) names.push_back(field.name + "_" + text(i));
    return names;
}

void check_layout(const PointCloud& cloud) {
    if (cloud.fields.empty()) refuse("fields", "none");
    uint64_t total = 0;
    for (const PointField& field : cloud.fields) {
        check_field(cloud, field);
        total += count_of(field);
    }
    if (total > MOST_NUMBERS) refuse("at most " + text(MOST_NUMBERS) + " numbers per point", text(total));
    check_names(cloud);
    check_size(cloud);
}

}  // namespace elite_ros
