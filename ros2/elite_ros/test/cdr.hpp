// Messages as bytes (CDR, little-endian), as recordings and middleware have them.
#pragma once
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include <diagnostic_msgs/msg/diagnostic_array.hpp>
#include <sensor_msgs/msg/point_cloud2.hpp>
#include <vision_msgs/msg/label_info.hpp>

namespace cdr {

constexpr size_t START = 4;  // bytes before the first value, at which alignment begins
using Bytes = std::vector<uint8_t>;

class Reader {
  public:
    explicit Reader(const Bytes& bytes) : bytes_(bytes) {}

    template <class T>
    void operator()(T& value) {
        at_ = START + (at_ - START + sizeof(T) - 1) / sizeof(T) * sizeof(T);
        std::memcpy(&value, take(sizeof(T)), sizeof(T));
    }
    void operator()(bool& value) { value = *take(1) != 0; }
    void operator()(std::string& value) {
        const auto length = number();
        value.assign(reinterpret_cast<const char*>(take(length)), length - 1);
    }
    void operator()(Bytes& value) {
        const auto length = number();
        const uint8_t* first = take(length);
        value.assign(first, first + length);
    }
    uint32_t number() {
        uint32_t value;
        (*this)(value);
        return value;
    }

  private:
    const uint8_t* take(size_t count) {
        if (count > bytes_.size() - at_) throw std::runtime_error("cdr: expected more bytes");
        return bytes_.data() + (at_ += count) - count;
    }
    const Bytes& bytes_;
    size_t at_ = START;
};

class Writer {
  public:
    template <class T>
    void operator()(T value) {
        while ((bytes.size() - START) % sizeof(T)) bytes.push_back(0);
        append(&value, sizeof(T));
    }
    void operator()(const std::string& value) {
        (*this)(static_cast<uint32_t>(value.size() + 1));
        append(value.c_str(), value.size() + 1);
    }
    void operator()(const Bytes& value) {
        (*this)(static_cast<uint32_t>(value.size()));
        append(value.data(), value.size());
    }
    template <class T, class Each>
    void all(const std::vector<T>& values, Each each) {
        (*this)(static_cast<uint32_t>(values.size()));
        for (const T& value : values) each(value);
    }
    void header(const std_msgs::msg::Header& header) {
        (*this)(header.stamp.sec);
        (*this)(header.stamp.nanosec);
        (*this)(header.frame_id);
    }
    Bytes bytes{0, 1, 0, 0};

  private:
    void append(const void* from, size_t count) {
        const auto* first = static_cast<const uint8_t*>(from);
        bytes.insert(bytes.end(), first, first + count);
    }
};

inline sensor_msgs::msg::PointCloud2 decode(const Bytes& bytes) {
    Reader read(bytes);
    sensor_msgs::msg::PointCloud2 cloud;
    read(cloud.header.stamp.sec);
    read(cloud.header.stamp.nanosec);
    read(cloud.header.frame_id);
    read(cloud.height);
    read(cloud.width);
    cloud.fields.resize(read.number());
    for (auto& field : cloud.fields) {
        read(field.name);
        read(field.offset);
        read(field.datatype);
        read(field.count);
    }
    read(cloud.is_bigendian);
    read(cloud.point_step);
    read(cloud.row_step);
    read(cloud.data);
    read(cloud.is_dense);
    return cloud;
}

inline Bytes encode(const sensor_msgs::msg::PointCloud2& cloud) {
    Writer write;
    write.header(cloud.header);
    write(cloud.height);
    write(cloud.width);
    write.all(cloud.fields, [&](const auto& field) {
        write(field.name);
        write(field.offset);
        write(field.datatype);
        write(field.count);
    });
    write(cloud.is_bigendian);
    write(cloud.point_step);
    write(cloud.row_step);
    write(cloud.data);
    write(cloud.is_dense);
    return write.bytes;
}

inline Bytes encode(const vision_msgs::msg::LabelInfo& info) {
    Writer write;
    write.header(info.header);
    write.all(info.class_map, [&](const auto& entry) {
        write(entry.class_id);
        write(entry.class_name);
    });
    write(info.threshold);
    return write.bytes;
}

inline Bytes encode(const diagnostic_msgs::msg::DiagnosticArray& array) {
    Writer write;
    write.header(array.header);
    write.all(array.status, [&](const auto& status) {
        write(status.level);
        write(status.name);
        write(status.message);
        write(status.hardware_id);
        write.all(status.values, [&](const auto& entry) {
            write(entry.key);
            write(entry.value);
        });
    });
    return write.bytes;
}

}  // namespace cdr
