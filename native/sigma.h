// sigma^l layer by layer, where no fused kernel fits: any order of ReLU and pools, values and
// winners.
#pragma once

#include "kernels.h"
#include "vec.h"

namespace convlet::CONVLET_TARGET {

// Every z is its own winner, with factor 1.
inline void own_place(const ConvShape& s, Winner* winner) {
    const Index columns = s.x_row / s.x_pixel, pixel = (s.K + 7) / 8 * 8;
    for (int i = 0; i < s.I; ++i)
        for (int j = 0; j < s.J; ++j)
            for (Index k = 0; k < pixel; ++k)
                *winner++ = static_cast<Winner>(i * s.s1 * columns + j * s.s2);
}

// (9), (10): what is negative dies, what is 0 counts half.
inline void relu_winners(float* x, Winner* winner, Index n) {
    for (Index at = 0; at < n; ++at) {
        const Winner zero = winner[at] < 0 ? -1 : winner[at] + half;
        winner[at] = x[at] == 0 ? zero : x[at] <= 0 ? -1 : winner[at];
        x[at] = x[at] <= 0 ? 0 : x[at];
    }
}

// (4): any window and stride; of equal maxima the first in row-major order.
inline void pool_winners(Grid x, const Winner* winner, int rows, int columns, int stride_rows,
                         int stride_columns, int I, int J, float* out, Winner* out_winner) {
    for (int i = 0; i < I; ++i)
        for (int j = 0; j < J; ++j, out += x.pixel, out_winner += x.pixel) {
            const Index first = i * stride_rows * x.row + j * stride_columns * x.pixel;
            for (Index k = 0; k < x.pixel; ++k) {
                out[k] = x.at[first + k];
                out_winner[k] = winner[first + k];
            }
            for (int p = 0; p < rows; ++p)
                for (int q = 0; q < columns; ++q) {
                    const Index at = first + p * x.row + q * x.pixel;
                    for (Index k = 0; k < x.pixel; ++k) {
                        const bool wins = x.at[at + k] > out[k];
                        out[k] = wins ? x.at[at + k] : out[k];
                        out_winner[k] = wins ? winner[at + k] : out_winner[k];
                    }
                }
        }
}

}  // namespace convlet::CONVLET_TARGET
