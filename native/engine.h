// One minibatch step and everything made of it: prediction, gradients, training.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "augment.h"
#include "network.h"

namespace convlet {

// Images (n, rows, columns, channels) as the caller holds them: bytes, u standing for u / 255, or
// floats.
struct Images {
    const std::uint8_t* bytes = nullptr;
    const float* floats = nullptr;
    int rows = 0, columns = 0, channels = 0;
};

// Labels: classes or distributions (n, M); weight is omega of (13) or null.
struct Targets {
    const std::int32_t* classes = nullptr;
    const float* distributions = nullptr;
    const float* weight = nullptr;
};

// Asked by the calling thread now and then in the middle of long work; true means: give up.
using Interrupted = std::function<bool()>;

// What is drawn or changed per sample in training, keyed by (seed, epoch, sample).
struct Regularisation {
    std::uint64_t seed = 0, epoch = 0;
    float smoothing = 0;  // of the labels: y <- (1 - s) y + s / M
    bool dropout = false;
    const Augmentation* augmentation = nullptr;
};

// A run of steps over the samples of `order`.
struct Training {
    Images images;
    Targets targets;
    std::span<const std::int64_t> order;
    Index batch_size;
    std::span<const float> rates;  // eta of each step
    UpdateRule rule;               // without what changes from step to step
    double decay = 0;              // lambda
    Index updates = 0;             // steps done before, for Adam
    float* m = nullptr;            // slots of the rule, like the flat vector
    float* v = nullptr;
    double clip = 0;  // the greatest norm of the gradient; 0: any
    Regularisation regularisation;
};

struct TrainingResult {
    Index steps = 0;        // whole steps done
    bool diverged = false;  // the next one has a cost or a gradient that is not finite
};

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

    // Steps (21); the cost (13) of each goes to `costs`.  A step is applied wholly or not at all.
    TrainingResult train(float* parameters, const Training& training, double* costs, int threads,
                         const Interrupted& interrupted);

    // What training would see of n images: the augmented x^0, (n, rows, columns, channels).
    void augment(Images images, Index n, const Augmentation& augmentation, std::uint64_t seed,
                 std::uint64_t epoch, float* out);

private:
    std::unique_ptr<Workspace> borrow(int threads, Index batch);
    void give_back(std::unique_ptr<Workspace> workspace);

    const Kernels& kernels_;
    const Plan plan_;
    std::mutex mutex_;  // never waited for: in a forked child it may be held for good
    std::vector<std::unique_ptr<Workspace>> spare_;
};

}  // namespace convlet
