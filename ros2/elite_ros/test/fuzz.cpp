// Clouds of any content, for builds with sanitizers: fuzz MODEL.elite COUNT SEED
//
// A cloud is labelled, or refused with a message; nothing outside its bytes is read. Sanitizers end the program themselves.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>

#include "elite_ros/labeller.hpp"

namespace {

using namespace elite_ros;
using Random = std::mt19937_64;

constexpr uint64_t SIZES[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 1};

uint64_t below(Random& random, uint64_t limit) { return std::uniform_int_distribution<uint64_t>(0, limit - 1)(random); }

void require(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "fuzz: expected %s, found another result.\n", what);
    std::exit(1);
}

// Bytes in memory of exactly their size, so that a sanitizer detects any access beyond it.
struct Message {
    PointCloud cloud;
    std::unique_ptr<uint8_t[]> bytes;
};

float coordinate(Random& random) {
    const float special[] = {0, NAN, INFINITY, -0.0f, 1e-40f, 9999, 3e38f};
    const uint64_t kind = below(random, 40);
    return kind < 7 ? special[kind] : std::normal_distribution<float>(0, 15)(random);
}

// Fields of any type at any offset, which do not overlap, and points whose coordinates are mostly sound.
Message sound_message(Random& random) {
    PointCloud cloud;
    const char* const names[] = {"x", "y", "z", "intensity", "ring", "t", "_", "normal"};
    for (const char* name : names) {
        const bool is_coordinate = cloud.fields.size() < 3;
        const auto datatype = static_cast<uint8_t>(is_coordinate && below(random, 4) ? 7 : 1 + below(random, 8));
        const auto offset = static_cast<uint32_t>(cloud.point_step + below(random, 3));
        const auto count = static_cast<uint32_t>(name[0] == 'n' ? 3 : below(random, 2));
        cloud.fields.push_back({name, offset, datatype, count});
        cloud.point_step = static_cast<uint32_t>(offset + std::max(count, 1u) * SIZES[datatype]);
    }
    cloud.height = static_cast<uint32_t>(below(random, 4));
    cloud.width = static_cast<uint32_t>(below(random, 40));
    cloud.is_bigendian = below(random, 4) == 0;
    cloud.row_step = static_cast<uint32_t>(cloud.width * cloud.point_step + below(random, 3) * 5);
    cloud.size = uint64_t(cloud.height) * cloud.row_step + below(random, 2) * 7;
    Message message{cloud, std::make_unique<uint8_t[]>(cloud.size)};
    for (uint64_t i = 0; i < cloud.size; ++i) message.bytes[i] = static_cast<uint8_t>(below(random, 256));
    for (uint64_t i = 0; i < cloud.points(); ++i)
        for (int axis = 0; axis < 3; ++axis) {
            const PointField& field = cloud.fields[axis];
            const float value = coordinate(random);
            uint8_t* to = message.bytes.get() + i / cloud.width * cloud.row_step + i % cloud.width * cloud.point_step;
            for (size_t byte = 0; field.datatype == 7 && byte < 4; ++byte)
                to[field.offset + byte] = reinterpret_cast<const uint8_t*>(&value)[cloud.is_bigendian ? 3 - byte : byte];
        }
    message.cloud.data = message.bytes.get();
    return message;
}

uint32_t any_number(Random& random, uint32_t before) {
    const uint32_t special[] = {0, 1, 2, 255, 65535, 65536, 1u << 31, std::numeric_limits<uint32_t>::max()};
    return below(random, 2) ? special[below(random, 8)] : static_cast<uint32_t>(before + below(random, 9) - 4);
}

void damage(Random& random, Message& message) {
    PointCloud& cloud = message.cloud;
    PointField& field = cloud.fields[below(random, cloud.fields.size())];
    switch (below(random, 10)) {
        case 0: cloud.height = any_number(random, cloud.height); break;
        case 1: cloud.width = any_number(random, cloud.width); break;
        case 2: cloud.point_step = any_number(random, cloud.point_step); break;
        case 3: cloud.row_step = any_number(random, cloud.row_step); break;
        case 4: field.offset = any_number(random, field.offset); break;
        case 5: field.datatype = static_cast<uint8_t>(any_number(random, field.datatype)); break;
        case 6: field.count = any_number(random, field.count); break;
        case 7: field.name = std::string(below(random, 3), static_cast<char>(below(random, 256))); break;
        case 8: cloud.fields.erase(cloud.fields.begin() + static_cast<long>(below(random, cloud.fields.size()))); break;
        default: {  // truncated
            const uint64_t size = below(random, cloud.size + 1);
            auto bytes = std::make_unique<uint8_t[]>(size);
            std::copy_n(message.bytes.get(), size, bytes.get());
            message.bytes = std::move(bytes);
            cloud.size = size;
        }
    }
    if (cloud.fields.empty()) cloud.fields.push_back({"x", 0, 7, 1});
    cloud.data = cloud.size ? message.bytes.get() : nullptr;
}

// Whether the cloud was labelled.
bool label(Labeller& labeller, const PointCloud& cloud) {
    try {
        const Labelled labelled = labeller.label(cloud);
        require(labelled.cloud.data.size() == cloud.size + cloud.points() * (labelled.cloud.point_step - cloud.point_step),
                "as many further bytes as points");
        require(labelled.answered <= labelled.measured && labelled.measured <= cloud.points(), "answers of measured points");
        return true;
    } catch (const CloudError& error) {
        const std::string text = error.what();
        require(text.find("expected ") != std::string::npos && text.find(", found ") != std::string::npos, "a message");
        return false;
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) return std::fprintf(stderr, "usage: %s MODEL.elite COUNT SEED\n", argv[0]), 2;
    Random random(std::strtoull(argv[3], nullptr, 10));
    LabellerOptions options;
    options.threads = 1;
    options.ego_box = {-1, -1, -1, 1, 1, 1};
    Labeller labeller(argv[1], options);
    uint64_t labelled = 0;
    const uint64_t count = std::strtoull(argv[2], nullptr, 10);
    for (uint64_t i = 0; i < count; ++i) {
        Message message = sound_message(random);
        for (uint64_t damages = below(random, 3); damages > 0; --damages) damage(random, message);
        labelled += label(labeller, message.cloud);
    }
    std::printf("fuzz passed: %llu of %llu clouds labelled\n", static_cast<unsigned long long>(labelled),
                static_cast<unsigned long long>(count));
}
