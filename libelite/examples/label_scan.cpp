// Label a scan of KITTI's format: label_scan student.elite scan.bin labels.bin
//
// The output has one byte per point: 0 = no answer, else a class of the model, whose shares are printed.
#include <elite.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

int main(int argc, char** argv) {
    if (argc != 4) return std::fprintf(stderr, "usage: %s MODEL.elite SCAN.bin LABELS\n", argv[0]), 2;
    elite_model* model = nullptr;
    elite_session* session = nullptr;
    if (elite_open(argv[1], ELITE_PRECISION_OF_FILE, &model) || elite_new_session(model, &session))
        return std::fprintf(stderr, "%s\n", elite_last_error()), 1;

    std::ifstream file(argv[2], std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    constexpr int64_t point = 16;  // bytes: x, y, z, intensity
    elite_scan scan{};
    scan.points = static_cast<int64_t>(bytes.size()) / point;
    scan.xyz = bytes.data();
    scan.intensity = bytes.data() + 12;
    scan.xyz_stride = scan.intensity_stride = point;

    std::vector<uint8_t> labels(scan.points);
    elite_result result{};
    result.labels = labels.data();
    const elite_status status = elite_segment(session, &scan, nullptr, &result);
    if (status) std::fprintf(stderr, "%s: %s\n", argv[2], elite_last_error());

    std::vector<int> counts(elite_model_info(model).classes);
    for (uint8_t label : labels) ++counts[label];
    for (size_t c = 0; c < counts.size(); ++c)
        if (counts[c]) std::printf("%6.2f %%  %s\n", 100.0 * counts[c] / labels.size(), elite_class_name(model, c));
    std::ofstream(argv[3], std::ios::binary).write(reinterpret_cast<const char*>(labels.data()), labels.size());
    elite_close_session(session);
    elite_close(model);
    return status;
}
