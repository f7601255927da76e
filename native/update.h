// The step (21) and its successors: momentum, Nesterov, Adam, with decoupled weight decay.
//
// Sources: Sutskever, Martens, Dahl, Hinton 2013 (momentum, Nesterov); Kingma, Ba 2015 (Adam);
// Loshchilov, Hutter 2019 (decoupled decay).  convlet/optimizers.py has the same lines in NumPy.
#pragma once

#include <cstring>

#include "elementwise.h"
#include "product.h"

namespace convlet::CONVLET_TARGET {

// A rule with its constants in registers.
class Update {
public:
    CONVLET_INLINE explicit Update(const UpdateRule& rule) : rule_(rule) {}

    template <bool cut>
    CONVLET_INLINE void operator()(float* w, const float* gradient, float* m, float* v,
                                   int lanes) const {
        const V g = load<8, cut>(gradient, lanes) * scale_;
        const V whole = load<8, cut>(w, lanes);
        const V kept = fma(decay_, whole, whole);  // w <- w - eta lambda w
        V direction = g;
        using Kind = UpdateRule::Kind;
        switch (rule_.kind) {
            case Kind::sgd: break;
            case Kind::momentum:
            case Kind::nesterov: {
                const V velocity = fma(beta1_, load<8, cut>(m, lanes), g);  // m <- mu m + g
                store<cut>(m, velocity, lanes);
                direction = rule_.kind == Kind::momentum ? velocity : fma(beta1_, velocity, g);
                break;
            }
            case Kind::adam: {
                const V mean = fma(beta1_, load<8, cut>(m, lanes), broadcast<8>(rule_.rest1) * g);
                const V square =
                    fma(beta2_, load<8, cut>(v, lanes), broadcast<8>(rule_.rest2) * g * g);
                store<cut>(m, mean, lanes);
                store<cut>(v, square, lanes);
                direction =
                    mean * broadcast<8>(rule_.unbias1) /
                    (sqrt(square * broadcast<8>(rule_.unbias2)) + broadcast<8>(rule_.epsilon));
                break;
            }
        }
        store<cut>(w, fma(step_, direction, kept), lanes);  // (21) for plain descent
    }

private:
    const UpdateRule& rule_;
    const V step_ = broadcast<8>(-rule_.rate), decay_ = broadcast<8>(0 - rule_.decay),
            scale_ = broadcast<8>(rule_.scale);
    const V beta1_ = broadcast<8>(rule_.beta1), beta2_ = broadcast<8>(rule_.beta2);
};

inline void update(const UpdateRule& rule, float* w, const float* gradient, float* m, float* v,
                   Index n) {
    const Update step(rule);
    each_vector(n, [&]<bool cut>(Index at, int lanes) {
        step.template operator()<cut>(w + at, gradient + at, m ? m + at : nullptr,
                                      v ? v + at : nullptr, lanes);
    });
}

// The sum over shards along their tree, in one of the tiles: `sum` gives that of the terms [from, to).
template <std::size_t size, class Sum>
float* tree_of_shards(Index shards, Index depth, float (&tiles)[most_shard_levels + 1][size],
                      const Sum& sum) {
    const auto add = [](float* to, const float* left) {
        for (std::size_t n = 0; n < size; n += 8)
            store(to + n, load<8>(left + n) + load<8>(to + n));
    };
    float* tile = nullptr;
    for (Index shard = 0; shard < shards; ++shard) {
        int level = __builtin_ctzll(~static_cast<unsigned long long>(shard));
        tile = tiles[level];
        const Index from = shard * depth / shards, to = (shard + 1) * depth / shards;
        if (to > from)
            sum(from, to, tile);
        else
            std::memset(tile, 0, sizeof tiles[0]);
        for (int left = 0; left < level; ++left) add(tile, tiles[left]);
        if (shard + 1 == shards)  // what waits for a sibling that is not whole
            for (++level; level <= most_shard_levels; ++level)
                if ((shards - 1) >> level & 1) add(tile, tiles[level]);
    }
    return tile;
}

// (8) and the step in one: a tile of dw stays in L1 and the weights under it change at once, so that
// the gradient is never written to memory nor read from it.  (1024, 1024) on AVX-512: 0.6 ms for 32
// samples in place of 1.0, 0.23 ms for one in place of 0.63.  Vectors of 16, and fetching the weights
// before their tile is summed, gave nothing.
inline void product_update(const UpdateRule& rule, Strided a, Index rows, Index depth, Index shards,
                           const float* b, Index b_row, int columns, float* w, float* m, float* v) {
    constexpr int tile_rows = 8;
    const Update step(rule);
    each_panel<2>(columns, [&]<int W, int NV, bool masked>(int k, int lanes) {
        constexpr int width = NV * W;
        // the sum of 2^l shards that waits for that of the next 2^l is tile l; dw is the last one
        alignas(64) float tiles[most_shard_levels + 1][tile_rows * width];
        for (Index i = 0; i < rows; i += tile_rows) {
            const Index count = rows - i < tile_rows ? rows - i : tile_rows;
            const auto sum = [&](Index from, Index to, float* tile) {
                product_panel<W, NV, masked>({a.at + i * a.row + from * a.column, a.row, a.column},
                                             count, to - from, b + from * b_row + k, b_row, nullptr,
                                             lanes, tile, width);
            };
            const float* dw = tree_of_shards(shards, depth, tiles, sum);
            for (Index n = 0; n < count; ++n) {
                const Index row = (i + n) * columns + k;
                each_vector(masked ? lanes : width, [&]<bool cut>(Index j, int lanes) {
                    const Index at = row + j;
                    step.template operator()<cut>(w + at, dw + n * width + j, m ? m + at : nullptr,
                                                  v ? v + at : nullptr, lanes);
                });
            }
        }
    });
}

inline double squares(const float* a, Index n) {
    V sum = broadcast<8>(0);
    each_vector(n, [&]<bool cut>(Index at, int lanes) {
        const V value = load<8, cut>(a + at, lanes);
        sum = fma(value, value, sum);
    });
    float lane[8];
    store(lane, sum);
    double total = 0;
    for (const float part : lane) total += part;
    return total;
}

}  // namespace convlet::CONVLET_TARGET
