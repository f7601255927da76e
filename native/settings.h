// How `train` takes its steps: the settings of fit that reach the core, in the names of Python's
// `Settings`.
#pragma once

#include <cstdint>
#include <optional>

#include "augment.h"
#include "optimizer.h"

namespace convlet {

struct Settings {
    Index batch_size = 32;
    Index shards = 1;  // of every minibatch
    std::uint64_t seed = 0;
    Optimizer optimizer;
    std::optional<double> clip_norm;  // the greatest norm of the gradient
    double label_smoothing = 0;
    std::optional<Augmentation> augmentation;
};

}  // namespace convlet
