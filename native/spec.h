// What the core knows of a network: the stages of (16), (17) in numbers.  No instruction set here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace convlet {

// One layer of sigma^l below the softmax.  Flatten moves no data and is not listed.
struct SigmaLayer {
    enum class Kind { relu, max_pool } kind;
    int size_rows = 0, size_columns = 0, stride_rows = 0, stride_columns = 0;  // of a pool
};

enum class Bias { none, channel, position };

// Stage l.  A dense stage has kernel 1x1 on a 1x1 image: R inputs, K units.
struct StageSpec {
    bool is_conv;
    int H, W, R;            // x^l without its frame of zeros
    int kernel_rows, kernel_columns;  // P+1, Q+1
    int s1, s2;
    int above, below, left, right;  // the frame
    int I, J, K;            // z^l
    Bias bias;
    std::vector<SigmaLayer> sigma;
    std::ptrdiff w, b;      // where w^l and b^l begin in the flat vector
};

struct NetworkSpec {
    std::vector<StageSpec> stages;
    std::ptrdiff parameters;  // floats in the flat vector
};

inline constexpr int slack = 16;  // floats that may be read, never used, behind the flat vector

// Images (n, rows, columns, channels) as the caller holds them.
struct Images {
    const std::uint8_t* bytes = nullptr;  // level u stands for u / 255 ...
    const float* floats = nullptr;        // ... or numbers as they are
};

// Labels: classes or distributions (n, M); weight is omega of (13) or null.
struct Targets {
    const std::int32_t* classes = nullptr;
    const float* distributions = nullptr;
    const float* weight = nullptr;
};

}  // namespace convlet
