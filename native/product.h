// The dense map (6) and its derivatives (7), (8): three products of matrices, one kernel.
#pragma once

#include "conv.h"
#include "kernels.h"
#include "vec.h"

namespace convlet::CONVLET_TARGET {

// C rows x NV vectors of columns in registers; each element is one chain: init, then c ascending.
// ROW is a.row where that is a constant (0: it is not), so that one register addresses all rows.
template <int W, int NV, bool cut, int ROWS, int ROW>
void product_tile(Strided a, Index depth, const float* b, Index b_row, const float* init, int lanes,
                  float* out, Index out_row) {
    Vec<W> sum[ROWS][NV];
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 16
        for (int n = 0; n < NV; ++n)
            sum[i][n] = init ? loaded<W, cut>(init + n * W, lanes) : same<W>(0);
    const Index row = ROW ? ROW : a.row;
    for (Index c = 0; c < depth; ++c) {
        Vec<W> right[NV];
#pragma GCC unroll 16
        for (int n = 0; n < NV; ++n) right[n] = loaded<W, cut>(b + c * b_row + n * W, lanes);
        const float* left = a.at + c * a.column;
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; ++i) {
            const Vec<W> factor = same<W>(left[i * row]);
#pragma GCC unroll 16
            for (int n = 0; n < NV; ++n) sum[i][n] = fma(factor, right[n], sum[i][n]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 16
        for (int n = 0; n < NV; ++n) stored<cut>(out + i * out_row + n * W, sum[i][n], lanes);
}

template <int W, int NV, bool cut, int ROW, int ROWS>
void product_rows(int rows, Strided a, Index depth, const float* b, Index b_row, const float* init,
                  int lanes, float* out, Index out_row) {
    if constexpr (ROWS >= 1) {
        if (rows == ROWS)
            product_tile<W, NV, cut, ROWS, ROW>(a, depth, b, b_row, init, lanes, out, out_row);
        else
            product_rows<W, NV, cut, ROW, ROWS - 1>(rows, a, depth, b, b_row, init, lanes, out,
                                                    out_row);
    }
}

template <int W, int NV, bool cut>
void product_panel(Strided a, Index rows, Index depth, const float* b, Index b_row,
                   const float* init, int lanes, float* out, Index out_row) {
    constexpr int limit = registers == 32 || NV == 1 ? 8 : 6;
    const Index tiles = (rows + limit - 1) / limit;
    const Index height = (rows + tiles - 1) / tiles;
    for (Index i = 0; i < rows; i += height) {
        const int count = static_cast<int>(i + height <= rows ? height : rows - i);
        const Strided from{a.at + i * a.row, a.row, a.column};
        if (a.row == 1)
            product_rows<W, NV, cut, 1, limit>(count, from, depth, b, b_row, init, lanes,
                                               out + i * out_row, out_row);
        else
            product_rows<W, NV, cut, 0, limit>(count, from, depth, b, b_row, init, lanes,
                                               out + i * out_row, out_row);
    }
}

inline void product(Strided a, Index rows, Index depth, const float* b, Index b_row, int columns,
                    const float* init, float* out, Index out_row) {
    const auto panel = [&]<int W, int NV, bool cut>(int j) {
        product_panel<W, NV, cut>(a, rows, depth, b + j, b_row, init ? init + j : nullptr,
                                  columns - j, out + j, out_row);
    };
    int j = 0;
    if (rows ==
        1)  // one image: more columns, so that enough sums are under way and b is one stream
        for (; j + 8 * widest <= columns; j += 8 * widest)
            product_tile<widest, 8, false, 1, 0>({a.at, a.row, a.column}, depth, b + j, b_row,
                                                 init ? init + j : nullptr, widest, out + j,
                                                 out_row);
    for (; j + 2 * widest <= columns; j += 2 * widest)
        panel.template operator()<widest, 2, false>(j);
    for (; j + widest <= columns; j += widest) panel.template operator()<widest, 1, false>(j);
    if (widest > 8 && columns - j > 8)
        panel.template operator()<widest, 1, true>(j);
    else if (columns - j == 8)
        panel.template operator()<8, 1, false>(j);
    else if (j < columns)
        panel.template operator()<8, 1, true>(j);
}

}  // namespace convlet::CONVLET_TARGET
