// (1), (2) and (3) by fewer multiplications: Winograd's minimal filtering, for stride 1.
//
// A tile of M x M outputs of a T x T kernel depends on N x N pixels, N = T + M - 1:
//
//     z = A^T [ (G w G^T) . sum over r (B^T x B) ] A + b        "." is element by element
//
// with N^2 multiplications a channel in the place of M^2 T^2: 36 for 144 with T = 3 and M = 4, 36 for
// 100 with T = 5 and M = 2, 16 for 36 with T = 3 and M = 2.  The points are 0, 1, -1, (2, -2,)
// infinity.  G is taken three times too large for N = 6, so that small integers stay exact; z is
// divided by 9 at the end.
//
// (2) is such a convolution of dJ/dz.  (3) filters the pixels of a tile with its M x M errors: T x T
// outputs, whose products are added over all tiles before A.
//
// Source: Lavin, Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.
#pragma once

#include "conv.h"
#include "kernels.h"
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

// G g along one axis of a filter of 2 to 5 taps, three times too large.
template <int W, int T>
CONVLET_INLINE void of_taps(const Vec<W> (&g)[T], Vec<W> (&u)[6]) {
    const Vec<W> half = broadcast<W>(0.5f), two = broadcast<W>(2);
    Vec<W> even = g[0], odd = g[1];
    Vec<W> even2 = broadcast<W>(0.125f) * g[0], odd2 = broadcast<W>(0.25f) * g[1];
    if constexpr (T > 2) even = even + g[2], even2 = fma(half, g[2], even2);
    if constexpr (T > 3) odd = odd + g[3], odd2 = odd2 + g[3];
    if constexpr (T > 4) even = even + g[4], even2 = fma(two, g[4], even2);
    even = half * even, odd = half * odd;
    u[0] = broadcast<W>(0.75f) * g[0];
    u[1] = broadcast<W>(0) - (even + odd);
    u[2] = odd - even;
    u[3] = even2 + odd2;
    u[4] = even2 - odd2;
    u[5] = broadcast<W>(3) * g[T - 1];
}
// Of 2 or 3 taps for 4 points, as it is.
template <int W, int T>
CONVLET_INLINE void of_taps(const Vec<W> (&g)[T], Vec<W> (&u)[4]) {
    const Vec<W> half = broadcast<W>(0.5f);
    const Vec<W> even = half * (T > 2 ? g[0] + g[T - 1] : g[0]), odd = half * g[1];
    u[0] = g[0], u[1] = even + odd, u[2] = even - odd, u[3] = g[T - 1];
}

// A^T m along one axis: 2 to 5 outputs.
template <int W, int M>
CONVLET_INLINE void of_products(const Vec<W> (&m)[6], Vec<W> (&y)[M]) {
    const Vec<W> even = m[1] + m[2], odd = m[1] - m[2];
    const Vec<W> even2 = m[3] + m[4], odd2 = m[3] - m[4];
    y[0] = m[0] + even + even2;
    y[1] = fma(broadcast<W>(2), odd2, odd);
    if constexpr (M > 2) y[2] = fma(broadcast<W>(4), even2, even);
    if constexpr (M > 3) y[3] = fma(broadcast<W>(8), odd2, odd);
    if constexpr (M > 4) y[4] = fma(broadcast<W>(16), even2, even);
    y[M - 1] = y[M - 1] + m[5];
}
template <int W, int M>
CONVLET_INLINE void of_products(const Vec<W> (&m)[4], Vec<W> (&y)[M]) {
    y[0] = m[0] + (m[1] + m[2]);
    y[1] = m[1] - m[2];
    if constexpr (M > 2) y[2] = m[1] + m[2];
    y[M - 1] = y[M - 1] - m[3];
}

// y / 9, correctly rounded: a guess, and what it leaves.
template <int W>
CONVLET_INLINE Vec<W> ninth(Vec<W> y) {
    const Vec<W> part = broadcast<W>(1.0f / 9), guess = y * part;
    return fma(fma(broadcast<W>(-9), guess, y), part, guess);
}

// G w G^T of the input channels [first, last) -> u (N, N, R, K rounded up to 8).  Taps stand 2^n
// floats apart, in the same few sets of the cache: whole lines of them are taken at a time.
template <int T, int M>
void winograd_taps_of(const ConvShape& s, const float* w, int first, int last, float* u) {
    constexpr int N = T + M - 1;
    const Index width = ceil_div(s.K, 8) * 8, tap = s.R * s.w_row();
    const Index point = winograd_step(s.R * width);
    for (int r = first; r < last; ++r)
        each_panel<1>(s.K, [&]<int W, int, bool masked>(int k, int lanes) {
            Vec<W> half[N][T];
            for (int q = 0; q < T; ++q) {
                Vec<W> g[T], column[N];
                for (int p = 0; p < T; ++p)  // pixel (p, q) of a window meets tap (P-p, Q-q)
                    g[p] = load<W, masked>(
                        w + (Index(T - 1 - p) * T + (T - 1 - q)) * tap + r * s.w_row() + k, lanes);
                of_taps(g, column);
                for (int n = 0; n < N; ++n) half[n][q] = column[n];
            }
            for (int n = 0; n < N; ++n) {
                Vec<W> row[N];
                of_taps(half[n], row);
                for (int m = 0; m < N; ++m) store(u + (n * N + m) * point + r * width + k, row[m]);
            }
        });
}

// Some rows of tiles: their first output row, how many rows, and how many tiles lie in each.
struct TileRows {
    int first, rows, columns;
    CONVLET_INLINE int tiles() const { return rows * columns; }
};

// f(rows of tiles) for an image of I x J outputs, in groups of at most `winograd_rows` that are equal
// but for one row.
template <class F>
CONVLET_INLINE void each_tile_rows(const ConvShape& s, int I, int J, const F& f) {
    const int rows = ceil_div(I, s.tile), groups = ceil_div(rows, winograd_rows(s));
    for (int n = 0; n < groups; ++n) {
        const int first = rows * n / groups, last = rows * (n + 1) / groups;
        f(TileRows{first * s.tile, last - first, ceil_div(J, s.tile)});
    }
}

// Tiles with their pixels turned: B^T x B -> v (N, N, tiles, x_pixel), W channels of them.  Pixels
// under no window of an image of I x J outputs count as 0.  `lines` has room for N vectors a column.
template <int T, int M, int W>
void winograd_pixels(const ConvShape& s, const float* x, int I, int J, TileRows at, float* lines,
                     float* v) {
    constexpr int N = T + M - 1;
    const int columns = M * at.columns + T - 1, there = J + T - 1;
    const Index point = winograd_step(Index(at.tiles()) * s.x_pixel);
    for (int a = 0; a < at.rows; ++a) {
        const int i = at.first + a * M, rows = min(N, I + T - 1 - i);
        const float* from = x + i * s.x_row;
        for (int c = 0; c < columns; ++c) {
            Vec<W> d[N];
            const float* column = from + c * s.x_pixel;
            const int exist = c < there ? rows : 0;
            if (exist == N)
                unrolled<N>([&](int n) { d[n] = load<W>(column + n * s.x_row); });
            else
                unrolled<N>([&](int n) {
                    d[n] = broadcast<W>(0);
                    if (n < exist) d[n] = load<W>(column + n * s.x_row);
                });
            of_pixels(d);
            unrolled<N>([&](int n) { store(lines + (c * N + n) * W, d[n]); });
        }
        for (int b = 0; b < at.columns; ++b) {
            float* to = v + Index(a * at.columns + b) * s.x_pixel;
            const float* line = lines + M * b * N * W;
            for (int n = 0; n < N; ++n, line += W, to += N * point) {
                Vec<W> d[N];
                unrolled<N>([&](int m) { d[m] = load<W>(line + m * N * W); });
                of_pixels(d);
                unrolled<N>([&](int m) { store(to + m * point, d[m]); });
            }
        }
    }
}

// m (rows, NV vectors) = a (rows, depth) u (depth, NV vectors), or += with `more`: each is a chain over
// the depth.  Rows of `a` are beside each other and its columns `step` floats apart, or the other way
// round.
template <int W, int NV, int ROWS, bool beside>
CONVLET_FLAT void winograd_product(const float* a, Index step, Index depth, const float* u,
                                   Index width, bool more, float* m) {
    const Index row = beside ? 1 : step, column = beside ? step : 1;
    Vec<W> sum[ROWS][NV];
    if (more)
        unrolled<ROWS, NV>([&](int i, int n) { sum[i][n] = load<W>(m + i * width + n * W); });
    else
        unrolled<ROWS, NV>([&](int i, int n) { sum[i][n] = broadcast<W>(0); });
    for (const float* end = a + depth * column; a != end; a += column, u += width) {
        Vec<W> right[NV];
        unrolled<NV>([&](int n) { right[n] = load<W>(u + n * W); });
        unrolled<ROWS>([&](int i) {
            const Vec<W> factor = broadcast<W>(a[i * row]);
            unrolled<NV>([&](int n) { sum[i][n] = fma(factor, right[n], sum[i][n]); });
        });
    }
    unrolled<ROWS, NV>([&](int i, int n) { store(m + i * width + n * W, sum[i][n]); });
}

using WinogradProduct = void(const float* a, Index step, Index depth, const float* u, Index width,
                             bool more, float* m);

// All rows of one point, in tiles whose heights differ by one at most.  24 sums, NV vectors of u and
// a broadcast fit 32 registers: 24 + 4 + 1 = 29; 12 of them fit 16: 12 + 2 + 1 = 15; of one vector 8 do.
template <bool beside>
void winograd_panels(const float* a, Index step, int rows, Index depth, const float* u, Index width,
                     bool more, float* m) {
    const Index row = beside ? 1 : step;
    const auto panel = [&]<int W, int NV>(Index k) {
        constexpr int limit = NV == 1 ? 8 : (registers == 32 ? 24 : 12) / NV;
        const int tiles = ceil_div(rows, limit), height = rows / tiles, higher = rows % tiles;
        WinogradProduct *high = nullptr, *low = nullptr;
        as_constant<limit>(height, [&]<int ROWS>() {
            low = winograd_product<W, NV, ROWS, beside>;
            if constexpr (ROWS < limit) high = winograd_product<W, NV, ROWS + 1, beside>;
        });
        int at = 0;
        for (int n = 0; n < tiles; ++n) {
            (n < higher ? high : low)(a + at * row, step, depth, u + k, width, more,
                                      m + at * width + k);
            at += height + (n < higher);
        }
    };
    Index k = 0;
    if constexpr (registers == 32)
        for (; k + 4 * widest <= width; k += 4 * widest) panel.template operator()<widest, 4>(k);
    for (; k + 2 * widest <= width; k += 2 * widest) panel.template operator()<widest, 2>(k);
    for (; k + widest <= width; k += widest) panel.template operator()<widest, 1>(k);
    for (; k < width; k += 8) panel.template operator()<8, 1>(k);
}

// Where all pixels of a window are 0 an output is exactly the bias, as R'(0) = 1/2 and ties of the
// pool ask: other pixels of its tile leave a rounding there.  `blank` (rows, columns of pixels) says
// which pixels have no channel that is not 0.  False where no window of T x T has only such pixels,
// which few of them show: each window has one of every T-th row and column.
template <int T>
bool blank_pixels(const ConvShape& s, const float* x, int rows, int columns, std::uint8_t* blank) {
    const auto is_blank = [&](int t, int u) {
        const float* at = x + t * s.x_row + u * s.x_pixel;
        for (Index r = 0; r < s.x_pixel; r += 8)
            if (!all(load<8>(at + r) == broadcast<8>(0))) return false;
        return true;
    };
    bool some = false;
    for (int t = T - 1; t < rows && !some; t += T)
        for (int u = T - 1; u < columns && !some; u += T) some = is_blank(t, u);
    if (some)
        for (int t = 0; t < rows; ++t)
            for (int u = 0; u < columns; ++u) *blank++ = is_blank(t, u);
    return some;
}

// A bit for each of the M x M outputs of the tile that begins with pixel `at`, `columns` in a row.
template <int T, int M>
CONVLET_INLINE unsigned blank_outputs(const std::uint8_t* at, Index columns, int rows_there,
                                      int columns_there) {
    unsigned found = 0;
    for (int i = 0; i < M && i + T <= rows_there; ++i)
        for (int j = 0; j < M && j + T <= columns_there; ++j) {
            unsigned all_blank = 1;
            for (int p = 0; p < T; ++p)
                for (int q = 0; q < T; ++q) all_blank &= at[(i + p) * columns + j + q];
            found |= all_blank << (i * M + j);
        }
    return found;
}

// What a stage makes of its tiles: where z or what follows it goes.
struct Outputs {
    Fused fused;
    BiasView b;
    Grid out;
    Winner* winner;  // or null
    Index winner_pixel;
};

// Rows of tiles of W channels from their products m (N, N, tiles, width): z, then sigma.
template <int T, int M, int W, bool masked, bool way_back>
CONVLET_FLAT void winograd_outputs(const ConvShape& s, int I, int J, TileRows at, const float* m,
                                   Index width, const std::uint8_t* blank, int lanes,
                                   const Outputs& o) {
    constexpr int N = T + M - 1;
    const std::int32_t down = static_cast<std::int32_t>(s.x_row / s.x_pixel);
    const Index point = winograd_step(Index(at.tiles()) * width);
    const Vec<W> zero = broadcast<W>(0);
    for (int tile = 0; tile < at.tiles(); ++tile) {
        const int i0 = at.first + tile / at.columns * M, j0 = tile % at.columns * M;
        const int rows = min(M, I - i0), columns = min(M, J - j0);
        const float* from = m + tile * width;
        Vec<W> half[N][M], z[M][M];
        unrolled<N>([&](int q) {
            Vec<W> column[N];
            unrolled<N>([&](int p) { column[p] = load<W>(from + (p * N + q) * point); });
            of_products(column, half[q]);
        });
        unrolled<M>([&](int i) {
            Vec<W> row[N];
            unrolled<N>([&](int q) { row[q] = half[q][i]; });
            of_products(row, z[i]);
        });
        const unsigned bare = blank ? blank_outputs<T, M>(blank + i0 * (J + T - 1) + j0, J + T - 1,
                                                          I + T - 1 - i0, J + T - 1 - j0)
                                    : 0;
        unrolled<M, M>([&](int i, int j) {
            if constexpr (N == 6) z[i][j] = ninth(z[i][j]);
            if (bare >> (i * M + j) & 1) z[i][j] = zero;
            const bool there = i < rows && j < columns;
            z[i][j] = z[i][j] + load<W, masked>(
                                    o.b.b + (there ? (i0 + i) * o.b.row + (j0 + j) * o.b.pixel : 0),
                                    lanes);  // (1), (17)
        });
        if (pools(o.fused)) {
            unrolled<M / 2, M / 2>([&](int i, int j) {
                if (2 * i >= rows || 2 * j >= columns) return;
                const Index a = i0 / 2 + i, b = j0 / 2 + j;
                pooled<W, masked, way_back>(
                    z[2 * i][2 * j], z[2 * i][2 * j + 1], z[2 * i + 1][2 * j],
                    z[2 * i + 1][2 * j + 1], o.fused,
                    static_cast<std::int32_t>((i0 + 2 * i) * down + j0 + 2 * j), 1, down, lanes,
                    o.out.at + a * o.out.row + b * o.out.pixel,
                    way_back ? o.winner + (a * (s.J / 2) + b) * o.winner_pixel : nullptr);
            });
            continue;
        }
        unrolled<M, M>([&](int i, int j) {
            if (i >= rows || j >= columns) return;
            const Index a = i0 + i, b = j0 + j;
            if constexpr (way_back) {
                const auto place = static_cast<std::int32_t>(a * down + b);
                Ints<W> where = broadcast_int<W>(place);
                if (o.fused == Fused::relu)
                    where = select(z[i][j] <= zero,
                                   select(z[i][j] == zero, broadcast_int<W>(place + convlet::half),
                                          broadcast_int<W>(-1)),
                                   where);
                store<masked>(o.winner + (a * s.J + b) * o.winner_pixel, where, lanes);
            }
            store<masked>(o.out.at + a * o.out.row + b * o.out.pixel,
                          o.fused == Fused::relu ? rectified(z[i][j]) : z[i][j], lanes);
        });
    }
}

template <int T, int M, bool way_back>
void winograd_of(const ConvShape& s, Fused fused, const float* x, const float* u, BiasView b,
                 Grid out, Winner* winner, float* scratch) {
    constexpr int N = T + M - 1;
    const int I = pools(fused) ? s.I / 2 * 2 : s.I, J = pools(fused) ? s.J / 2 * 2 : s.J;
    if (I == 0 || J == 0) return;
    const Index width = ceil_div(s.K, 8) * 8, most = winograd_tiles(s);
    float* v = scratch;
    float* m = v + N * N * winograd_step(most * s.x_pixel);
    float* lines = m + N * N * winograd_step(most * width);
    std::uint8_t* blank = nullptr;
    // where M is 2 no row of B^T that an output uses meets a pixel beside its window
    if (M > 2 && fused != Fused::none) {
        blank = reinterpret_cast<std::uint8_t*>(lines + winograd_lines(s));
        if (!blank_pixels<T>(s, x, I + T - 1, J + T - 1, blank)) blank = nullptr;
    }
    each_tile_rows(s, I, J, [&](TileRows at) {
        Index r = 0;
        for (; r + widest <= s.x_pixel; r += widest)
            winograd_pixels<T, M, widest>(s, x + r, I, J, at, lines, v + r);
        for (; r < s.x_pixel; r += 8) winograd_pixels<T, M, 8>(s, x + r, I, J, at, lines, v + r);
        for (int n = 0; n < N * N; ++n)
            winograd_panels<false>(v + n * winograd_step(at.tiles() * s.x_pixel), s.x_pixel,
                                   at.tiles(), s.R, u + n * winograd_step(s.R * width), width,
                                   false, m + n * winograd_step(at.tiles() * width));
        each_panel<1>(s.K, [&]<int W, int, bool masked>(int k, int lanes) {
            winograd_outputs<T, M, W, masked, way_back>(s, I, J, at, m + k, width, blank, lanes,
                                                        {fused,
                                                         {b.b + k, b.row, b.pixel},
                                                         {out.at + k, out.row, out.pixel},
                                                         way_back ? winner + k : nullptr,
                                                         width});
        });
    });
}

// Tiles of M x M errors, turned as filters: G e G^T -> d (N, N, tiles, K rounded up to 8).
template <int T, int M, int W>
void winograd_errors(const ConvShape& s, Grid delta, TileRows at, Index width, float* d) {
    constexpr int N = T + M - 1;
    const Index point = winograd_step(Index(at.tiles()) * width);
    for (int tile = 0; tile < at.tiles(); ++tile) {
        const int i0 = at.first + tile / at.columns * M, j0 = tile % at.columns * M;
        const int rows = min(M, s.I - i0), columns = min(M, s.J - j0);
        const float* from = delta.at + i0 * delta.row + j0 * delta.pixel;
        Vec<W> half[M][N];
        for (int j = 0; j < M; ++j) {
            Vec<W> e[M];
            for (int i = 0; i < M; ++i)
                e[i] = i < rows && j < columns ? load<W>(from + i * delta.row + j * delta.pixel)
                                               : broadcast<W>(0);
            of_taps(e, half[j]);
        }
        for (int n = 0; n < N; ++n) {
            Vec<W> e[M], row[N];
            for (int j = 0; j < M; ++j) e[j] = half[j][n];
            of_taps(e, row);
            for (int q = 0; q < N; ++q) store(d + tile * width + (n * N + q) * point, row[q]);
        }
    }
}

// sums (N, N, R rounded up to 8, K rounded up to 8) += or = the products of (3), added over tiles.
template <int T, int M>
void winograd_dw_of(const ConvShape& s, const float* x, Grid delta, bool first, float* sums,
                    float* scratch) {
    constexpr int N = T + M - 1;
    const Index width = ceil_div(s.K, 8) * 8, most = winograd_tiles(s);
    const Index sum = winograd_step(s.x_pixel * width);
    float* v = scratch;
    float* d = v + N * N * winograd_step(most * s.x_pixel);
    float* lines = d + N * N * winograd_step(most * width);
    bool begins = first;
    each_tile_rows(s, s.I, s.J, [&](TileRows at) {
        Index r = 0;
        for (; r + widest <= s.x_pixel; r += widest)
            winograd_pixels<T, M, widest>(s, x + r, s.I, s.J, at, lines, v + r);
        for (; r < s.x_pixel; r += 8)
            winograd_pixels<T, M, 8>(s, x + r, s.I, s.J, at, lines, v + r);
        Index k = 0;
        for (; k + widest <= width; k += widest)
            winograd_errors<T, M, widest>(s, {delta.at + k, delta.row, delta.pixel}, at, width,
                                          d + k);
        for (; k < width; k += 8)
            winograd_errors<T, M, 8>(s, {delta.at + k, delta.row, delta.pixel}, at, width, d + k);
        for (int n = 0; n < N * N; ++n) {
            winograd_panels<true>(v + n * winograd_step(at.tiles() * s.x_pixel), s.x_pixel,
                                  static_cast<int>(s.x_pixel), at.tiles(),
                                  d + n * winograd_step(at.tiles() * width), width, !begins,
                                  sums + n * sum);
        }
        begins = false;
    });
}

// Those sums -> dw (T, T, R, K): A^T sum A.
template <int T, int M>
void winograd_dw_sum_of(const ConvShape& s, const float* sums, float* dw) {
    constexpr int N = T + M - 1;
    const Index width = ceil_div(s.K, 8) * 8, sum = winograd_step(s.x_pixel * width);
    for (int r = 0; r < s.R; ++r)
        for (int k = 0; k < s.K; k += 8) {
            const int lanes = min(8, s.K - k);
            V half[N][T];
            for (int q = 0; q < N; ++q) {
                V column[N];
                for (int p = 0; p < N; ++p)
                    column[p] = load<8>(sums + (p * N + q) * sum + r * width + k);
                of_products(column, half[q]);
            }
            for (int p = 0; p < T; ++p) {
                V row[N], y[T];
                for (int q = 0; q < N; ++q) row[q] = half[q][p];
                of_products(row, y);
                for (int q = 0; q < T; ++q)
                    store<true>(dw + (Index(p * T + q) * s.R + r) * s.K + k,
                                N == 6 ? ninth(y[q]) : y[q], lanes);
            }
        }
}

// f<T, M>() of this shape.
template <class F>
CONVLET_INLINE void with_tile(const ConvShape& s, const F& f) {
    if (s.rows == 5)
        f.template operator()<5, 2>();
    else if (s.tile == 2)
        f.template operator()<3, 2>();
    else
        f.template operator()<3, 4>();
}

inline void winograd_taps(const ConvShape& s, const float* w, int first, int last, float* u) {
    with_tile(s, [&]<int T, int M>() { winograd_taps_of<T, M>(s, w, first, last, u); });
}

inline void winograd(const ConvShape& s, Fused fused, const float* x, const float* u, BiasView b,
                     Grid out, Winner* winner, float* scratch) {
    with_tile(s, [&]<int T, int M>() {
        const auto run = winner ? winograd_of<T, M, true> : winograd_of<T, M, false>;
        run(s, fused, x, u, b, out, winner, scratch);
    });
}

inline void winograd_dw(const ConvShape& s, const float* x, Grid delta, bool first, float* sums,
                        float* scratch) {
    with_tile(s, [&]<int T, int M>() { winograd_dw_of<T, M>(s, x, delta, first, sums, scratch); });
}

inline void winograd_dw_sum(const ConvShape& s, const float* sums, float* dw) {
    with_tile(s, [&]<int T, int M>() { winograd_dw_sum_of<T, M>(s, sums, dw); });
}

}  // namespace convlet::CONVLET_TARGET
