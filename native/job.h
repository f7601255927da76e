// What a call of the core is about: samples, and the steps over them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
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

// A minibatch in a fixed number of shards, of which [first, last) are summed here.  What a shard sums
// depends on its samples alone, and the sums meet along a binary tree over shard numbers: who sums
// which of them does not show in a bit.
struct Shards {
    Index count = 1, first = 0, last = 1;

    bool operator==(const Shards&) const = default;
    bool all() const { return owned() == count; }
    Index owned() const { return last - first; }
    // The first of `size` samples that belongs to a shard.
    Index begin(Index shard, Index size) const { return shard * size / count; }
    // The most samples that a shard has, and that all those here have together.
    Index largest(Index size) const { return (size + count - 1) / count; }
    Index samples(Index size) const { return (owned() * size + count - 1) / count; }

    // What is added here, each pair when both are whole: add(m, n) is the sum of the node that begins
    // with shard m and that of its sibling, which begins with n.
    template <class Add>
    void tree(const Add& add) const {
        for (Index step = 1; step < count; step *= 2)
            for (Index m = (first + 2 * step - 1) / (2 * step) * 2 * step;
                 m + step < count && std::min(m + 2 * step, count) <= last; m += 2 * step)
                add(m, m + step);
    }

    // The shards after that node, the largest that begins with shard m and lies within those here:
    // its sum is one of those that `tree` leaves.
    Index node_end(Index m) const {
        Index end = m + 1;
        for (Index step = 1; m % (2 * step) == 0; step *= 2) {
            const Index next = std::min(m + 2 * step, count);
            if (next > last || next == end) break;
            end = next;
        }
        return end;
    }
    Index nodes() const {
        Index n = 0;
        for (Index m = first; m < last; m = node_end(m)) ++n;
        return n;
    }
};

// The part that one of several workers has in every minibatch.
struct Share {
    Shards shards;
    std::span<const std::int64_t> rows;  // of each sample of the order, among the images here
    std::span<const double> totals;      // of the weights of each minibatch
    float* sums;                         // (nodes, parameters): what is summed here
    float* gradient;                     // (parameters)
    double* costs;                       // of each shard
    // Gives `sums` and the costs of the shards here to the others; then `costs` has those of all, and
    // `gradient` the sum of all.  False: not this step, and none after it.
    std::function<bool()> exchange;
};

// What a call of `train` did.
struct Trained {
    Index done = 0;         // whole steps
    bool diverged = false;  // the next one has a cost or a gradient that is not finite
};

// Of one stage and all images, (n, numbers) each: z^l, x^{l+1}, and of each image's own cost E^n
// dE/dz^l and dE/dx^l; dx is null where the core computes none, in a first stage that convolves.
struct Traced {
    float *z, *out, *delta, *dx;
};

}  // namespace convlet
