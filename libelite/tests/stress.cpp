// Scans and models of any content, for builds with sanitizers:
//
//     stress MODEL.elite scans FILE.bin ...     each scan whole, damaged, with other strides, threads and precisions
//     stress MODEL.elite fuzz-scans COUNT SEED
//     stress MODEL.elite fuzz-models COUNT SEED     damage to the model file, with a valid hash for half of the copies
//     stress MODEL.elite huge POINTS
//     stress MODEL.elite soak COUNT                 the session does not grow
//     stress MODEL.elite share COUNT                threads with one model, of which each has a session
//
// The environment variable ELITE_LIMIT is the best instruction set to use. The exit status is 1 if a result is impossible; sanitizers end the program themselves.
#include <elite.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/sha256.h"

extern "C" void elite_limit(const char* most);  // of the library's tests

namespace {

using Random = std::mt19937_64;
using Bytes = std::string;

void require(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "stress: expected %s, found another result (%s).\n", what, elite_last_error());
    std::exit(1);
}

int64_t below(Random& random, int64_t limit) { return std::uniform_int_distribution<int64_t>(0, limit - 1)(random); }

Bytes contents(const char* path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

struct Session {
    elite_session* handle = nullptr;
    explicit Session(elite_model* model) { require(elite_new_session(model, &handle) == ELITE_OK, "a session"); }
    ~Session() { elite_close_session(handle); }
    Session(const Session&) = delete;
};

// Points of any layout in memory of exactly their size, so that a sanitizer detects any access beyond it.
struct Cloud {
    int64_t points, stride, offset;
    std::vector<char> memory;

    Cloud(const std::vector<float>& xyzi, int64_t stride, int64_t offset)
        : points(static_cast<int64_t>(xyzi.size()) / 4), stride(stride), offset(offset),
          memory(points ? offset + (points - 1) * stride + 16 : 0) {
        for (int64_t i = 0; i < points; ++i) std::memcpy(memory.data() + offset + i * stride, xyzi.data() + 4 * i, 16);
    }
    elite_scan scan() const {
        const char* first = memory.data() + offset;
        return {points, first, stride, first + 12, stride, first + 8, stride};  // z as the age, for models with past scans
    }
};

// Label the cloud; results are valid whatever the status.
std::vector<uint8_t> label(const Session& session, const elite_info& info, const Cloud& cloud, elite_options options) {
    std::vector<uint8_t> labels(cloud.points, 255);
    std::vector<float> probabilities(cloud.points, -1), entropy(cloud.points, -1);
    std::vector<float> shares(cloud.points * info.classes, -1);
    const elite_result result = {labels.data(), probabilities.data(), entropy.data(), shares.data()};
    const elite_scan scan = cloud.scan();
    const elite_status status = elite_segment(session.handle, &scan, &options, &result);
    require(status == ELITE_OK || status == ELITE_ERROR_SCAN, "ELITE_OK or ELITE_ERROR_SCAN");
    for (int64_t i = 0; i < cloud.points; ++i) {
        require(labels[i] < info.classes && (status == ELITE_OK || labels[i] == 0), "labels of the model");
        require(probabilities[i] >= 0 && probabilities[i] <= 1 && entropy[i] >= 0 && entropy[i] <= 1, "shares from 0 to 1");
    }
    for (float share : shares) require(share >= 0 && share <= 1, "shares from 0 to 1");
    elite_groups groups;
    const elite_status ran = elite_run(session.handle, &scan, &options, &groups);
    require(ran == ELITE_OK || ran == ELITE_ERROR_SCAN, "ELITE_OK or ELITE_ERROR_SCAN");
    for (int64_t i = 0; ran == ELITE_OK && i < cloud.points; ++i)
        require(groups.group_of_point[i] >= 0 && groups.group_of_point[i] < groups.groups, "groups of points");
    return labels;
}

// ---- damage -----------------------------------------------------------------------------------------------------------

float strange_number(Random& random) {
    constexpr float largest = std::numeric_limits<float>::max(), nan = std::numeric_limits<float>::quiet_NaN();
    const float numbers[] = {0.0f,    -0.0f,  nan,    INFINITY, -INFINITY, largest, -largest,
                             1e-45f, -50.0f, 50.0f, 2.0f,     -4.0f,     1e9f};
    return numbers[below(random, std::size(numbers))];
}

std::vector<float> damaged(std::vector<float> xyzi, Random& random) {
    switch (below(random, 6)) {
        case 0: xyzi.resize(below(random, 5) * 4); break;
        case 1: for (size_t i = 4; i < xyzi.size(); ++i) xyzi[i] = xyzi[i - 4]; break;
        case 2: for (float& number : xyzi) number = strange_number(random); break;
        case 3: for (size_t i = 0; i < xyzi.size(); i += 1 + below(random, 9)) xyzi[i] = strange_number(random); break;
        case 4: for (float& number : xyzi) number *= std::ldexp(1.0f, static_cast<int>(below(random, 40)) - 20); break;
        default: for (size_t i = 0; i < xyzi.size(); i += 4) xyzi[i] += 45;
    }
    return xyzi;
}

std::vector<float> random_points(int64_t count, Random& random) {
    std::normal_distribution<float> normal;
    std::vector<float> xyzi(4 * count);
    for (size_t i = 0; i < xyzi.size(); ++i) xyzi[i] = normal(random) * (i % 4 < 2 ? 15 : 1);
    return xyzi;
}

// Flip, replace, remove or repeat bytes, more often in the header, whose end ``length`` is.
Bytes damaged(Bytes file, size_t length, Random& random) {
    static const char* const words[] = {
        "0",    "-1",                   "1e999",    "9223372036854775807", "null",       "[]",  "{}", "\"\"", "F16",
        "true", "[[[[[[[[[[[[[[[[[[[[", "\\u0000", "\\\"",                "4294967296", "0.5", "{\"a\":"};
    for (int64_t i = below(random, 4); i >= 0 && !file.empty(); --i) {
        const bool in_header = below(random, 4) > 0;
        const size_t at = below(random, static_cast<int64_t>(in_header ? std::min(length, file.size()) : file.size()));
        const size_t size = std::min<size_t>(1 + below(random, 12), file.size() - at);
        switch (below(random, 6)) {
            case 0: file[at] = static_cast<char>(file[at] ^ 1 << below(random, 8)); break;
            case 1: file.replace(at, size, words[below(random, std::size(words))]); break;
            case 2: file.erase(at, size); break;
            case 3: file.insert(at, file.substr(at, size)); break;
            case 4: for (size_t j = 0; j < size; ++j) file[at + j] = static_cast<char>(random()); break;
            default: if (below(random, 8) == 0) file.resize(at);
        }
    }
    return file;
}

// The file with the hash of its contents and the length of its header, as far as it still has places for them.
Bytes resealed(Bytes file) {
    const std::string before = "\\\"sha256\\\": \\\"";
    const size_t at = file.find(before);
    if (at == file.npos || at + before.size() + 64 > file.size()) return file;
    file.replace(at + before.size(), 64, 64, '0');
    return file.replace(at + before.size(), 64, elite::sha256({file}));
}

// ---- commands -----------------------------------------------------------------------------------------------------------

void check_scans(elite_model* model, int count, char** paths) {
    const Session session(model);
    const elite_info info = elite_model_info(model);
    Random random(0);
    for (int i = 0; i < count; ++i) {
        const Bytes bytes = contents(paths[i]);
        std::vector<float> xyzi(bytes.size() / 16 * 4);
        std::memcpy(xyzi.data(), bytes.data(), xyzi.size() * 4);
        const auto expected = label(session, info, {xyzi, 16, 0}, {1, 0});
        require(label(session, info, {xyzi, 35, 3}, {2, 0}) == expected, "labels that depend on no layout and threads");
        for (int repetition = 0; repetition < 6; ++repetition) label(session, info, {damaged(xyzi, random), 16, 1}, {2, 1});
    }
}

void fuzz_scans(elite_model* model, int64_t count, uint64_t seed) {
    const Session session(model);
    const elite_info info = elite_model_info(model);
    for (int64_t i = 0; i < count; ++i) {
        Random random(seed + i);
        const auto xyzi = damaged(random_points(below(random, 60), random), random);
        const int64_t stride = 16 + below(random, 49), offset = below(random, 4);
        label(session, info, {xyzi, stride, offset}, {1, static_cast<float>(below(random, 2) * 5)});
    }
}

void fuzz_models(const Bytes& file, int64_t count, uint64_t seed) {
    uint64_t length = 0;
    std::memcpy(&length, file.data(), sizeof length);
    Random points(seed);
    const Cloud cloud(random_points(30, points), 16, 0);
    int64_t opened = 0;
    for (int64_t i = 0; i < count; ++i) {
        Random random(seed + i);
        Bytes copy = damaged(file, length, random);
        if (below(random, 2)) copy = resealed(std::move(copy));
        elite_model* model = nullptr;
        const auto precision = static_cast<elite_precision>(below(random, 4));
        const elite_status status = elite_open_bytes(copy.data(), static_cast<int64_t>(copy.size()), precision, &model);
        require((status == ELITE_OK) == (model != nullptr), "a model or an error");
        if (!model) continue;
        ++opened;
        label(Session(model), elite_model_info(model), cloud, {1, 0});
        elite_close(model);
    }
    std::printf("%lld of %lld models could be opened\n", static_cast<long long>(opened), static_cast<long long>(count));
}

void soak(elite_model* model, int64_t count) {
    const Session session(model);
    Random random(0);
    constexpr int64_t most = 20000;
    require(elite_reserve(session.handle, most) == ELITE_OK, "a reserved session");
    const int64_t bytes = elite_session_bytes(session.handle);
    for (int64_t i = 0; i < count; ++i) {
        label(session, elite_model_info(model), {random_points(below(random, most) + 1, random), 16, 0}, {1, 0});
        require(elite_session_bytes(session.handle) == bytes, "a session that does not grow");
    }
}

void share(elite_model* model, int64_t count) {
    const auto work = [&](uint64_t seed) {
        for (int64_t i = 0; i < count; ++i) {
            const Session session(model);
            Random random(seed + i);
            label(session, elite_model_info(model), {random_points(500, random), 16, 0}, {1, 0});
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back(work, i * 1000);
    for (std::thread& thread : threads) thread.join();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) return std::fprintf(stderr, "stress: expected MODEL, a command and its arguments. See the source.\n"), 2;
    const std::string command = argv[2];
    const int64_t count = std::atoll(argv[3]);
    const uint64_t seed = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 0;
    const Bytes file = contents(argv[1]);
    elite_limit(std::getenv("ELITE_LIMIT"));
    for (elite_precision precision : {ELITE_FP32, ELITE_BF16, ELITE_INT8}) {
        elite_model* model = nullptr;
        const elite_status status = elite_open(argv[1], precision, &model);
        if (status == ELITE_ERROR_PROCESSOR && precision != ELITE_FP32) continue;
        require(status == ELITE_OK, "a model");
        Random random(0);
        if (command == "scans") check_scans(model, argc - 3, argv + 3);
        if (command == "fuzz-scans") fuzz_scans(model, count, seed);
        if (command == "fuzz-models" && precision == ELITE_FP32) fuzz_models(file, count, seed);
        if (command == "huge")
            label(Session(model), elite_model_info(model), {random_points(count, random), 16, 0}, {0, 0});
        if (command == "soak") soak(model, count);
        if (command == "share") share(model, count);
        elite_close(model);
    }
    std::printf("%s passed\n", command.c_str());
    return 0;
}
