// One minibatch step: the items of its phases, which every thread of the team takes some of.
#pragma once

#include <bit>

#include "look.h"
#include "passes.h"

namespace convlet {

class Step {
public:
    // `regularisation` null: the derivative of the network as it is.
    Step(const Kernels& kernels, const Plan& plan, const float* parameters, Workspace& space,
         const Samples& data, const Regularisation* regularisation = nullptr,
         double label_smoothing = 0)
        : k_(kernels),
          plan_(plan),
          space_(space),
          data_(data),
          smoothing_(static_cast<float>(label_smoothing)),
          passes_(kernels, plan, parameters, space, regularisation),
          fused_(plan.denses.size()) {
        passes_.pack_all();
        passes_.turn_all();
    }

    // The next minibatch, of `size` samples, the first of `order`, or 0, 1, ... where that is null.
    // Sets the factor of each in (13); false if all weights are 0.
    bool begin(const std::int64_t* order, Index size) {
        size_ = size;
        const float* weight = data_.targets.weight;
        double sum = 0;
        for (Index b = 0; b < size; ++b) {
            const Index sample = order ? order[b] : b;
            space_.samples[b] = sample;
            sum += weight ? weight[sample] : 1;
        }
        for (Index b = 0; b < size; ++b) {
            const double omega = weight ? weight[space_.samples[b]] : 1;
            space_.factor[b] = sum > 0 ? static_cast<float>(omega / sum) : 0;
        }
        return sum > 0;
    }

    // Whether (8) of a dense stage and its step may be one: not where the norm of the gradient is
    // asked for before.
    void fuse_updates() { fuses_ = true; }

    Index chunks() const { return (size_ + space_.chunk - 1) / space_.chunk; }

    // An item of phase A: a chunk of samples forward, backward, and its convolution gradients.
    void samples(Index chunk, int thread, Stop& stop) {
        const Index first = chunk * space_.chunk;
        const int count = static_cast<int>(std::min<Index>(space_.chunk, size_ - first));
        run_chunk(space_.arenas[thread], first, count,
                  space_.partials.get() + chunk * plan_.partial, Look(stop, thread));
    }

    // Between A and B: the dense stages whose step is fused with (8), in phase C.
    //
    // A step is applied only where the gradient and the sum of its squares are finite.  By Cauchy
    // and Schwarz the sum of squares of dw = x^T delta is at most that of x times that of delta, and
    // bounds every element and every part of its chain; a product below 1e30 leaves room for the
    // rounding of 1e8 terms.  Where it is larger, or not a number, (8) is looked at before.
    void choose_fused() {
        for (std::size_t d = 0; d < plan_.denses.size(); ++d) {
            double size[2] = {0, 0};
            for (Index chunk = 0; chunk < chunks(); ++chunk)
                for (int n = 0; n < 2; ++n)
                    size[n] += space_.sizes[n][chunk * plan_.denses.size() + d];
            fused_[d] = may_fuse() && size[0] * size[1] < 1e30;
        }
    }

    // An item of phase B: sums over the minibatch for one range of the flat vector.
    void derivative(Index n, float* gradient, int thread, Stop& stop) {
        const UpdateItem& item = plan_.items[n];
        Look look(stop, thread);
        const DenseRows& rows = space_.rows[0];
        switch (item.kind) {
            case UpdateItem::Kind::conv_w: {
                const ConvPlan& c = plan_.convs[item.stage];
                if (!c.pooled) return copy_derivative(c, item, gradient, look);
                const Index run = c.shape.run();
                float* dw = space_.partials.get() + c.dw;
                for (int k = 0; k < c.spec.K; ++k)
                    tree_over_chunks(c.dw + (Index(k) * c.spec.rows + item.first) * run,
                                     (item.last - item.first) * run, look);
                for (int p = item.first; p < item.last; ++p)
                    for (int q = 0; q < c.spec.columns; ++q)
                        k_.transpose(dw + p * run + q * c.shape.x_pixel, c.spec.rows * run,
                                     c.spec.K, c.spec.R, gradient + c.spec.w + Passes::tap(c, p, q),
                                     c.spec.K);
                break;
            }
            case UpdateItem::Kind::conv_b: {
                const Index size = item.end - item.begin;
                std::memcpy(gradient + item.begin,
                            tree_over_chunks(plan_.convs[item.stage].db, size, look),
                            size * sizeof(float));
                break;
            }
            case UpdateItem::Kind::dense_w: {
                const DensePlan& s = plan_.denses[item.stage];
                const Index x_row = passes_.x_row(item.stage);
                const float* x = rows.input(plan_, item.stage);
                const int step = rows_at_a_time(size_ * s.M);
                for (int i = item.first; i < item.last; i += step) {
                    const int count = std::min(step, item.last - i);
                    if (look.given_up(count * size_ * s.M)) return;
                    k_.product({x + i, 1, x_row}, count, size_, rows.delta[item.stage].get(),
                               s.z_row, s.M, nullptr, gradient + s.w + Index(i) * s.M, s.M);  // (8)
                }
                break;
            }
            case UpdateItem::Kind::dense_b: {
                const DensePlan& s = plan_.denses[item.stage];
                k_.add_rows(rows.delta[item.stage].get(), s.z_row, size_, s.M,
                            gradient + item.begin);  // (18)
                break;
            }
        }
    }

    // The same and the sum of its squares, kept for `norm`.
    void derivative_and_square(Index n, float* gradient, int thread, Stop& stop) {
        const UpdateItem& item = plan_.items[n];
        space_.squares[n] = 0;
        if (fused(item)) return;
        derivative(n, gradient, thread, stop);
        space_.squares[n] = k_.squares(gradient + item.begin, item.end - item.begin);
    }

    // Of the gradient, but for the fused stages; not finite if one element is not.
    double norm() const {
        double sum = 0;
        for (std::size_t n = 0; n < plan_.items.size(); ++n) sum += space_.squares[n];
        return std::sqrt(sum);
    }

    double cost() const {  // (13)
        double total = 0;
        for (Index b = 0; b < size_; ++b)
            total += static_cast<double>(space_.factor[b]) * space_.cost[b];
        return total;
    }

    // An item of phase C: the update of one range of w and its slots, and its packed copy.
    // The kernel takes two slots: `most_slots`.
    void update(Index n, const UpdateRule& update_rule, const float* gradient, float* w,
                std::span<float* const> slots) {
        const UpdateItem& item = plan_.items[n];
        const auto slot = [&](std::size_t number) {
            return number < slots.size() ? slots[number] + item.begin : nullptr;
        };
        if (fused(item)) {
            const DensePlan& s = plan_.denses[item.stage];
            const DenseRows& rows = space_.rows[0];
            k_.product_update(
                update_rule,
                {rows.input(plan_, item.stage) + item.first, 1, passes_.x_row(item.stage)},
                item.last - item.first, size_, rows.delta[item.stage].get(), s.z_row, s.M,
                w + item.begin, slot(0), slot(1));  // (8), (21)
            return;
        }
        k_.update(update_rule, w + item.begin, gradient + item.begin, slot(0), slot(1),
                  item.end - item.begin);
        switch (item.kind) {
            case UpdateItem::Kind::conv_w: passes_.pack(item.stage, item.first, item.last); break;
            case UpdateItem::Kind::dense_w:
            case UpdateItem::Kind::conv_b:
            case UpdateItem::Kind::dense_b: break;
        }
    }

    // An item of phase D: some channels of a kernel for Winograd's form.
    void turn(Index n) {
        const Index forward = std::ssize(plan_.taps_items);
        passes_.turn(n < forward ? plan_.taps_items[n] : plan_.dx_taps_items[n - forward]);
    }

private:
    // Phase C cannot be abandoned: no long sums in it.
    bool may_fuse() const { return fuses_ && size_ <= 256; }
    bool fused(const UpdateItem& item) const {
        return item.kind == UpdateItem::Kind::dense_w && fused_[item.stage];
    }

    // Sums of squares of a chunk's rows, for `choose_fused`.
    void measure(const DenseRows& rows, Index first, int count) {
        const std::size_t D = plan_.denses.size();
        for (std::size_t d = 0; d < D; ++d) {
            const Index x_row = passes_.x_row(d), z_row = plan_.denses[d].z_row;
            const Index at = first / space_.chunk * D + d;
            space_.sizes[0][at] = k_.squares(rows.input(plan_, d) + first * x_row, count * x_row);
            space_.sizes[1][at] = k_.squares(rows.delta[d].get() + first * z_row, count * z_row);
        }
    }

    void run_chunk(const Arena& arena, Index first, int count, float* partial, Look look) {
        if (space_.kept < block && !plan_.convs.empty()) {
            run_block_in_parts(arena, first, count, partial, look);
        } else if (down_to_features(arena, first, count, look) && !plan_.convs.empty()) {
            tree(arena, 0, (count + block - 1) / block, count, 0, partial, look);
        }
        if (may_fuse()) measure(space_.rows[0], first, count);
    }

    // A chunk of one block whose frames would take too much memory: a few samples at a time there
    // and back, in the same chains.
    void run_block_in_parts(const Arena& arena, Index first, int count, float* partial,
                            Look& look) {
        for (int at = 0; at < count; at += space_.kept) {
            const int n = std::min(space_.kept, count - at);
            if (!down_to_features(arena, first + at, n, look)) return;
            for (int s = 0; s < n; ++s) {
                if (look.given_up(2 * plan_.multiply_adds)) return;
                passes_.backward_convs(arena, s, at + s == 0, partial);
            }
        }
        passes_.end_block(arena, partial);
    }

    // Samples forward through all stages and back through the dense ones; false: given up.
    bool down_to_features(const Arena& arena, Index first, int count, Look& look) {
        const DenseRows& rows = space_.rows[0];
        for (int s = 0; s < count; ++s) {
            if (look.given_up(plan_.multiply_adds)) return false;
            float* features = rows.x[0].get() + (first + s) * plan_.features_row;
            const Index sample = space_.samples[first + s];
            if (first + s + 1 < size_) passes_.fetch(data_.images, space_.samples[first + s + 1]);
            passes_.input(arena, data_.images, sample, s, features);
            passes_.forward_convs(arena, sample, s, true, features);
        }
        passes_.forward_dense(rows, first, count, space_.samples.get() + first);
        errors(arena, rows, first, count);
        passes_.backward_dense(arena, rows, first, count);
        return true;
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
            if (data_.targets.classes)
                y[data_.targets.classes[sample] * lanes + s] = 1;
            else
                for (int j = 0; j < M; ++j)
                    y[j * lanes + s] = data_.targets.distributions[sample * M + j];
        }
        if (smoothing_ > 0)
            for (int n = 0; n < M * lanes; ++n)
                y[n] = (1 - smoothing_) * y[n] + smoothing_ / static_cast<float>(M);
        k_.cross_entropy(z, y, arena.factor.get(), M, lanes, arena.cost.get());
        std::memcpy(space_.cost.get() + first, arena.cost.get(), count * sizeof(float));
        float* delta =
            D ? rows.delta[D - 1].get() + first * passes_.x_row(D) : arena.features_error.get();
        k_.transpose(z, lanes, M, count, delta, passes_.x_row(D));
    }

    // Blocks [from, from + blocks) of the chunk, added along a binary tree over block numbers.
    void tree(const Arena& arena, int from, int blocks, int count, int depth, float* partial,
              Look& look) {
        if (blocks == 1) {
            for (int s = from * block; s < std::min(count, (from + 1) * block); ++s) {
                if (look.given_up(2 * plan_.multiply_adds)) return;
                passes_.backward_convs(arena, s, s == from * block, partial);
            }
            passes_.end_block(arena, partial);
            return;
        }
        const int left = static_cast<int>(std::bit_ceil(static_cast<unsigned>(blocks)) / 2);
        float* right = arena.partial[std::min(depth, 2)].get();
        tree(arena, from, left, count, depth + 1, partial, look);
        tree(arena, from + left, blocks - left, count, depth + 1, right, look);
        k_.add(partial, right, plan_.partial);
    }

    // (3) of a stage without a pool lies like its kernel, but unflipped.
    void copy_derivative(const ConvPlan& c, const UpdateItem& item, float* gradient, Look& look) {
        const Index taps = Index(c.spec.R) * c.spec.K, row = c.spec.columns * taps;
        const float* dw =
            tree_over_chunks(c.dw + item.first * row, (item.last - item.first) * row, look);
        for (int p = item.first; p < item.last; ++p)
            for (int q = 0; q < c.spec.columns; ++q, dw += taps)
                std::memcpy(gradient + c.spec.w + Passes::tap(c, p, q), dw, taps * sizeof(float));
    }

    // The same tree over chunks, for the floats [begin, begin + n) of the partial gradients.
    float* tree_over_chunks(Index begin, Index n, Look& look) {
        float* sum = space_.partials.get() + begin;
        for (Index step = 1; step < chunks(); step *= 2)
            for (Index m = 0; m + step < chunks(); m += 2 * step) {
                if (look.given_up(n)) return sum;
                k_.add(sum + m * plan_.partial, sum + (m + step) * plan_.partial, n);
            }
        return sum;
    }

    // Rows of (8), each of so many multiply-adds, between two looks: some milliseconds of work, and
    // whole tiles.
    static int rows_at_a_time(Index multiply_adds) {
        return static_cast<int>(
            std::clamp<Index>(round_up(16'000'000 / multiply_adds, 8), 8, 1 << 20));
    }

    const Kernels& k_;
    const Plan& plan_;
    Workspace& space_;
    const Samples& data_;
    const float smoothing_;  // of the labels: y <- (1 - s) y + s / M
    const Passes passes_;
    Index size_ = 0;
    bool fuses_ = false;
    std::vector<char> fused_;  // per dense stage, in the step under way
};

}  // namespace convlet
