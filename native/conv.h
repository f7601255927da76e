// Convolution (1) with its bias (17), the fused P(R(z)), and the derivatives (2), (3) over
// survivors.
#pragma once

#include "kernels.h"
#include "vec.h"

namespace convlet::CONVLET_TARGET {

// ---------------------------------------------------------------------------------- forward (1)

// Two strips, each of some outputs beside each other: x at the first pixel of the first strip's
// first window, w and b at the first channel; `lanes` of the channels exist where the vector is
// masked.  x_other and b.row lead to the other strip, which may lie anywhere: in the next row, or
// in the same one.
struct Strips {
    const float* x;
    Index x_other;
    const float* w;
    BiasView b;
    int lanes;
};

// The code for two strips: NV vectors of W channels, masked or not; with STEP > 0, so many floats
// of x from output to output; with TAPS > 0, stride 1, STEP input channels side by side and so many
// taps in a kernel row.
template <int W_, int NV_, bool masked_, int TAPS_, int STEP_>
struct Tile {
    static constexpr int W = W_, NV = NV_, TAPS = TAPS_, STEP = STEP_;
    static constexpr bool masked = masked_;
};

// The most outputs of a strip, with windows of so many.  Beside 2 * COLS * NV sums a tile has NV
// vectors of w, or a row of taps, and a broadcast pixel.  32 registers: 2 * 12 + 1 + 1 = 26 and 2 *
// 6 * 2 + 2 + 1 = 27, beside a row of taps 2 * 12 + 7 + 1 = 32, 2 * 10 + 9 + 1 = 30 or 2 * 8 + 15 +
// 1 = 32.  16 registers: 2 * 6 + 1 + 1 = 14, 2 * 2 * 2 + 2 + 1 = 11 or 2 * 3 * 2 + 2 + 1 = 15, beside
// a row 2 * 4 + 7 + 1 = 16.  Without a pool 16 sums keep the multiply-adds busy, and every width has
// code of its own.
template <class T>
CONVLET_INLINE constexpr int strip_limit(int window) {
    constexpr int row = (registers - 1 - T::TAPS) / 4 * 2;  // beside a row of taps
    if (registers == 32) return T::NV == 2 ? 6 : min(row, window == 2 ? 12 : 8);
    return T::TAPS ? min(row, 4) : T::NV == 1 ? 6 : window == 2 ? 2 : 3;
}

// z (1) of 2 x COLS outputs and NV vectors of channels, in registers.
//
// Every output is one chain of multiply-adds: the bias, then p, q, r ascending.  w is read as it
// lies in the flat vector, so nothing is packed before a single image is predicted.
//
// A step of the innermost loop is one tap: NV loads of w, 2 * COLS broadcasts of pixels and 2 *
// COLS * NV multiply-adds.  The sums stay in registers over all taps; only w and x are read from
// memory.  With one vector a multiply-add is a broadcast, too, and there is no time to compute
// addresses: there the usual steps are constants.
template <class T, int COLS>
CONVLET_INLINE void conv_tile(const ConvShape& s, const Strips& at,
                              Vec<T::W> (&z)[2][COLS][T::NV]) {
    constexpr int W = T::W, NV = T::NV;
    const int lanes = at.lanes;
    const Index step = T::STEP ? T::STEP : s.s2 * s.x_pixel;
    // with one channel the run over q is contiguous in x, otherwise the run over r is
    const bool single = s.R == 1 && s.x_pixel == 1;
    const int runs = single ? 1 : s.columns, length = single ? s.columns : s.R;
    const Index tap = s.R * s.w_row(), w_step = single ? -tap : s.w_row();
    const Index rest = single ? (s.columns - 1) * tap : 0;           // of a kernel row
    const float* wq = at.w + (Index(s.rows) * s.columns - 1) * tap;  // tap (P-p, Q-q)
    for (int p = 0; p < s.rows; ++p) {
        const float* xq[2];
        unrolled<2>([&](int i) { xq[i] = at.x + i * at.x_other + p * s.x_row, opaque(xq[i]); });
        for (int q = 0; q < runs; ++q, wq -= tap) {
            const float* wr = wq;
#pragma GCC unroll 2
            for (int r = 0; r < length; ++r, wr += w_step) {
                Vec<W> taps[NV];
                unrolled<NV>([&](int n) { taps[n] = load<W, T::masked>(wr + n * W, lanes); });
                unrolled<2, COLS>([&](int i, int j) {
                    const Vec<W> pixel = broadcast<W>(xq[i][j * step + r]);
                    unrolled<NV>(
                        [&](int n) { z[i][j][n] = fma(pixel, taps[n], z[i][j][n]); });  // (1)
                });
            }
            unrolled<2>([&](int i) { xq[i] += s.x_pixel, opaque(xq[i]); });
        }
        wq -= rest;
    }
}

// The same chains for STEP input channels, 1 or 3, side by side in x, and stride 1, where
// neighbouring outputs share most of their pixels: a kernel row of TAPS stays in registers, and each
// number of x is broadcast once for all of them.
//
// A step of the loop is a kernel row: TAPS loads of w, 2 * (STEP * (COLS - 1) + TAPS) broadcasts, 2 *
// COLS * TAPS multiply-adds.
template <class T, int COLS>
CONVLET_INLINE void conv_tile_row(const ConvShape& s, const Strips& at,
                                  Vec<T::W> (&z)[2][COLS][1]) {
    constexpr int W = T::W, TAPS = T::TAPS, R = T::STEP, Q = TAPS / R - 1;
    const int lanes = at.lanes;
    const Index tap = s.w_row();
    const float* wp = at.w + Index(s.rows - 1) * TAPS * tap;  // kernel row P - p
    const float* xp[2];
    unrolled<2>([&](int i) { xp[i] = at.x + i * at.x_other, opaque(xp[i]); });
    for (int p = 0; p < s.rows; ++p, wp -= TAPS * tap) {
        Vec<W> taps[TAPS];
        unrolled<TAPS>([&](int t) {  // tap (P - p, Q - q), input channel r
            const int q = t / R, r = t % R;
            taps[t] = load<W, T::masked>(wp + ((Q - q) * R + r) * tap, lanes);
        });
        unrolled<R*(COLS - 1) + TAPS, 2>([&](int c, int i) {
            const Vec<W> pixel = broadcast<W>(xp[i][c]);
            unrolled<COLS>([&](int j) {
                const int t = c - R * j;
                if (t >= 0 && t < TAPS) z[i][j][0] = fma(pixel, taps[t], z[i][j][0]);  // (1)
            });
        });
        unrolled<2>([&](int i) { xp[i] += s.x_row; });
    }
}

// The biases of 2 x columns outputs where each place has its own, side by side.
template <int W, int NV, bool masked>
CONVLET_FLAT void own_biases(BiasView b, int columns, int lanes, float* tile) {
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < columns; ++j, tile += NV * W)
            unrolled<NV>([&](int n) {
                const float* from = b.b + i * b.row + j * b.pixel + n * W;
                store(tile + n * W, load<W, masked>(from, lanes));
            });
}

template <class T, int COLS>
CONVLET_INLINE void conv_sums(const ConvShape& s, const Strips& at,
                              Vec<T::W> (&z)[2][COLS][T::NV]) {
    const int lanes = at.lanes;
    if (at.b.pixel == 0) {  // one for all places
        unrolled<T::NV>([&](int n) {
            const Vec<T::W> shared = load<T::W, T::masked>(at.b.b + n * T::W, lanes);
            unrolled<2, COLS>([&](int i, int j) { z[i][j][n] = shared; });
        });
    } else {
        alignas(64) float tile[2 * COLS * T::NV * T::W];
        own_biases<T::W, T::NV, T::masked>(at.b, COLS, lanes, tile);
        unrolled<2, COLS, T::NV>([&](int i, int j, int n) {
            z[i][j][n] = load<T::W>(tile + ((i * COLS + j) * T::NV + n) * T::W);
        });
    }
    if constexpr (T::TAPS > 0)
        conv_tile_row<T>(s, at, z);
    else
        conv_tile<T>(s, at, z);
}

// P(R(z)), or another order, of a window in registers.  Of equal maxima the first in row-major
// order wins: only a greater one replaces it.  `first` is the place of the window, `right` and
// `down` lead to its other outputs; `winner` is null where nobody asks for the way back.
template <int W, bool masked, bool way_back>
CONVLET_INLINE void pooled(Vec<W> z00, Vec<W> z01, Vec<W> z10, Vec<W> z11, Fused order,
                           std::int32_t first, std::int32_t right, std::int32_t down, int lanes,
                           float* out, Winner* winner) {
    const Vec<W> zero = broadcast<W>(0);
    Vec<W> best = z00;
    Ints<W> where = broadcast_int<W>(0);  // from the first one
    const auto challenge = [&](Vec<W> value, std::int32_t at) {
        const auto wins = value > best;
        best = select(wins, value, best);
        if constexpr (way_back) where = select(wins, broadcast_int<W>(at), where);
    };
    challenge(z01, right), challenge(z10, down), challenge(z11, down + right);
    const auto off = best <= zero;  // R cuts the whole window
    store<masked>(out, order == Fused::pool ? best : select(off, zero, best), lanes);
    if constexpr (way_back) {
        const Ints<W> begin = broadcast_int<W>(first), dead = broadcast_int<W>(-1);
        where = where + begin;
        if (order == Fused::relu_pool)  // the maximum is over R(z): the first of zeros
            where = select(off, select(z00 == zero, begin + broadcast_int<W>(half), dead), where);
        if (order == Fused::pool_relu)
            where = select(off, select(best == zero, where + broadcast_int<W>(half), dead), where);
        store<masked>(winner, where, lanes);
    }
}

// Where the outputs of two strips go: the first one's place and pointers, and what leads from them
// to the other's.
struct StripsOutput {
    std::int32_t place, place_other;
    float* out;
    Index out_other, out_pixel;
    Winner* winner;  // or null
    Index winner_other, winner_pixel;
};

// z or R(z) where no pool follows, of the outputs of two strips in registers.  Each output is its
// own winner (9), (10): dead where it is negative, half where it is 0.
template <class T, int COLS, bool way_back>
CONVLET_INLINE void alone(const Vec<T::W> (&z)[2][COLS][T::NV], Fused fused, int step, int lanes,
                          const StripsOutput& to) {
    constexpr int W = T::W;
    const Vec<W> zero = broadcast<W>(0);
    // without a ReLU nothing compares with NaN
    const Vec<W> cut = broadcast<W>(fused == Fused::relu ? 0.0f : __builtin_nanf(""));
    const Ints<W> dead = broadcast_int<W>(-1);
    unrolled<2>([&](int i) {
        float* out = to.out + i * to.out_other;
        Winner* winner = way_back ? to.winner + i * to.winner_other : nullptr;
        std::int32_t place = to.place + i * to.place_other;
        opaque(out), opaque(winner), opaque(place);
        unrolled<COLS>([&](int j) {
            unrolled<T::NV>([&](int n) {
                const Vec<W> value = z[i][j][n];
                const auto off = value <= cut;
                store<T::masked>(out + n * W, select(off, zero, value), lanes);
                if constexpr (way_back) {
                    const Ints<W> own = broadcast_int<W>(place),
                                  halved = own + broadcast_int<W>(half);
                    store<T::masked>(winner + n * W,
                                     select(off, select(value == zero, halved, dead), own), lanes);
                }
            });
            out += to.out_pixel, place += step;
            if constexpr (way_back) winner += to.winner_pixel;
        });
    });
}

// sigma of the outputs of two strips; with a pool they are two rows of windows, and z is never
// stored.
template <class T, int COLS>
CONVLET_FLAT void conv_strips(const ConvShape& s, Fused fused, const Strips& at,
                              const StripsOutput& to) {
    constexpr int W = T::W;
    const int lanes = at.lanes;
    Vec<W> z[2][COLS][T::NV];
    conv_sums<T>(s, at, z);
    if constexpr (COLS <= strip_limit<T>(1)) {
        if (!pools(fused)) {
            if (to.winner) return alone<T, COLS, true>(z, fused, s.s2, lanes, to);
            return alone<T, COLS, false>(z, fused, s.s2, lanes, to);
        }
    }
    const auto windows = [&]<bool way_back>() __attribute__((always_inline)) {
        unrolled<COLS / 2, T::NV>([&](int j, int n) {
            pooled<W, T::masked, way_back>(
                z[0][2 * j][n], z[0][2 * j + 1][n], z[1][2 * j][n], z[1][2 * j + 1][n], fused,
                to.place + 2 * j * s.s2, s.s2, to.place_other, lanes,
                to.out + j * to.out_pixel + n * W,
                way_back ? to.winner + j * to.winner_pixel + n * W : nullptr);
        });
    };
    if constexpr (COLS % 2 == 0 && COLS <= strip_limit<T>(2)) {
        if (to.winner)
            windows.template operator()<true>();
        else
            windows.template operator()<false>();
    }
}

// The code for strips of `width` outputs.
using ConvStrips = void(const ConvShape&, Fused, const Strips&, const StripsOutput&);
template <class T>
inline ConvStrips* strips_of(int width) {
    constexpr int alone = strip_limit<T>(1), windows = strip_limit<T>(2);
    ConvStrips* found = nullptr;
    as_constant < alone<windows ? windows : alone>(
                      width,
                      [&]<int COLS>() {
                          if constexpr (COLS <= alone || COLS % 2 == 0)
                              found = conv_strips<T, COLS>;
                      });
    return found;
}

// f<T>(k, lanes) for all panels of channels, with the code that suits the shape.  Constants that
// serve a panel of 8 hardly are left out there where the registers are wider.
template <class F>
CONVLET_INLINE void each_conv_panel(const ConvShape& s, const F& f) {
    const auto panels = [&]<int TAPS, int STEP>() {
        each_panel<TAPS ? 1 : 2>(s.K, [&]<int W, int NV, bool masked>(int k, int lanes) {
            constexpr bool rare = W < widest && (TAPS == 7 || STEP == 16);
            constexpr bool general = NV == 2 || rare;
            f.template operator()<Tile<W, NV, masked, general ? 0 : TAPS, general ? 0 : STEP>>(
                k, lanes);
        });
    };
    const bool beside = s.s2 == 1 && s.x_pixel == s.R;  // windows of a row, without gaps
    if (beside && s.R == 1 && s.columns == 3) return panels.template operator()<3, 1>();
    if (beside && s.R == 1 && s.columns == 5) return panels.template operator()<5, 1>();
    if (beside && s.R == 1 && s.columns == 7) return panels.template operator()<7, 1>();
    if constexpr (registers == 32) {
        if (beside && s.R == 3 && s.columns == 3) return panels.template operator()<9, 3>();
        if (beside && s.R == 3 && s.columns == 5) return panels.template operator()<15, 3>();
        if (s.s2 * s.x_pixel == 6) return panels.template operator()<0, 6>();
        if (s.s2 * s.x_pixel == 8) return panels.template operator()<0, 8>();
        if (s.s2 * s.x_pixel == 16) return panels.template operator()<0, 16>();
    }
    panels.template operator()<0, 0>();
}

// A panel of channels: x and w, b, the output and the winners at the first of them.
struct ConvPanel {
    const ConvShape& s;
    Fused fused;
    int window;  // rows and columns of z for an output
    const float *x, *w;
    BiasView b;
    int lanes;
    Grid out;
    Winner* winner;  // or null
    Index winner_row, winner_pixel;
    std::int32_t place_row;  // pixels of x from row to row of z
};

// `count` tiles of a row, `next` outputs of z from one to the other.  The first one's strips begin
// at row i, column j of z, and (down, right) from there.
inline void conv_tiles(const ConvPanel& c, ConvStrips* run, int i, int j, int down, int right,
                       int count, int next) {
    const ConvShape& s = c.s;
    const Index x_row = s.s1 * s.x_row, x_pixel = s.s2 * s.x_pixel;
    const int I = i / c.window, J = j / c.window, next_out = next / c.window;
    Strips at{c.x + i * x_row + j * x_pixel,
              down * x_row + right * x_pixel,
              c.w,
              {c.b.b + i * c.b.row + j * c.b.pixel, down * c.b.row + right * c.b.pixel, c.b.pixel},
              c.lanes};
    StripsOutput to{i * c.place_row + j * s.s2,
                    down * c.place_row + right * s.s2,
                    c.out.at + I * c.out.row + J * c.out.pixel,
                    down * c.out.row + right * c.out.pixel,
                    c.out.pixel,
                    c.winner ? c.winner + I * c.winner_row + J * c.winner_pixel : nullptr,
                    down * c.winner_row + right * c.winner_pixel,
                    c.winner_pixel};
    for (int n = 0; n < count; ++n) {
        run(s, c.fused, at, to);
        at.x += next * x_pixel, at.b.b += next * c.b.pixel;
        to.place += next * s.s2, to.out += next_out * c.out.pixel;
        if (c.winner) to.winner += next_out * c.winner_pixel;
    }
}

// Strips as wide as the registers allow, two above each other, all of a width but the last ones of
// two rows; with a pool they are whole windows.  A last row that is by itself has two beside each
// other, all of a width: the last of them end with the row, and compute some outputs again.
CONVLET_FLAT inline void conv_rows(const ConvPanel& c, int columns, int limit,
                                   ConvStrips* strips_of(int width)) {
    const ConvShape& s = c.s;
    const int width = ceil_div(ceil_div(columns, ceil_div(columns, limit)), c.window) * c.window;
    const int count = columns / width, rest = columns % width;
    ConvStrips *const run = strips_of(width), *const last = strips_of(rest);
    int i = 0;
    for (; i + 1 < s.I; i += 2) {
        conv_tiles(c, run, i, 0, 1, 0, count, width);
        if (rest) conv_tiles(c, last, i, count * width, 1, 0, 1, 0);
    }
    if (i == s.I || c.window == 2) return;
    const int tiles = ceil_div(s.J, 2 * limit), strip = ceil_div(s.J, 2 * tiles);
    const auto begin = [&](int n) { return min(n * strip, s.J - strip); };
    for (int n = 0; n < 2 * tiles; n += 2)
        conv_tiles(c, strips_of(strip), i, begin(n), 0, begin(n + 1) - begin(n), 1, 0);
}

inline void conv(const ConvShape& s, Fused fused, const float* x, const float* w, BiasView b,
                 Grid out, Winner* winner) {
    const int window = pools(fused) ? 2 : 1, columns = s.J / window * window;
    if (columns == 0) return;
    const Index pixel = ceil_div(s.K, 8) * 8;
    const auto place_row = static_cast<std::int32_t>(s.s1 * (s.x_row / s.x_pixel));
    each_conv_panel(s, [&]<class T>(int k, int lanes) {
        const ConvPanel panel{s,
                              fused,
                              window,
                              x,
                              w + k,
                              {b.b + k, b.row, b.pixel},
                              lanes,
                              {out.at + k, out.row, out.pixel},
                              winner ? winner + k : nullptr,
                              columns / window * pixel,
                              pixel,
                              place_row};
        conv_rows(panel, columns, strip_limit<T>(window), strips_of<T>);
    });
}

// ---------------------------------------------------------------------------------- backward

// The surviving errors, listed channel by channel, and their sums (18).
//
// Eight outputs by eight channels at a time: channels are lanes for the factor R' and for the sum,
// then the square is turned, so that outputs are lanes and the dead ones drop out of each channel.
inline void survivors(const ConvShape& s, const Winner* winner, Grid error, int rows, int columns,
                      float scale, const Survivors& list, float* db) {
    const Index pixel = ceil_div(s.K, 8) * 8;
    const V zero = broadcast<8>(0);
    for (int k = 0; k < s.K; k += 8) {
        const int lanes = min(8, s.K - k);
        for (int c = 0; c < lanes; ++c) list.count[k + c] = 0;
        V sum = db ? load<8, true>(db + k, lanes) : zero;
        const Winner* to = winner + k;
        const float* e = error.at + k;
        int j = 0;
        for (Index left = Index(rows) * columns; left > 0; left -= 8) {
            Ints<8> place[8];
            V delta[8];
#pragma GCC unroll 8
            for (int n = 0; n < 8; ++n) {
                if (n >= left) {
                    place[n] = broadcast_int<8>(-1);
                    delta[n] = zero;
                    continue;
                }
                place[n] = load<8>(to);
                const V factor =
                    bit_cast_to_float((broadcast_int<8>(127) - (place[n] >> winner_bits)) << 23);
                const V value = lanes == 8 ? load<8>(e) : load<8, true>(e, lanes);
                delta[n] = select(place[n] >= broadcast_int<8>(0),
                                  value * (factor * broadcast<8>(scale)), zero);
                sum = sum + delta[n];  // (18)
                to += pixel;
                e += error.pixel;
                if (++j == columns) {
                    j = 0;
                    e += error.row - columns * error.pixel;
                }
            }
            transpose(place);
            transpose(delta);
            for (int c = 0; c < lanes; ++c) {
                std::int32_t& count = list.count[k + c];
                const Index at = (k + c) * list.stride + count;
                const auto alive = place[c] >= broadcast_int<8>(0);
                const Ints<8> offset = (place[c] & broadcast_int<8>(winner_mask)) *
                                       broadcast_int<8>(static_cast<std::int32_t>(s.x_pixel));
                count += compress_store(alive, list.offset + at, offset, list.delta + at, delta[c]);
            }
        }
        if (db) store<true>(db + k, sum, lanes);
    }
}

// (3), and (2) where BOTH, for one channel k, PR kernel rows and NV vectors of the run over (q, r).
// Each survivor adds delta times the pixels under its window to dw, and delta times the kernel to
// the same pixels of dx.  The sums of dw and the kernel stay in registers over all survivors; the
// loads and multiply-adds of (3) find room beside the stores of (2), which alone take as long.
//
// A step of the loop is one survivor: a broadcast, and for each of the PR * NV vectors a load of x
// and a multiply-add of (3), and for (2) a load, a multiply-add and a store of dx.
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
            sum[0][p][n] = first ? broadcast<W>(0) : load<W>(dw + p * run + n * W);
            for (int c = 1; c < CHAINS; ++c) sum[c][p][n] = broadcast<W>(0);
            if constexpr (BOTH) taps[p][n] = load<W>(w + p * run + n * W);
        }
    const auto add = [&]<int C>(int e) __attribute__((always_inline)) {
        const Vec<W> d = broadcast<W>(delta[e]);
        const float* xe = x + offset[e];
        float* to = BOTH ? dx + offset[e] : nullptr;
#pragma GCC unroll 32
        for (int p = 0; p < PR; ++p)
#pragma GCC unroll 32
            for (int n = 0; n < NV; ++n) {
                const Index at = p * x_row + n * W;
                sum[C][p][n] = fma(d, load<W>(xe + at), sum[C][p][n]);                     // (3)
                if constexpr (BOTH) store(to + at, fma(d, taps[p][n], load<W>(to + at)));  // (2)
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
// A run is cut into tiles of at most 12: of 12 and more multiply-adds for one broadcast error none
// waits.
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
            tile_of_rows<W, most, NV, min(most_rows, most / NV)>(rows, f);
        else
            tile_of<W, most, most_rows, NV - 1>(columns, rows, f);
    }
}

// Every tile of every channel, in equal parts of at most `most_floats` that are whole multiples of
// `unit` floats; `make(k, p, n)` gives what runs at channel k, kernel row p, float n.
template <int W, int most, int most_columns, int most_rows, class Make>
CONVLET_INLINE void each_tile(const ConvShape& s, int most_floats, int unit, const Make& make) {
    const int floats = static_cast<int>(s.run()), vectors = floats / W;
    const int columns = ceil_div(floats, ceil_div(floats, most_floats) * unit) * unit / W;
    const int limit = min(most_rows, most / columns);
    const int rows = ceil_div(s.rows, ceil_div(s.rows, limit));
    for (int k = 0; k < s.K; ++k)
        for (int p = 0; p < s.rows; p += rows)
            for (int n = 0; n < vectors; n += columns)
                tile_of<W, most, most_rows, most_columns>(min(columns, vectors - n),
                                                          min(rows, s.rows - p), make(k, p, n * W));
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

// `most` vectors of sums fit the registers, with as many of taps where there are any, an error, and
// what is on its way between x, dx and memory: 28 + 1 + 3 = 32, 12 + 1 + 3 = 16.  A load that
// straddles two earlier stores stalls, so a vector is never wider than a pixel's step.
//
// (2) takes one kernel row after the other, and where survivors are in no order the same parts of
// it on every target: at most 96 floats, in whole vectors of the widest one.  16 registers hold the
// sums of so many, and read the taps from L1.
template <int CHAINS, bool BOTH>
CONVLET_INLINE void each_survivor(const ConvShape& s, const float* x, const float* packed,
                                  const Survivors& list, bool first, float* dw, float* dx) {
    constexpr int most = (registers == 32 ? 28 : 12) / (BOTH ? 2 : CHAINS);
    constexpr int part = 96;
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
    const auto tiles = [&]<int W>() __attribute__((always_inline)) {
        constexpr int fit = CHAINS == 2 ? 1 : min(tile_columns, most);
        constexpr int columns = BOTH && fit < part / W ? part / W : fit;
        constexpr int sums = most < columns ? columns : most;
        each_tile<W, sums, columns, rows>(s, parts ? part : fit * W,
                                          parts && s.x_pixel % 16 == 0 ? 16 : W, make);
    };
    if constexpr (widest > 8 && CHAINS == 1)
        if ((BOTH ? s.x_pixel : run) % widest == 0) return tiles.template operator()<widest>();
    tiles.template operator()<8>();
}

// A run of one vector of 8 has too few sums to hide how long a multiply-add takes: two chains there.
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
