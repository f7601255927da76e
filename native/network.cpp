#include "network.h"

#include <algorithm>
#include <stdexcept>

namespace convlet {
namespace {

bool halves(const SigmaLayer& layer) {
    return layer.kind == SigmaLayer::Kind::max_pool && layer.rows == 2 && layer.columns == 2 &&
           layer.stride_rows == 2 && layer.stride_columns == 2;
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
    using Kind = SigmaLayer::Kind;
    int relus = 0;
    std::vector<SigmaLayer> sigma;  // up to the first dropout
    bool dropped = false, only_dropout_follows = true;
    for (const SigmaLayer& layer : s.sigma) {
        relus += layer.kind == Kind::relu;
        if (layer.kind == Kind::dropout) {
            plan.kept_scale *= 1 / (1 - layer.rate);
            dropped = true;
            continue;
        }
        if (dropped) only_dropout_follows = false;
        sigma.push_back(layer);
        if (layer.kind == Kind::relu) continue;
        if (layer.rows > layer.stride_rows || layer.columns > layer.stride_columns)
            plan.shape.ordered = false;  // windows overlap
        plan.rows = (plan.rows - layer.rows) / layer.stride_rows + 1;
        plan.columns = (plan.columns - layer.columns) / layer.stride_columns + 1;
    }
    if (relus > 30) throw std::length_error("more than 30 ReLU layers in one stage");
    if (only_dropout_follows) {
        const std::size_t n = sigma.size();
        plan.fused_layers = static_cast<int>(n);
        if (n == 2 && sigma[0].kind == Kind::relu && halves(sigma[1]))
            plan.fused = Fused::relu_pool;
        else if (n == 2 && halves(sigma[0]) && sigma[1].kind == Kind::relu)
            plan.fused = Fused::pool_relu;
        else if (n == 1 && halves(sigma[0]))
            plan.fused = Fused::pool;
        else
            plan.fused_layers = 0;
    }
    plan.winners = Index(plan.rows) * plan.columns * round_up(s.K, 8);
    return plan;
}

}  // namespace

Plan::Plan(const std::vector<StageSpec>& stages, Index parameters_)
    : input(Index(stages[0].H) * stages[0].W * stages[0].R), parameters(parameters_) {
    partial = packed = taps = scratch = plane = survivors = mask = multiply_adds = 0;
    features = static_cast<int>(input);
    for (const StageSpec& s : stages) {
        multiply_adds += Index(s.I) * s.J * s.rows * s.columns * s.R * s.K;
        if (s.conv) {
            const Index pixel = convs.empty() ? s.R : round_up(s.R, 8);
            ConvPlan plan = plan_conv(s, pixel);
            const int stage = static_cast<int>(convs.size());
            const Index run = plan.shape.run();
            plan.dw = partial;
            plan.db = plan.dw + round_up(s.K * s.rows * run, 16);
            partial = plan.db + round_up(plan.bias_size(), 16);
            plan.packed = packed;
            if (stage > 0) packed += round_up(s.K * s.rows * run, 16);
            plan.winograd = plan.fused_layers && winograd_fits(plan.shape);
            if (plan.winograd) {
                plan.taps = taps;
                taps += round_up(winograd_taps_size(plan.shape), 16);
                scratch = std::max(scratch, winograd_scratch(plan.shape));
                const int channels = std::max(1, 512 / s.K);  // worth a thread's while
                for (int r = 0; r < s.R; r += channels)
                    taps_items.push_back({stage, r, std::min(s.R, r + channels)});
            }
            if (!plan.fused_layers) plane = std::max(plane, Index(s.I) * s.J * round_up(s.K, 8));
            survivors =
                std::max(survivors, survivors_stride(Index(plan.rows) * plan.columns) * s.K);
            features = plan.rows * plan.columns * s.K;
            mask = std::max(mask, Index(s.I) * s.J * s.K);
            // an item is a kernel row, or the whole kernel where it is small: items that share a
            // cache line stall each other
            const Index kernel_row = Index(s.columns) * s.R * s.K;
            const int step = s.rows * kernel_row <= 4096 ? s.rows : 1;
            for (int p = 0; p < s.rows; p += step)
                items.push_back({UpdateItem::Kind::conv_w, stage, p, p + step,
                                 s.w + (s.rows - p - step) * kernel_row,
                                 s.w + (s.rows - p) * kernel_row});
            if (s.bias != Bias::none)
                items.push_back(
                    {UpdateItem::Kind::conv_b, stage, 0, 0, s.b, s.b + plan.bias_size()});
            convs.push_back(std::move(plan));
            continue;
        }
        const int stage = static_cast<int>(denses.size());
        DensePlan dense{s.R, s.K, round_up(s.R, 16), round_up(s.K, 16), 0, {}, s.bias != Bias::none,
                        s.w, s.b};
        for (const SigmaLayer& layer : s.sigma)
            if (layer.kind == SigmaLayer::Kind::dropout)
                dense.drops.push_back(layer.rate);
            else
                ++dense.relus;
        denses.push_back(std::move(dense));
        const int step = static_cast<int>(round_up(std::max<Index>(16, 8192 / s.K), 16));
        for (int i = 0; i < s.R; i += step) {
            const int last = std::min(s.R, i + step);
            items.push_back({UpdateItem::Kind::dense_w, stage, i, last, s.w + Index(i) * s.K,
                             s.w + Index(last) * s.K});
        }
        if (s.bias != Bias::none)
            items.push_back({UpdateItem::Kind::dense_b, stage, 0, 0, s.b, s.b + s.K});
    }
    classes = denses.empty() ? features : denses.back().M;
    features_row = round_up(features, 16);
    logits_row = round_up(classes, 16);
    widest_map = std::max(features, classes);
    for (const DensePlan& d : denses) widest_map = std::max<Index>({widest_map, d.N, d.M});
    std::stable_sort(items.begin(), items.end(), [](const UpdateItem& a, const UpdateItem& b) {
        return a.end - a.begin > b.end - b.begin;  // the longest first
    });
}

}  // namespace convlet
