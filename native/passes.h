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

    // x^0 of image `sample` into the first frame or the first dense row.
    void input(const Arena& arena, const Images& images, Index sample, int slot,
               float* dense_row) const {
        const Index row = Index(images.columns) * images.channels;
        Grid to{dense_row, row, images.channels};
        if (!plan_.convs.empty()) {
            const ConvPlan& c = plan_.convs[0];
            to = {arena.frames[0].get() + slot * c.frame + c.interior, c.shape.x_row,
                  c.shape.x_pixel};
        }
        if (regularisation_ && regularisation_->augments())
            return regularisation_->augment(arena, images, sample, to);
        const Index at = sample * plan_.input;
        if (to.row == row) return images.copy(k_, at, plan_.input, to.at);
        for (int i = 0; i < images.rows; ++i)
            images.copy(k_, at + i * row, row, to.at + i * to.row);
    }

    // Image `sample` on its way into the cache: a shuffled data set is read all over memory.
    void fetch(const Images& images, Index sample) const {
        const Index size = plan_.input * (images.bytes ? 1 : sizeof(float));
        const char* from = images.bytes ? reinterpret_cast<const char*>(images.bytes)
                                        : reinterpret_cast<const char*>(images.floats);
        for (Index at = 0; at < std::min<Index>(size, 4096); at += 64)
            __builtin_prefetch(from + sample * size + at);
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
            if (!c.fused_layers) {
                layer_by_layer(arena, l, sample, x, b, out, winner);
                continue;
            }
            if (c.winograd)
                k_.winograd(c.shape, c.fused, x, space_.taps.get() + c.taps, b, out, winner,
                            arena.scratch.get());
            else
                k_.conv_pool(c.shape, c.fused, x, parameters_ + c.spec.w, b, out, winner);
            if (regularisation_)
                for (std::size_t n = c.fused_layers; n < c.spec.sigma.size(); ++n)
                    regularisation_->drop(arena, c, l, n, sample, c.rows, c.columns, out, winner);
        }
    }

    // The dense stages over `count` samples whose rows begin at `row`; `samples` are their numbers.
    void forward_dense(const DenseRows& rows, Index row, int count,
                       const Index* samples = nullptr) const {
        for (std::size_t d = 0; d < plan_.denses.size(); ++d) {
            const DensePlan& s = plan_.denses[d];
            const float* x = rows.input(plan_, d) + row * x_row(d);
            float* z = rows.z[d].get() + row * s.z_row;
            k_.product({x, x_row(d), 1}, count, s.N, parameters_ + s.w, s.M, s.M,
                       s.bias ? parameters_ + s.b : nullptr, z, s.z_row);  // (6)
            if (!s.changes()) continue;
            float* out = rows.x[d + 1].get() + row * s.z_row;
            if (s.relus)
                k_.relu(z, count * s.z_row, out);
            else
                std::memcpy(out, z, count * s.z_row * sizeof(float));
            if (!regularisation_ || s.drops.empty()) continue;
            float* masks = rows.mask[d].get() + row * s.z_row;
            for (int n = 0; n < count; ++n)
                regularisation_->dense_mask(s, plan_.convs.size() + d, samples[n],
                                            masks + n * s.z_row);
            k_.multiply(out, masks, count * s.z_row);
        }
    }

    Index x_row(std::size_t d) const {
        return d == 0 ? plan_.features_row : plan_.denses[d - 1].z_row;
    }

    // From the errors below the softmax, in the rows of the last stage, down to the features.
    void backward_dense(const Arena& arena, const DenseRows& rows, Index row, int count) const {
        const int lanes = static_cast<int>(round_up(count, sample_lanes));
        for (std::size_t d = plan_.denses.size(); d-- > 0;) {
            const DensePlan& s = plan_.denses[d];
            float* delta = rows.delta[d].get() + row * s.z_row;
            if (regularisation_ && !s.drops.empty())
                k_.multiply(delta, rows.mask[d].get() + row * s.z_row, count * s.z_row);
            if (s.relus)
                k_.relu_backward(rows.z[d].get() + row * s.z_row, std::ldexp(1.0f, -s.relus),
                                 count * s.z_row, delta);  // (19), (20)
            if (d == 0 && plan_.convs.empty()) return;
            k_.transpose(delta, s.z_row, count, s.M, arena.lanes[0].get(), lanes);
            k_.product({parameters_ + s.w, s.M, 1}, s.N, s.M, arena.lanes[0].get(), lanes, lanes,
                       nullptr, arena.lanes[1].get(), lanes);  // (7)
            float* below =
                d == 0 ? arena.features_error.get() : rows.delta[d - 1].get() + row * x_row(d);
            k_.transpose(arena.lanes[1].get(), lanes, s.N, count, below, x_row(d));
        }
    }

    // (20), (21) of one sample through the convolutional stages, into a block's partial gradient.
    void backward_convs(const Arena& arena, int slot, bool first, float* partial) const {
        for (std::size_t l = plan_.convs.size(); l-- > 0;) {
            const ConvPlan& c = plan_.convs[l];
            const Survivors list{arena.offset.get(), arena.delta.get(), arena.count.get(),
                                 survivors_stride(Index(c.rows) * c.columns)};
            float* db = partial + c.db;
            if (first) std::memset(db, 0, c.spec.bias_size() * sizeof(float));
            const auto list_survivors = [&](float* shared_db) {
                k_.survivors(c.shape, arena.winners[l].get() + slot * c.winners,
                             error(arena, l, slot), c.rows, c.columns,
                             regularisation_ ? c.kept_scale : 1, list, shared_db);
            };
            switch (c.spec.bias) {
                case Bias::none: list_survivors(nullptr); break;
                case Bias::channel: list_survivors(db); break;
                case Bias::position:
                    list_survivors(nullptr);
                    add_position_bias(c, list, db);
                    break;
            }
            const float* x = arena.frames[l].get() + slot * c.frame;
            if (l == 0) {
                k_.conv_dw(c.shape, x, list, first, partial + c.dw);  // (3)
                break;
            }
            float* dx = arena.errors[l].get();
            std::memset(dx, 0, c.frame * sizeof(float));
            k_.conv_dw_dx(c.shape, x, space_.packed.get() + c.packed, list, first, partial + c.dw,
                          dx);  // (3), (2)
        }
    }

    // The kernel rows [first, last) of stage l as (2) wants them.
    void pack(std::size_t l, int first, int last) const {
        if (l == 0) return;  // nobody asks for the error of x^0
        const ConvPlan& c = plan_.convs[l];
        const Index run = c.shape.run();
        float* packed = space_.packed.get() + c.packed;
        for (int p = first; p < last; ++p)
            for (int q = 0; q < c.spec.columns; ++q)
                k_.transpose(parameters_ + c.spec.w + tap(c, p, q), c.spec.K, c.spec.R, c.spec.K,
                             packed + p * run + q * c.shape.x_pixel, c.spec.rows * run);
    }

    // Kernels as Winograd's form wants them.
    void turn(const TapsItem& item) const {
        const ConvPlan& c = plan_.convs[item.stage];
        k_.winograd_taps(c.shape, parameters_ + c.spec.w, item.first, item.last,
                         space_.taps.get() + c.taps);
    }
    void turn_all() const {
        for (const TapsItem& item : plan_.taps_items) turn(item);
    }
    void pack_all() const {
        for (std::size_t l = 0; l < plan_.convs.size(); ++l) pack(l, 0, plan_.convs[l].spec.rows);
    }

    // Where tap (P-p, Q-q), which meets pixel (p, q) of a window, lies in the kernel (1).
    static Index tap(const ConvPlan& c, int p, int q) {
        const StageSpec& s = c.spec;
        return (Index(s.rows - 1 - p) * s.columns + (s.columns - 1 - q)) * s.R * s.K;
    }

private:
    Grid output(const Arena& arena, std::size_t l, int slot, float* features) const {
        const ConvPlan& c = plan_.convs[l];
        if (l + 1 == plan_.convs.size()) return {features, Index(c.columns) * c.spec.K, c.spec.K};
        const ConvPlan& next = plan_.convs[l + 1];
        return {arena.frames[l + 1].get() + slot * next.frame + next.interior, next.shape.x_row,
                next.shape.x_pixel};
    }

    Grid error(const Arena& arena, std::size_t l, int slot) const {
        const ConvPlan& c = plan_.convs[l];
        if (l + 1 == plan_.convs.size())
            return {arena.features_error.get() + slot * plan_.features_row,
                    Index(c.columns) * c.spec.K, c.spec.K};
        const ConvPlan& next = plan_.convs[l + 1];
        return {arena.errors[l + 1].get() + next.interior, next.shape.x_row, next.shape.x_pixel};
    }

    // Any sigma^l: z as a whole, then each layer with its winners.
    void layer_by_layer(const Arena& arena, std::size_t l, Index sample, const float* x, BiasView b,
                        Grid out, Winner* winner) const {
        const ConvPlan& c = plan_.convs[l];
        const StageSpec& s = c.spec;
        const Index pixel = round_up(s.K, 8);
        float* v = arena.plane[0].get();
        float* spare = arena.plane[1].get();
        Winner* w = arena.plane_winners[0].get();
        Winner* spare_w = arena.plane_winners[1].get();
        k_.conv(c.shape, x, parameters_ + s.w, b, {v, s.J * pixel, pixel});
        k_.own_place(c.shape, w);
        int rows = s.I, columns = s.J;
        for (std::size_t n = 0; n < s.sigma.size(); ++n) {
            const SigmaLayer& layer = s.sigma[n];
            const Grid x{v, columns * pixel, pixel};
            switch (layer.kind) {
                case SigmaLayer::Kind::relu: k_.relu_winners(v, w, rows * columns * pixel); break;
                case SigmaLayer::Kind::dropout:
                    if (regularisation_)
                        regularisation_->drop(arena, c, l, n, sample, rows, columns, x, w);
                    break;
                case SigmaLayer::Kind::max_pool:
                    rows = layer.pooled_rows(rows), columns = layer.pooled_columns(columns);
                    k_.pool_winners(x, w, layer.rows, layer.columns, layer.stride_rows,
                                    layer.stride_columns, rows, columns, spare, spare_w);
                    std::swap(v, spare);
                    std::swap(w, spare_w);
                    break;
            }
        }
        for (int i = 0; i < rows; ++i)
            for (int j = 0; j < columns; ++j)
                std::memcpy(out.at + i * out.row + j * out.pixel,
                            v + (Index(i) * columns + j) * pixel, s.K * sizeof(float));
        if (winner) std::memcpy(winner, w, c.winners * sizeof(Winner));
    }

    static void add_position_bias(const ConvPlan& c, const Survivors& list, float* db) {
        const Index columns = c.shape.x_row / c.shape.x_pixel;
        for (int k = 0; k < c.spec.K; ++k)
            for (Index e = k * list.stride; e < k * list.stride + list.count[k]; ++e) {
                const Index place = list.offset[e] / c.shape.x_pixel;
                const Index i = place / columns / c.spec.s1, j = place % columns / c.spec.s2;
                db[(i * c.spec.J + j) * c.spec.K + k] += list.delta[e];  // (18)
            }
    }

    const Kernels& k_;
    const Plan& plan_;
    const float* parameters_;
    const Workspace& space_;
    const Regularisation* regularisation_;
};

}  // namespace convlet
