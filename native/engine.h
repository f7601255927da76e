// One network on one instruction set, and what it is asked for: prediction, gradients, training.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "job.h"
#include "network.h"
#include "settings.h"
#include "threads.h"

namespace convlet {

struct Workspace;

// Where `interrupted` stops a call, its results mean nothing; whole steps of `train` stand.
class Engine {
public:
    // `share`: multiply-adds, the least that are worth a thread's while inside of an image.
    Engine(const Kernels& kernels, const std::vector<StageSpec>& stages, Index parameters,
           Index share);
    ~Engine();

    const char* target() const { return kernels_.name; }
    const Plan& plan() const { return plan_; }

    // n images -> out (n, M): x^L, or what enters the softmax.
    void predict(const float* parameters, const Images& images, Index n, bool probabilities,
                 float* out, int threads, const Interrupted& interrupted);

    // A minibatch of n samples -> the derivative of (13), laid out like the flat vector.  Returns
    // (13).
    double gradients(const float* parameters, const Samples& data, Index n, float* gradient,
                     int threads, const Interrupted& interrupted);

    // n images, one after the other, there and back; data has no weights.
    void trace(const float* parameters, const Samples& data, Index n,
               std::span<const Traced> stages, const Interrupted& interrupted);

    // Steps (21); the cost (13) of each goes to `costs`.  A step is applied wholly or not at all.
    // Each of the slots that the optimiser has is like the flat vector.  share: of a worker that has
    // part of the minibatches; null: all is here.
    Trained train(float* parameters, std::span<float* const> slots, const Samples& data,
                  const Steps& steps, const Settings& settings, const Share* share, double* costs,
                  int threads, const Interrupted& interrupted);

    // What training would see of n images: the augmented x^0, (n, rows, columns, channels).
    void augment(const Images& images, Index n, const Augmentation& augmentation,
                 std::uint64_t seed, std::uint64_t epoch, float* out,
                 const Interrupted& interrupted);

private:
    std::unique_ptr<Workspace> borrow(int threads, Index batch, const Shards& shards = {});
    void give_back(std::unique_ptr<Workspace> workspace);

    const Kernels& kernels_;
    const Plan plan_;
    std::mutex mutex_;  // never waited for: in a forked child it may be held for good
    std::vector<std::unique_ptr<Workspace>> spare_;
};

}  // namespace convlet
