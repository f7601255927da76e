// The one interface between the bindings and the code compiled for an instruction set.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "spec.h"

namespace convlet {

// Asked now and then by the calling thread in the middle of long work; true means: give up.
using Interrupted = std::function<bool()>;

class Engine {
public:
    virtual ~Engine() = default;

    // Images [0, n) -> out (n, M): probabilities x^L, or what enters the softmax.  False if interrupted.
    virtual bool predict(const float* parameters, Images images, std::ptrdiff n, bool probabilities, float* out,
                         int threads, const Interrupted& interrupted) = 0;

    // Minibatch [0, n) -> gradient of the cost (13), like the flat vector; the cost through the pointer.
    virtual bool gradients(const float* parameters, Images images, Targets targets, std::ptrdiff n, float* gradient,
                           double* cost, int threads, const Interrupted& interrupted) = 0;

    // Steps of (21) over samples order[0..]; costs (13) go to `costs`.  Returns the number of whole steps done.
    virtual std::ptrdiff train(float* parameters, Images images, Targets targets,
                               std::span<const std::int64_t> order, int batch_size, float learning_rate,
                               double* costs, int threads, const Interrupted& interrupted) = 0;

    // For tests: stage l alone, on n samples.  x (n, H, W, R) -> output (n, *output shape); given an error like the
    // output also dx (n, H, W, R) and the stage's part of the gradient, a flat vector of all parameters.
    virtual void run_stage(const float* parameters, int l, const float* x, std::ptrdiff n, float* output,
                           const float* error, float* dx, float* gradient) = 0;
};

// One per instruction set, from target.cpp.
namespace avx2 { std::unique_ptr<Engine> make_engine(const NetworkSpec&); }
namespace avx512 { std::unique_ptr<Engine> make_engine(const NetworkSpec&); }
namespace wide { std::unique_ptr<Engine> make_engine(const NetworkSpec&); }  // tests only: avx512's loops on AVX2
namespace neon { std::unique_ptr<Engine> make_engine(const NetworkSpec&); }

}  // namespace convlet
