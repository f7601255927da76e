// What a call of the core is about: samples, and the steps over them.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "kernels.h"

namespace convlet {

// Images (n, rows, columns, channels) as the caller holds them: bytes, u standing for u / 255, or
// floats.
struct Images {
    const std::uint8_t* bytes = nullptr;
    const float* floats = nullptr;
    int rows = 0, columns = 0, channels = 0;

    // Numbers [at, at + n), counted over all images, as floats.
    void copy(const Kernels& kernels, Index at, Index n, float* x) const {
        if (bytes)
            kernels.scale_bytes(bytes + at, n, x);
        else
            std::memcpy(x, floats + at, n * sizeof(float));
    }
};

// Labels: classes or distributions (n, M); weight is omega of (13) or null.
struct Targets {
    const std::int32_t* classes = nullptr;
    const float* distributions = nullptr;
    const float* weight = nullptr;
};

struct Samples {
    Images images;
    Targets targets;
};

// The steps of one call: each takes the next minibatch of `order`, the last what is left.
struct Steps {
    std::span<const std::int64_t> order;  // numbers of samples
    std::span<const float> rates;         // eta of each step
    Index updates = 0;                    // steps done before, for Adam
    std::uint64_t epoch = 0;              // of the network's life, for what is drawn at random
};

// What a call of `train` did.
struct Trained {
    Index done = 0;         // whole steps
    bool diverged = false;  // the next one has a cost or a gradient that is not finite
};

}  // namespace convlet
