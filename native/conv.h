// Convolution (1) with its bias (17), the fused P(R(z)), and the derivatives (2), (3) over
// survivors.
#pragma once

#include "kernels.h"
#include "vec.h"

namespace convlet::CONVLET_TARGET {

CONVLET_INLINE constexpr int least(int a, int b) { return a < b ? a : b; }
CONVLET_INLINE constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

// ---------------------------------------------------------------------------------- forward (1)

// z (1) of ROWS x COLS neighbouring outputs and NV vectors of channels, in registers.  x stands at
// pixel (s1 i, s2 j), w and b at the first channel; `lanes` of the vector exist where it is cut.
//
// Every output is one chain of multiply-adds: the bias, then p, q, r ascending.  w is read as it
// lies in the flat vector, so nothing is packed before a single image is predicted.  STEP, the
// floats from one output's pixel to the next one's, is a constant where it is common (0: it is
// not), so that COLS pixels are one register and COLS displacements.
template <int W, int NV, bool cut, int ROWS, int COLS, int STEP>
CONVLET_INLINE void conv_tile(const ConvShape& s, const float* x, const float* w, BiasView b,
                              int lanes, Vec<W> (&z)[ROWS][COLS][NV]) {
    const Index row = s.s1 * s.x_row, step = STEP ? STEP : s.s2 * s.x_pixel;
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 16
        for (int j = 0; j < COLS; ++j)
#pragma GCC unroll 16
            for (int n = 0; n < NV; ++n)
                z[i][j][n] = loaded<W, cut>(b.b + i * b.row + j * b.pixel + n * W, lanes);
    // with one channel the run over q is contiguous in x, otherwise the run over r is
    const bool single = s.R == 1 && s.x_pixel == 1;
    const int runs = single ? 1 : s.columns, length = single ? s.columns : s.R;
    const Index tap = static_cast<Index>(s.R) * s.K, w_step = single ? -tap : s.K;
    for (int p = 0; p < s.rows; ++p) {
        const float* wq = w + (Index(s.rows - p) * s.columns - 1) * tap;  // tap (P-p, Q)
        const float* xq = x + p * s.x_row;
        for (int q = 0; q < runs; ++q, wq -= tap, xq += s.x_pixel) {
            const float* wr = wq;
#pragma GCC unroll 2
            for (int r = 0; r < length; ++r, wr += w_step) {
                Vec<W> taps[NV];
#pragma GCC unroll 16
                for (int n = 0; n < NV; ++n) taps[n] = loaded<W, cut>(wr + n * W, lanes);
#pragma GCC unroll 16
                for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 16
                    for (int j = 0; j < COLS; ++j) {
                        const Vec<W> pixel = same<W>(xq[i * row + j * step + r]);
#pragma GCC unroll 16
                        for (int n = 0; n < NV; ++n)
                            z[i][j][n] = fma(pixel, taps[n], z[i][j][n]);  // (1)
                    }
            }
        }
    }
}

template <int W, int NV, bool cut, int COLS, int STEP>
void conv_strip(const ConvShape& s, const float* x, const float* w, BiasView b, int lanes, float* z,
                Index z_pixel) {
    Vec<W> tile[1][COLS][NV];
    conv_tile<W, NV, cut, 1, COLS, STEP>(s, x, w, b, lanes, tile);
#pragma GCC unroll 16
    for (int j = 0; j < COLS; ++j)
#pragma GCC unroll 16
        for (int n = 0; n < NV; ++n) stored<cut>(z + j * z_pixel + n * W, tile[0][j][n], lanes);
}

// P(R(z)), or another order, of a tile of 2 x COLS outputs while it is in registers: z is never
// stored.  Of equal maxima the first in row-major order wins: only a greater one replaces it.
template <int W, int NV, bool cut, int COLS, int STEP, bool way_back>
void conv_pool_strip(const ConvShape& s, Fused fused, const float* x, const float* w, BiasView b,
                     int lanes, std::int32_t place, float* out, Index out_pixel, Winner* winner,
                     Index winner_pixel) {
    Vec<W> z[2][COLS][NV];
    conv_tile<W, NV, cut, 2, COLS, STEP>(s, x, w, b, lanes, z);
    const std::int32_t down = static_cast<std::int32_t>(s.s1 * (s.x_row / s.x_pixel));
    const Vec<W> zero = same<W>(0);
#pragma GCC unroll 16
    for (int j = 0; j < COLS; j += 2) {
        const std::int32_t first = place + j * s.s2;
#pragma GCC unroll 16
        for (int n = 0; n < NV; ++n) {
            Vec<W> best = z[0][j][n];
            Ints<W> where = same_int<W>(first);
            const auto challenge = [&](Vec<W> value, std::int32_t at) {
                const auto wins = value > best;
                best = select(wins, value, best);
                if constexpr (way_back) where = select(wins, same_int<W>(at), where);
            };
            challenge(z[0][j + 1][n], first + s.s2);
            challenge(z[1][j][n], first + down);
            challenge(z[1][j + 1][n], first + down + s.s2);
            const auto off = best <= zero;  // R cuts the whole window
            float* to = out + j / 2 * out_pixel + n * W;
            stored<cut>(to, fused == Fused::pool ? best : select(off, zero, best), lanes);
            if constexpr (way_back) {
                const Ints<W> dead = same_int<W>(-1);
                if (fused == Fused::relu_pool)  // the maximum is over R(z): the first of zeros
                    where = select(off, select(z[0][j][n] == zero, same_int<W>(first + half), dead),
                                   where);
                if (fused == Fused::pool_relu)
                    where =
                        select(off, select(best == zero, where + same_int<W>(half), dead), where);
                stored<cut>(winner + j / 2 * winner_pixel + n * W, where, lanes);
            }
        }
    }
}

// Where one panel of channels begins: everything that does not change from strip to strip.
struct Panel {
    const float* x;
    const float* w;
    BiasView b;
    int lanes;
};

template <int W, int NV, bool cut, int STEP, int COLS>
void conv_columns(const ConvShape& s, const Panel& at, int i, int& j, int count, Grid z) {
    if constexpr (COLS >= 1) {
        if (count < COLS)
            return conv_columns<W, NV, cut, STEP, COLS == 1 ? 0 : COLS / 2>(s, at, i, j, count, z);
        conv_strip<W, NV, cut, COLS, STEP>(
            s, at.x + i * s.s1 * s.x_row + j * s.s2 * s.x_pixel, at.w,
            {at.b.b + i * at.b.row + j * at.b.pixel, at.b.row, at.b.pixel}, at.lanes,
            z.at + i * z.row + j * z.pixel, z.pixel);
        j += COLS;
    }
}

template <int W, int NV, bool cut, int STEP>
void conv_panel(const ConvShape& s, const Panel& at, Grid z) {
    constexpr int limit = registers == 32 ? (NV == 1 ? 16 : 8) : (NV == 1 ? 12 : 4);
    for (int i = 0; i < s.I; ++i)
        for (int j = 0; j < s.J;) conv_columns<W, NV, cut, STEP, limit>(s, at, i, j, s.J - j, z);
}

template <int W, int NV, bool cut, int STEP, bool way_back, int COLS>
void conv_pool_columns(const ConvShape& s, Fused fused, const Panel& at, int i, int j, int count,
                       Grid out, Winner* winner, Index winner_pixel) {
    if constexpr (COLS >= 2) {
        if (count < COLS)
            return conv_pool_columns<W, NV, cut, STEP, way_back, COLS - 2>(
                s, fused, at, i, j, count, out, winner, winner_pixel);
        const Index pixels = i * s.s1 * (s.x_row / s.x_pixel) + j * s.s2;
        const Index output = Index(i / 2) * (s.J / 2) + j / 2;
        conv_pool_strip<W, NV, cut, COLS, STEP, way_back>(
            s, fused, at.x + pixels * s.x_pixel, at.w,
            {at.b.b + i * at.b.row + j * at.b.pixel, at.b.row, at.b.pixel}, at.lanes,
            static_cast<std::int32_t>(pixels), out.at + i / 2 * out.row + j / 2 * out.pixel,
            out.pixel, way_back ? winner + output * winner_pixel : nullptr, winner_pixel);
    }
}

// Rows in pairs, columns in equal tiles as wide as the registers allow: 2 x 12 outputs of one
// vector or 2 x 6 of two with 32 registers, 2 x 6 or 2 x 2 with 16.
template <int W, int NV, bool cut, int STEP, bool way_back>
void conv_pool_panel(const ConvShape& s, Fused fused, const Panel& at, Grid out, Winner* winner,
                     Index winner_pixel) {
    constexpr int limit = registers == 32 ? (NV == 1 ? 12 : 6) : (NV == 1 ? 6 : 2);
    const int columns = s.J / 2 * 2;
    const int width = ceil_div(ceil_div(columns, ceil_div(columns, limit)), 2) * 2;
    for (int i = 0; i + 1 < s.I; i += 2)
        for (int j = 0; j < columns; j += width)
            conv_pool_columns<W, NV, cut, STEP, way_back, limit>(
                s, fused, at, i, j, least(width, columns - j), out, winner, winner_pixel);
}

// All panels of channels: two vectors at a time, then one, then a cut one.  `f.template run<...>`.
template <int W, int STEP, class F>
CONVLET_INLINE void each_panel(int K, const F& f) {
    int k = 0;
    for (; k + 2 * W <= K; k += 2 * W) f.template run<W, 2, false, STEP>(k, W);
    for (; k + W <= K; k += W) f.template run<W, 1, false, STEP>(k, W);
    if (k < K) f.template run<W, 1, true, STEP>(k, K - k);
}
template <int W, class F>
CONVLET_INLINE void each_panel(const ConvShape& s, const F& f) {
    switch (s.s2 * s.x_pixel) {
        case 1:
            return each_panel<W, 1>(s.K, f);
        case 8:
            return each_panel<W, 8>(s.K, f);
        case 16:
            return each_panel<W, 16>(s.K, f);
        case 32:
            return each_panel<W, 32>(s.K, f);
        default:
            return each_panel<W, 0>(s.K, f);
    }
}
template <class F>
CONVLET_INLINE void each_panel(const ConvShape& s, const F& f) {
    if (s.K <= 8)
        each_panel<8>(s, f);
    else
        each_panel<widest>(s, f);
}

struct ConvPanels {
    const ConvShape& s;
    const Panel& at;
    Grid z;
    template <int W, int NV, bool cut, int STEP>
    void run(int k, int lanes) const {
        conv_panel<W, NV, cut, STEP>(s, {at.x, at.w + k, {at.b.b + k, at.b.row, at.b.pixel}, lanes},
                                     {z.at + k, z.row, z.pixel});
    }
};

inline void conv(const ConvShape& s, const float* x, const float* w, BiasView b, Grid z) {
    each_panel(s, ConvPanels{s, Panel{x, w, b, 0}, z});
}

template <bool way_back>
struct ConvPoolPanels {
    const ConvShape& s;
    Fused fused;
    const Panel& at;
    Grid out;
    Winner* winner;
    template <int W, int NV, bool cut, int STEP>
    void run(int k, int lanes) const {
        conv_pool_panel<W, NV, cut, STEP, way_back>(
            s, fused, {at.x, at.w + k, {at.b.b + k, at.b.row, at.b.pixel}, lanes},
            {out.at + k, out.row, out.pixel}, way_back ? winner + k : nullptr,
            ceil_div(s.K, 8) * 8);
    }
};

inline void conv_pool(const ConvShape& s, Fused fused, const float* x, const float* w, BiasView b,
                      Grid out, Winner* winner) {
    const Panel at{x, w, b, 0};
    if (winner)
        each_panel(s, ConvPoolPanels<true>{s, fused, at, out, winner});
    else
        each_panel(s, ConvPoolPanels<false>{s, fused, at, out, nullptr});
}

// ---------------------------------------------------------------------------------- backward

// delta of the surviving outputs, listed channel by channel.  Without a branch: a dead entry is
// written and then overwritten by the next.
inline void survivors(const ConvShape& s, const Winner* winner, Grid error, int rows, int columns,
                      const Survivors& list, float* db) {
    const Index pixel = ceil_div(s.K, 8) * 8;
    for (int k = 0; db && k < s.K; k += 8) {  // (18): sums over (i, j), channels are lanes
        const int lanes = least(8, s.K - k);
        Vec<8> sum = loaded<8, true>(db + k, lanes);
        for (int i = 0; i < rows; ++i)
            for (int j = 0; j < columns; ++j) {
                const Ints<8> to = loaded<8>(winner + (Index(i) * columns + j) * pixel + k);
                const Vec<8> e =
                    loaded<8, true>(error.at + i * error.row + j * error.pixel + k, lanes);
                const Vec<8> factor =
                    as_floats(shift_left<23>(same_int<8>(127) - shift_right<winner_bits>(to)));
                sum = sum + select(to_floats(to) > same<8>(-0.5f), e * factor, same<8>(0));
            }
        stored<true>(db + k, sum, lanes);
    }
    std::int32_t n = 0;
    for (int k = 0; k < s.K; ++k) {
        list.begin[k] = n;
        const Winner* to = winner + k;
        for (int i = 0; i < rows; ++i) {
            const float* e = error.at + i * error.row + k;
            for (int j = 0; j < columns; ++j, to += pixel, e += error.pixel) {
                const std::int32_t bits = (127 - (*to >> winner_bits)) << 23;
                float factor;
                __builtin_memcpy(&factor, &bits, 4);
                list.offset[n] = static_cast<std::int32_t>((*to & winner_mask) * s.x_pixel);
                list.delta[n] = *e * factor;
                n += *to >= 0;
            }
        }
    }
    list.begin[s.K] = n;
}

// (3) for one channel k, PR kernel rows and NV vectors of the run over (q, r): each survivor adds
// delta times the pixels under its window.  The sums stay in registers over all survivors.
template <int W, int NV, int PR>
void dw_tile(const float* x, Index x_row, const std::int32_t* offset, const float* delta, int count,
             bool first, float* dw, Index run) {
    Vec<W> sum[PR][NV];
#pragma GCC unroll 32
    for (int p = 0; p < PR; ++p)
#pragma GCC unroll 32
        for (int n = 0; n < NV; ++n)
            sum[p][n] = first ? same<W>(0) : loaded<W>(dw + p * run + n * W);
    for (int e = 0; e < count; ++e) {
        const Vec<W> d = same<W>(delta[e]);
        const float* xe = x + offset[e];
#pragma GCC unroll 32
        for (int p = 0; p < PR; ++p)
#pragma GCC unroll 32
            for (int n = 0; n < NV; ++n)
                sum[p][n] = fma(d, loaded<W>(xe + p * x_row + n * W), sum[p][n]);  // (3)
    }
#pragma GCC unroll 32
    for (int p = 0; p < PR; ++p)
#pragma GCC unroll 32
        for (int n = 0; n < NV; ++n) store(dw + p * run + n * W, sum[p][n]);
}

// (2) for one channel k: each survivor adds delta times the kernel to the pixels under its window.
// The kernel rows stay in registers over all survivors.
template <int W, int NV, int PR>
void dx_tile(const float* w, Index x_row, const std::int32_t* offset, const float* delta, int count,
             float* dx, Index run) {
    Vec<W> taps[PR][NV];
#pragma GCC unroll 32
    for (int p = 0; p < PR; ++p)
#pragma GCC unroll 32
        for (int n = 0; n < NV; ++n) taps[p][n] = loaded<W>(w + p * run + n * W);
    for (int e = 0; e < count; ++e) {
        const Vec<W> d = same<W>(delta[e]);
        float* xe = dx + offset[e];
#pragma GCC unroll 32
        for (int p = 0; p < PR; ++p)
#pragma GCC unroll 32
            for (int n = 0; n < NV; ++n) {
                float* at = xe + p * x_row + n * W;
                store(at, fma(d, taps[p][n], loaded<W>(at)));  // (2)
            }
    }
}

// A tile is PR kernel rows by NV vectors of the run over (q, r): `most` vectors fit the registers.
inline constexpr int tile_rows = 8, tile_columns = 12;

template <int W, int most, int NV, int PR, class F>
CONVLET_INLINE void tile_of_rows(int rows, const F& f) {
    if constexpr (PR >= 1) {
        if (rows == PR)
            f.template run<W, NV, PR>();
        else
            tile_of_rows<W, most, NV, PR - 1>(rows, f);
    }
}
template <int W, int most, int NV, class F>
CONVLET_INLINE void tile_of(int columns, int rows, const F& f) {
    if constexpr (NV >= 1) {
        if (columns == NV)
            tile_of_rows<W, most, NV, least(tile_rows, most / NV)>(rows, f);
        else
            tile_of<W, most, NV - 1>(columns, rows, f);
    }
}

// Every tile of every channel, in equal parts that are whole multiples of `unit` floats;
// `make(k, p, n)` gives what runs at channel k, kernel row p, float n.
template <int W, int unit, int most, class Make>
CONVLET_INLINE void each_tile(const ConvShape& s, const Make& make) {
    constexpr int wide = unit / W, widest_tile = least(tile_columns, most) / wide;
    const int units = static_cast<int>(s.run()) / unit;
    const int columns = ceil_div(units, ceil_div(units, widest_tile));
    const int limit = least(tile_rows, most / wide / columns);
    const int rows = ceil_div(s.rows, ceil_div(s.rows, limit));
    for (int k = 0; k < s.K; ++k)
        for (int p = 0; p < s.rows; p += rows)
            for (int n = 0; n < units; n += columns)
                tile_of<W, most, least(tile_columns, most)>(least(columns, units - n) * wide,
                                                            least(rows, s.rows - p),
                                                            make(k, p, n * unit));
}

struct DwTile {
    const float* x;
    Index x_row;
    const std::int32_t* offset;
    const float* delta;
    int count;
    bool first;
    float* dw;
    Index length;
    template <int W, int NV, int PR>
    void run() const {
        dw_tile<W, NV, PR>(x, x_row, offset, delta, count, first, dw, length);
    }
};

inline void conv_dw(const ConvShape& s, const float* x, const Survivors& list, bool first,
                    float* dw) {
    constexpr int most = registers == 32 ? 28 : 12;
    const Index run = s.run();
    const auto make = [&](int k, int p, int n) {
        const std::int32_t begin = list.begin[k];
        return DwTile{x + p * s.x_row + n,
                      s.x_row,
                      list.offset + begin,
                      list.delta + begin,
                      list.begin[k + 1] - begin,
                      first,
                      dw + (Index(k) * s.rows + p) * run + n,
                      run};
    };
    if (widest > 8 && s.x_pixel % widest == 0)
        each_tile<widest, widest, most>(s, make);
    else
        each_tile<8, 8, most>(s, make);
}

struct DxTile {
    const float* w;
    Index x_row;
    const std::int32_t* offset;
    const float* delta;
    int count;
    float* dx;
    Index length;
    template <int W, int NV, int PR>
    void run() const {
        dx_tile<W, NV, PR>(w, x_row, offset, delta, count, dx, length);
    }
};

// Here the tiles decide in which order the errors of one pixel add up, so they are the same floats
// on every target: 96, which is what 16 registers hold.  A load that straddles two earlier stores
// stalls, so a vector is never wider than a pixel's step.
inline void conv_dx(const ConvShape& s, const float* packed, const Survivors& list, float* dx) {
    const Index run = s.run();
    const auto make = [&](int k, int p, int n) {
        const std::int32_t begin = list.begin[k];
        return DxTile{packed + (Index(k) * s.rows + p) * run + n,
                      s.x_row,
                      list.offset + begin,
                      list.delta + begin,
                      list.begin[k + 1] - begin,
                      dx + p * s.x_row + n,
                      run};
    };
    if (s.x_pixel % 16 == 0)
        each_tile<widest, 16, 96 / widest>(s, make);
    else
        each_tile<8, 8, 12>(s, make);
}

}  // namespace convlet::CONVLET_TARGET
