// One minibatch step and everything made of it: prediction, gradients, training.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "network.h"

namespace convlet {

// Images (n, rows, columns, channels) as the caller holds them: bytes, u standing for u / 255, or
// floats.
struct Images {
    const std::uint8_t* bytes = nullptr;
    const float* floats = nullptr;
};

// Labels: classes or distributions (n, M); weight is omega of (13) or null.
struct Targets {
    const std::int32_t* classes = nullptr;
    const float* distributions = nullptr;
    const float* weight = nullptr;
};

// Asked by the calling thread now and then in the middle of long work; true means: give up.
using Interrupted = std::function<bool()>;

struct Workspace;

class Engine {
public:
    Engine(const Kernels& kernels, const std::vector<StageSpec>& stages, Index parameters);
    ~Engine();

    const char* target() const { return kernels_.name; }
    const Plan& plan() const { return plan_; }

    // n images -> out (n, M): x^L, or what enters the softmax.  False if interrupted.
    bool predict(const float* parameters, Images images, Index n, bool probabilities, float* out,
                 int threads, const Interrupted& interrupted);

    // A minibatch of n images -> the derivative of (13), laid out like the flat vector, and (13).
    bool gradients(const float* parameters, Images images, Targets targets, Index n,
                   float* gradient, double* cost, int threads, const Interrupted& interrupted);

    // Steps (21) over the samples of `order`; the cost (13) of each goes to `costs`.  Returns the
    // number of whole steps done.
    Index train(float* parameters, Images images, Targets targets,
                std::span<const std::int64_t> order, Index batch_size, float rate, double* costs,
                int threads, const Interrupted& interrupted);

private:
    std::unique_ptr<Workspace> borrow(int threads, Index batch);
    void give_back(std::unique_ptr<Workspace> workspace);

    const Kernels& kernels_;
    const Plan plan_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Workspace>> spare_;
};

}  // namespace convlet
