// The way back through a convolution without a pool behind it: dJ/dz as an array, and (3) from it.
// (2) is a convolution of the same array by the turned kernel.
//
// Behind a pool most errors are 0, and conv.h has them as lists.
#pragma once

#include "conv.h"
#include "kernels.h"
#include "vec.h"

namespace convlet::CONVLET_TARGET {

// The error of an output times R' and `scale`; 0 where it is dead.
template <int W>
CONVLET_INLINE Vec<W> passed(Vec<W> error, Ints<W> winner, Vec<W> scale) {
    const Vec<W> factor =
        bit_cast_to_float((broadcast_int<W>(127) - (winner >> winner_bits)) << 23);
    return select(winner >= broadcast_int<W>(0), error * (factor * scale), broadcast<W>(0));
}

// Sums of four chains, of every fourth place: no addition waits for the one before it.
template <int W>
struct FourSums {
    Vec<W> sum[4] = {broadcast<W>(0), broadcast<W>(0), broadcast<W>(0), broadcast<W>(0)};
    CONVLET_INLINE void add(Vec<W> value) {
        const Vec<W> last = sum[0] + value;
        sum[0] = sum[1], sum[1] = sum[2], sum[2] = sum[3], sum[3] = last;
    }
    CONVLET_INLINE Vec<W> total() const { return (sum[0] + sum[1]) + (sum[2] + sum[3]); }
};

// One sample's dJ/dz of NV vectors of channels, and their sums (18).
template <int W, int NV, bool masked>
CONVLET_FLAT void errors_panel(const ConvShape& s, const Winner* winner, Index pixel, Grid above,
                               float scale, Grid delta, int lanes, float* db) {
    const Vec<W> factor = broadcast<W>(scale);
    FourSums<W> sums[NV];
    for (int i = 0; i < s.I; ++i)
        for (int j = 0; j < s.J; ++j)
            unrolled<NV>([&](int n) {
                const Ints<W> place = load<W>(winner + (Index(i) * s.J + j) * pixel + n * W);
                const float* from = above.at + i * above.row + j * above.pixel + n * W;
                const Vec<W> one = passed(load<W, masked>(from, lanes), place, factor);
                sums[n].add(one);
                store(delta.at + i * delta.row + j * delta.pixel + n * W, one);
            });
    if (!db) return;
    unrolled<NV>([&](int n) {
        float* to = db + n * W;
        store<masked>(to, load<W, masked>(to, lanes) + sums[n].total(), lanes);
    });
}

// Channels are lanes; those that do not exist have error 0.  Two vectors at a time: lines of the
// cache that lie beside each other are fetched together.
inline void errors(const ConvShape& s, const Winner* winner, Grid above, float scale, Grid delta,
                   float* db) {
    const Index pixel = ceil_div(s.K, 8) * 8;
    const auto panel = [&]<int W, int NV, bool masked>(int k, int lanes) {
        errors_panel<W, NV, masked>(s, winner + k, pixel, {above.at + k, above.row, above.pixel},
                                    scale, {delta.at + k, delta.row, delta.pixel}, lanes,
                                    db ? db + k : nullptr);
    };
    int k = 0;
    for (; k + 2 * widest <= s.K; k += 2 * widest)
        panel.template operator()<widest, 2, false>(k, widest);
    for (; k + widest <= s.K; k += widest) panel.template operator()<widest, 1, false>(k, widest);
    for (; k < s.K; k += 8) panel.template operator()<8, 1, true>(k, min(8, s.K - k));
}

// (3) of N neighbouring pixels of the window and NV vectors of channels, over some rows of places:
// dw += x delta, with the sums in registers.
//
// A step of the loop is one place: NV loads of delta, N broadcasts of pixels and N * NV
// multiply-adds.  Every element is one chain over the places, row by row.
template <int W, int NV, bool masked, int N>
CONVLET_FLAT void errors_tile(const ConvShape& s, const float* x, Grid delta, int rows, int lanes,
                              bool first, float* dw) {
    const Index step = s.s2 * s.x_pixel;
    Vec<W> sum[N][NV];
    unrolled<N, NV>([&](int c, int n) {
        sum[c][n] = first ? broadcast<W>(0) : load<W, masked>(dw + c * s.K + n * W, lanes);
    });
    for (int i = 0; i < rows; ++i) {
        const float* pixel = x + i * s.s1 * s.x_row;
        const float* error = delta.at + i * delta.row;
        for (int j = 0; j < s.J; ++j, pixel += step, error += delta.pixel) {
            Vec<W> e[NV];
            unrolled<NV>([&](int n) { e[n] = load<W, masked>(error + n * W, lanes); });
            unrolled<N>([&](int c) {
                const Vec<W> one = broadcast<W>(pixel[c]);
                unrolled<NV>([&](int n) { sum[c][n] = fma(one, e[n], sum[c][n]); });  // (3)
            });
        }
    }
    unrolled<N, NV>([&](int c, int n) { store<masked>(dw + c * s.K + n * W, sum[c][n], lanes); });
}

// Rows of places that every tile goes over before the next ones: equal bands, whose pixels and errors
// stay in the L1 cache; where the sums are more than it holds, in L2 beside them, since each band
// loads and stores all of them.
CONVLET_INLINE int errors_band(const ConvShape& s, Grid delta) {
    const Index sums = s.kernel(), room = sums < 6000 ? 6000 : sums > 20000 ? 20000 : sums;
    const Index fixed = (s.rows - s.s1) * s.x_row, each = s.s1 * s.x_row + delta.row;
    const Index most = room - fixed > each ? (room - fixed) / each : 1;
    return most >= s.I ? s.I : ceil_div(s.I, ceil_div(s.I, static_cast<int>(most)));
}

// Where x is without gaps a run is a kernel row, otherwise the channels of one pixel.  A run is cut
// into equal tiles.  32 registers: 14 x 2 sums, 2 of delta, 1 broadcast = 31.  16 registers: 6 x 2
// sums, 2 of delta, 1 broadcast = 15, and 12 x 1, 1, 1 = 14.
inline void conv_dw_of_errors(const ConvShape& s, const float* x, Grid delta, bool first,
                              float* dw) {
    const bool whole = s.x_pixel == s.R;
    const int runs = whole ? 1 : s.columns, length = whole ? s.columns * s.R : s.R;
    const int band = errors_band(s, delta);
    for (int from = 0; from < s.I; from += band) {
        const int rows = min(band, s.I - from);
        const float* pixels = x + from * s.s1 * s.x_row;
        const bool begins = first && from == 0;
        each_panel<2>(s.K, [&]<int W, int NV, bool masked>(int k, int lanes) {
            constexpr int limit = registers == 32 ? 14 : NV == 1 ? 12 : 6;
            const Grid panel{delta.at + from * delta.row + k, delta.row, delta.pixel};
            const int width = ceil_div(length, ceil_div(length, limit));
            for (int p = 0; p < s.rows; ++p)
                for (int q = 0; q < runs; ++q)
                    for (int n = 0; n < length; n += width)
                        as_constant<limit>(min(width, length - n), [&]<int N>() {
                            errors_tile<W, NV, masked, N>(
                                s, pixels + p * s.x_row + q * s.x_pixel + n, panel, rows, lanes,
                                begins, dw + ((Index(p) * s.columns + q) * s.R + n) * s.K + k);
                        });
        });
    }
}

}  // namespace convlet::CONVLET_TARGET
