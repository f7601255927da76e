// One minibatch step: its samples chunk by chunk, its sums, and who asks meanwhile for signals.
#pragma once

#include <atomic>
#include <bit>
#include <chrono>

#include "passes.h"
#include "threads.h"

namespace convlet {

// Asks no more often than people notice.
class Poll {
public:
    explicit Poll(const Interrupted& interrupted) : interrupted_(interrupted) {}
    bool operator()() {
        if (heard_) return true;
        const auto now = std::chrono::steady_clock::now();
        if (now - last_ < std::chrono::milliseconds(50)) return false;
        last_ = now;
        return heard_ = interrupted_ && interrupted_();
    }

private:
    const Interrupted& interrupted_;
    bool heard_ = false;  // once is enough: the answer comes with an exception
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Whether work goes on; only the calling thread, number 0, asks for signals.
class Stop {
public:
    explicit Stop(const Interrupted& interrupted) : poll_(interrupted) {}
    bool operator()(int thread) {
        if (thread == 0 && poll_()) stop_.store(true, std::memory_order_relaxed);
        return stopped();
    }
    bool stopped() const { return stop_.load(std::memory_order_relaxed); }

private:
    Poll poll_;
    std::atomic<bool> stop_{false};
};

// The same from inside of an item, where one sample is long work.
struct Look {
    Stop& stop;
    int thread;
    bool often;
    bool given_up() const { return often && stop(thread); }
};

// The minibatch that a step is about.
struct Minibatch {
    Images images;
    Targets targets;
    Index size;
};

// The items of a step's phases; every thread of the team takes some.
class Step {
public:
    Step(const Kernels& kernels, const Plan& plan, const float* parameters, Workspace& space,
         const Regularisation& regularisation)
        : k_(kernels), plan_(plan), space_(space), passes_(kernels, plan, parameters, &space) {
        passes_.regularisation = regularisation;
    }

    // The factor of each sample in (13); false if all weights are 0.  `order` null: samples 0, 1,
    // ...
    bool begin(const Minibatch& batch, const std::int64_t* order) {
        batch_ = batch;
        double sum = 0;
        for (Index b = 0; b < batch.size; ++b) {
            const Index sample = order ? order[b] : b;
            space_.samples[b] = sample;
            sum += batch.targets.weight ? batch.targets.weight[sample] : 1;
        }
        for (Index b = 0; b < batch.size; ++b) {
            const double weight =
                batch.targets.weight ? batch.targets.weight[space_.samples[b]] : 1;
            space_.factor[b] = sum > 0 ? static_cast<float>(weight / sum) : 0;
        }
        return sum > 0;
    }

    int chunks() const { return static_cast<int>((batch_.size + space_.chunk - 1) / space_.chunk); }

    // An item of phase A: a chunk of samples forward, backward, and its convolution gradients.
    void samples(int chunk, int thread, Stop& stop) {
        const Index first = Index(chunk) * space_.chunk;
        const int count = static_cast<int>(std::min<Index>(space_.chunk, batch_.size - first));
        run_chunk(space_.arenas[thread], first, count,
                  space_.partials.get() + chunk * plan_.partial, {stop, thread, plan_.long_work()});
    }

    // An item of phase B: sums over the minibatch for one range of the flat vector.
    void derivative(const UpdateItem& item, float* gradient) {
        const DenseRows& rows = space_.rows[0];
        switch (item.kind) {
            case UpdateItem::Kind::conv_w: {
                const ConvPlan& c = plan_.convs[item.stage];
                const Index run = c.shape.run();
                float* dw = space_.partials.get() + c.dw;
                for (int k = 0; k < c.spec.K; ++k)
                    tree_over_chunks(c.dw + (Index(k) * c.spec.rows + item.first) * run,
                                     (item.last - item.first) * run);
                for (int p = item.first; p < item.last; ++p)
                    for (int q = 0; q < c.spec.columns; ++q)
                        k_.transpose(dw + p * run + q * c.shape.x_pixel, c.spec.rows * run,
                                     c.spec.K, c.spec.R, gradient + c.spec.w + Passes::tap(c, p, q),
                                     c.spec.K);
                break;
            }
            case UpdateItem::Kind::conv_b: {
                const Index n = item.end - item.begin;
                std::memcpy(gradient + item.begin, tree_over_chunks(plan_.convs[item.stage].db, n),
                            n * sizeof(float));
                break;
            }
            case UpdateItem::Kind::dense_w: {
                const DensePlan& s = plan_.denses[item.stage];
                const Index x_row = passes_.x_row(item.stage);
                k_.product({rows.input(plan_, item.stage) + item.first, 1, x_row},
                           item.last - item.first, batch_.size, rows.delta[item.stage].get(),
                           s.z_row, s.M, nullptr, gradient + item.begin, s.M);  // (8)
                break;
            }
            case UpdateItem::Kind::dense_b: {
                const DensePlan& s = plan_.denses[item.stage];
                k_.add_rows(rows.delta[item.stage].get(), s.z_row, batch_.size, s.M,
                            gradient + item.begin);  // (18)
                break;
            }
        }
    }

    // The same and the sum of its squares, kept for `norm`.
    void derivative_and_square(int n, float* gradient) {
        const UpdateItem& item = plan_.items[n];
        derivative(item, gradient);
        space_.squares[n] = k_.squares(gradient + item.begin, item.end - item.begin);
    }

    // Of the whole gradient; not finite if one element is not.
    double norm() const {
        double sum = 0;
        for (std::size_t n = 0; n < plan_.items.size(); ++n) sum += space_.squares[n];
        return std::sqrt(sum);
    }

    double cost() const {  // (13)
        double total = 0;
        for (Index b = 0; b < batch_.size; ++b)
            total += static_cast<double>(space_.factor[b]) * space_.cost[b];
        return total;
    }

    const Passes& passes() const { return passes_; }

private:
    void run_chunk(const Arena& arena, Index first, int count, float* partial, Look look) {
        const DenseRows& rows = space_.rows[0];
        for (int s = 0; s < count; ++s) {
            if (look.given_up()) return;
            float* features = rows.x[0].get() + (first + s) * plan_.features_row;
            const Index sample = space_.samples[first + s];
            if (first + s + 1 < batch_.size)
                passes_.fetch(batch_.images, space_.samples[first + s + 1]);
            passes_.input(arena, batch_.images, sample, s, features);
            passes_.forward_convs(arena, sample, s, true, features);
        }
        passes_.forward_dense(rows, first, count, space_.samples.get() + first);
        errors(arena, rows, first, count);
        passes_.backward_dense(arena, rows, first, count);
        if (!plan_.convs.empty())
            tree(arena, 0, (count + block - 1) / block, count, 0, partial, look);
    }

    // (14), (15) of a chunk: samples are lanes.
    void errors(const Arena& arena, const DenseRows& rows, Index first, int count) {
        const int M = plan_.classes, lanes = static_cast<int>(round_up(count, sample_lanes));
        const std::size_t D = plan_.denses.size();
        float* z = arena.lanes[0].get();
        float* y = arena.truth.get();
        std::memset(z, 0, sizeof(float) * M * lanes);
        k_.transpose(rows.input(plan_, D) + first * passes_.x_row(D), passes_.x_row(D), count, M, z,
                     lanes);
        std::memset(y, 0, sizeof(float) * M * lanes);
        for (int s = 0; s < lanes; ++s) {
            arena.factor[s] = s < count ? space_.factor[first + s] : 0;
            if (s >= count) continue;
            const Index sample = space_.samples[first + s];
            if (batch_.targets.classes)
                y[batch_.targets.classes[sample] * lanes + s] = 1;
            else
                for (int j = 0; j < M; ++j)
                    y[j * lanes + s] = batch_.targets.distributions[sample * M + j];
        }
        const float smoothing = passes_.regularisation.smoothing;
        if (smoothing > 0)
            for (int n = 0; n < M * lanes; ++n)
                y[n] = (1 - smoothing) * y[n] + smoothing / static_cast<float>(M);
        k_.cross_entropy(z, y, arena.factor.get(), M, lanes, arena.cost.get());
        std::memcpy(space_.cost.get() + first, arena.cost.get(), count * sizeof(float));
        float* delta =
            D ? rows.delta[D - 1].get() + first * passes_.x_row(D) : arena.features_error.get();
        k_.transpose(z, lanes, M, count, delta, passes_.x_row(D));
    }

    // Blocks [from, from + blocks) of the chunk, added along a binary tree over block numbers.
    void tree(const Arena& arena, int from, int blocks, int count, int depth, float* partial,
              Look look) {
        if (blocks == 1) {
            for (int s = from * block; s < std::min(count, (from + 1) * block); ++s) {
                if (look.given_up()) return;
                passes_.backward_convs(arena, s, s == from * block, space_.packed.get(), partial);
            }
            return;
        }
        const int left = static_cast<int>(std::bit_ceil(static_cast<unsigned>(blocks)) / 2);
        float* right = arena.partial[std::min(depth, 2)].get();
        tree(arena, from, left, count, depth + 1, partial, look);
        tree(arena, from + left, blocks - left, count, depth + 1, right, look);
        k_.add(partial, right, plan_.partial);
    }

    // The same tree over chunks, for the floats [begin, begin + n) of the partial gradients.
    float* tree_over_chunks(Index begin, Index n) {
        float* sum = space_.partials.get() + begin;
        for (Index step = 1; step < chunks(); step *= 2)
            for (Index m = 0; m + step < chunks(); m += 2 * step)
                k_.add(sum + m * plan_.partial, sum + (m + step) * plan_.partial, n);
        return sum;
    }

    const Kernels& k_;
    const Plan& plan_;
    Workspace& space_;
    Passes passes_;
    Minibatch batch_{};
};

// Phase A of one step after another.
class PhaseA {
public:
    PhaseA(Step& step, const Interrupted& interrupted)
        : step_(step), stop_(interrupted), work_([this](int chunk, int thread) {
              if (!stop_(thread)) step_.samples(chunk, thread, stop_);
          }) {}
    bool run(Team& team) {
        team.parallel(step_.chunks(), work_);
        return !stopped();
    }
    bool stopped() const { return stop_.stopped(); }

private:
    Step& step_;
    Stop stop_;
    const Team::Work work_;
};

}  // namespace convlet
