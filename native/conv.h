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
CONVLET_INLINE void conv_tile(const ConvShape& s, const float* x, const float* w, int lanes,
                              Vec<W> (&z)[ROWS][COLS][NV]) {
    const Index row = s.s1 * s.x_row, step = STEP ? STEP : s.s2 * s.x_pixel;
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

// The same chains for one input channel and stride 1, where neighbouring outputs share most of
// their pixels: a kernel row of TAPS stays in registers, and each pixel is broadcast once for all
// of them.
template <int W, int TAPS, bool cut, int ROWS, int COLS>
CONVLET_INLINE void conv_tile_single(const ConvShape& s, const float* x, const float* w, int lanes,
                                     Vec<W> (&z)[ROWS][COLS][1]) {
    const Index row = s.s1 * s.x_row;
    for (int p = 0; p < s.rows; ++p) {
        const float* wp = w + (Index(s.rows - p) * TAPS - 1) * s.K;  // tap (P-p, Q)
        const float* xp = x + p * s.x_row;
        Vec<W> taps[TAPS];
#pragma GCC unroll 16
        for (int q = 0; q < TAPS; ++q) taps[q] = loaded<W, cut>(wp - q * s.K, lanes);
#pragma GCC unroll 32
        for (int c = 0; c < COLS + TAPS - 1; ++c)
#pragma GCC unroll 16
            for (int i = 0; i < ROWS; ++i) {
                const Vec<W> pixel = same<W>(xp[i * row + c]);
#pragma GCC unroll 16
                for (int q = 0; q < TAPS; ++q)
                    if (c - q >= 0 && c - q < COLS)
                        z[i][c - q][0] = fma(pixel, taps[q], z[i][c - q][0]);  // (1)
            }
    }
}

// What a strip of outputs takes: which tile computes it.
template <int W_, int NV_, bool cut_, int STEP_, int TAPS_>
struct Tile {
    static constexpr int W = W_, NV = NV_, STEP = STEP_, TAPS = TAPS_;
    static constexpr bool cut = cut_;

    template <int ROWS, int COLS>
    CONVLET_INLINE static void run(const ConvShape& s, const float* x, const float* w, BiasView b,
                                   int lanes, Vec<W> (&z)[ROWS][COLS][NV]) {
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 16
            for (int j = 0; j < COLS; ++j)
#pragma GCC unroll 16
                for (int n = 0; n < NV; ++n)
                    z[i][j][n] = loaded<W, cut>(b.b + i * b.row + j * b.pixel + n * W, lanes);
        if constexpr (TAPS > 0)
            conv_tile_single<W, TAPS, cut>(s, x, w, lanes, z);
        else
            conv_tile<W, NV, cut, ROWS, COLS, STEP>(s, x, w, lanes, z);
    }
};

template <class T, int COLS>
void conv_strip(const ConvShape& s, const float* x, const float* w, BiasView b, int lanes, float* z,
                Index z_pixel) {
    constexpr int W = T::W, NV = T::NV;
    Vec<W> tile[1][COLS][NV];
    T::template run<1, COLS>(s, x, w, b, lanes, tile);
#pragma GCC unroll 16
    for (int j = 0; j < COLS; ++j)
#pragma GCC unroll 16
        for (int n = 0; n < NV; ++n) stored<T::cut>(z + j * z_pixel + n * W, tile[0][j][n], lanes);
}

// P(R(z)), or another order, of one window in registers.  Of equal maxima the first in row-major
// order wins: only a greater one replaces it.  `first` is the place of the window, `right` and
// `down` lead to the other outputs.
template <int W, bool cut, bool way_back>
CONVLET_INLINE void pooled(Vec<W> z00, Vec<W> z01, Vec<W> z10, Vec<W> z11, Fused fused,
                           std::int32_t first, std::int32_t right, std::int32_t down, int lanes,
                           float* out, Winner* winner) {
    Vec<W> best = z00;
    Ints<W> where = same_int<W>(first);
    const auto challenge = [&](Vec<W> value, std::int32_t at) {
        const auto wins = value > best;
        best = select(wins, value, best);
        if constexpr (way_back) where = select(wins, same_int<W>(at), where);
    };
    challenge(z01, first + right);
    challenge(z10, first + down);
    challenge(z11, first + down + right);
    const Vec<W> zero = same<W>(0);
    const auto off = best <= zero;  // R cuts the whole window
    stored<cut>(out, fused == Fused::pool ? best : select(off, zero, best), lanes);
    if constexpr (way_back) {
        const Ints<W> dead = same_int<W>(-1);
        if (fused == Fused::relu_pool)  // the maximum is over R(z): the first of zeros
            where = select(off, select(z00 == zero, same_int<W>(first + half), dead), where);
        if (fused == Fused::pool_relu)
            where = select(off, select(best == zero, where + same_int<W>(half), dead), where);
        stored<cut>(winner, where, lanes);
    }
}

// The same of a tile of 2 x COLS outputs while it is in registers: z is never stored.
template <class T, int COLS, bool way_back>
void conv_pool_strip(const ConvShape& s, Fused fused, const float* x, const float* w, BiasView b,
                     int lanes, std::int32_t place, float* out, Index out_pixel, Winner* winner,
                     Index winner_pixel) {
    constexpr int W = T::W, NV = T::NV;
    Vec<W> z[2][COLS][NV];
    T::template run<2, COLS>(s, x, w, b, lanes, z);
    const std::int32_t down = static_cast<std::int32_t>(s.s1 * (s.x_row / s.x_pixel));
#pragma GCC unroll 16
    for (int j = 0; j < COLS; j += 2)
#pragma GCC unroll 16
        for (int n = 0; n < NV; ++n)
            pooled<W, T::cut, way_back>(z[0][j][n], z[0][j + 1][n], z[1][j][n], z[1][j + 1][n],
                                        fused, place + j * s.s2, s.s2, down, lanes,
                                        out + j / 2 * out_pixel + n * W,
                                        way_back ? winner + j / 2 * winner_pixel + n * W : nullptr);
}

// Where one panel of channels begins: everything that does not change from strip to strip.
struct Panel {
    const float* x;
    const float* w;
    BiasView b;
    int lanes;
};

// As many outputs beside each other as fit, then half as many, and so on.
template <class T, int COLS>
void conv_columns(const ConvShape& s, const Panel& at, int i, int& j, int count, Grid z) {
    if constexpr (COLS >= 1) {
        if (count < COLS) return conv_columns<T, COLS / 2>(s, at, i, j, count, z);
        conv_strip<T, COLS>(s, at.x + i * s.s1 * s.x_row + j * s.s2 * s.x_pixel, at.w,
                            {at.b.b + i * at.b.row + j * at.b.pixel, at.b.row, at.b.pixel},
                            at.lanes, z.at + i * z.row + j * z.pixel, z.pixel);
        j += COLS;
    }
}

template <class T, bool way_back, int COLS>
void conv_pool_columns(const ConvShape& s, Fused fused, const Panel& at, int i, int j, int count,
                       Grid out, Winner* winner, Index winner_pixel) {
    if constexpr (COLS >= 2) {
        if (count < COLS)
            return conv_pool_columns<T, way_back, COLS - 2>(s, fused, at, i, j, count, out, winner,
                                                            winner_pixel);
        const Index pixels = i * s.s1 * (s.x_row / s.x_pixel) + j * s.s2;
        const Index output = Index(i / 2) * (s.J / 2) + j / 2;
        conv_pool_strip<T, COLS, way_back>(
            s, fused, at.x + pixels * s.x_pixel, at.w,
            {at.b.b + i * at.b.row + j * at.b.pixel, at.b.row, at.b.pixel}, at.lanes,
            static_cast<std::int32_t>(pixels), out.at + i / 2 * out.row + j / 2 * out.pixel,
            out.pixel, way_back ? winner + output * winner_pixel : nullptr, winner_pixel);
    }
}

// All panels of channels: two vectors at a time, then one, then a cut one.
template <int W, int STEP, class F>
CONVLET_INLINE void each_panel(int K, const F& f) {
    int k = 0;
    for (; k + 2 * W <= K; k += 2 * W) f.template run<Tile<W, 2, false, STEP, 0>>(k, W);
    for (; k + W <= K; k += W) f.template run<Tile<W, 1, false, STEP, 0>>(k, W);
    if (k < K) f.template run<Tile<W, 1, true, STEP, 0>>(k, K - k);
}
template <int W, int TAPS, class F>
CONVLET_INLINE void each_single_panel(int K, const F& f) {
    int k = 0;
    for (; k + W <= K; k += W) f.template run<Tile<W, 1, false, 1, TAPS>>(k, W);
    if (k < K) f.template run<Tile<W, 1, true, 1, TAPS>>(k, K - k);
}
template <int W, class F>
CONVLET_INLINE void each_panel(const ConvShape& s, const F& f) {
    const Index step = s.s2 * s.x_pixel;
    if (step == 1 && s.columns == 5) return each_single_panel<W, 5>(s.K, f);
    if (step == 1 && s.columns == 3) return each_single_panel<W, 3>(s.K, f);
    if (step == 8) return each_panel<W, 8>(s.K, f);
    if (step == 16) return each_panel<W, 16>(s.K, f);
    if (step == 32) return each_panel<W, 32>(s.K, f);
    each_panel<W, 0>(s.K, f);
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
    template <class T>
    void run(int k, int lanes) const {
        constexpr int limit = registers == 32 ? (T::NV == 1 ? 16 : 8) : (T::NV == 1 ? 8 : 4);
        const Panel panel{at.x, at.w + k, {at.b.b + k, at.b.row, at.b.pixel}, lanes};
        const Grid to{z.at + k, z.row, z.pixel};
        for (int i = 0; i < s.I; ++i)
            for (int j = 0; j < s.J;) conv_columns<T, limit>(s, panel, i, j, s.J - j, to);
    }
};

inline void conv(const ConvShape& s, const float* x, const float* w, BiasView b, Grid z) {
    each_panel(s, ConvPanels{s, Panel{x, w, b, 0}, z});
}

// Rows in pairs, columns in equal tiles as wide as the registers allow: 2 x 12 outputs of one
// vector or 2 x 6 of two with 32 registers; 2 x 6 or 2 x 2 with 16, and 2 x 4 beside a row of taps.
template <bool way_back>
struct ConvPoolPanels {
    const ConvShape& s;
    Fused fused;
    const Panel& at;
    Grid out;
    Winner* winner;
    template <class T>
    void run(int k, int lanes) const {
        constexpr int limit = registers == 32 ? (T::NV == 1 ? 12 : 6)
                                              : (T::TAPS      ? 4
                                                 : T::NV == 1 ? 6
                                                              : 2);
        const Panel panel{at.x, at.w + k, {at.b.b + k, at.b.row, at.b.pixel}, lanes};
        const Grid to{out.at + k, out.row, out.pixel};
        const int columns = s.J / 2 * 2;
        if (columns == 0) return;
        const int width = ceil_div(ceil_div(columns, ceil_div(columns, limit)), 2) * 2;
        for (int i = 0; i + 1 < s.I; i += 2)
            for (int j = 0; j < columns; j += width)
                conv_pool_columns<T, way_back, limit>(
                    s, fused, panel, i, j, least(width, columns - j), to,
                    way_back ? winner + k : nullptr, ceil_div(s.K, 8) * 8);
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

// The surviving errors, listed channel by channel, and their sums (18).
//
// Eight outputs by eight channels at a time: channels are lanes for the factor R' and for the sum,
// then the square is turned, so that outputs are lanes and the dead ones drop out of each channel.
inline void survivors(const ConvShape& s, const Winner* winner, Grid error, int rows, int columns,
                      float scale, const Survivors& list, float* db) {
    const Index pixel = ceil_div(s.K, 8) * 8;
    const V zero = same<8>(0);
    for (int k = 0; k < s.K; k += 8) {
        const int lanes = least(8, s.K - k);
        for (int c = 0; c < lanes; ++c) list.count[k + c] = 0;
        V sum = db ? loaded<8, true>(db + k, lanes) : zero;
        const Winner* to = winner + k;
        const float* e = error.at + k;
        int j = 0;
        for (Index left = Index(rows) * columns; left > 0; left -= 8) {
            Ints<8> place[8];
            V delta[8];
#pragma GCC unroll 8
            for (int n = 0; n < 8; ++n) {
                if (n >= left) {
                    place[n] = same_int<8>(-1);
                    delta[n] = zero;
                    continue;
                }
                place[n] = loaded<8>(to);
                const V factor = as_floats(
                    shift_left<23>(same_int<8>(127) - shift_right<winner_bits>(place[n])));
                const V value = lanes == 8 ? loaded<8>(e) : loaded<8, true>(e, lanes);
                delta[n] =
                    select(place[n] >= same_int<8>(0), value * (factor * same<8>(scale)), zero);
                sum = sum + delta[n];  // (18)
                to += pixel;
                e += error.pixel;
                if (++j == columns) {
                    j = 0;
                    e += error.row - columns * error.pixel;
                }
            }
            turn(place);
            turn(delta);
            for (int c = 0; c < lanes; ++c) {
                std::int32_t& count = list.count[k + c];
                const Index at = (k + c) * list.stride + count;
                const auto alive = place[c] >= same_int<8>(0);
                const Ints<8> offset =
                    (place[c] & same_int<8>(winner_mask)) * static_cast<std::int32_t>(s.x_pixel);
                count += store_where(alive, list.offset + at, offset, list.delta + at, delta[c]);
            }
        }
        if (db) stored<true>(db + k, sum, lanes);
    }
}

// (3), and (2) where BOTH, for one channel k, PR kernel rows and NV vectors of the run over (q, r).
// Each survivor adds delta times the pixels under its window to dw, and delta times the kernel to
// the same pixels of dx.  The sums of dw and the kernel stay in registers over all survivors; the
// loads and multiply-adds of (3) find room beside the stores of (2), which alone take as long.
//
// From the last survivor to the first: where they are listed in order, a pixel of dx then adds q
// ascending, whatever part of the run a tile is, and tiles may differ from target to target.
// CHAINS survivors at a time add to sums of their own, which meet at the end.
template <int W, int NV, int PR, int CHAINS, bool BOTH>
void survivors_tile(const float* x, const float* w, Index x_row, const std::int32_t* offset,
                    const float* delta, int count, bool first, float* dw, float* dx, Index run) {
    Vec<W> sum[CHAINS][PR][NV], taps[BOTH ? PR : 1][NV];
#pragma GCC unroll 32
    for (int p = 0; p < PR; ++p)
#pragma GCC unroll 32
        for (int n = 0; n < NV; ++n) {
            sum[0][p][n] = first ? same<W>(0) : loaded<W>(dw + p * run + n * W);
            for (int c = 1; c < CHAINS; ++c) sum[c][p][n] = same<W>(0);
            if constexpr (BOTH) taps[p][n] = loaded<W>(w + p * run + n * W);
        }
    const auto add = [&]<int C>(int e) __attribute__((always_inline)) {
        const Vec<W> d = same<W>(delta[e]);
        const float* xe = x + offset[e];
        float* to = BOTH ? dx + offset[e] : nullptr;
#pragma GCC unroll 32
        for (int p = 0; p < PR; ++p)
#pragma GCC unroll 32
            for (int n = 0; n < NV; ++n) {
                const Index at = p * x_row + n * W;
                sum[C][p][n] = fma(d, loaded<W>(xe + at), sum[C][p][n]);                     // (3)
                if constexpr (BOTH) store(to + at, fma(d, taps[p][n], loaded<W>(to + at)));  // (2)
            }
    };
    int e = count - 1;
    if constexpr (CHAINS == 2)
        for (; e >= 1; e -= 2) {
            add.template operator()<0>(e);
            add.template operator()<1>(e - 1);
        }
    for (; e >= 0; --e) add.template operator()<0>(e);
#pragma GCC unroll 32
    for (int p = 0; p < PR; ++p)
#pragma GCC unroll 32
        for (int n = 0; n < NV; ++n) {
            if constexpr (CHAINS == 2) sum[0][p][n] = sum[0][p][n] + sum[1][p][n];
            store(dw + p * run + n * W, sum[0][p][n]);
        }
}

// A tile is PR kernel rows by NV vectors of the run over (q, r): `most` vectors fit the registers.
inline constexpr int tile_columns = 12;

template <int W, int most, int NV, int PR, class F>
CONVLET_INLINE void tile_of_rows(int rows, const F& f) {
    if constexpr (PR >= 1) {
        if (rows == PR)
            f.template run<W, NV, PR>();
        else
            tile_of_rows<W, most, NV, PR - 1>(rows, f);
    }
}
template <int W, int most, int most_rows, int NV, class F>
CONVLET_INLINE void tile_of(int columns, int rows, const F& f) {
    if constexpr (NV >= 1) {
        if (columns == NV)
            tile_of_rows<W, most, NV, least(most_rows, most / NV)>(rows, f);
        else
            tile_of<W, most, most_rows, NV - 1>(columns, rows, f);
    }
}

// Every tile of every channel, in equal parts of at most `most_floats` that are whole multiples of
// `unit` floats; `make(k, p, n)` gives what runs at channel k, kernel row p, float n.
template <int W, int most, int most_rows, class Make>
CONVLET_INLINE void each_tile(const ConvShape& s, int most_floats, int unit, const Make& make) {
    const int floats = static_cast<int>(s.run()), vectors = floats / W;
    const int columns = ceil_div(floats, ceil_div(floats, most_floats) * unit) * unit / W;
    const int limit = least(most_rows, most / columns);
    const int rows = ceil_div(s.rows, ceil_div(s.rows, limit));
    for (int k = 0; k < s.K; ++k)
        for (int p = 0; p < s.rows; p += rows)
            for (int n = 0; n < vectors; n += columns)
                tile_of<W, most, most_rows, least(tile_columns, most)>(
                    least(columns, vectors - n), least(rows, s.rows - p), make(k, p, n * W));
}

template <int CHAINS, bool BOTH>
struct SurvivorsTile {
    const float *x, *w;
    Index x_row;
    const std::int32_t* offset;
    const float* delta;
    int count;
    bool first;
    float *dw, *dx;
    Index length;
    template <int W, int NV, int PR>
    void run() const {
        survivors_tile<W, NV, PR, CHAINS, BOTH>(x, w, x_row, offset, delta, count, first, dw, dx,
                                                length);
    }
};

// `most` vectors of sums fit the registers, with as many of taps where there are any.  A load that
// straddles two earlier stores stalls, so a vector is never wider than a pixel's step.
//
// (2) takes one kernel row after the other, and where survivors are in no order the same parts of
// it on every target: at most 48 floats, which is what 16 registers hold, in whole vectors of the
// widest target.
template <int CHAINS, bool BOTH>
CONVLET_INLINE void each_survivor(const ConvShape& s, const float* x, const float* packed,
                                  const Survivors& list, bool first, float* dw, float* dx) {
    constexpr int most = (registers == 32 ? 28 : 12) / (BOTH ? 2 : CHAINS);
    const Index run = s.run();
    const auto make = [&](int k, int p, int n) {
        const Index begin = k * list.stride, place = (Index(k) * s.rows + p) * run + n;
        return SurvivorsTile<CHAINS, BOTH>{x + p * s.x_row + n,
                                           BOTH ? packed + place : nullptr,
                                           s.x_row,
                                           list.offset + begin,
                                           list.delta + begin,
                                           list.count[k],
                                           first,
                                           dw + place,
                                           BOTH ? dx + p * s.x_row + n : nullptr,
                                           run};
    };
    constexpr int rows = BOTH ? 1 : 8;
    const bool parts = BOTH && !s.ordered;
    const auto floats = [&](int W) { return parts ? 48 : least(tile_columns, most) * W; };
    if (widest > 8 && s.x_pixel % widest == 0)
        each_tile<widest, most, rows>(s, floats(widest), widest, make);
    else
        each_tile<8, most, rows>(s, floats(8), parts && s.x_pixel % 16 == 0 ? 16 : 8, make);
}

// A run of one vector has too few sums to hide how long a multiply-add takes: two chains there.
inline void conv_dw(const ConvShape& s, const float* x, const Survivors& list, bool first,
                    float* dw) {
    if (s.run() == 8)
        each_survivor<2, false>(s, x, nullptr, list, first, dw, nullptr);
    else
        each_survivor<1, false>(s, x, nullptr, list, first, dw, nullptr);
}

inline void conv_dw_dx(const ConvShape& s, const float* x, const float* packed,
                       const Survivors& list, bool first, float* dw, float* dx) {
    each_survivor<1, true>(s, x, packed, list, first, dw, dx);
}

}  // namespace convlet::CONVLET_TARGET
