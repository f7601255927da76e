// Augmentation of one image: an affine map and an elastic field, pixels between pixels by bilinear
// interpolation, zeros outside.  Each element is computed alone, in one order, so that any vectors
// give the same bits.
#pragma once

#include "kernels.h"
#include "vec.h"

namespace convlet::CONVLET_TARGET {

// A field (H, W) convolved with `taps` (2 radius + 1) along both axes, zeros outside.  `scratch`
// has room for H rows of smooth_row(W, radius).  Each element is one chain over the taps in order,
// in a register: to store it after each tap took five times as long.
inline void smooth(float* field, int H, int W, const float* taps, int radius, float* scratch) {
    const Index row = smooth_row(W, radius);
    for (int j = 0; j < W; j += 16) {
        const int lanes = W - j;
        for (int i = 0; i < H; ++i) {
            Vec<16> sum = broadcast<16>(0);
            for (int t = i < radius ? -i : -radius; t <= radius && i + t < H; ++t) {
                const float* from = field + Index(i + t) * W + j;
                const Vec<16> x =
                    lanes < 16 ? load<16, true>(from, lanes) : load<16, false>(from, lanes);
                sum = fma(broadcast<16>(taps[t + radius]), x, sum);
            }
            store(scratch + i * row + radius + j, sum);  // lanes beyond W are 0
        }
    }
    const int filled = radius + (W + 15) / 16 * 16;
    for (int i = 0; i < H; ++i) {
        float* from = scratch + i * row;
        for (int n = 0; n < radius; ++n) from[n] = from[filled + n] = 0;
        for (int j = 0; j < W; j += 16) {
            Vec<16> sum = broadcast<16>(0);
            for (int n = 0; n <= 2 * radius; ++n)
                sum = fma(broadcast<16>(taps[n]), load<16>(from + j + n), sum);
            float* to = field + Index(i) * W + j;
            if (W - j < 16)
                store<true>(to, sum, W - j);
            else
                store(to, sum);
        }
    }
}

// out (i, j) = image at (down, right) of (i, j).  `bordered` is the image (H + 3, W + 3, R) with
// its first pixel at (1, 1) and zeros around; dy, dx (H, W) are added to the affine map, or null.
// First the places of a piece of a row, in vectors, then its pixels, which lie anywhere.
inline void warp(const float* bordered, int H, int W, int R, const Affine& a, const float* dy,
                 const float* dx, float elastic, Grid out) {
    constexpr int piece = 64;
    std::int32_t place[piece];
    float u[piece], v[piece];
    const std::int32_t row = (W + 3) * R;
    const float middle_i = 0.5f * static_cast<float>(H - 1);
    const float middle_j = 0.5f * static_cast<float>(W - 1);
    const float most_down = static_cast<float>(H), most_right = static_cast<float>(W);
    for (int i = 0; i < H; ++i)
        for (int j0 = 0; j0 < W; j0 += piece) {
            const int n = W - j0 < piece ? W - j0 : piece;
            const float y = static_cast<float>(i) - middle_i;
            const float *by = dy ? dy + Index(i) * W + j0 : nullptr,
                        *bx = dy ? dx + Index(i) * W + j0 : nullptr;
            const auto places = [&]<bool bent>() {
                for (int j = 0; j < n; ++j) {
                    const float x = static_cast<float>(j0 + j) - middle_j;
                    float down = a.yy * y + a.yx * x + a.y + middle_i;
                    float right = a.xy * y + a.xx * x + a.x + middle_j;
                    if constexpr (bent) down += elastic * by[j], right += elastic * bx[j];
                    // outside by a pixel or more is all zeros
                    down = down > -1 ? down : -1, down = down < most_down ? down : most_down;
                    right = right > -1 ? right : -1,
                    right = right < most_right ? right : most_right;
                    const auto top = static_cast<std::int32_t>(down + 1),
                               left = static_cast<std::int32_t>(right + 1);
                    v[j] = down + 1 - static_cast<float>(top);
                    u[j] = right + 1 - static_cast<float>(left);
                    place[j] = top * row + left * R;
                }
            };
            dy ? places.template operator()<true>() : places.template operator()<false>();
            float* to = out.at + i * out.row + j0 * out.pixel;
            for (int j = 0; j < n; ++j, to += out.pixel) {
                const float* from = bordered + place[j];
                for (int r = 0; r < R; ++r) {
                    const float above = from[r] + u[j] * (from[r + R] - from[r]);
                    const float below = from[row + r] + u[j] * (from[row + r + R] - from[row + r]);
                    to[r] = above + v[j] * (below - above);
                }
            }
        }
}

}  // namespace convlet::CONVLET_TARGET
