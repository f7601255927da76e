// The border between the code compiled once and the code compiled for each instruction set:
// one table of plain functions over float arrays.
//
// Code behind the table uses no standard templates, so that nothing compiled for a newer
// instruction set can be linked into code that runs on an older one.
#pragma once

#include <cstddef>
#include <cstdint>

// Of functions that are compiled for a newer instruction set and shared with code that is not: no
// copy of them is left in an object for a linker to choose.
#define CONVLET_INLINE inline __attribute__((always_inline))
#define CONVLET_FLAT __attribute__((flatten, noinline))

namespace convlet {

using Index = std::ptrdiff_t;

// A convolution (1) over a frame: x^l inside its padding, `x_pixel` floats from pixel to pixel (the
// R channels, perhaps followed by zeros) and `x_row` from row to row.
struct ConvShape {
    int rows, columns;     // of the kernel: P+1, Q+1
    int R, K;              // channels in and out
    int s1, s2;            // stride
    int I, J;              // of z
    Index x_row, x_pixel;  // floats
    bool ordered = true;   // whether survivors are listed row by row, left to right in each
    // Floats under one kernel row, whole vectors of 8.
    CONVLET_INLINE Index run() const { return (columns * x_pixel + 7) / 8 * 8; }
};

// Winograd's form of a convolution with its pool (winograd.h): where it serves, and what it needs.
CONVLET_INLINE constexpr bool winograd_fits(const ConvShape& s) {
    return s.rows == s.columns && (s.rows == 3 || s.rows == 5) && s.s1 == 1 && s.s2 == 1 &&
           s.I >= 2 && s.J >= 2 && s.x_pixel % 8 == 0 && s.R >= 8 && s.K >= 8;
}
// Rows of tiles that are multiplied at a time, some 16 tiles.
CONVLET_INLINE constexpr int winograd_rows(const ConvShape& s) {
    return s.J >= 32 ? 1 : 16 / (s.J / 2);
}
// Floats from the array of one point to the next one's: a power of two would put the same element
// of all of them into the same few sets of the cache.
CONVLET_INLINE constexpr Index winograd_step(Index floats) { return floats + 16; }
CONVLET_INLINE constexpr Index winograd_taps_size(const ConvShape& s) {
    return Index(s.rows + 1) * (s.rows + 1) * winograd_step(s.R * ((s.K + 7) / 8 * 8));
}
CONVLET_INLINE constexpr Index winograd_scratch(const ConvShape& s) {
    const Index N = s.rows + 1, tiles = Index(winograd_rows(s)) * (s.J / 2);
    const Index columns = s.J / 2 * 2 + N - 2;
    return N * N * (winograd_step(tiles * s.x_pixel) + winograd_step(tiles * ((s.K + 7) / 8 * 8))) +
           16 * N * columns;
}

// Where a stage's bias begins and how far it moves with (i, j); 0 where it is shared.
struct BiasView {
    const float* b;
    Index row, pixel;
};

// An array (i, j, k) in memory: floats from row to row and from pixel to pixel; k is contiguous.
struct Grid {
    float* at;
    Index row, pixel;
};

// A matrix in memory: floats from row to row and from column to column.
struct Strided {
    const float* at;
    Index row, column;
};

// What P(R(z)) leaves for the way back, one number per output: where the winner of the window
// stands, and the factor of R' there.  -1: the error ends here.  Otherwise the low 26 bits are the
// position of the winner's window in the frame of x^l, in pixels, and the bits above count factors
// 1/2.
using Winner = std::int32_t;
inline constexpr int winner_bits = 26;
inline constexpr Winner winner_mask = (1 << winner_bits) - 1;
inline constexpr Winner half = 1 << winner_bits;

// The orders of ReLU and a 2x2 pool with stride 2 that have a kernel of their own.
enum class Fused { relu_pool, pool_relu, pool };

// The errors of one sample that survive: channel k has count[k] of them, delta[e] at x + offset[e],
// from e = k * stride on.  Lists are written in whole vectors of 8: `stride` has room for that.
struct Survivors {
    std::int32_t* offset;  // floats into the frame of x^l
    float* delta;
    std::int32_t* count;
    Index stride;
};
CONVLET_INLINE constexpr Index survivors_stride(Index outputs) { return (outputs + 7) / 8 * 8 + 8; }

// The affine map of an augmented image, about its middle: pixels down and right in the old image.
struct Affine {
    float yy, yx, xy, xx;  // down = yy i + yx j + y, right = xy i + xx j + x
    float y, x;
};

// Floats of a row of the scratch of `smooth`: zeros, whole vectors of W columns, zeros.
CONVLET_INLINE constexpr Index smooth_row(int W, int radius) {
    return Index(W + 15) / 16 * 16 + 2 * radius;
}

// How a step changes w, in the symbols of convlet/optimizers.py: g is the gradient times `scale`.
struct UpdateRule {
    enum class Kind { sgd, momentum, nesterov, adam } kind = Kind::sgd;
    float rate = 0;                  // eta
    float decay = 0;                 // eta lambda, decoupled weight decay
    float scale = 1;                 // of the gradient, less than 1 where its norm is clipped
    float beta1 = 0, beta2 = 0;      // beta1 is mu of momentum
    float rest1 = 0, rest2 = 0;      // 1 - beta1, 1 - beta2
    float unbias1 = 1, unbias2 = 1;  // 1 / (1 - beta^t)
    float epsilon = 0;
};

// Sums over the samples of one minibatch want lanes; lane counts are multiples of this.
inline constexpr int sample_lanes = 8;

struct Kernels {
    const char* name;

    // x^0: u / 255, correctly rounded.
    void (*scale_bytes)(const std::uint8_t* u, Index n, float* x);

    // z = C(x, w) + b.
    void (*conv)(const ConvShape&, const float* x, const float* w, BiasView, Grid z);
    // The same, then ReLU and pool on the tile.  `winner` (I', J', K rounded up to 8) may be null.
    void (*conv_pool)(const ConvShape&, Fused, const float* x, const float* w, BiasView, Grid out,
                      Winner* winner);
    // The same by fewer multiplications, where `winograd_fits`: taps (input channels first..last-1
    // of w turned) and scratch have the sizes above.
    void (*winograd_taps)(const ConvShape&, const float* w, int first, int last, float* taps);
    void (*winograd)(const ConvShape&, Fused, const float* x, const float* taps, BiasView, Grid out,
                     Winner* winner, float* scratch);
    // sigma^l layer by layer: z is its own winner; ReLU and pool over values and winners in
    // (I, J, K rounded up to 8).
    void (*own_place)(const ConvShape&, Winner* winner);
    void (*relu_winners)(float* x, Winner* winner, Index n);
    void (*pool_winners)(Grid x, const Winner* winner, int rows, int columns, int stride_rows,
                         int stride_columns, int I, int J, float* out, Winner* out_winner);

    // One sample's survivors, the errors times `scale`, and db (K) += their sums; db may be null.
    void (*survivors)(const ConvShape&, const Winner* winner, Grid error, int rows, int columns,
                      float scale, const Survivors&, float* db);
    // dw (K, P+1, run) += or = sum over survivors; (p, q) here is the place in the window,
    // unflipped.
    void (*conv_dw)(const ConvShape&, const float* x, const Survivors&, bool first, float* dw);
    // The same, and dx (frame) += ..., from w packed as (K, P+1, run).
    void (*conv_dw_dx)(const ConvShape&, const float* x, const float* packed, const Survivors&,
                       bool first, float* dw, float* dx);

    // out (rows, columns) = a (rows, depth) b (depth, columns) + init (columns) or 0: the products
    // of (6) x w + b, (7) w delta^T and (8) x^T delta.
    void (*product)(Strided a, Index rows, Index depth, const float* b, Index b_row, int columns,
                    const float* init, float* out, Index out_row);

    // x = R(z); error *= R'(z) with R'(0) = at_zero.
    void (*relu)(const float* z, Index n, float* x);
    void (*relu_backward)(const float* z, float at_zero, Index n, float* error);

    // Columns are samples: z (M, lanes) -> probabilities in place.
    void (*softmax)(float* z, int M, int lanes);
    // z, y (M, lanes), factor (lanes) -> delta = factor (S(z) - y) in place of z, cost (lanes) of
    // (14).
    void (*cross_entropy)(float* z, const float* y, const float* factor, int M, int lanes,
                          float* cost);

    void (*transpose)(const float* a, Index a_row, int rows, int columns, float* t, Index t_row);
    // a += b;  sum (columns) = over rows.
    void (*add)(float* a, const float* b, Index n);
    void (*add_rows)(const float* a, Index a_row, Index rows, int columns, float* sum);
    // Augmentation: a field (H, W) smoothed, an image (H + 3, W + 3, R) with zeros around it
    // mapped.
    void (*smooth)(float* field, int H, int W, const float* taps, int radius, float* scratch);
    void (*warp)(const float* bordered, int H, int W, int R, const Affine&, const float* dy,
                 const float* dx, float elastic, Grid out);
    // One step of w, with its slots m, v where the rule has them.
    void (*update)(const UpdateRule&, float* w, const float* gradient, float* m, float* v, Index n);
    // The sum of squares, in one order for every target; not finite if one element is not.
    double (*squares)(const float* a, Index n);
    // a *= b.
    void (*multiply)(float* a, const float* b, Index n);
};

namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
namespace neon {
extern const Kernels kernels;
}

}  // namespace convlet
