// The way forward and back: the loops of (16)-(21) over the stages of one network with one set of
// parameters, for some samples at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "regularise.h"

namespace convlet {

class Passes {
public:
    // `regularisation` null: prediction, or the derivative of the network as it is.
    Passes(const Kernels& kernels, const Plan& plan, const float* parameters,
           const Workspace& space, const Regularisation* regularisation = nullptr)
        : k_(kernels),
          plan_(plan),
          parameters_(parameters),
          space_(space),
          regularisation_(regularisation) {}

    // x^0 of an image, number `sample` of all, into the first frame or the first dense row.
    void input(const Arena& arena, const Images& images, Index image, Index sample, int slot,
               float* dense_row) const {
        if (regularisation_ && regularisation_->augments())
            return regularisation_->augment(arena, images, image, sample,
                                            first_grid(arena, images, slot, dense_row));
        input_rows(arena, images, image, slot, dense_row, 0, images.rows);
    }

    // Rows [first, last) of it, as it is.
    void input_rows(const Arena& arena, const Images& images, Index image, int slot,
                    float* dense_row, int first, int last) const {
        const Index row = Index(images.columns) * images.channels;
        const Grid to = first_grid(arena, images, slot, dense_row);
        const Index at = image * plan_.input;
        if (to.row == row)
            return images.copy(k_, at + first * row, (last - first) * row, to.at + first * row);
        for (int i = first; i < last; ++i) images.copy(k_, at + i * row, row, to.at + i * to.row);
    }

    // An image on its way into the cache: a shuffled data set is read all over memory.
    void fetch(const Images& images, Index image) const {
        const Index size = plan_.input * (images.bytes ? 1 : sizeof(float));
        const char* from = images.bytes ? reinterpret_cast<const char*>(images.bytes)
                                        : reinterpret_cast<const char*>(images.floats);
        for (Index at = 0; at < std::min<Index>(size, 4096); at += 64)
            __builtin_prefetch(from + image * size + at);
    }

    // (17), (16) through the convolutional stages; the last output goes to `features`.
    void forward_convs(const Arena& arena, Index sample, int slot, bool way_back,
                       float* features) const {
        for (std::size_t l = 0; l < plan_.convs.size(); ++l) {
            const ConvPlan& c = plan_.convs[l];
            const float* x = arena.frames[l].get() + slot * c.frame;
            const BiasView b = c.bias(parameters_, space_.zeros.get());
            Winner* winner = way_back ? arena.winners[l].get() + slot * c.winners : nullptr;
            const Grid out = output(arena, l, slot, features);
            conv_stage(arena, c, l, sample, x, b, out, winner);
            if (regularisation_ && !c.layered)
                for (std::size_t n = c.fused_layers; n < c.spec.sigma.size(); ++n)
                    regularisation_->drop(arena, c, l, n, sample, c.rows, c.columns, out, winner);
        }
    }

    // The same for a part of one stage's output, without a way back.  The frames are those of
    // `image`, the memory to work in is the thread's.
    void forward_part(const Arena& image, const Arena& own, std::size_t l, const ConvPart& part,
                      float* features, bool first) const {
        const ConvPlan& c = part.plan;
        BiasView b = plan_.convs[l].bias(parameters_, space_.zeros.get());
        b.b += part.z_row * b.row + part.channel;
        Grid out = output(image, l, 0, features);
        out.at += part.row * out.row + part.channel;
        const float* x = image.frames[l].get() + part.z_row * c.spec.s1 * c.shape.x_row;
        if (part.turns && first) turn_changed(c, 0, c.spec.R);
        conv_stage(own, c, l, 0, x, b, out, nullptr);
    }

    // The dense stages over `count` samples whose rows begin at `row`; `samples` are their numbers.
    // Of the first `units_done` of them `forward_dense_part` has computed all units.
    void forward_dense(const DenseRows& rows, Index row, int count, const Index* samples = nullptr,
                       std::size_t units_done = 0) const {
        for (std::size_t d = 0; d < plan_.denses.size(); ++d) {
            const DensePlan& s = plan_.denses[d];
            if (d >= units_done) forward_dense_rows(rows, d, row, count);
            if (!regularisation_ || s.drops.empty()) continue;
            float* masks = rows.mask[d].get() + row * s.z_row;
            for (int n = 0; n < count; ++n)
                regularisation_->dense_mask(s, plan_.convs.size() + d, samples[n],
                                            masks + n * s.z_row);
            k_.multiply(rows.x[d + 1].get() + row * s.z_row, masks, count * s.z_row);
        }
    }

    // Units [first, last) of stage d over `count` rows from `row` on, without dropout.
    void forward_dense_part(const DenseRows& rows, std::size_t d, Index row, int count, int first,
                            int last) const {
        const DensePlan& s = plan_.denses[d];
        float* z = rows.z[d].get() + row * s.z_row + first;
        k_.product({rows.input(plan_, d) + row * x_row(d), x_row(d), 1}, count, s.N,
                   parameters_ + s.w + first, s.M, last - first,
                   s.bias ? parameters_ + s.b + first : nullptr, z, s.z_row);  // (6)
        if (!s.changes()) return;
        float* out = rows.x[d + 1].get() + row * s.z_row + first;
        for (Index at = 0; at < count * s.z_row; at += s.z_row)
            if (s.relus)
                k_.relu(z + at, last - first, out + at);
            else
                std::memcpy(out + at, z + at, (last - first) * sizeof(float));
    }

    Index x_row(std::size_t d) const {
        return d == 0 ? plan_.features_row : plan_.denses[d - 1].z_row;
    }

    // From the errors below the softmax, in the rows of the last stage, down to the features.
    void backward_dense(const Arena& arena, const DenseRows& rows, Index row, int count) const {
        for (std::size_t d = plan_.denses.size(); d-- > 0;) {
            const DensePlan& s = plan_.denses[d];
            float* delta = rows.delta[d].get() + row * s.z_row;
            if (regularisation_ && !s.drops.empty())
                k_.multiply(delta, rows.mask[d].get() + row * s.z_row, count * s.z_row);
            if (s.relus)
                k_.relu_backward(rows.z[d].get() + row * s.z_row, std::ldexp(1.0f, -s.relus),
                                 count * s.z_row, delta);  // (19), (20)
            if (d == 0 && plan_.convs.empty()) return;
            float* below =
                d == 0 ? arena.features_error.get() : rows.delta[d - 1].get() + row * x_row(d);
            dense_error(arena, d, delta, count, below);
        }
    }

    // dJ/dx of a dense stage, from the rows of its dJ/dz.
    void dense_error(const Arena& arena, std::size_t d, const float* delta, int count,
                     float* below) const {
        const DensePlan& s = plan_.denses[d];
        const int done = k_.sparse_error(delta, s.z_row, count, s.M, parameters_ + s.w, s.N, below,
                                         x_row(d));  // (7)
        if (done == s.N) return;
        const int lanes = static_cast<int>(round_up(count, sample_lanes));
        k_.transpose(delta, s.z_row, count, s.M, arena.lanes[0].get(), lanes);
        // rows of w that stay in the cache while they meet all samples
        const int step = static_cast<int>(round_up(65536 / s.M + 1, 8));
        for (int i = done; i < s.N; i += step)
            k_.product({parameters_ + s.w + Index(i) * s.M, s.M, 1}, std::min(step, s.N - i), s.M,
                       arena.lanes[0].get(), lanes, lanes, nullptr,
                       arena.lanes[1].get() + Index(i) * lanes, lanes);  // (7)
        k_.transpose(arena.lanes[1].get() + Index(done) * lanes, lanes, s.N - done, count,
                     below + done, x_row(d));
    }

    // (20), (21) of one sample through the convolutional stages, into a block's partial gradient.
    void backward_convs(const Arena& arena, int slot, bool first, float* partial) const {
        for (std::size_t l = plan_.convs.size(); l-- > 0;) {
            const ConvPlan& c = plan_.convs[l];
            if (first) std::memset(partial + c.db, 0, c.spec.bias_size() * sizeof(float));
            if (c.pooled)
                backward_survivors(arena, l, slot, first, partial);
            else
                backward_errors(arena, l, slot, first, partial);
        }
    }

    // What a block has summed in Winograd's form, into its partial gradient.
    void end_block(const Arena& arena, float* partial) const {
        for (std::size_t l = 0; l < plan_.convs.size(); ++l)
            if (const ConvPlan& c = plan_.convs[l]; c.sums)
                k_.winograd_dw_sum(c.shape, arena.sums[l].get(), partial + c.dw);  // (3)
    }

    // The kernel rows [first, last), by their place in a window, of stage l as (2) wants them.
    void pack(std::size_t l, int first, int last) const {
        if (l == 0) return;  // nobody asks for the error of x^0
        const ConvPlan& c = plan_.convs[l];
        const StageSpec& s = c.spec;
        float* packed = space_.packed.get() + c.packed;
        const Index run = c.shape.run();
        if (c.pooled)
            for (int p = first; p < last; ++p)
                for (int q = 0; q < s.columns; ++q)
                    k_.transpose(parameters_ + s.w + tap(c, p, q), s.K, s.R, s.K,
                                 packed + p * run + q * c.shape.x_pixel, s.rows * run);
        for (const Phase& phase : c.phases)
            for (int m = 0; m < phase.shape.rows; ++m)
                for (int n = 0; n < phase.shape.columns; ++n) {
                    const int p = s.s1 * m + phase.row, q = s.s2 * n + phase.column;
                    if (p < first || p >= last) continue;
                    const Index at = (Index(m) * phase.shape.columns + n) * s.K * s.R;
                    k_.transpose(parameters_ + s.w + tap(c, p, q), s.K, s.R, s.K,
                                 packed + phase.taps + at, s.R);
                }
    }

    // Kernels as Winograd's form wants them.
    void turn(const TapsItem& item) const {
        const ConvPlan& c = plan_.convs[item.stage];
        if (item.back)
            k_.winograd_taps(c.phases[0].shape, space_.packed.get() + c.packed, item.first,
                             item.last, space_.taps.get() + c.dx_taps);
        else
            turn(c, item.first, item.last);
    }
    // The same for (1) in prediction: a kernel that is still what it was is in Winograd's form from
    // the call before.
    void turn_changed(const TapsItem& item) const {
        turn_changed(plan_.convs[item.stage], item.first, item.last);
    }
    void turn_all() const {
        for (const TapsItem& item : plan_.taps_items) turn(item);
        for (const TapsItem& item : plan_.dx_taps_items) turn(item);
    }
    void pack_all() const {
        for (std::size_t l = 0; l < plan_.convs.size(); ++l) pack(l, 0, plan_.convs[l].spec.rows);
    }

    // Where tap (P-p, Q-q), which meets pixel (p, q) of a window, lies in the kernel (1).
    static Index tap(const ConvPlan& c, int p, int q) {
        const StageSpec& s = c.spec;
        return (Index(s.rows - 1 - p) * s.columns + (s.columns - 1 - q)) * s.R * s.K;
    }

    // z^l of (17) alone, from the frame of x^l: (I, J) pixels of K channels, rounded up to 8.
    void affine(const Arena& arena, std::size_t l, int slot, Grid z) const {
        const ConvPlan& c = plan_.convs[l];
        convolve(arena, c, Fused::none, arena.frames[l].get() + slot * c.frame,
                 c.bias(parameters_, space_.zeros.get()), z, nullptr);
    }

    // Where x^{l+1} goes.
    Grid output(const Arena& arena, std::size_t l, int slot, float* features) const {
        const ConvPlan& c = plan_.convs[l];
        if (l + 1 == plan_.convs.size()) return {features, Index(c.columns) * c.spec.K, c.spec.K};
        const ConvPlan& next = plan_.convs[l + 1];
        return {arena.frames[l + 1].get() + slot * next.frame + next.interior, next.shape.x_row,
                next.shape.x_pixel};
    }

    // dJ/dz behind a pool, where it is not 0, of some rows of windows; db (K) += its sums, which may
    // be null.
    Survivors survivors(const Arena& arena, std::size_t l, int slot, int row, int rows,
                        float* db) const {
        const ConvPlan& c = plan_.convs[l];
        const Survivors list{arena.offset.get(), arena.delta.get(), arena.count.get(),
                             survivors_stride(Index(c.rows) * c.columns)};
        Grid above = error(arena, l, slot);
        above.at += row * above.row;
        k_.survivors(c.shape,
                     winners(arena, l, slot) + Index(row) * c.columns * round_up(c.spec.K, 8),
                     above, rows, c.columns, scale(c), list, db);
        return list;
    }

    // Calls use(i, j, k, error) for each.
    template <class Use>
    static void each_survivor(const ConvPlan& c, const Survivors& list, const Use& use) {
        const Index columns = c.shape.x_row / c.shape.x_pixel;
        for (int k = 0; k < c.spec.K; ++k)
            for (Index e = k * list.stride; e < k * list.stride + list.count[k]; ++e) {
                const Index place = list.offset[e] / c.shape.x_pixel;
                use(place / columns / c.spec.s1, place % columns / c.spec.s2, k, list.delta[e]);
            }
    }

private:
    void turn(const ConvPlan& c, int first, int last) const {
        k_.winograd_taps(c.shape, parameters_ + c.spec.w, first, last, space_.taps.get() + c.taps);
    }

    void turn_changed(const ConvPlan& c, int first, int last) const {
        const ConvShape& s = c.shape;
        bool changed = false;
        // rows of K floats, or of several channels where they lie side by side
        const bool all = s.w_row() == s.K;
        const int step = all ? last - first : 1;
        const Index size = Index(step) * s.K;
        for (int tap = 0; tap < s.rows * s.columns; ++tap)
            for (int r = first; r < last; r += step) {
                const Index row = Index(tap) * s.R + r;
                const float* now = parameters_ + c.spec.w + row * s.w_row();
                float* before = space_.turned.get() + c.turned + row * s.K;
                if (std::memcmp(now, before, size * sizeof(float)) == 0) continue;
                std::memcpy(before, now, size * sizeof(float));
                changed = true;
            }
        if (changed) turn(c, first, last);
    }

    // Where x^0 goes.
    Grid first_grid(const Arena& arena, const Images& images, int slot, float* dense_row) const {
        if (plan_.convs.empty())
            return {dense_row, Index(images.columns) * images.channels, images.channels};
        const ConvPlan& c = plan_.convs[0];
        return {arena.frames[0].get() + slot * c.frame + c.interior, c.shape.x_row,
                c.shape.x_pixel};
    }

    // (6) of stage d and its ReLU.
    void forward_dense_rows(const DenseRows& rows, std::size_t d, Index row, int count) const {
        const DensePlan& s = plan_.denses[d];
        const float* x = rows.input(plan_, d) + row * x_row(d);
        float* z = rows.z[d].get() + row * s.z_row;
        k_.product({x, x_row(d), 1}, count, s.N, parameters_ + s.w, s.M, s.M,
                   s.bias ? parameters_ + s.b : nullptr, z, s.z_row);  // (6)
        if (!s.changes()) return;
        float* out = rows.x[d + 1].get() + row * s.z_row;
        if (s.relus)
            k_.relu(z, count * s.z_row, out);
        else
            std::memcpy(out, z, count * s.z_row * sizeof(float));
    }

    Grid error(const Arena& arena, std::size_t l, int slot) const {
        const ConvPlan& c = plan_.convs[l];
        if (l + 1 == plan_.convs.size())
            return {arena.features_error.get() + slot * plan_.features_row,
                    Index(c.columns) * c.spec.K, c.spec.K};
        const ConvPlan& next = plan_.convs[l + 1];
        return {arena.errors[l + 1].get() + next.interior, next.shape.x_row, next.shape.x_pixel};
    }

    // sigma^l of (1), by the kernels that the stage has.
    void conv_stage(const Arena& arena, const ConvPlan& c, std::size_t l, Index sample,
                    const float* x, BiasView b, Grid out, Winner* winner) const {
        if (c.layered)
            layer_by_layer(arena, c, l, sample, x, b, out, winner);
        else
            convolve(arena, c, c.fused, x, b, out, winner);
    }

    // (1) and what is fused with it, in the form that serves.
    void convolve(const Arena& arena, const ConvPlan& c, Fused fused, const float* x, BiasView b,
                  Grid out, Winner* winner) const {
        if (c.winograd)
            k_.winograd(c.shape, fused, x, space_.taps.get() + c.taps, b, out, winner,
                        arena.scratch.get());
        else
            k_.conv(c.shape, fused, x, parameters_ + c.spec.w, b, out, winner);
    }

    // Behind a pool: the errors that survive, as lists, some rows of windows at a time.
    void backward_survivors(const Arena& arena, std::size_t l, int slot, bool first,
                            float* partial) const {
        const ConvPlan& c = plan_.convs[l];
        float* db = partial + c.db;
        const float* x = arena.frames[l].get() + slot * c.frame;
        float* dx = arena.errors[l].get();
        if (l > 0) std::memset(dx, 0, c.frame * sizeof(float));
        for (int row = 0; row < c.rows; row += c.band) {
            const Survivors list = survivors(arena, l, slot, row, std::min(c.band, c.rows - row),
                                             c.spec.bias == Bias::channel ? db : nullptr);
            if (c.spec.bias == Bias::position) add_position_bias(c, list, db);
            const bool begins = first && row == 0;
            if (l == 0)
                k_.conv_dw(c.shape, x, list, begins, partial + c.dw);  // (3)
            else
                k_.conv_dw_dx(c.shape, x, space_.packed.get() + c.packed, list, begins,
                              partial + c.dw, dx);  // (3), (2)
        }
    }

    // Without a pool: an error in every place.
    void backward_errors(const Arena& arena, std::size_t l, int slot, bool first,
                         float* partial) const {
        const ConvPlan& c = plan_.convs[l];
        const StageSpec& s = c.spec;
        float* frame = arena.deltas[l].get();
        float* db = partial + c.db;
        const Grid delta{frame + c.delta_interior, c.delta_row, round_up(s.K, 8)};
        k_.errors(c.shape, winners(arena, l, slot), error(arena, l, slot), scale(c), delta,
                  s.bias == Bias::channel ? db : nullptr);
        if (s.bias == Bias::position)
            for (int i = 0; i < s.I; ++i)
                for (int j = 0; j < s.J; ++j, db += s.K)
                    k_.add(db, delta.at + i * delta.row + j * delta.pixel, s.K);  // (18)
        const float* x = arena.frames[l].get() + slot * c.frame;
        if (c.sums)
            k_.winograd_dw(c.shape, x, delta, first, arena.sums[l].get(), arena.scratch.get());
        else
            k_.conv_dw_of_errors(c.shape, x, delta, first, partial + c.dw);  // (3)
        for (const Phase& phase : c.phases) {
            const float* from = frame + phase.delta;
            const BiasView none{space_.zeros.get(), 0, 0};
            const Grid dx{arena.errors[l].get() + phase.dx, s.s1 * c.shape.x_row,
                          s.s2 * c.shape.x_pixel};
            if (c.dx_taps >= 0)
                k_.winograd(phase.shape, Fused::none, from, space_.taps.get() + c.dx_taps, none, dx,
                            nullptr, arena.scratch.get());
            else
                k_.conv(phase.shape, Fused::none, from, space_.packed.get() + c.packed + phase.taps,
                        none, dx, nullptr);  // (2)
        }
    }

    const Winner* winners(const Arena& arena, std::size_t l, int slot) const {
        return arena.winners[l].get() + slot * plan_.convs[l].winners;
    }

    // What dropout multiplied the outputs by that it kept.
    float scale(const ConvPlan& c) const { return regularisation_ ? c.kept_scale : 1; }

    // Any sigma^l: z, or R(z), as a whole, then each layer with its winners.  What the last pool,
    // or (1) if there is none, writes goes to its destination, and other layers change it there.
    void layer_by_layer(const Arena& arena, const ConvPlan& c, std::size_t l, Index sample,
                        const float* x, BiasView b, Grid out, Winner* winner) const {
        const StageSpec& s = c.spec;
        const Index pixel = round_up(s.K, 8);
        auto pools = std::count_if(s.sigma.begin(), s.sigma.end(), [](const SigmaLayer& layer) {
            return layer.kind == SigmaLayer::Kind::max_pool;
        });
        int rows = s.I, columns = s.J;
        Grid at{};
        Winner* marks = nullptr;
        const auto next = [&](int plane) {
            at = pools ? Grid{arena.plane[plane].get(), columns * pixel, pixel} : out;
            marks = pools && winner ? arena.plane_winners[plane].get() : winner;
        };
        next(0);
        const bool relu = !s.sigma.empty() && s.sigma[0].kind == SigmaLayer::Kind::relu;
        convolve(arena, c, relu ? Fused::relu : Fused::none, x, b, at, marks);
        for (std::size_t n = relu; n < s.sigma.size(); ++n) {
            const SigmaLayer& layer = s.sigma[n];
            switch (layer.kind) {
                case SigmaLayer::Kind::relu: k_.relu_winners(at, rows, columns, s.K, marks); break;
                case SigmaLayer::Kind::dropout:
                    if (regularisation_)
                        regularisation_->drop(arena, c, l, n, sample, rows, columns, at, marks);
                    break;
                case SigmaLayer::Kind::max_pool: {
                    const Grid before = at;
                    const Winner* before_marks = marks;
                    const int before_columns = columns;
                    rows = layer.pooled_rows(rows), columns = layer.pooled_columns(columns);
                    if (--pools == 0) rows = c.rows;  // a part may have z of a row more
                    next(before.at == arena.plane[0].get());
                    k_.pool_winners(before, before_columns, before_marks, layer.rows, layer.columns,
                                    layer.stride_rows, layer.stride_columns, rows, columns, s.K, at,
                                    marks);
                    break;
                }
            }
        }
    }

    static void add_position_bias(const ConvPlan& c, const Survivors& list, float* db) {
        each_survivor(c, list, [&](Index i, Index j, int k, float delta) {
            db[(i * c.spec.J + j) * c.spec.K + k] += delta;  // (18)
        });
    }

    const Kernels& k_;
    const Plan& plan_;
    const float* parameters_;
    const Workspace& space_;
    const Regularisation* regularisation_;
};

}  // namespace convlet
