// The step (21) and its successors: momentum, Nesterov, Adam, with decoupled weight decay.
//
// Sources: Sutskever, Martens, Dahl, Hinton 2013 (momentum, Nesterov); Kingma, Ba 2015 (Adam);
// Loshchilov, Hutter 2019 (decoupled decay).  convlet/optimizers.py has the same lines in NumPy.
#pragma once

#include "elementwise.h"
#include "product.h"

namespace convlet::CONVLET_TARGET {

// A rule with its constants in registers of W lanes.
template <UpdateRule::Kind kind, int W>
class Update {
public:
    CONVLET_INLINE explicit Update(const UpdateRule& rule) : rule_(rule) {}

    // gradient: of the minibatch, before it is scaled.  Slots may be null where the rule has none.
    template <bool cut>
    CONVLET_INLINE void operator()(float* w, Vec<W> gradient, float* m, float* v, int lanes) const {
        using Kind = UpdateRule::Kind;
        const Vec<W> g = gradient * scale_;
        const Vec<W> whole = load<W, cut>(w, lanes);
        const Vec<W> kept = fma(decay_, whole, whole);  // w <- w - eta lambda w
        Vec<W> direction = g;
        if constexpr (kind == Kind::momentum || kind == Kind::nesterov) {
            const Vec<W> velocity = fma(beta1_, load<W, cut>(m, lanes), g);  // m <- mu m + g
            store<cut>(m, velocity, lanes);
            direction = kind == Kind::momentum ? velocity : fma(beta1_, velocity, g);
        }
        if constexpr (kind == Kind::adam) {
            const Vec<W> mean = fma(beta1_, load<W, cut>(m, lanes), rest1_ * g);
            const Vec<W> square = fma(beta2_, load<W, cut>(v, lanes), rest2_ * g * g);
            store<cut>(m, mean, lanes);
            store<cut>(v, square, lanes);
            direction = mean * unbias1_ / (sqrt(square * unbias2_) + epsilon_);
        }
        store<cut>(w, fma(step_, direction, kept), lanes);  // (21) for plain descent
    }

private:
    const UpdateRule& rule_;
    const Vec<W> step_ = broadcast<W>(-rule_.rate), decay_ = broadcast<W>(0 - rule_.decay),
                 scale_ = broadcast<W>(rule_.scale);
    const Vec<W> beta1_ = broadcast<W>(rule_.beta1), beta2_ = broadcast<W>(rule_.beta2),
                 rest1_ = broadcast<W>(rule_.rest1), rest2_ = broadcast<W>(rule_.rest2),
                 unbias1_ = broadcast<W>(rule_.unbias1), unbias2_ = broadcast<W>(rule_.unbias2),
                 epsilon_ = broadcast<W>(rule_.epsilon);
};

// The step of n weights of each of some rows; gradient has `gradient_row` floats from row to row.
template <UpdateRule::Kind kind>
CONVLET_FLAT void update_rows(const UpdateRule& rule, float* w, Index w_row, const float* gradient,
                              Index gradient_row, float* m, float* v, Index rows, Index n) {
    const Update<kind, 8> step(rule);
    for (Index r = 0; r < rows; ++r)
        each_vector(n, [&]<bool cut>(Index column, int lanes) {
            const Index at = r * w_row + column;
            step.template operator()<cut>(w + at,
                                          load<8, cut>(gradient + r * gradient_row + column, lanes),
                                          m ? m + at : nullptr, v ? v + at : nullptr, lanes);
        });
}

// Of the rule's kind.
inline auto update_rows_of(const UpdateRule& rule) {
    using Kind = UpdateRule::Kind;
    switch (rule.kind) {
        case Kind::sgd: return update_rows<Kind::sgd>;
        case Kind::momentum: return update_rows<Kind::momentum>;
        case Kind::nesterov: return update_rows<Kind::nesterov>;
        case Kind::adam: break;
    }
    return update_rows<Kind::adam>;
}

inline void update(const UpdateRule& rule, float* w, const float* gradient, float* m, float* v,
                   Index n) {
    update_rows_of(rule)(rule, w, n, gradient, n, m, v, 1, n);
}

// A tile of dw (8), whose rows of `a` are contiguous: depth is cut into shards, whose sums meet along
// their tree.  A sum is in registers from its first term to where it waits for its sibling.
template <int W, int NV, bool masked, int ROWS>
CONVLET_FLAT void derivative_tile(Strided a, Index depth, Index shards, const float* b, Index b_row,
                                  int lanes, float* dw) {
    // the sum of 2^l shards that waits for that of the next 2^l is number l
    alignas(64) float waiting[most_shard_levels + 1][ROWS * NV * W];
    Vec<W> sum[ROWS][NV];
    const auto add_waiting = [&](int level) {
        unrolled<ROWS, NV>([&](int i, int n) {
            sum[i][n] = load<W>(waiting[level] + (i * NV + n) * W) + sum[i][n];
        });
    };
    for (Index shard = 0, from = 0; shard < shards; ++shard) {
        const Index to = (shard + 1) * depth / shards;
        unrolled<ROWS, NV>([&](int i, int n) { sum[i][n] = broadcast<W>(0); });
        add_product<W, NV, masked, 1, ROWS>({a.at + from * a.column, 1, a.column}, to - from,
                                            b + from * b_row, b_row, lanes,
                                            {a.at + (from + 12) * a.column, a.column}, sum);
        from = to;
        int level = __builtin_ctzll(~static_cast<unsigned long long>(shard));
        for (int left = 0; left < level; ++left) add_waiting(left);
        if (shard + 1 == shards) {  // what waits for a sibling that is not whole
            for (++level; level <= most_shard_levels; ++level)
                if ((shards - 1) >> level & 1) add_waiting(level);
            unrolled<ROWS, NV>([&](int i, int n) { store(dw + (i * NV + n) * W, sum[i][n]); });
        } else {
            unrolled<ROWS, NV>(
                [&](int i, int n) { store(waiting[level] + (i * NV + n) * W, sum[i][n]); });
        }
    }
}

// Plain descent by such a tile, of one shard, which never leaves its registers.
template <int W, int NV, bool masked, int ROWS>
CONVLET_FLAT void descent_tile(const UpdateRule& rule, Strided a, Index depth, const float* b,
                               Index b_row, int lanes, float* w, Index w_row) {
    Vec<W> sum[ROWS][NV];
    unrolled<ROWS, NV>([&](int i, int n) { sum[i][n] = broadcast<W>(0); });
    add_product<W, NV, masked, 1, ROWS>({a.at, 1, a.column}, depth, b, b_row, lanes,
                                        {a.at + 12 * a.column, a.column}, sum);
    const Update<UpdateRule::Kind::sgd, W> step(rule);
    unrolled<ROWS, NV>([&](int i, int n) {  // (8), (21)
        step.template operator()<masked>(w + i * w_row + n * W, sum[i][n], nullptr, nullptr, lanes);
    });
}

// (8) and the step in one: a tile of dw stays in registers, or in L1, and the weights under it change
// at once, so that the gradient is never written to memory nor read from it.  Weights fetched before
// their tile is summed, b packed and huge pages gave nothing.
inline void dense_update(const UpdateRule& rule, Strided a, Index rows, Index depth, Index shards,
                         const float* b, Index b_row, int columns, float* w, Index w_row, float* m,
                         float* v) {
    constexpr int limit = registers == 32 ? 8 : 4;  // 8 x 3, 3 and 1 = 28; 4 x 2, 2 and 1 = 11
    const bool direct = rule.kind == UpdateRule::Kind::sgd && shards == 1;
    const auto update_tile = update_rows_of(rule);
    each_panel<product_vectors>(columns, [&]<int W, int NV, bool masked>(int k, int lanes) {
        alignas(64) float dw[limit * NV * W];
        Index i = 0;
        halving<limit>(0, static_cast<int>(rows), [&]<int ROWS>(int, int count) {
            for (; count > 0; --count, i += ROWS) {
                const Strided tile{a.at + i, 1, a.column};
                const Index at = i * w_row + k;
                if (direct) {
                    descent_tile<W, NV, masked, ROWS>(rule, tile, depth, b + k, b_row, lanes,
                                                      w + at, w_row);
                } else {
                    derivative_tile<W, NV, masked, ROWS>(tile, depth, shards, b + k, b_row, lanes,
                                                         dw);
                    update_tile(rule, w + at, w_row, dw, NV * W, m ? m + at : nullptr,
                                v ? v + at : nullptr, ROWS, masked ? lanes : NV * W);
                }
            }
        });
    });
}

// The same, without the zeros of a where there are many and b is finite.
inline void product_update(const UpdateRule& rule, Strided a, Index rows, Index depth, Index shards,
                           const float* b, Index b_row, int columns, float* w, Index w_row,
                           float* m, float* v) {
    int done = columns / sparse_width * sparse_width;
    constexpr int most_blocks = 4;
    if (shards > 1 || depth < 16 || depth > most_blocks * most_terms || done == 0 ||
        !sparse(a.at, a.column, depth, rows))
        done = 0;
    const auto update_tile = update_rows_of(rule);
    alignas(64) float dw[sparse_tile * sparse_width];
    Terms terms[most_blocks * sparse_tile];
    for (Index i = 0; done && i < rows; i += sparse_tile) {
        const int count = static_cast<int>(rows - i < sparse_tile ? rows - i : sparse_tile);
        for (Index n = 0; n < depth; n += most_terms)
            terms_of_columns(a.at + n * a.column + i, a.column, terms_from(n, depth), count,
                             terms + n / most_terms * sparse_tile);
        for (int k = 0; k < done; k += sparse_width) {
            sparse_derivative(a.at + i, a.column, count, depth, terms, b + k, b_row, dw);
            const Index at = i * w_row + k;
            if (has_negative_zero(dw, sparse_width, count, sparse_width))
                dense_update(rule, {a.at + i, 1, a.column}, count, depth, 1, b + k, b_row,
                             sparse_width, w + at, w_row, m ? m + at : m, v ? v + at : v);
            else
                update_tile(rule, w + at, w_row, dw, sparse_width, m ? m + at : m, v ? v + at : v,
                            count, sparse_width);
        }
    }
    if (done < columns)
        dense_update(rule, a, rows, depth, shards, b + done, b_row, columns - done, w + done, w_row,
                     m ? m + done : m, v ? v + done : v);
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
