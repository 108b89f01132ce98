// Results for a scan of KITTI's format, to compare processors: answers MODEL.elite SCAN.bin OUTPUT [INSTRUCTIONS]
//
// For each precision that the instruction set multiplies, OUTPUT.PRECISION.T contains the results of T threads: the number
// of groups (int64), their logits, and per point its group (int64), label (uint8), probability and entropy (float). The
// instruction set in use and these precisions are printed. elite_run requires points in the volume of the model.
#include <elite.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" void elite_limit(const char* most);  // of the library's tests

namespace {

void require(elite_status status) {
    if (status == ELITE_OK) return;
    std::fprintf(stderr, "%s\n", elite_last_error());
    std::exit(1);
}

template <class Number>
void write(std::ofstream& file, const Number* numbers, int64_t count) {
    file.write(reinterpret_cast<const char*>(numbers), count * static_cast<int64_t>(sizeof *numbers));
}

void write_answers(const elite_model* model, const elite_scan& scan, int threads, const std::string& path) {
    const elite_options options = {threads, 0};
    elite_session* session = nullptr;
    elite_groups groups;
    std::ofstream file(path, std::ios::binary);
    require(elite_new_session(model, &session));
    require(elite_run(session, &scan, &options, &groups));
    write(file, &groups.groups, 1);
    write(file, groups.logits, groups.groups * elite_model_info(model).classes);
    write(file, groups.group_of_point, scan.points);

    std::vector<uint8_t> labels(scan.points);
    std::vector<float> probabilities(scan.points), entropy(scan.points);
    const elite_result result = {labels.data(), probabilities.data(), entropy.data(), nullptr};
    require(elite_segment(session, &scan, &options, &result));
    write(file, labels.data(), scan.points);
    write(file, probabilities.data(), scan.points);
    write(file, entropy.data(), scan.points);
    elite_close_session(session);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) return std::fprintf(stderr, "usage: %s MODEL.elite SCAN.bin OUTPUT [INSTRUCTIONS]\n", argv[0]), 2;
    std::ifstream file(argv[2], std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    constexpr int64_t point = 16;  // bytes: x, y, z, intensity
    const elite_scan scan = {static_cast<int64_t>(bytes.size()) / point, bytes.data(), point, bytes.data() + 12, point,
                             nullptr, 0};
    elite_limit(argc > 4 ? argv[4] : nullptr);
    const char* const names[] = {"fp32", "bf16", "int8"};
    for (int precision = ELITE_FP32; precision <= ELITE_INT8; ++precision) {
        elite_model* model = nullptr;
        const elite_status status = elite_open(argv[1], static_cast<elite_precision>(precision), &model);
        if (status == ELITE_ERROR_PROCESSOR) continue;
        require(status);
        if (precision == ELITE_FP32) std::printf("%s\n", elite_model_info(model).instructions);
        std::printf("%s\n", names[precision]);
        const std::string path = std::string(argv[3]) + "." + names[precision] + ".";
        for (int threads : {1, 2, 4}) write_answers(model, scan, threads, path + std::to_string(threads));
        elite_close(model);
    }
    return 0;
}
