// Fields of the answers, appended to a message.
#include <limits>

#include "layout.hpp"

namespace elite_ros {
namespace {

constexpr uint8_t UINT8 = 2, FLOAT32 = 7;
constexpr struct {
    const char* name;
    uint8_t datatype;
} ANSWER_FIELDS[] = {{"class_id", UINT8}, {"probability", FLOAT32}, {"entropy", FLOAT32}};

uint64_t rounded_up(uint64_t value, uint64_t step) { return (value + step - 1) / step * step; }

// Fields of the answers begin at multiples of their size, and so does the next point, as C++ programs expect.
LabelledCloud with_answer_fields(const PointCloud& cloud) {
    LabelledCloud wider;
    wider.fields = cloud.fields;
    uint64_t end = cloud.point_step;
    for (const auto& [name, datatype] : ANSWER_FIELDS) {
        const uint64_t offset = rounded_up(end, SIZES[datatype]);
        wider.fields.push_back({name, static_cast<uint32_t>(offset), datatype, 1});
        end = offset + SIZES[datatype];
    }
    wider.point_step = static_cast<uint32_t>(rounded_up(end, SIZES[FLOAT32]));
    wider.row_step = cloud.row_step;
    return wider;
}

// Copy all bytes of the cloud, and zeros after each point.
void copy_points(const PointCloud& cloud, LabelledCloud& wider) {
    const uint64_t used = uint64_t(cloud.width) * cloud.point_step, row = row_bytes(cloud);
    const uint64_t longer = uint64_t(cloud.width) * (wider.point_step - cloud.point_step);
    const bool is_padded = used <= cloud.row_step && cloud.row_step <= cloud.size;  // also a single row
    const uint64_t row_step = (is_padded ? cloud.row_step : used) + longer;
    if (row_step > std::numeric_limits<uint32_t>::max()) refuse("rows of less than 4 GiB", std::to_string(row_step) + " bytes");
    wider.row_step = static_cast<uint32_t>(row_step);
    wider.data.assign(cloud.size + cloud.height * longer, 0);
    const uint8_t* from = cloud.data;
    uint8_t* to = wider.data.data();
    for (uint64_t y = 0; y < cloud.height; ++y) {
        for (uint64_t x = 0; x < cloud.width; ++x, from += cloud.point_step, to += wider.point_step)
            std::memcpy(to, from, cloud.point_step);
        std::memcpy(to, from, row - used);
        from += row - used;
        to += row - used;
    }
    std::memcpy(to, from, cloud.size - cloud.height * row);
}

void write_answers(const PointCloud& cloud, const Answers& answers, LabelledCloud& wider) {
    const Number<float> number(cloud);
    const PointField* fields = wider.fields.data() + cloud.fields.size();
    const uint64_t row = row_bytes(cloud) + uint64_t(cloud.width) * (wider.point_step - cloud.point_step);
    uint64_t i = 0;
    for (uint64_t y = 0; y < cloud.height; ++y) {
        uint8_t* point = wider.data.data() + y * row;
        for (uint64_t x = 0; x < cloud.width; ++x, ++i, point += wider.point_step) {
            point[fields[0].offset] = answers.class_id[i];
            number.write(point + fields[1].offset, answers.probability[i]);
            number.write(point + fields[2].offset, answers.entropy[i]);
        }
    }
}

}  // namespace

LabelledCloud append_answers(const PointCloud& cloud, const Answers& answers) {
    require_unlabelled(cloud);
    check_layout(cloud);
    LabelledCloud wider = with_answer_fields(cloud);
    if (cloud.points() == 0) {
        wider.data.assign(cloud.data, cloud.data + cloud.size);
        return wider;
    }
    copy_points(cloud, wider);
    write_answers(cloud, answers, wider);
    return wider;
}

void require_unlabelled(const PointCloud& cloud) {
    for (const PointField& field : cloud.fields)
        for (const auto& answer : ANSWER_FIELDS)
            if (field.name == answer.name)
                refuse("a cloud without the field '" + field.name + "'", "one with it", "Use the original recording.");
}

}  // namespace elite_ros
