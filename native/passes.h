// The stages of one network with one set of parameters: the loops of (16)-(21) over them, for some
// samples at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine.h"
#include "workspace.h"

namespace convlet {

class Passes {
public:
    Passes(const Kernels& kernels, const Plan& plan, const float* parameters,
           const Workspace* space)
        : k_(kernels), plan_(plan), parameters_(parameters), space_(space) {}

    Regularisation regularisation;  // none in prediction

    // x^0 of image `sample` into the first frame or the first dense row.
    void input(const Arena& arena, Images images, Index sample, int slot, float* dense_row) const {
        const Index at = sample * plan_.input;
        if (regularisation.augmentation) {
            const Index row = Index(images.columns) * images.channels;
            Grid to{dense_row, row, images.channels};
            if (!plan_.convs.empty()) {
                const ConvPlan& c = plan_.convs[0];
                to = {arena.frames[0].get() + slot * c.frame + c.interior, c.shape.x_row,
                      c.shape.x_pixel};
            }
            return augmented(arena, images, sample, to);
        }
        if (plan_.convs.empty()) return copy(images, at, plan_.input, dense_row);
        const ConvPlan& c = plan_.convs[0];
        float* x = arena.frames[0].get() + slot * c.frame + c.interior;
        const Index length = Index(c.spec.W) * c.spec.R;
        if (length == c.shape.x_row) return copy(images, at, plan_.input, x);
        for (int row = 0; row < c.spec.H; ++row)
            copy(images, at + row * length, length, x + row * c.shape.x_row);
    }

    // Image `sample` on its way into the cache: a shuffled data set is read all over memory.
    void fetch(Images images, Index sample) const {
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
            const BiasView b = c.bias(parameters_, space_->zeros.get());
            Winner* winner = way_back ? arena.winners[l].get() + slot * c.winners : nullptr;
            const Grid out = output(arena, l, slot, features);
            if (!c.fused_layers) {
                layer_by_layer(arena, l, sample, x, b, out, winner);
                continue;
            }
            if (c.winograd)
                k_.winograd(c.shape, c.fused, x, space_->taps.get() + c.taps, b, out, winner,
                            arena.scratch.get());
            else
                k_.conv_pool(c.shape, c.fused, x, parameters_ + c.spec.w, b, out, winner);
            if (regularisation.dropout)
                for (std::size_t n = c.fused_layers; n < c.spec.sigma.size(); ++n)
                    drop(arena, l, n, sample, c.rows, c.columns, out, winner);
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
            if (!regularisation.dropout || s.drops.empty()) continue;
            float* masks = rows.mask[d].get() + row * s.z_row;
            for (int n = 0; n < count; ++n) dense_mask(d, samples[n], masks + n * s.z_row);
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
            if (regularisation.dropout && !s.drops.empty())
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
    void backward_convs(const Arena& arena, int slot, bool first, const float* packed,
                        float* partial) const {
        for (std::size_t l = plan_.convs.size(); l-- > 0;) {
            const ConvPlan& c = plan_.convs[l];
            const bool shared = c.spec.bias == Bias::channel;
            const Survivors list{arena.offset.get(), arena.delta.get(), arena.count.get(),
                                 survivors_stride(Index(c.rows) * c.columns)};
            float* db = partial + c.db;
            if (first) std::memset(db, 0, c.bias_size() * sizeof(float));
            k_.survivors(c.shape, arena.winners[l].get() + slot * c.winners, error(arena, l, slot),
                         c.rows, c.columns, regularisation.dropout ? c.kept_scale : 1, list,
                         shared ? db : nullptr);
            if (c.spec.bias == Bias::position) add_position_bias(c, list, db);
            const float* x = arena.frames[l].get() + slot * c.frame;
            if (l == 0) {
                k_.conv_dw(c.shape, x, list, first, partial + c.dw);  // (3)
                break;
            }
            float* dx = arena.errors[l].get();
            std::memset(dx, 0, c.frame * sizeof(float));
            k_.conv_dw_dx(c.shape, x, packed + c.packed, list, first, partial + c.dw,
                          dx);  // (3), (2)
        }
    }

    // The kernel rows [first, last) of stage l as (2) wants them.
    void pack(std::size_t l, int first, int last, float* packed) const {
        const ConvPlan& c = plan_.convs[l];
        if (l == 0) return;
        const Index run = c.shape.run();
        for (int p = first; p < last; ++p)
            for (int q = 0; q < c.spec.columns; ++q)
                k_.transpose(parameters_ + c.spec.w + tap(c, p, q), c.spec.K, c.spec.R, c.spec.K,
                             packed + c.packed + p * run + q * c.shape.x_pixel, c.spec.rows * run);
    }

    // Kernels as Winograd's form wants them.
    void turn(const TapsItem& item) const {
        const ConvPlan& c = plan_.convs[item.stage];
        k_.winograd_taps(c.shape, parameters_ + c.spec.w, item.first, item.last,
                         space_->taps.get() + c.taps);
    }
    void turn_all() const {
        for (const TapsItem& item : plan_.taps_items) turn(item);
    }

    // Image `sample`, augmented, into `to`.
    void augmented(const Arena& arena, Images images, Index sample, Grid to) const {
        const Augmentation& a = *regularisation.augmentation;
        const int H = images.rows, W = images.columns, R = images.channels;
        const auto id = static_cast<std::uint64_t>(sample);
        Philox words(regularisation.seed, Purpose::augment, id, 0, regularisation.epoch);
        const Affine map = a.draw(words);
        const Index row = Index(W + 3) * R;
        for (int i = 0; i < H; ++i)
            copy(images, (sample * H + i) * W * R, Index(W) * R,
                 arena.bordered.get() + (i + 1) * row + R);
        if (!a.taps.empty()) {
            Philox noise(regularisation.seed, Purpose::augment, id, 1, regularisation.epoch);
            float *dy = arena.field[0].get(), *dx = arena.field[1].get();
            const Index size = Index(H) * W;
            for (Index n = 0; n < size; n += 4) {
                const Philox::Block block = noise.block();
                for (Index k = 0; k < 4 && n + k < size; ++k) {
                    dy[n + k] = 0x1p-31f * static_cast<float>(static_cast<std::int32_t>(block[k]));
                    dx[n + k] =
                        0x1p-31f * static_cast<float>(static_cast<std::int32_t>(block[k] >> 32));
                }
            }
            for (float* field : {dy, dx})
                k_.smooth(field, H, W, a.taps.data(), a.radius(), arena.scratch_field.get());
        }
        const bool elastic = !a.taps.empty();
        k_.warp(arena.bordered.get(), H, W, R, map, elastic ? arena.field[0].get() : nullptr,
                elastic ? arena.field[1].get() : nullptr, a.elastic, to);
    }

    // Where tap (P-p, Q-q), which meets pixel (p, q) of a window, lies in the kernel (1).
    static Index tap(const ConvPlan& c, int p, int q) {
        const StageSpec& s = c.spec;
        return (Index(s.rows - 1 - p) * s.columns + (s.columns - 1 - q)) * s.R * s.K;
    }

private:
    void copy(Images images, Index at, Index n, float* x) const {
        if (images.bytes)
            k_.scale_bytes(images.bytes + at, n, x);
        else
            std::memcpy(x, images.floats + at, n * sizeof(float));
    }

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
            if (layer.kind == SigmaLayer::Kind::relu) k_.relu_winners(v, w, rows * columns * pixel);
            if (layer.kind == SigmaLayer::Kind::dropout && regularisation.dropout)
                drop(arena, l, n, sample, rows, columns, {v, columns * pixel, pixel}, w);
            if (layer.kind != SigmaLayer::Kind::max_pool) continue;
            const int I = (rows - layer.rows) / layer.stride_rows + 1;
            const int J = (columns - layer.columns) / layer.stride_columns + 1;
            k_.pool_winners({v, columns * pixel, pixel}, w, layer.rows, layer.columns,
                            layer.stride_rows, layer.stride_columns, I, J, spare, spare_w);
            std::swap(v, spare);
            std::swap(w, spare_w);
            rows = I, columns = J;
        }
        for (int i = 0; i < rows; ++i)
            for (int j = 0; j < columns; ++j)
                std::memcpy(out.at + i * out.row + j * out.pixel,
                            v + (Index(i) * columns + j) * pixel, s.K * sizeof(float));
        if (winner) std::memcpy(winner, w, c.winners * sizeof(Winner));
    }

    // Dropout of one sample: 0, or 1 / (1 - rate), for unit (i, j, k) by the next 32 bits.
    template <class Use>
    void each_kept(std::size_t stage, std::size_t place, float rate, Index sample, Index units,
                   const Use& use) const {
        Philox words(regularisation.seed, Purpose::dropout, static_cast<std::uint64_t>(sample),
                     dropout_place(stage, place), regularisation.epoch);
        const auto threshold = static_cast<std::uint64_t>(double(rate) * 0x1p32);
        const float scale = 1 / (1 - rate);
        for (Index unit = 0; unit < units; unit += 2) {
            const std::uint64_t word = words.next();
            use(unit, (word & 0xffffffff) >= threshold ? scale : 0);
            if (unit + 1 < units) use(unit + 1, word >> 32 >= threshold ? scale : 0);
        }
    }

    void drop(const Arena& arena, std::size_t l, std::size_t layer, Index sample, int rows,
              int columns, Grid x, Winner* winner) const {
        const std::vector<SigmaLayer>& sigma = plan_.convs[l].spec.sigma;
        std::size_t place = 0;  // among the dropout layers of the stage
        for (std::size_t n = 0; n < layer; ++n) place += sigma[n].kind == SigmaLayer::Kind::dropout;
        const int K = plan_.convs[l].spec.K;
        const Index pixel = round_up(K, 8);
        float* mask = arena.mask.get();
        each_kept(l, place, sigma[layer].rate, sample, Index(rows) * columns * K,
                  [&](Index unit, float kept) { mask[unit] = kept; });
        for (int i = 0; i < rows; ++i)
            for (int j = 0; j < columns; ++j, mask += K) {
                float* at = x.at + i * x.row + j * x.pixel;
                Winner* to = winner + (Index(i) * columns + j) * pixel;
                for (int k = 0; k < K; ++k) {
                    at[k] *= mask[k];
                    to[k] = mask[k] > 0 ? to[k] : -1;
                }
            }
    }

    // The product of all dropout layers of a dense stage.
    void dense_mask(std::size_t d, Index sample, float* mask) const {
        const DensePlan& s = plan_.denses[d];
        for (std::size_t n = 0; n < s.drops.size(); ++n)
            each_kept(plan_.convs.size() + d, n, s.drops[n], sample, s.M,
                      [&](Index unit, float kept) { mask[unit] = n ? mask[unit] * kept : kept; });
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
    const Workspace* space_;
};

}  // namespace convlet
