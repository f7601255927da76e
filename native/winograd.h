// P(R(z)) of (1) by fewer multiplications: Winograd's minimal filtering F(2x2, TxT) for stride 1.
//
// A tile of 2 x 2 outputs, which is a window of the pool, depends on N x N pixels, N = T + 1:
//
//     z = A^T [ (G w G^T) . sum over r (B^T x B) ] A + b        "." is element by element
//
// with N^2 multiplications a channel in the place of 4 T^2: 36 for 100 with T = 5, 16 for 36 with
// T = 3.  The points are 0, 1, -1, (2, -2,) infinity.  G is taken three times too large for T = 5,
// so that small integers stay exact; z is divided by 9 at the end.
//
// Source: Lavin, Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.
#pragma once

#include "conv.h"
#include "kernels.h"
#include "product.h"
#include "vec.h"

namespace convlet::CONVLET_TARGET {

// B^T d in place, along one axis of a tile.
template <int W>
CONVLET_INLINE void of_pixels(Vec<W> (&d)[6]) {
    const Vec<W> four = broadcast<W>(-4), five = broadcast<W>(-5), two = broadcast<W>(2),
                 minus_two = broadcast<W>(-2);
    const Vec<W> first = fma(broadcast<W>(4), d[0], fma(five, d[2], d[4]));
    const Vec<W> last = fma(broadcast<W>(4), d[1], fma(five, d[3], d[5]));
    const Vec<W> even = fma(four, d[2], d[4]), odd = fma(four, d[1], d[3]);
    const Vec<W> even2 = d[4] - d[2], odd2 = d[3] - d[1];
    d[0] = first;
    d[1] = even + odd;
    d[2] = even - odd;
    d[3] = fma(two, odd2, even2);
    d[4] = fma(minus_two, odd2, even2);
    d[5] = last;
}
template <int W>
CONVLET_INLINE void of_pixels(Vec<W> (&d)[4]) {
    const Vec<W> first = d[0] - d[2], last = d[1] - d[3];
    const Vec<W> sum = d[1] + d[2], difference = d[2] - d[1];
    d[0] = first, d[1] = sum, d[2] = difference, d[3] = last;
}

// G g along one axis of a kernel, three times too large for 5 taps.
template <int W>
CONVLET_INLINE void of_taps(const Vec<W> (&g)[5], Vec<W> (&u)[6]) {
    const Vec<W> half = broadcast<W>(0.5f), two = broadcast<W>(2), eighth = broadcast<W>(0.125f);
    const Vec<W> even = half * (g[0] + g[2] + g[4]), odd = half * (g[1] + g[3]);
    const Vec<W> even2 = fma(two, g[4], fma(half, g[2], eighth * g[0]));
    const Vec<W> odd2 = fma(broadcast<W>(0.25f), g[1], g[3]);
    const Vec<W> zero = broadcast<W>(0);
    u[0] = broadcast<W>(0.75f) * g[0];
    u[1] = zero - (even + odd);
    u[2] = odd - even;
    u[3] = even2 + odd2;
    u[4] = even2 - odd2;
    u[5] = broadcast<W>(3) * g[4];
}
template <int W>
CONVLET_INLINE void of_taps(const Vec<W> (&g)[3], Vec<W> (&u)[4]) {
    const Vec<W> half = broadcast<W>(0.5f);
    const Vec<W> even = half * (g[0] + g[2]), odd = half * g[1];
    u[0] = g[0], u[1] = even + odd, u[2] = even - odd, u[3] = g[2];
}

// A^T m along one axis: two outputs.
template <int W>
CONVLET_INLINE void of_products(const Vec<W> (&m)[6], Vec<W>& y0, Vec<W>& y1) {
    y0 = m[0] + (m[1] + m[2]) + (m[3] + m[4]);
    y1 = fma(broadcast<W>(2), m[3] - m[4], m[1] - m[2]) + m[5];
}
template <int W>
CONVLET_INLINE void of_products(const Vec<W> (&m)[4], Vec<W>& y0, Vec<W>& y1) {
    y0 = m[0] + (m[1] + m[2]);
    y1 = (m[1] - m[2]) - m[3];
}

// y / 9, correctly rounded: a guess, and what it leaves.
template <int W>
CONVLET_INLINE Vec<W> ninth(Vec<W> y) {
    const Vec<W> part = broadcast<W>(1.0f / 9), guess = y * part;
    return fma(fma(broadcast<W>(-9), guess, y), part, guess);
}

// G w G^T of the input channels [first, last) -> u (N, N, R, K rounded up to 8).
template <int T>
void winograd_taps_of(const ConvShape& s, const float* w, int first, int last, float* u) {
    constexpr int N = T + 1;
    const Index width = ceil_div(s.K, 8) * 8, tap = Index(s.R) * s.K;
    const Index point = winograd_step(s.R * width);
    for (int r = first; r < last; ++r)
        for (int k = 0; k < s.K; k += 8) {
            V half[N][T];
            const int lanes = min(8, s.K - k);
            for (int q = 0; q < T; ++q) {
                V g[T], column[N];
                for (int p = 0; p < T; ++p)  // pixel (p, q) of a window meets tap (P-p, Q-q)
                    g[p] = load<8, true>(
                        w + (Index(T - 1 - p) * T + (T - 1 - q)) * tap + Index(r) * s.K + k, lanes);
                of_taps(g, column);
                for (int n = 0; n < N; ++n) half[n][q] = column[n];
            }
            for (int n = 0; n < N; ++n) {
                V row[N];
                of_taps(half[n], row);
                for (int m = 0; m < N; ++m) store(u + (n * N + m) * point + r * width + k, row[m]);
            }
        }
}

// A row of tiles, their pixels turned: v (N, N, tiles, x_pixel) from tile `at` on, W channels.
// `lines` has room for N vectors a column.
template <int T, int W>
void winograd_pixels(const ConvShape& s, const float* x, int row_tiles, int at, int tiles,
                     float* lines, float* v) {
    constexpr int N = T + 1;
    const int columns = 2 * row_tiles + N - 2;
    for (int c = 0; c < columns; ++c) {
        Vec<W> d[N];
        for (int n = 0; n < N; ++n) d[n] = load<W>(x + n * s.x_row + c * s.x_pixel);
        of_pixels(d);
        for (int n = 0; n < N; ++n) store(lines + (c * N + n) * W, d[n]);
    }
    const Index point = winograd_step(Index(tiles) * s.x_pixel);
    for (int b = 0; b < row_tiles; ++b) {
        float* to = v + Index(at + b) * s.x_pixel;
        for (int n = 0; n < N; ++n) {
            Vec<W> d[N];
            for (int m = 0; m < N; ++m) d[m] = load<W>(lines + ((2 * b + m) * N + n) * W);
            of_pixels(d);
            for (int m = 0; m < N; ++m) store(to + (n * N + m) * point, d[m]);
        }
    }
}

// A row of tiles of W channels from their products m (N, N, tiles, width): z, then P(R(z)).
//
// Where every pixel under an output is 0, z is the bias to the last bit, as R'(0) asks: the first
// output of a row uses no row of B^T that meets the last pixel, the second none that meets the
// first, so that what stands beside a window never comes into its sum.
template <int T, int W, bool masked, bool way_back>
CONVLET_FLAT void winograd_outputs(const ConvShape& s, Fused fused, const float* m, Index width,
                                   int row_tiles, int at, int tiles, BiasView b, int lanes,
                                   std::int32_t place, float* out, Index out_pixel, Winner* winner,
                                   Index winner_pixel) {
    constexpr int N = T + 1;
    const std::int32_t down = static_cast<std::int32_t>(s.x_row / s.x_pixel);
    const Index point = winograd_step(Index(tiles) * width);
    for (int tile = 0; tile < row_tiles; ++tile) {
        const float* from = m + Index(at + tile) * width;
        Vec<W> half[2][N], z[2][2];
        unrolled<N>([&](int q) {
            Vec<W> column[N];
            unrolled<N>([&](int p) { column[p] = load<W>(from + (p * N + q) * point); });
            of_products(column, half[0][q], half[1][q]);
        });
        unrolled<2>([&](int i) { of_products(half[i], z[i][0], z[i][1]); });
        unrolled<2, 2>([&](int i, int j) {
            if constexpr (T == 5) z[i][j] = ninth(z[i][j]);
            z[i][j] = z[i][j] + load<W, masked>(b.b + i * b.row + (2 * tile + j) * b.pixel,
                                                lanes);  // (1), (17)
        });
        pooled<W, masked, way_back>(z[0][0], z[0][1], z[1][0], z[1][1], fused, place + 2 * tile, 1,
                                    down, lanes, out + tile * out_pixel,
                                    way_back ? winner + tile * winner_pixel : nullptr);
    }
}

// m (tiles, width) = v (tiles, x_pixel) u (R, width) for one point: each element is a chain over r.
// ROW is x_pixel where that is a constant (0: it is not), so that all tiles share one register.
// 16 sums, NV vectors of u and a broadcast fit 32 registers: 16 + 2 + 1 = 19; 8 of them fit 16: 11.
template <int ROW>
void winograd_panels(const ConvShape& s, const float* v, const float* u, int tiles, Index width,
                     float* m) {
    const auto panel = [&]<int W, int NV>(Index k) {
        constexpr int limit = (registers == 32 ? 16 : 8) / NV;
        halving<limit>(0, tiles, [&]<int ROWS>(int at, int count) {
            for (int n = 0; n < count; ++n, at += ROWS)
                product_tile<W, NV, false, ROW, ROWS>({v + at * s.x_pixel, s.x_pixel, 1}, s.R,
                                                      u + k, width, nullptr, W, m + at * width + k,
                                                      width);
        });
    };
    Index k = 0;
    for (; k + 2 * widest <= width; k += 2 * widest) panel.template operator()<widest, 2>(k);
    for (; k + widest <= width; k += widest) panel.template operator()<widest, 1>(k);
    for (; k < width; k += 8) panel.template operator()<8, 1>(k);
}

inline void winograd_products(const ConvShape& s, const float* v, const float* u, int tiles,
                              Index width, float* m) {
    const auto run = s.x_pixel == 8    ? winograd_panels<8>
                     : s.x_pixel == 16 ? winograd_panels<16>
                     : s.x_pixel == 32 ? winograd_panels<32>
                                       : winograd_panels<0>;
    run(s, v, u, tiles, width, m);
}

template <int T, bool way_back>
void winograd_of(const ConvShape& s, Fused fused, const float* x, const float* u, BiasView b,
                 Grid out, Winner* winner, float* scratch) {
    constexpr int N = T + 1;
    const int rows = s.I / 2, row_tiles = s.J / 2;
    if (rows == 0 || row_tiles == 0) return;
    const int group = winograd_rows(s);
    const Index width = ceil_div(s.K, 8) * 8;
    float* v = scratch;
    const Index most = Index(group) * row_tiles;
    float* m = v + N * N * winograd_step(most * s.x_pixel);
    float* lines = m + N * N * winograd_step(most * width);
    for (int first = 0; first < rows; first += group) {
        const int count = min(group, rows - first), tiles = count * row_tiles;
        for (int a = 0; a < count; ++a) {
            const float* from = x + Index(2) * (first + a) * s.x_row;
            int r = 0;
            for (; r + widest <= s.x_pixel; r += widest)
                winograd_pixels<T, widest>(s, from + r, row_tiles, a * row_tiles, tiles, lines,
                                           v + r);
            for (; r < s.x_pixel; r += 8)
                winograd_pixels<T, 8>(s, from + r, row_tiles, a * row_tiles, tiles, lines, v + r);
        }
        for (int n = 0; n < N * N; ++n)
            winograd_products(s, v + n * winograd_step(tiles * s.x_pixel),
                              u + n * winograd_step(s.R * width), tiles, width,
                              m + n * winograd_step(tiles * width));
        for (int a = 0; a < count; ++a) {
            const int i = first + a;
            each_panel<1>(s.K, [&]<int W, int, bool masked>(int k, int lanes) {
                winograd_outputs<T, W, masked, way_back>(
                    s, fused, m + k, width, row_tiles, a * row_tiles, tiles,
                    {b.b + 2 * i * b.row + k, b.row, b.pixel}, lanes,
                    static_cast<std::int32_t>(2 * i * (s.x_row / s.x_pixel)),
                    out.at + i * out.row + k, out.pixel,
                    way_back ? winner + (Index(i) * row_tiles) * width + k : nullptr, width);
            });
        }
    }
}

inline void winograd_taps(const ConvShape& s, const float* w, int first, int last, float* u) {
    if (s.rows == 5)
        winograd_taps_of<5>(s, w, first, last, u);
    else
        winograd_taps_of<3>(s, w, first, last, u);
}

inline void winograd(const ConvShape& s, Fused fused, const float* x, const float* u, BiasView b,
                     Grid out, Winner* winner, float* scratch) {
    const auto run = s.rows == 5 ? (winner ? winograd_of<5, true> : winograd_of<5, false>)
                                 : (winner ? winograd_of<3, true> : winograd_of<3, false>);
    run(s, fused, x, u, b, out, winner, scratch);
}

}  // namespace convlet::CONVLET_TARGET
