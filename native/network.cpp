#include "network.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <stdexcept>

namespace convlet {
namespace {

bool halves(const SigmaLayer& layer) {
    return layer.kind == SigmaLayer::Kind::max_pool && layer.rows == 2 && layer.columns == 2 &&
           layer.stride_rows == 2 && layer.stride_columns == 2;
}

// What is computed with (1), if these layers are all that do not drop.
std::optional<Fused> fused(const std::vector<SigmaLayer>& sigma) {
    const auto relu = [](const SigmaLayer& layer) { return layer.kind == SigmaLayer::Kind::relu; };
    if (sigma.empty()) return Fused::none;
    if (sigma.size() == 1 && relu(sigma[0])) return Fused::relu;
    if (sigma.size() == 2 && relu(sigma[0]) && halves(sigma[1])) return Fused::relu_pool;
    if (sigma.size() == 2 && halves(sigma[0]) && relu(sigma[1])) return Fused::pool_relu;
    if (sigma.size() == 1 && halves(sigma[0])) return Fused::pool;
    return {};
}

// What sigma does to a stage: the size of its output, and the kernels that serve.
void plan_sigma(ConvPlan& plan) {
    int relus = 0;
    std::vector<SigmaLayer> others;  // than dropout
    bool dropped = false, only_dropout_follows = true;
    for (const SigmaLayer& layer : plan.spec.sigma) {
        switch (layer.kind) {
            case SigmaLayer::Kind::dropout:
                plan.kept_scale *= 1 / (1 - layer.number);
                dropped = true;
                continue;
            case SigmaLayer::Kind::relu: ++relus; break;
            case SigmaLayer::Kind::max_pool:
                plan.pooled = true;
                if (layer.rows > layer.stride_rows || layer.columns > layer.stride_columns)
                    plan.shape.ordered = false;  // windows overlap
                plan.rows = layer.pooled_rows(plan.rows);
                plan.columns = layer.pooled_columns(plan.columns);
                break;
        }
        others.push_back(layer);
        only_dropout_follows = only_dropout_follows && !dropped;
    }
    if (relus > 30) throw std::length_error("more than 30 ReLU layers in one stage");
    if (const auto kernel = fused(others); kernel && only_dropout_follows) {
        plan.layered = false;
        plan.fused = *kernel;
        plan.fused_layers = static_cast<int>(others.size());
    }
}

// Along one axis of a kernel with so many taps: the pixels of x^l with remainder `phase`.
struct PhaseAxis {
    int taps;          // that meet them
    int first, count;  // windows of dJ/dz, the first one by its last place
    PhaseAxis(int kernel, int stride, int before, int pixels, int phase)
        : taps((kernel - 1 - phase) / stride + 1),
          first((before - phase + stride - 1) / stride),
          count((before + pixels - 1 - phase + stride) / stride - first) {}
};

// (2) without a pool: dx_tuv = sum over m, n, k of delta_(t' - m)(u' - n)k w_(P - s1 m - a)(Q - s2 n
// - b)vk with t = s1 t' + a, u = s2 u' + b, for each (a, b) a convolution (1) of delta.
void plan_errors(ConvPlan& plan, bool first_stage) {
    const StageSpec& s = plan.spec;
    const Index pixel = round_up(s.K, 8);
    const int above = first_stage ? 0 : (s.rows - 1) / s.s1;
    const int left = first_stage ? 0 : (s.columns - 1) / s.s2;
    const int rows = above + std::max(s.I, first_stage ? 0 : (s.above + s.H - 1) / s.s1 + 1);
    const int columns = left + std::max(s.J, first_stage ? 0 : (s.left + s.W - 1) / s.s2 + 1);
    plan.delta_row = columns * pixel;
    plan.delta_interior = above * plan.delta_row + left * pixel;
    plan.delta_frame = rows * plan.delta_row;
    if (first_stage) return;  // nobody asks for the error of x^0
    Index taps = 0;
    // pixels whose remainder is beyond the kernel meet no window: their error stays 0
    for (int a = 0; a < std::min(s.s1, s.rows); ++a)
        for (int b = 0; b < std::min(s.s2, s.columns); ++b) {
            const PhaseAxis down(s.rows, s.s1, s.above, s.H, a);
            const PhaseAxis right(s.columns, s.s2, s.left, s.W, b);
            Phase phase;
            phase.row = a, phase.column = b;
            phase.shape = {down.taps,   right.taps,     s.K,  s.R, 1, 1, down.count,
                           right.count, plan.delta_row, pixel};
            phase.delta = (above + down.first - (down.taps - 1)) * plan.delta_row +
                          (left + right.first - (right.taps - 1)) * pixel;
            phase.dx = (s.s1 * down.first + a) * plan.shape.x_row +
                       (s.s2 * right.first + b) * plan.shape.x_pixel;
            phase.taps = taps;
            taps += Index(down.taps) * right.taps * s.K * s.R;
            plan.phases.push_back(phase);
        }
}

// Rows of windows whose survivors are listed and used at a time: as many as keep the rows of x, and of
// its error where it is asked for, mostly in an L1 cache of 48 KB while each channel goes over them.
// Measured: with 48 KB or 64 KB of them some stages are slower.
int band_of(const ConvPlan& plan, bool first_stage) {
    constexpr Index floats = 14'000;
    const StageSpec& s = plan.spec;
    const Index row = (first_stage ? 1 : 2) * plan.shape.x_row;
    const Index step = Index(s.s1) * (s.I / plan.rows);
    return static_cast<int>(
        std::clamp<Index>((floats / row - (s.rows - s.s1)) / step, 1, plan.rows));
}

ConvPlan plan_conv(const StageSpec& s, bool first_stage) {
    const Index pixel = first_stage ? s.R : round_up(s.R, 8);
    ConvPlan plan;
    plan.spec = s;
    plan.rows = s.I, plan.columns = s.J;
    const Index columns = s.left + s.W + s.right, rows = s.above + s.H + s.below;
    const Index row = columns * pixel;
    plan.shape = {s.rows, s.columns, s.R, s.K, s.s1, s.s2, s.I, s.J, row, pixel};
    plan.frame = round_up(rows * row + 16, 16);
    plan.interior = s.above * row + s.left * pixel;
    if (rows * columns > winner_mask || plan.frame > INT32_MAX)
        throw std::length_error("an image of this size does not fit the native engine");
    plan_sigma(plan);
    plan.winners = Index(plan.rows) * plan.columns * round_up(s.K, 8);
    plan.band = band_of(plan, first_stage);
    return plan;
}

}  // namespace

Plan::Plan(const std::vector<StageSpec>& stages, Index parameters_, Index share_)
    : input(Index(stages[0].H) * stages[0].W * stages[0].R),
      parameters(parameters_),
      features(static_cast<int>(input)),
      share(share_) {
    for (const StageSpec& s : stages) {
        multiply_adds += s.multiply_adds();
        switch (s.affine) {
            case AffineKind::conv: add_conv(s); break;
            case AffineKind::dense: add_dense(s); break;
        }
    }
    classes = denses.empty() ? features : denses.back().M;
    features_row = spread_row(features);
    widest_map = std::max(features, classes);
    for (const DensePlan& d : denses) widest_map = std::max<Index>({widest_map, d.N, d.M});
    std::stable_sort(items.begin(), items.end(), [](const UpdateItem& a, const UpdateItem& b) {
        return a.end - a.begin > b.end - b.begin;  // the longest first
    });
}

std::vector<ConvPart> Plan::parts(const ConvPlan& c, int threads, Index& taps,
                                  Index& turned) const {
    const ConvShape& shape = c.shape;
    const int wanted = parts_of(c.spec.multiply_adds(), threads);
    // Rows leave a core most of the pixels that it made, but everyone reads the whole kernel.
    // Channels, whole cache lines of them, are for kernels that are far larger than the frame.
    const int lines = shape.kernel() > 4 * c.frame ? shape.K / 16 : 1;
    const int across = std::clamp(lines, 1, std::min(wanted, threads));
    // Winograd's products want some 8 tiles at a time
    const int least = c.winograd ? std::max(1, 8 / winograd_columns(shape)) : 1;
    const bool turns = c.winograd && across > 1;  // a part for itself, so all of its rows
    // rows of whole tiles: a tile that two parts cut would be other sums
    int stride = 1;  // rows of z from row to row of the output
    for (const SigmaLayer& layer : c.spec.sigma)
        if (layer.kind == SigmaLayer::Kind::max_pool) stride *= layer.stride_rows;
    const int unit = c.winograd ? shape.tile / std::gcd(shape.tile, stride) : 1;
    const int units = (c.rows + unit - 1) / unit;
    const int down = turns ? 1 : std::clamp(units / least, 1, wanted / across);
    std::vector<ConvPart> found;
    for (int n = 0; n < across; ++n)
        for (int m = 0; m < down; ++m) {
            const int first = static_cast<int>(Index(units) * m / down * unit);
            const int last =
                std::min(c.rows, static_cast<int>(Index(units) * (m + 1) / down * unit));
            int z_first = first, z_last = last;
            for (auto layer = c.spec.sigma.rbegin(); layer != c.spec.sigma.rend(); ++layer) {
                if (layer->kind != SigmaLayer::Kind::max_pool) continue;
                z_first *= layer->stride_rows;
                z_last = (z_last - 1) * layer->stride_rows + layer->rows;
            }
            // windows of pools that overlap reach into the tile below, which is computed twice
            if (c.winograd && c.layered)
                z_last = std::min(c.spec.I, static_cast<int>(round_up(z_last, shape.tile)));
            const int channel = 16 * (lines * n / across);
            const int end = n + 1 < across ? 16 * (lines * (n + 1) / across) : shape.K;
            ConvPart part{c, first, z_first, channel, turns};
            ConvPlan& plan = part.plan;
            plan.rows = last - first;
            plan.spec.I = plan.shape.I = z_last - z_first;
            plan.spec.K = plan.shape.K = end - channel;
            plan.shape.whole_K = shape.K;
            plan.spec.w += channel;
            if (turns) {
                plan.taps = taps;
                taps += round_up(winograd_taps_size(plan.shape), 16);
                plan.turned = turned;
                turned += plan.shape.kernel();
            }
            found.push_back(std::move(part));
        }
    return found;
}

// Of a large stage of images each thread would read all weights, half of them or more just changed by
// others, at the pace of what cores tell each other.  No error goes below it, so no sum is over its
// units, and whoever has some of them needs no others.
int Plan::unit_parts(int threads) const {
    constexpr int least = 64;  // units
    if (threads == 1 || !convs.empty() || denses.size() < 2) return 0;
    const DensePlan& s = denses[0];
    if (Index(s.N) * s.M < 1 << 16 || s.M < least * threads) return 0;
    return s.M < 4 * least * threads ? threads : 2 * threads;
}

int Plan::units_at_a_time(const DensePlan& s, int samples, int threads) const {
    // a weight from memory takes as long as some four multiply-adds
    const int count = parts_of(Index(s.N) * s.M * std::max(samples, 4), threads);
    const int units = (s.M + count - 1) / count;
    return static_cast<int>(round_up(units, units > 128 ? 128 : 32));  // whole panels
}

// One a thread, so that each item passes from core to core once; of large work two, so that a
// helper that comes late leaves the others less to wait for.
int Plan::parts_of(Index work, int threads) const {
    const Index worth = work / share;
    return static_cast<int>(
        std::clamp<Index>(worth, 1, worth < 8 * threads ? threads : 2 * threads));
}

void Plan::add_conv(const StageSpec& s) {
    const int stage = static_cast<int>(convs.size());
    ConvPlan plan = plan_conv(s, stage == 0);
    const Index kernel = round_up(s.K * s.rows * plan.shape.run(), 16);
    plan.dw = partial;
    plan.db = plan.dw + kernel;
    partial = plan.db + round_up(s.bias_size(), 16);
    plan.packed = packed;
    if (stage > 0) packed += kernel;
    plan.shape.tile = winograd_tile(plan.shape);
    plan.winograd =
        plan.shape.tile && ((!plan.layered && pools(plan.fused)) || winograd_alone(plan.shape));
    if (plan.winograd) {
        plan.taps = add_winograd(plan.shape, false);
        plan.turned = turned;
        turned += plan.shape.kernel();
    }
    if (!plan.pooled) plan_errors(plan, stage == 0);
    if (!plan.pooled && winograd_sums(plan.shape)) {
        plan.sums = round_up(winograd_sums_size(plan.shape), 16);
        scratch = std::max(scratch, winograd_scratch(plan.shape));
    }
    if (plan.phases.size() == 1) {
        ConvShape& shape = plan.phases[0].shape;
        shape.tile = winograd_tile(shape);
        if (winograd_alone(shape)) plan.dx_taps = add_winograd(shape, true);
    }
    if (plan.layered) plane = std::max(plane, Index(s.I) * s.J * round_up(s.K, 8));
    survivors = std::max(survivors, survivors_stride(Index(plan.rows) * plan.columns) * s.K);
    mask = std::max(mask, Index(s.I) * s.J * s.K);
    features = plan.rows * plan.columns * s.K;
    sample += plan.frame + plan.winners;
    // an item is a kernel row, or the whole kernel where it is small: items that share a cache line
    // stall each other.  Measured (benchmarks/thresholds.py): with no limit, or with rows alone, a
    // step takes 0.94 to 1.04 times as long, which is noise
    const Index kernel_row = Index(s.columns) * s.R * s.K;
    const int step = s.rows * kernel_row <= 4096 ? s.rows : 1;
    for (int p = 0; p < s.rows; p += step)
        items.push_back({UpdateItem::Kind::conv_w, stage, p, p + step,
                         s.w + (s.rows - p - step) * kernel_row, s.w + (s.rows - p) * kernel_row});
    if (const Index size = s.bias_size())
        items.push_back({UpdateItem::Kind::conv_b, stage, 0, 0, s.b, s.b + size});
    convs.push_back(std::move(plan));
}

// Room for a kernel in Winograd's form, and who turns it -> where it begins.
Index Plan::add_winograd(const ConvShape& shape, bool back) {
    const int stage = static_cast<int>(convs.size());
    const Index begin = taps;
    taps += round_up(winograd_taps_size(shape), 16);
    scratch = std::max(scratch, winograd_scratch(shape));
    // worth a thread's while; with 64 or 4096 a step takes 0.92 to 0.98 times as long: noise
    const int channels = std::max(1, 512 / shape.K);
    for (int r = 0; r < shape.R; r += channels)
        (back ? dx_taps_items : taps_items)
            .push_back({stage, r, std::min(shape.R, r + channels), back});
    return begin;
}

void Plan::add_dense(const StageSpec& s) {
    const int stage = static_cast<int>(denses.size());
    DensePlan plan{s.R, s.K, spread_row(s.K), 0, {}, s.bias_size() > 0, s.w, s.b};
    for (const SigmaLayer& layer : s.sigma) switch (layer.kind) {
            case SigmaLayer::Kind::relu: ++plan.relus; break;
            case SigmaLayer::Kind::dropout: plan.drops.push_back(layer.number); break;
            case SigmaLayer::Kind::max_pool:
                throw std::invalid_argument("a pool behind a dense stage");
        }
    // with 1024 or 65536 weights a step takes 0.85 to 1.02 times as long, which is noise, too; 32 rows
    // are a tile of (8) without zeros
    const int step = static_cast<int>(round_up(std::max<Index>(32, 8192 / s.K), 16));
    for (int i = 0; i < s.R; i += step) {
        const int last = std::min(s.R, i + step);
        items.push_back({UpdateItem::Kind::dense_w, stage, i, last, s.w + Index(i) * s.K,
                         s.w + Index(last) * s.K});
    }
    if (plan.bias) items.push_back({UpdateItem::Kind::dense_b, stage, 0, 0, s.b, s.b + s.K});
    most_rows = std::max(most_rows, plan.rows_of_shards() * Index(plan.M));
    denses.push_back(std::move(plan));
}

}  // namespace convlet
