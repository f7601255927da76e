// When a thread in the middle of an item looks whether the work goes on.
#pragma once

#include "kernels.h"
#include "threads.h"

namespace convlet {

// Inside of an item that may be long work: the thread looks up about every million multiply-adds.
class Look {
public:
    Look(Stop& stop, int thread) : stop_(stop), thread_(thread) {}
    // Before the next so many multiply-adds: whether they should not begin.
    bool given_up(Index multiply_adds) {
        if (since_ < pace) return since_ += multiply_adds, stop_.stopped();
        since_ = multiply_adds;
        return stop_(thread_);
    }

private:
    static constexpr Index pace = 1'000'000;
    Stop& stop_;
    int thread_;
    Index since_ = 0;
};

}  // namespace convlet
