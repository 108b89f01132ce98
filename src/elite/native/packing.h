// Matrices in the layout of the kernels: by panel of output channels, then input channel, then output channel, padded with
// zeros. Each panel of an int8 matrix starts with the start values of its sums and with the scales of its columns.
#pragma once
#include <vector>

#include "numbers.h"

namespace INSTRUCTIONS {
namespace {

template <class Format>
int64_t packed_size(int64_t in_channels, int64_t out_channels) {  // of one matrix, in stored numbers
    return (rounded_up(in_channels, Format::DEPTH) + Format::HEADER) * padded(out_channels);
}

// Call visit(first output channel, padded width) for each panel.
template <class Visit>
void each_panel(int64_t out_channels, const Visit& visit) {
    constexpr int64_t panel = PANEL * WIDTH;
    for (int64_t first = 0; first < out_channels; first += panel)
        visit(first, padded(std::min(panel, out_channels - first)));
}

struct Matrix {
    const float* weight;
    int64_t in_channels, out_channels;
    float operator()(int64_t c, int64_t o) const {
        return c < in_channels && o < out_channels ? weight[c * out_channels + o] : 0.0f;
    }
};

template <class Format>
void pack_matrix(const Matrix& matrix, typename Format::Stored* packed) {
    each_panel(matrix.out_channels, [&](int64_t first, int64_t wide) {
        for (int64_t c = 0; c < rounded_up(matrix.in_channels, Format::DEPTH); c += Format::STEP)
            for (int64_t o = first; o < first + wide; ++o)
                for (int64_t s = 0; s < Format::STEP; ++s) *packed++ = Format::from_float(matrix(c + s, o));
    });
}

#if defined(ELITE_INT8)
// Each column is divided by its scale, its largest size / 127. Sums start with -128 times the sum of the column, because
// 128 is added to the inputs.
template <>
void pack_matrix<Int8>(const Matrix& matrix, uint8_t* packed) {
    each_panel(matrix.out_channels, [&](int64_t first, int64_t wide) {
        std::vector<int32_t> starts(wide, 0);
        std::vector<float> scales(wide, 0.0f);
        for (int64_t o = 0; o < wide; ++o)
            for (int64_t c = 0; c < matrix.in_channels; ++c)
                scales[o] = std::max(scales[o], std::fabs(matrix(c, first + o)) / Int8::MOST);
        uint8_t* numbers = packed + wide * Int8::HEADER;
        for (int64_t c = 0; c < rounded_up(matrix.in_channels, Int8::DEPTH); c += Int8::STEP)
            for (int64_t o = 0; o < wide; ++o)
                for (int64_t s = 0; s < Int8::STEP; ++s) {
                    const float share = scales[o] > 0 ? matrix(c + s, first + o) / scales[o] : 0.0f;
                    const auto number = static_cast<int32_t>(std::nearbyint(share));
                    starts[o] -= Int8::ZERO * number;
                    *numbers++ = static_cast<uint8_t>(static_cast<int8_t>(number));
                }
        std::memcpy(packed, starts.data(), wide * sizeof(int32_t));
        std::memcpy(packed + wide * sizeof(int32_t), scales.data(), wide * sizeof(float));
        packed = numbers;
    });
}
#endif

template <class Format>
void pack(const float* weight, int64_t count, int64_t in_channels, int64_t out_channels, void* packed) {
    const int64_t size = packed_size<Format>(in_channels, out_channels);
    for (int64_t i = 0; i < count; ++i)
        pack_matrix<Format>({weight + i * in_channels * out_channels, in_channels, out_channels},
                            static_cast<typename Format::Stored*>(packed) + i * size);
}

}  // namespace
}  // namespace INSTRUCTIONS
