// sigma^l layer by layer, where no fused kernel fits: any order of ReLU and pools, values and
// winners.  Arrays of values may stand anywhere; winners are (I, J, K rounded up to 8), and null
// where nobody asks for the way back.
#pragma once

#include "kernels.h"
#include "vec.h"

namespace convlet::CONVLET_TARGET {

// (9), (10) in place: what is negative dies, what is 0 counts half.
//
// For each output vectors of 8 channels, the last one masked: a comparison or two, a selection and
// a store of values and of winners each.
inline void relu_winners(Grid x, int I, int J, int K, Winner* winner) {
    const V zero = broadcast<8>(0);
    const Ints<8> dead = broadcast_int<8>(-1);
    for (int i = 0; i < I; ++i)
        for (int j = 0; j < J; ++j) {
            float* at = x.at + i * x.row + j * x.pixel;
            for (int k = 0; k < K; k += 8) {
                const int lanes = min(8, K - k);
                const V value = load<8, true>(at + k, lanes);
                const auto off = value <= zero;
                store<true>(at + k, select(off, zero, value), lanes);
                if (!winner) continue;
                const Ints<8> here = load<8>(winner);
                const Ints<8> halved =
                    select(here >= broadcast_int<8>(0), here + broadcast_int<8>(half), dead);
                store(winner, select(off, select(value == zero, halved, dead), here));
                winner += 8;
            }
        }
}

// (4): any window and stride; of equal maxima the first in row-major order.
//
// A tile is NV vectors of 8 channels of one output: its maxima, and where they stand, stay in
// registers over the window, a load, a comparison and a selection for each pixel and vector, and
// the same for its winner.
template <int NV, bool way_back>
CONVLET_INLINE void pool_tile(const float* x, const Winner* winner, Index row, Index pixel,
                              Index winner_row, Index winner_pixel, int rows, int columns,
                              int lanes, float* out, Winner* out_winner) {
    V best[NV];
    Ints<8> where[NV];
    unrolled<NV>([&](int n) {
        best[n] = load<8>(x + 8 * n);
        if constexpr (way_back) where[n] = load<8>(winner + 8 * n);
    });
    for (int p = 0; p < rows; ++p)
        for (int q = 0; q < columns; ++q)
            unrolled<NV>([&](int n) {
                const V value = load<8>(x + p * row + q * pixel + 8 * n);
                const auto wins = value > best[n];
                best[n] = select(wins, value, best[n]);
                if constexpr (way_back) {
                    const Winner* at = winner + p * winner_row + q * winner_pixel + 8 * n;
                    where[n] = select(wins, load<8>(at), where[n]);
                }
            });
    unrolled<NV>([&](int n) {
        store<true>(out + 8 * n, best[n], NV == 1 ? lanes : 8);
        if constexpr (way_back) store(out_winner + 8 * n, where[n]);
    });
}

template <bool way_back>
void pool_winners_of(Grid x, int x_columns, const Winner* winner, int rows, int columns,
                     int stride_rows, int stride_columns, int I, int J, int K, Grid out,
                     Winner* out_winner) {
    const Index pixel = ceil_div(K, 8) * 8, row = x_columns * pixel;  // of winners
    for (int i = 0; i < I; ++i)
        for (int j = 0; j < J; ++j) {
            const Index up = i * stride_rows, left = j * stride_columns;
            const float* from = x.at + up * x.row + left * x.pixel;
            const Winner* from_winner = way_back ? winner + up * row + left * pixel : nullptr;
            float* to = out.at + i * out.row + j * out.pixel;
            const auto tile = [&]<int NV>(int k) __attribute__((always_inline)) {
                pool_tile<NV, way_back>(from + k, way_back ? from_winner + k : nullptr, x.row,
                                        x.pixel, row, pixel, rows, columns, min(8, K - k), to + k,
                                        way_back ? out_winner + k : nullptr);
            };
            int k = 0;
            for (; k + 16 <= K; k += 16) tile.template operator()<2>(k);
            for (; k < K; k += 8) tile.template operator()<1>(k);
            if constexpr (way_back) out_winner += pixel;
        }
}

inline void pool_winners(Grid x, int x_columns, const Winner* winner, int rows, int columns,
                         int stride_rows, int stride_columns, int I, int J, int K, Grid out,
                         Winner* out_winner) {
    (winner ? pool_winners_of<true> : pool_winners_of<false>)(x, x_columns, winner, rows, columns,
                                                              stride_rows, stride_columns, I, J, K,
                                                              out, out_winner);
}

}  // namespace convlet::CONVLET_TARGET
