// Augmentation of one image: an affine map and an elastic field, pixels between pixels by bilinear
// interpolation, zeros outside.  Plain loops: each element is computed alone, in one order, so that
// the compiler may use any vectors and the bits stay.
#pragma once

#include "kernels.h"
#include "vec.h"

namespace convlet::CONVLET_TARGET {

// A field (H, W) convolved with `taps` (2 radius + 1) along both axes, zeros outside.
inline void smooth(float* field, int H, int W, const float* taps, int radius, float* scratch) {
    for (int i = 0; i < H; ++i) {
        float* to = scratch + Index(i) * W;
        for (int j = 0; j < W; ++j) to[j] = 0;
        for (int t = -radius; t <= radius; ++t) {
            if (i + t < 0 || i + t >= H) continue;
            const float tap = taps[t + radius];
            const float* from = field + Index(i + t) * W;
            for (int j = 0; j < W; ++j) to[j] += tap * from[j];
        }
    }
    for (int i = 0; i < H; ++i) {
        float* to = field + Index(i) * W;
        const float* from = scratch + Index(i) * W;
        for (int j = 0; j < W; ++j) to[j] = 0;
        for (int t = -radius; t <= radius; ++t) {
            const float tap = taps[t + radius];
            const int first = t < 0 ? -t : 0, last = t < 0 ? W : W - t;
            for (int j = first; j < last; ++j) to[j] += tap * from[j + t];
        }
    }
}

// out (i, j) = image at (down, right) of (i, j).  `bordered` is the image (H + 3, W + 3, R) with
// its first pixel at (1, 1) and zeros around; dy, dx (H, W) are added to the affine map, or null.
inline void warp(const float* bordered, int H, int W, int R, const Affine& a, const float* dy,
                 const float* dx, float elastic, Grid out) {
    const Index row = Index(W + 3) * R;
    const float middle_i = 0.5f * static_cast<float>(H - 1);
    const float middle_j = 0.5f * static_cast<float>(W - 1);
    for (int i = 0; i < H; ++i)
        for (int j = 0; j < W; ++j) {
            const float y = static_cast<float>(i) - middle_i, x = static_cast<float>(j) - middle_j;
            float down = a.yy * y + a.yx * x + a.y + middle_i;
            float right = a.xy * y + a.xx * x + a.x + middle_j;
            if (dy) {
                down += elastic * dy[Index(i) * W + j];
                right += elastic * dx[Index(i) * W + j];
            }
            // outside by a pixel or more is all zeros
            down = down > -1 ? down : -1,
            down = down < static_cast<float>(H) ? down : static_cast<float>(H);
            right = right > -1 ? right : -1,
            right = right < static_cast<float>(W) ? right : static_cast<float>(W);
            const int top = static_cast<int>(down + 1), left = static_cast<int>(right + 1);
            const float v = down + 1 - static_cast<float>(top),
                        u = right + 1 - static_cast<float>(left);
            const float* from = bordered + top * row + Index(left) * R;
            float* to = out.at + i * out.row + j * out.pixel;
            for (int r = 0; r < R; ++r) {
                const float above = from[r] + u * (from[r + R] - from[r]);
                const float below = from[row + r] + u * (from[row + r + R] - from[row + r]);
                to[r] = above + v * (below - above);
            }
        }
}

}  // namespace convlet::CONVLET_TARGET
