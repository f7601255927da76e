// One minibatch step: the items of its phases, which every thread of the team takes some of.
#pragma once

#include <bit>
#include <numeric>

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
          shards_(space.shards),
          data_(data),
          smoothing_(static_cast<float>(label_smoothing)),
          passes_(kernels, plan, parameters, space, regularisation),
          fused_(plan.denses.size()),
          costs_(shards_.count),
          node_of_(shards_.owned(), -1) {
        each_node([&](Index shard, Index node) { node_of_[shard - shards_.first] = node; });
        passes_.pack_all();
        passes_.turn_all();
    }

    // The next minibatch, of `size` samples, the first of `order`, or 0, 1, ... where that is null.
    // Sets the factor of each in (13); false if all weights are 0.
    bool begin(const std::int64_t* order, Index size) {
        const float* weight = data_.targets.weight;
        double sum = 0;
        for (Index b = 0; b < size; ++b) sum += weight ? weight[order ? order[b] : b] : 1;
        return begin(order, nullptr, size, sum);
    }

    // The same where the images of the shards here are all there is: sample b is image images[b].
    // sum: of the weights of all samples.
    bool begin(const std::int64_t* order, const std::int64_t* images, Index size, double sum) {
        size_ = size;
        const float* weight = data_.targets.weight;
        const Index last = shards_.begin(shards_.last, size);
        for (Index b = shards_.begin(shards_.first, size); b < last; ++b) {
            space_.samples[b] = order ? order[b] : b;
            space_.images[b] = images ? images[b] : space_.samples[b];
            const double omega = weight ? weight[space_.images[b]] : 1;
            space_.factor[b] = sum > 0 ? static_cast<float>(omega / sum) : 0;
        }
        return sum > 0;
    }

    // Whether (8) of a dense stage and its step may be one: not where the norm of the gradient is
    // asked for before.
    void fuse_updates() { fuses_ = true; }

    // Phases U and V before A, for networks whose threads keep units of the first stage for themselves:
    // an item of U is a chunk of samples as rows, one of V some units for all samples.
    void take_units(int threads) { unit_parts_ = plan_.unit_parts(threads); }
    int unit_parts() const { return unit_parts_; }
    void rows_of_images(Index chunk, int thread, Stop& stop) {
        const auto [first, count] = samples_of(chunk);
        Look look(stop, thread);
        read_images(space_.arenas[thread], first, count, look);
    }
    void units(Index part, int thread, Stop& stop) {
        const auto [first, last] = units_of(part);
        Look look(stop, thread);
        for (Index row = 0; row < size_; row += 256) {
            const int count = static_cast<int>(std::min<Index>(size_ - row, 256));
            if (look.given_up(Index(count) * plan_.denses[0].N * (last - first))) return;
            passes_.forward_dense_part(space_.rows[0], 0, row, count, first, last);
        }
    }

    Index chunks() const {
        const Index group = space_.group;
        return group > 1 ? (shards_.owned() + group - 1) / group
                         : shards_.owned() * chunks_of_shard();
    }

    // An item of phase A: a chunk of samples forward, backward, and its convolution gradients.
    void samples(Index chunk, int thread, Stop& stop) {
        const Arena& arena = space_.arenas[thread];
        if (space_.group > 1) {
            const Index from = shards_.first + chunk * space_.group,
                        to = std::min(from + space_.group, shards_.last);
            const auto [first, count] = samples_of(chunk);
            run_shards(arena, from, to, first, count, Look(stop, thread));
            if (may_fuse()) measure(space_.rows[0], chunk, first, count);
            return;
        }
        const Index shard = shards_.first + chunk / chunks_of_shard(),
                    place = chunk % chunks_of_shard();
        const auto [first, count] = samples_of(chunk);
        if (count > 0)
            run_chunk(arena, first, count, partial(shard, place), Look(stop, thread));
        else if (place == 0)
            clear(shard);
        if (may_fuse()) measure(space_.rows[0], chunk, first, count);
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

    // An item of phase B: sums over the samples here for one range of the flat vector, one for each
    // node of the tree over shards that is whole: the next one stands `plan.parameters` floats on.
    void derivative(Index n, float* gradient, int thread, Stop& stop) {
        const UpdateItem& item = plan_.items[n];
        Look look(stop, thread);
        const DenseRows& rows = space_.rows[0];
        switch (item.kind) {
            case UpdateItem::Kind::conv_w: {
                const ConvPlan& c = plan_.convs[item.stage];
                if (!c.pooled) return copy_derivative(c, item, gradient, look);
                const Index run = c.shape.run();
                for (int k = 0; k < c.spec.K; ++k)
                    sum_partials(c.dw + (Index(k) * c.spec.rows + item.first) * run,
                                 (item.last - item.first) * run, look);
                each_node([&](Index shard, Index node) {
                    const float* dw = partial(shard) + c.dw;
                    float* to = gradient + node * plan_.parameters + c.spec.w;
                    for (int p = item.first; p < item.last; ++p)
                        for (int q = 0; q < c.spec.columns; ++q)
                            k_.transpose(dw + p * run + q * c.shape.x_pixel, c.spec.rows * run,
                                         c.spec.K, c.spec.R, to + Passes::tap(c, p, q), c.spec.K);
                });
                break;
            }
            case UpdateItem::Kind::conv_b: {
                const Index db = plan_.convs[item.stage].db, size = item.end - item.begin;
                sum_partials(db, size, look);
                each_node([&](Index shard, Index node) {
                    std::memcpy(gradient + node * plan_.parameters + item.begin,
                                partial(shard) + db, size * sizeof(float));
                });
                break;
            }
            case UpdateItem::Kind::dense_w: {
                const DensePlan& s = plan_.denses[item.stage];
                const Index x_row = passes_.x_row(item.stage);
                const float* x = rows.input(plan_, item.stage);
                const int most = rows_at_a_time(size_ * s.M),
                          step = shards_.owned() > 1 ? std::min(most, s.rows_of_shards()) : most;
                for (int i = item.first; i < item.last; i += step) {
                    const int count = std::min(step, item.last - i);
                    if (look.given_up(count * size_ * s.M)) return;
                    sum_shards(thread, gradient + s.w + Index(i) * s.M, count * s.M,
                               [&](Index first, Index samples, float* to) {
                                   k_.product({x + first * x_row + i, 1, x_row}, count, samples,
                                              rows.delta[item.stage].get() + first * s.z_row,
                                              s.z_row, s.M, nullptr, to, s.M);  // (8)
                               });
                }
                break;
            }
            case UpdateItem::Kind::dense_b: {
                const DensePlan& s = plan_.denses[item.stage];
                sum_shards(thread, gradient + item.begin, s.M,
                           [&](Index first, Index samples, float* to) {
                               k_.add_rows(rows.delta[item.stage].get() + first * s.z_row, s.z_row,
                                           samples, s.M, to);  // (18)
                           });
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
        square(n, gradient);
    }

    void square(Index n, const float* gradient) {
        const UpdateItem& item = plan_.items[n];
        space_.squares[n] = k_.squares(gradient + item.begin, item.end - item.begin);
    }

    // Of the gradient, but for the fused stages; not finite if one element is not.
    double norm() const {
        double sum = 0;
        for (std::size_t n = 0; n < plan_.items.size(); ++n) sum += space_.squares[n];
        return std::sqrt(sum);
    }

    // Its part of (13) of each shard here, at its place among all.
    void costs(double* each) const {
        for (Index shard = shards_.first; shard < shards_.last; ++shard) {
            each[shard] = 0;
            for (Index b = shards_.begin(shard, size_); b < shards_.begin(shard + 1, size_); ++b)
                each[shard] += static_cast<double>(space_.factor[b]) * space_.cost[b];
        }
    }
    double cost() {  // (13), where all shards are here
        costs(costs_.data());
        return std::accumulate(costs_.begin(), costs_.end(), 0.0);
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
            if (item.stage == 0 && unit_parts_) return;  // by units
            const DensePlan& s = plan_.denses[item.stage];
            const DenseRows& rows = space_.rows[0];
            k_.product_update(
                update_rule,
                {rows.input(plan_, item.stage) + item.first, 1, passes_.x_row(item.stage)},
                item.last - item.first, size_, shards_.count, rows.delta[item.stage].get(), s.z_row,
                s.M, w + item.begin, s.M, slot(0), slot(1));  // (8), (21)
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

    // Items of phase C: those of the plan, between the units of the first half of the team and of the
    // second, so that the caller finds the units that it had in V first, and a helper its own last.
    Index updates() const { return std::ssize(plan_.items) + unit_parts_; }
    void update_or_units(Index n, const UpdateRule& update_rule, const float* gradient, float* w,
                         std::span<float* const> slots) {
        const Index before = unit_parts_ / 2, items = std::ssize(plan_.items);
        if (n >= before && n < before + items)
            update(n - before, update_rule, gradient, w, slots);
        else
            update_units(n < before ? n : n - items, update_rule, w, slots);
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

    // The update of the weights of some units of the first stage.
    void update_units(Index part, const UpdateRule& update_rule, float* w,
                      std::span<float* const> slots) {
        if (!fused_[0]) return;  // by rows, with the norm
        const DensePlan& s = plan_.denses[0];
        const DenseRows& rows = space_.rows[0];
        const auto [first, last] = units_of(part);
        const auto at = [&](float* vector) { return vector + s.w + first; };
        k_.product_update(update_rule, {rows.input(plan_, 0), 1, passes_.x_row(0)}, s.N, size_,
                          shards_.count, rows.delta[0].get() + first, s.z_row, last - first, at(w),
                          s.M, slots.size() > 0 ? at(slots[0]) : nullptr,
                          slots.size() > 1 ? at(slots[1]) : nullptr);  // (8), (21)
    }

    // The units of the first stage that are a part's, whole cache lines.
    std::pair<int, int> units_of(Index part) const {
        const int lines = (plan_.denses[0].M + 15) / 16;
        const auto begin = [&](Index n) {
            return std::min(plan_.denses[0].M, static_cast<int>(lines * n / unit_parts_) * 16);
        };
        return {begin(part), begin(part + 1)};
    }

    // The first of a chunk's samples, and their number.
    std::pair<Index, int> samples_of(Index chunk) const {
        if (space_.group > 1) {
            const Index from = shards_.first + chunk * space_.group,
                        to = std::min(from + space_.group, shards_.last);
            const Index first = shards_.begin(from, size_);
            return {first, static_cast<int>(shards_.begin(to, size_) - first)};
        }
        const Index shard = shards_.first + chunk / chunks_of_shard(),
                    place = chunk % chunks_of_shard();
        const Index first = shards_.begin(shard, size_) + place * space_.chunk;
        const Index left = shards_.begin(shard + 1, size_) - first;
        return {first, static_cast<int>(std::clamp<Index>(left, 0, space_.chunk))};
    }

    // Sums of squares of a chunk's rows, for `choose_fused`.
    void measure(const DenseRows& rows, Index chunk, Index first, Index count) {
        const std::size_t D = plan_.denses.size();
        for (std::size_t d = 0; d < D; ++d) {
            const Index x_row = passes_.x_row(d), z_row = plan_.denses[d].z_row;
            const Index at = chunk * D + d;
            space_.sizes[0][at] = k_.squares(rows.input(plan_, d) + first * x_row, count * x_row);
            space_.sizes[1][at] = k_.squares(rows.delta[d].get() + first * z_row, count * z_row);
        }
    }

    void run_chunk(const Arena& arena, Index first, int count, float* partial, Look look) {
        if (space_.kept < block && !plan_.convs.empty()) {
            run_block_in_parts(arena, first, count, partial, look);
        } else if (down_to_features(arena, first, count, look) && !plan_.convs.empty()) {
            tree(arena, 0, 0, (count + block - 1) / block, count, 0, partial, look);
        }
    }

    // A chunk of whole shards.
    void run_shards(const Arena& arena, Index from, Index to, Index first, int count, Look look) {
        if (count > 0 && !down_to_features(arena, first, count, look)) return;
        if (plan_.convs.empty()) return;
        for (Index shard = from; shard < to; ++shard) {
            const Index slot = shards_.begin(shard, size_) - first;
            const int n = static_cast<int>(shards_.begin(shard + 1, size_) - first - slot);
            if (n > 0)
                tree(arena, slot, 0, (n + block - 1) / block, n, 0, partial(shard), look);
            else
                clear(shard);
        }
    }

    // An empty shard adds nothing.
    void clear(Index shard) { std::memset(partial(shard), 0, plan_.partial * sizeof(float)); }

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

    // Samples forward through the convolutional stages; false: given up.
    bool read_images(const Arena& arena, Index first, int count, Look& look) {
        const Index last = shards_.begin(shards_.last, size_);
        for (int s = 0; s < count; ++s) {
            if (look.given_up(plan_.multiply_adds)) return false;
            float* features = space_.rows[0].x[0].get() + (first + s) * plan_.features_row;
            const Index sample = space_.samples[first + s];
            if (first + s + 1 < last) passes_.fetch(data_.images, space_.images[first + s + 1]);
            passes_.input(arena, data_.images, space_.images[first + s], sample, s, features);
            passes_.forward_convs(arena, sample, s, true, features);
        }
        return true;
    }

    // Samples forward through all stages and back through the dense ones; false: given up.
    bool down_to_features(const Arena& arena, Index first, int count, Look& look) {
        const DenseRows& rows = space_.rows[0];
        if (!unit_parts_ && !read_images(arena, first, count, look)) return false;
        passes_.forward_dense(rows, first, count, space_.samples.get() + first,
                              unit_parts_ ? 1 : 0);
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
            const Index image = space_.images[first + s];
            if (data_.targets.classes)
                y[data_.targets.classes[image] * lanes + s] = 1;
            else
                for (int j = 0; j < M; ++j)
                    y[j * lanes + s] = data_.targets.distributions[image * M + j];
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

    // Blocks [from, from + blocks) of the `count` samples from `slot` on, added along a binary tree
    // over block numbers.
    void tree(const Arena& arena, Index slot, int from, int blocks, int count, int depth,
              float* partial, Look& look) {
        if (blocks == 1) {
            for (int s = from * block; s < std::min(count, (from + 1) * block); ++s) {
                if (look.given_up(2 * plan_.multiply_adds)) return;
                passes_.backward_convs(arena, static_cast<int>(slot) + s, s == from * block,
                                       partial);
            }
            passes_.end_block(arena, partial);
            return;
        }
        const int left = static_cast<int>(std::bit_ceil(static_cast<unsigned>(blocks)) / 2);
        float* right = arena.partial[std::min(depth, 1)].get();
        tree(arena, slot, from, left, count, depth + 1, partial, look);
        tree(arena, slot, from + left, blocks - left, count, depth + 1, right, look);
        k_.add(partial, right, plan_.partial);
    }

    // (3) of a stage without a pool lies like its kernel, but unflipped.
    void copy_derivative(const ConvPlan& c, const UpdateItem& item, float* gradient, Look& look) {
        const Index taps = Index(c.spec.R) * c.spec.K, row = c.spec.columns * taps;
        const Index begin = c.dw + item.first * row;
        sum_partials(begin, (item.last - item.first) * row, look);
        each_node([&](Index shard, Index node) {
            const float* dw = partial(shard) + begin;
            float* to = gradient + node * plan_.parameters + c.spec.w;
            for (int p = item.first; p < item.last; ++p)
                for (int q = 0; q < c.spec.columns; ++q, dw += taps)
                    std::memcpy(to + Passes::tap(c, p, q), dw, taps * sizeof(float));
        });
    }

    // Chunks of the largest shard; a smaller one has fewer, at the same places.
    Index chunks_of_shard() const {
        return std::max<Index>(1, (shards_.largest(size_) + space_.chunk - 1) / space_.chunk);
    }

    // The partial gradient of a chunk.
    float* partial(Index shard, Index place = 0) const {
        return space_.partials.get() +
               ((shard - shards_.first) * space_.chunks + place) * plan_.partial;
    }

    // The same tree over the chunks of each shard, then over shards, for the floats [begin, begin + n)
    // of the partial gradients.
    void sum_partials(Index begin, Index n, Look& look) {
        for (Index shard = shards_.first; shard < shards_.last; ++shard) {
            const Index size = shards_.begin(shard + 1, size_) - shards_.begin(shard, size_);
            const Index chunks = (size + space_.chunk - 1) / space_.chunk;
            for (Index step = 1; step < chunks; step *= 2)
                for (Index m = 0; m + step < chunks; m += 2 * step) {
                    if (look.given_up(n)) return;
                    k_.add(partial(shard, m) + begin, partial(shard, m + step) + begin, n);
                }
        }
        shards_.tree([&](Index m, Index sibling) {
            k_.add(partial(m) + begin, partial(sibling) + begin, n);
        });
    }

    // n floats of every node, the first one's to `gradient`: `sum` gives those of a shard, from its
    // first sample and their number.
    template <class Sum>
    void sum_shards(int thread, float* gradient, Index n, const Sum& sum) {
        const auto at = [&](Index shard) {
            const Index node = node_of_[shard - shards_.first];
            return node >= 0 ? gradient + node * plan_.parameters
                             : space_.arenas[thread].shards.get() + (shard - shards_.first) * n;
        };
        for (Index shard = shards_.first; shard < shards_.last; ++shard) {
            const Index first = shards_.begin(shard, size_);
            const Index samples = shards_.begin(shard + 1, size_) - first;
            if (samples > 0)
                sum(first, samples, at(shard));
            else
                std::memset(at(shard), 0, n * sizeof(float));
        }
        shards_.tree([&](Index m, Index sibling) { k_.add(at(m), at(sibling), n); });
    }

    // Calls use(its first shard, its number) for each node.
    template <class Use>
    void each_node(const Use& use) const {
        for (Index m = shards_.first, node = 0; m < shards_.last; m = shards_.node_end(m))
            use(m, node++);
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
    const Shards shards_;
    const Samples& data_;
    const float smoothing_;  // of the labels: y <- (1 - s) y + s / M
    const Passes passes_;
    Index size_ = 0;
    bool fuses_ = false;
    int unit_parts_ = 0;          // of the first stage, where threads keep units of it; or 0
    std::vector<char> fused_;     // per dense stage, in the step under way
    std::vector<double> costs_;   // of each shard
    std::vector<Index> node_of_;  // the number of the node that begins with a shard here, or -1
};

}  // namespace convlet
