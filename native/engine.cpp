#include "engine.h"

#include <atomic>
#include <chrono>
#include <cmath>

#include "threads.h"
#include "workspace.h"

namespace convlet {
namespace {

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

// The stages of one network with one set of parameters; the loops of (16)-(21) over them.
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

// The minibatch that a step is about.
struct Minibatch {
    Images images;
    Targets targets;
    Index size;
};

// One step in its two phases; every thread of the team runs both.
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

// A thread takes whole blocks.
int useful_threads(int threads, Index batch) {
    return static_cast<int>(std::min<Index>(threads, (batch + block - 1) / block));
}

// b^n by repeated products: no library decides the bits.
double power(double b, Index n) {
    double result = 1;
    for (; n > 0; n /= 2, b *= b)
        if (n % 2) result *= b;
    return result;
}

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

}  // namespace

Engine::Engine(const Kernels& kernels, const std::vector<StageSpec>& stages, Index parameters)
    : kernels_(kernels), plan_(stages, parameters) {}

Engine::~Engine() = default;

std::unique_ptr<Workspace> Engine::borrow(int threads, Index batch) {
    if (const std::unique_lock lock(mutex_, std::try_to_lock); lock) {
        for (auto& spare : spare_)
            if (spare->threads == threads && spare->batch == batch) {
                auto found = std::move(spare);
                std::swap(spare, spare_.back());
                spare_.pop_back();
                return found;
            }
    }
    return std::make_unique<Workspace>(plan_, threads, batch);
}

void Engine::give_back(std::unique_ptr<Workspace> workspace) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return;
    if (spare_.size() == 2) spare_.erase(spare_.begin());
    spare_.push_back(std::move(workspace));
}

bool Engine::predict(const float* parameters, Images images, Index n, bool probabilities,
                     float* out, int threads, const Interrupted& interrupted) {
    auto space = borrow(threads, 0);
    const Passes passes(kernels_, plan_, parameters, space.get());
    passes.turn_all();
    const int M = plan_.classes;
    const std::size_t D = plan_.denses.size();
    // equal chunks, so that no thread waits for a last long one
    const Index rounds = (n + Index(threads) * space->chunk - 1) / (Index(threads) * space->chunk);
    const int chunk = static_cast<int>((n + rounds * threads - 1) / (rounds * threads));
    const Index chunks = (n + chunk - 1) / chunk;
    Stop stop(interrupted);
    const auto run = [&](Index first, int thread) {
        const Arena& arena = space->arenas[thread];
        const DenseRows& rows = space->rows[thread];
        const Look look{stop, thread, plan_.long_work()};
        const int count = static_cast<int>(std::min<Index>(chunk, n - first));
        for (int s = 0; s < count; ++s) {
            if (look.given_up()) return;
            float* features = rows.x[0].get() + s * plan_.features_row;
            passes.input(arena, images, first + s, 0, features);
            passes.forward_convs(arena, first + s, 0, false, features);
        }
        passes.forward_dense(rows, 0, count);
        const float* z = rows.input(plan_, D);
        const Index row = passes.x_row(D);
        if (!probabilities) {
            for (int s = 0; s < count; ++s)
                std::memcpy(out + (first + s) * M, z + s * row, M * sizeof(float));
            return;
        }
        const int lanes = static_cast<int>(round_up(count, sample_lanes));
        float* columns = arena.lanes[0].get();
        std::memset(columns, 0, sizeof(float) * M * lanes);
        kernels_.transpose(z, row, count, M, columns, lanes);
        kernels_.softmax(columns, M, lanes);
        kernels_.transpose(columns, lanes, M, count, out + first * M, M);
    };
    run_team(threads, [&](Team& team) {
        for (Index done = 0; done < chunks && !stop.stopped(); done += most_items)
            team.parallel(static_cast<int>(std::min<Index>(most_items, chunks - done)),
                          [&](int item, int thread) {
                              if (!stop(thread)) run((done + item) * chunk, thread);
                          });
    });
    give_back(std::move(space));
    return !stop.stopped();
}

bool Engine::gradients(const float* parameters, Images images, Targets targets, Index n,
                       float* gradient, double* cost, int threads, const Interrupted& interrupted) {
    threads = useful_threads(threads, n);
    auto space = borrow(threads, n);
    Step step(kernels_, plan_, parameters, *space, {});
    step.begin({images, targets, n}, nullptr);
    step.passes().turn_all();
    for (std::size_t l = 0; l < plan_.convs.size(); ++l)
        step.passes().pack(l, 0, plan_.convs[l].spec.rows, space->packed.get());
    PhaseA phase_a(step, interrupted);
    run_team(threads, [&](Team& team) {
        if (!phase_a.run(team)) return;
        team.parallel(static_cast<int>(plan_.items.size()),
                      [&](int item, int) { step.derivative(plan_.items[item], gradient); });
    });
    *cost = step.cost();
    give_back(std::move(space));
    return !phase_a.stopped();
}

TrainingResult Engine::train(float* parameters, const Training& job, double* costs, int threads,
                             const Interrupted& interrupted) {
    const Index total = static_cast<Index>(job.order.size());
    const Index largest = std::min(job.batch_size, total);
    threads = useful_threads(threads, largest);
    auto space = borrow(threads, largest);
    if (job.regularisation.augmentation)
        space->prepare_augmentation(job.images.rows, job.images.columns, job.images.channels,
                                    job.regularisation.augmentation->radius());
    Step step(kernels_, plan_, parameters, *space, job.regularisation);
    for (std::size_t l = 0; l < plan_.convs.size(); ++l)
        step.passes().pack(l, 0, plan_.convs[l].spec.rows, space->packed.get());
    step.passes().turn_all();
    PhaseA phase_a(step, interrupted);
    float* gradient = space->gradient.get();
    const int items = static_cast<int>(plan_.items.size());
    UpdateRule rule = job.rule;
    double power1 = power(rule.exact_beta1, job.updates);
    double power2 = power(rule.exact_beta2, job.updates);
    const Team::Work phase_b = [&](int n, int) { step.derivative_and_square(n, gradient); };
    const Team::Work phase_c = [&](int n, int) {
        const UpdateItem& item = plan_.items[n];
        kernels_.update(rule, parameters + item.begin, gradient + item.begin,
                        job.m ? job.m + item.begin : nullptr, job.v ? job.v + item.begin : nullptr,
                        item.end - item.begin);
        if (item.kind == UpdateItem::Kind::conv_w)
            step.passes().pack(item.stage, item.first, item.last, space->packed.get());
    };
    const int taps_items = static_cast<int>(plan_.taps_items.size());
    const Team::Work phase_d = [&](int n, int) { step.passes().turn(plan_.taps_items[n]); };
    TrainingResult result;
    run_team(threads, [&](Team& team) {
        for (Index first = 0; first < total; first += job.batch_size, ++result.steps) {
            const Minibatch batch{job.images, job.targets, std::min(job.batch_size, total - first)};
            costs[result.steps] = 0;
            rule.rate = job.rates[result.steps];
            rule.decay = static_cast<float>(job.rates[result.steps] * job.decay);
            power1 *= rule.exact_beta1, power2 *= rule.exact_beta2;
            rule.unbias1 = static_cast<float>(1 / (1 - power1));
            rule.unbias2 = static_cast<float>(1 / (1 - power2));
            if (!step.begin(batch, job.order.data() + first)) continue;
            if (!phase_a.run(team)) return;  // this step is abandoned, the ones before it are whole
            team.parallel(items, phase_b);
            costs[result.steps] = step.cost();
            const double norm = step.norm();
            result.diverged = !std::isfinite(norm) || !std::isfinite(costs[result.steps]);
            if (result.diverged) return;
            rule.scale = job.clip > 0 && norm > job.clip ? static_cast<float>(job.clip / norm) : 1;
            team.parallel(items, phase_c);
            if (taps_items) team.parallel(taps_items, phase_d);
        }
    });
    give_back(std::move(space));
    return result;
}

void Engine::augment(Images images, Index n, const Augmentation& augmentation, std::uint64_t seed,
                     std::uint64_t epoch, float* out) {
    Workspace space(plan_, 1, 1);
    space.prepare_augmentation(images.rows, images.columns, images.channels, augmentation.radius());
    Passes passes(kernels_, plan_, nullptr, &space);
    passes.regularisation = {seed, epoch, 0, false, &augmentation};
    const Index row = Index(images.columns) * images.channels;
    for (Index sample = 0; sample < n; ++sample)
        passes.augmented(space.arenas[0], images, sample,
                         {out + sample * plan_.input, row, images.channels});
}

}  // namespace convlet
