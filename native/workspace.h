// All memory of the core: taken before the first step of a call, kept for the next call, never in
// a step.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "network.h"

namespace convlet {

// Zeroed memory that begins on a cache line, with room behind it for the tail of a vector.
template <class T>
class Buffer {
public:
    Buffer() = default;
    explicit Buffer(Index size)
        : data_(static_cast<T*>(::operator new(bytes(size), std::align_val_t(64)))) {
        std::memset(data_, 0, bytes(size));
    }
    Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        return *this;
    }
    ~Buffer() { ::operator delete(data_, std::align_val_t(64)); }
    T* get() const { return data_; }
    T& operator[](Index n) const { return data_[n]; }

private:
    static std::size_t bytes(Index size) { return round_up(size * sizeof(T) + 64, 64); }
    T* data_ = nullptr;
};

// What a thread needs for a chunk of samples.
struct Arena {
    std::vector<Buffer<float>> frames;    // x^l of each sample kept, per convolution
    std::vector<Buffer<float>> errors;    // e^l of one sample, per convolution
    std::vector<Buffer<float>> deltas;    // dJ/dz^l of one sample, where no pool is
    std::vector<Buffer<float>> sums;      // of (3) in Winograd's form, over a block
    std::vector<Buffer<Winner>> winners;  // of each sample kept, per convolution
    Buffer<float> scratch;                // of Winograd's form
    Buffer<float> plane[2];               // z^l and what sigma^l makes of it, where not fused
    Buffer<Winner> plane_winners[2];
    Buffer<std::int32_t> offset, count;  // Survivors
    Buffer<float> delta;
    Buffer<float> features_error;                     // (samples, features)
    Buffer<float> lanes[2], truth;                    // (units, samples)
    Buffer<float> factor, cost;                       // (samples)
    Buffer<float> mask;                               // of dropout, one sample
    Buffer<float> bordered, field[2], scratch_field;  // of augmentation
    Buffer<float> partial[2];  // blocks of a chunk, four at most, that wait for their sibling
    Buffer<float> shards;      // sums of (8) of a shard each that wait for theirs

    // Room for augmented images of this size, their fields smoothed to this radius.
    void prepare_augmentation(int rows, int columns, int channels, int radius) {
        bordered = Buffer<float>(Index(rows + 3) * (columns + 3) * channels);
        for (Buffer<float>& one : field) one = Buffer<float>(Index(rows) * columns);
        scratch_field = Buffer<float>(rows * smooth_row(columns, radius));
    }
};

// Rows of the dense part, a row a sample; an array per dense stage, x[size] is what enters the
// softmax.
struct DenseRows {
    std::vector<Buffer<float>> x, z, delta, mask;
    DenseRows() = default;
    DenseRows(const Plan& plan, Index samples, bool backward) {
        x.emplace_back(samples * plan.features_row);
        for (const DensePlan& d : plan.denses) {
            z.emplace_back(samples * d.z_row);
            x.emplace_back(d.changes() ? samples * d.z_row : 0);
            if (backward) delta.emplace_back(samples * d.z_row);
            if (backward) mask.emplace_back(d.drops.empty() ? 0 : samples * d.z_row);
        }
    }
    // A stage without ReLU or dropout hands on z itself.
    float* input(const Plan& plan, std::size_t stage) const {
        return stage > 0 && !plan.denses[stage - 1].changes() ? z[stage - 1].get() : x[stage].get();
    }
};

struct Workspace {
    int threads;
    Index batch;  // 0: prediction
    Shards shards;
    int chunk;     // samples: part of a shard, or some whole ones
    Index chunks;  // of a shard
    Index group;   // shards of a chunk
    int kept;      // of a chunk, at a time between their way forward and back; whole blocks or less
    std::vector<Arena> arenas;
    std::vector<DenseRows> rows;  // training: one for the minibatch; prediction: one a thread
    Buffer<float> partials;       // a sum of blocks per chunk
    Buffer<float> packed, taps, gradient, zeros;
    Buffer<float> turned;  // prediction: the kernels of which `taps` were made; both begin as zeros
    Buffer<float> factor, cost;  // of every sample of the minibatch
    Buffer<double> squares;      // of each item's part of the gradient
    Buffer<double> sizes[2];     // of x^l and delta^l of dense stages: squares, per chunk
    Buffer<Index> samples;       // their numbers
    Buffer<Index> images;        // and where they stand among the images
    std::vector<std::vector<ConvPart>> parts;  // of each convolution, for one image on all threads
    bool shares_images = false;                // whether that pays for half of an image's work
    std::vector<TapsItem> shared_taps;         // what all parts of a stage read

    Workspace(const Plan& plan, int threads_, Index batch_, const Shards& shards_)
        : threads(threads_),
          batch(batch_),
          shards(shards_),
          chunk(batch > 0 ? plan.chunk(threads, shards.samples(batch)) : plan.most_chunk(false)),
          chunks((shards.largest(batch) + chunk - 1) / chunk) {
        const bool backward = batch > 0;
        kept = std::min(chunk, plan.most_kept());
        group = kept < block || shards.count == 1
                    ? 1
                    : std::max<Index>(1, chunk / shards.largest(batch));
        const Index lanes = round_up(chunk, sample_lanes);
        arenas.resize(threads);
        for (Arena& arena : arenas) {
            for (const ConvPlan& c : plan.convs) {
                arena.frames.emplace_back((backward ? kept : 1) * c.frame);
                if (backward) {
                    arena.errors.emplace_back(c.frame);
                    arena.deltas.emplace_back(c.delta_frame);
                    arena.sums.emplace_back(c.sums);
                    arena.winners.emplace_back(kept * c.winners);
                }
            }
            arena.scratch = Buffer<float>(plan.scratch);
            for (int n = 0; n < 2; ++n) {
                arena.plane[n] = Buffer<float>(plan.plane);
                arena.plane_winners[n] = Buffer<Winner>(plan.plane);
                arena.lanes[n] = Buffer<float>(plan.widest_map * lanes);
            }
            if (!backward) continue;
            arena.offset = Buffer<std::int32_t>(plan.survivors);
            arena.delta = Buffer<float>(plan.survivors);
            Index K = 0;
            for (const ConvPlan& c : plan.convs) K = std::max<Index>(K, c.spec.K);
            arena.count = Buffer<std::int32_t>(K);
            arena.features_error = Buffer<float>(kept * plan.features_row);
            arena.truth = Buffer<float>(plan.classes * lanes);
            arena.mask = Buffer<float>(plan.mask);
            arena.factor = Buffer<float>(lanes);
            arena.cost = Buffer<float>(lanes);
            for (Buffer<float>& partial : arena.partial) partial = Buffer<float>(plan.partial);
            if (shards.count > 1) arena.shards = Buffer<float>(shards.owned() * plan.most_rows);
        }
        Index most_K = 16;
        for (const ConvPlan& c : plan.convs) most_K = std::max<Index>({most_K, c.spec.K, c.spec.R});
        zeros = Buffer<float>(round_up(most_K, 16) + 16);
        Index taps_size = plan.taps, turned_size = backward ? 0 : plan.turned;
        if (!backward && threads > 1) divide(plan, taps_size, turned_size);
        taps = Buffer<float>(taps_size);
        turned = Buffer<float>(turned_size);
        if (backward) {
            rows.emplace_back(plan, batch, true);
            partials = Buffer<float>(shards.owned() * chunks * plan.partial);
            packed = Buffer<float>(plan.packed);
            gradient = Buffer<float>(plan.parameters);
            factor = Buffer<float>(batch);
            cost = Buffer<float>(batch);
            samples = Buffer<Index>(batch);
            images = Buffer<Index>(batch);
            squares = Buffer<double>(plan.items.size());
            for (Buffer<double>& of : sizes)
                of = Buffer<double>(shards.owned() * chunks * plan.denses.size());
        } else {
            for (int n = 0; n < threads; ++n) rows.emplace_back(plan, chunk, false);
        }
    }

private:
    void divide(const Plan& plan, Index& taps_size, Index& turned_size) {
        Index shared = 0;
        for (const ConvPlan& c : plan.convs) {
            parts.push_back(plan.parts(c, threads, taps_size, turned_size));
            if (parts.back().size() > 1) shared += c.spec.multiply_adds();
        }
        shares_images = 2 * shared > plan.multiply_adds;
        for (const TapsItem& item : plan.taps_items)
            if (!parts[item.stage][0].turns) shared_taps.push_back(item);
    }
};

}  // namespace convlet
