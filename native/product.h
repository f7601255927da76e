// The dense map (6) and its derivatives (7), (8): three products of matrices, one kernel.
#pragma once

#include "kernels.h"
#include "vec.h"

namespace convlet::CONVLET_TARGET {

// out (ROWS, NV vectors) = a (ROWS, depth) b (depth, NV vectors) + init or 0.
template <int W, int NV, bool masked, int ROW, int ROWS>
CONVLET_FLAT void product_tile(Strided a, Index depth, const float* b, Index b_row,
                               const float* init, int lanes, float* out, Index out_row) {
    const Index row = ROW ? ROW : a.row, column = ROW == 1 ? a.column : 1;
    Vec<W> sum[ROWS][NV];
    unrolled<ROWS, NV>([&](int i, int n) {
        sum[i][n] = init ? load<W, masked>(init + n * W, lanes) : broadcast<W>(0);
    });
    const float* left = a.at;
    for (const float* end = left + depth * column; left != end; left += column, b += b_row) {
        Vec<W> right[NV];
        unrolled<NV>([&](int n) { right[n] = load<W, masked>(b + n * W, lanes); });
        unrolled<ROWS>([&](int i) {
            const Vec<W> factor = broadcast<W>(left[i * row]);
            unrolled<NV>([&](int n) { sum[i][n] = fma(factor, right[n], sum[i][n]); });
        });
    }
    unrolled<ROWS, NV>(
        [&](int i, int n) { store<masked>(out + i * out_row + n * W, sum[i][n], lanes); });
}

template <int W, int NV, bool masked>
void product_panel(Strided a, Index rows, Index depth, const float* b, Index b_row,
                   const float* init, int lanes, float* out, Index out_row) {
    constexpr int limit = registers == 32 || NV == 1 ? 8 : 6;
    const Index tiles = (rows + limit - 1) / limit;
    const Index height = (rows + tiles - 1) / tiles;
    for (Index i = 0; i < rows; i += height, a.at += height * a.row, out += height * out_row)
        as_constant<limit>(static_cast<int>(i + height <= rows ? height : rows - i),
                           [&]<int ROWS>() {
                               const auto tile = a.row == 1 ? product_tile<W, NV, masked, 1, ROWS>
                                                            : product_tile<W, NV, masked, 0, ROWS>;
                               tile(a, depth, b, b_row, init, lanes, out, out_row);
                           });
}

inline void product(Strided a, Index rows, Index depth, const float* b, Index b_row, int columns,
                    const float* init, float* out, Index out_row) {
    int j = 0;
    if (rows ==
        1)  // one image: more columns, so that enough sums are under way and b is one stream
        for (; j + 8 * widest <= columns; j += 8 * widest)
            product_tile<widest, 8, false, 0, 1>(a, depth, b + j, b_row, init ? init + j : nullptr,
                                                 widest, out + j, out_row);
    each_panel<2>(columns - j, [&]<int W, int NV, bool masked>(int k, int lanes) {
        product_panel<W, NV, masked>(a, rows, depth, b + j + k, b_row,
                                     init ? init + j + k : nullptr, lanes, out + j + k, out_row);
    });
}

}  // namespace convlet::CONVLET_TARGET
