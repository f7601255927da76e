#include "network.h"

#include <algorithm>
#include <optional>
#include <stdexcept>

namespace convlet {
namespace {

bool halves(const SigmaLayer& layer) {
    return layer.kind == SigmaLayer::Kind::max_pool && layer.rows == 2 && layer.columns == 2 &&
           layer.stride_rows == 2 && layer.stride_columns == 2;
}

// The kernel of its own that these layers have, if they are all that do not drop.
std::optional<Fused> fused(const std::vector<SigmaLayer>& sigma) {
    const auto relu = [](const SigmaLayer& layer) { return layer.kind == SigmaLayer::Kind::relu; };
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
        plan.fused = *kernel;
        plan.fused_layers = static_cast<int>(others.size());
    }
}

ConvPlan plan_conv(const StageSpec& s, Index pixel) {
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
    return plan;
}

}  // namespace

Plan::Plan(const std::vector<StageSpec>& stages, Index parameters_)
    : input(Index(stages[0].H) * stages[0].W * stages[0].R),
      parameters(parameters_),
      features(static_cast<int>(input)) {
    for (const StageSpec& s : stages) {
        multiply_adds += s.multiply_adds();
        switch (s.affine) {
            case AffineKind::conv: add_conv(s); break;
            case AffineKind::dense: add_dense(s); break;
        }
    }
    classes = denses.empty() ? features : denses.back().M;
    features_row = round_up(features, 16);
    widest_map = std::max(features, classes);
    for (const DensePlan& d : denses) widest_map = std::max<Index>({widest_map, d.N, d.M});
    std::stable_sort(items.begin(), items.end(), [](const UpdateItem& a, const UpdateItem& b) {
        return a.end - a.begin > b.end - b.begin;  // the longest first
    });
}

void Plan::add_conv(const StageSpec& s) {
    const int stage = static_cast<int>(convs.size());
    ConvPlan plan = plan_conv(s, stage == 0 ? s.R : round_up(s.R, 8));
    const Index kernel = round_up(s.K * s.rows * plan.shape.run(), 16);
    plan.dw = partial;
    plan.db = plan.dw + kernel;
    partial = plan.db + round_up(s.bias_size(), 16);
    plan.packed = packed;
    if (stage > 0) packed += kernel;
    if (plan.fused_layers && winograd_fits(plan.shape)) add_winograd(plan);
    if (!plan.fused_layers) plane = std::max(plane, Index(s.I) * s.J * round_up(s.K, 8));
    survivors = std::max(survivors, survivors_stride(Index(plan.rows) * plan.columns) * s.K);
    mask = std::max(mask, Index(s.I) * s.J * s.K);
    features = plan.rows * plan.columns * s.K;
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

void Plan::add_winograd(ConvPlan& plan) {
    const int stage = static_cast<int>(convs.size());
    plan.winograd = true;
    plan.taps = taps;
    taps += round_up(winograd_taps_size(plan.shape), 16);
    scratch = std::max(scratch, winograd_scratch(plan.shape));
    // worth a thread's while; with 64 or 4096 a step takes 0.92 to 0.98 times as long: noise
    const int channels = std::max(1, 512 / plan.spec.K);
    for (int r = 0; r < plan.spec.R; r += channels)
        taps_items.push_back({stage, r, std::min(plan.spec.R, r + channels)});
}

void Plan::add_dense(const StageSpec& s) {
    const int stage = static_cast<int>(denses.size());
    DensePlan plan{s.R, s.K, round_up(s.K, 16), 0, {}, s.bias_size() > 0, s.w, s.b};
    for (const SigmaLayer& layer : s.sigma) switch (layer.kind) {
            case SigmaLayer::Kind::relu: ++plan.relus; break;
            case SigmaLayer::Kind::dropout: plan.drops.push_back(layer.number); break;
            case SigmaLayer::Kind::max_pool:
                throw std::invalid_argument("a pool behind a dense stage");
        }
    // with 1024 or 65536 weights a step takes 0.85 to 1.02 times as long, which is noise, too
    const int step = static_cast<int>(round_up(std::max<Index>(16, 8192 / s.K), 16));
    for (int i = 0; i < s.R; i += step) {
        const int last = std::min(s.R, i + step);
        items.push_back({UpdateItem::Kind::dense_w, stage, i, last, s.w + Index(i) * s.K,
                         s.w + Index(last) * s.K});
    }
    if (plan.bias) items.push_back({UpdateItem::Kind::dense_b, stage, 0, 0, s.b, s.b + s.K});
    denses.push_back(std::move(plan));
}

}  // namespace convlet
