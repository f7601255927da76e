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
    int tile = 0;          // of Winograd's form: so many rows and columns of outputs
    int whole_K = 0;       // channels of w in memory, where the K are some of them; 0: K
    // Floats from one input channel of w to the next.
    CONVLET_INLINE Index w_row() const { return whole_K ? whole_K : K; }
    CONVLET_INLINE Index kernel() const { return Index(rows) * columns * R * K; }
    // Floats under one kernel row, whole vectors of 8.
    CONVLET_INLINE Index run() const { return (columns * x_pixel + 7) / 8 * 8; }
};

// Winograd's form (winograd.h): the outputs of a tile along an axis, or 0 where the direct sum serves
// better, and what it needs.  Measured (docs/engine.md): turning pixels and outputs costs more than
// the products save for fewer channels, and for tiles of 4 that hang over the edge.
CONVLET_INLINE constexpr int winograd_tile(const ConvShape& s) {
    if (s.rows != s.columns || s.s1 != 1 || s.s2 != 1 || s.I < 2 || s.J < 2 || s.x_pixel % 8)
        return 0;
    if (s.rows == 5) return s.R >= 8 && s.K >= 16 ? 2 : 0;
    if (s.rows != 3 || s.R < 16 || s.K < 8) return 0;
    const Index fours = Index((s.I + 3) / 4) * ((s.J + 3) / 4);
    if (10 * Index(s.I) * s.J >= 7 * 16 * fours) return 4;
    return s.R >= 32 ? 2 : 0;
}
// Whether its tiles serve without a pool behind them, which works on them where they are.
CONVLET_INLINE constexpr bool winograd_alone(const ConvShape& s) {
    return s.tile == 4 || (s.tile == 2 && s.R >= 32);
}
// And whether they serve (3).
CONVLET_INLINE constexpr bool winograd_sums(const ConvShape& s) {
    return s.tile == 4 || (s.rows == 5 && winograd_alone(s));
}
CONVLET_INLINE constexpr int winograd_points(const ConvShape& s) {
    return (s.rows + s.tile - 1) * (s.rows + s.tile - 1);
}
// The most rows of tiles that are multiplied at a time: 24 tiles, or one row.
CONVLET_INLINE constexpr int winograd_columns(const ConvShape& s) {
    return (s.J + s.tile - 1) / s.tile;
}
CONVLET_INLINE constexpr int winograd_rows(const ConvShape& s) {
    return winograd_columns(s) >= 24 ? 1 : 24 / winograd_columns(s);
}
CONVLET_INLINE constexpr Index winograd_tiles(const ConvShape& s) {
    return Index(winograd_rows(s)) * winograd_columns(s);
}
// Floats from the array of one point to the next one's: a power of two would put the same element
// of all of them into the same few sets of the cache.
CONVLET_INLINE constexpr Index winograd_step(Index floats) { return floats + 16; }
CONVLET_INLINE constexpr Index winograd_taps_size(const ConvShape& s) {
    return winograd_points(s) * winograd_step(s.R * ((s.K + 7) / 8 * 8));
}
// Floats of the sums of (3).
CONVLET_INLINE constexpr Index winograd_sums_size(const ConvShape& s) {
    return winograd_points(s) * winograd_step(s.x_pixel * ((s.K + 7) / 8 * 8));
}
CONVLET_INLINE constexpr Index winograd_lines(const ConvShape& s) {
    return Index(16) * (s.rows + s.tile - 1) * (s.J + s.tile + s.rows - 2);
}
CONVLET_INLINE constexpr Index winograd_scratch(const ConvShape& s) {
    const Index tiles = winograd_tiles(s), pixels = Index(s.I + s.rows - 1) * (s.J + s.rows - 1);
    return winograd_points(s) *
               (winograd_step(tiles * s.x_pixel) + winograd_step(tiles * ((s.K + 7) / 8 * 8))) +
           winograd_lines(s) + (pixels + 3) / 4;
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

// The sigma that are computed on a tile of (1): nothing, ReLU, and a 2x2 pool with stride 2 with or
// without a ReLU before or behind it.
enum class Fused { none, relu, relu_pool, pool_relu, pool };
CONVLET_INLINE constexpr bool pools(Fused fused) {
    return fused != Fused::none && fused != Fused::relu;
}

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

// Of a minibatch; settings.py has the same number.  Levels of the tree over them.
inline constexpr int most_shard_levels = 12;
inline constexpr Index most_shards = 1 << most_shard_levels;

// Sums over the samples of one minibatch want lanes; lane counts are multiples of this.
inline constexpr int sample_lanes = 8;

struct Kernels {
    const char* name;

    // x^0: u / 255, correctly rounded.
    void (*scale_bytes)(const std::uint8_t* u, Index n, float* x);

    // C(x, w) + b, then ReLU and pool on the tile.  `winner` (I', J', K rounded up to 8) may be
    // null.
    void (*conv)(const ConvShape&, Fused, const float* x, const float* w, BiasView, Grid out,
                 Winner* winner);
    // The same by fewer multiplications, where the shape has a tile: taps (input channels
    // first..last-1 of w turned) and scratch have the sizes above.
    void (*winograd_taps)(const ConvShape&, const float* w, int first, int last, float* taps);
    void (*winograd)(const ConvShape&, Fused, const float* x, const float* taps, BiasView, Grid out,
                     Winner* winner, float* scratch);
    // sigma^l layer by layer: ReLU in place, and a pool, over values and winners (I, J, K rounded
    // up to 8), which may be null.  x of a pool has whole vectors of 8 channels and `x_columns`
    // pixels a row.
    void (*relu_winners)(Grid x, int I, int J, int K, Winner* winner);
    void (*pool_winners)(Grid x, int x_columns, const Winner* winner, int rows, int columns,
                         int stride_rows, int stride_columns, int I, int J, int K, Grid out,
                         Winner* out_winner);

    // One sample's survivors, the errors times `scale`, and db (K) += their sums; db may be null.
    void (*survivors)(const ConvShape&, const Winner* winner, Grid error, int rows, int columns,
                      float scale, const Survivors&, float* db);
    // dw (K, P+1, run) += or = sum over survivors; (p, q) here is the place in the window,
    // unflipped.
    void (*conv_dw)(const ConvShape&, const float* x, const Survivors&, bool first, float* dw);
    // The same, and dx (frame) += ..., from w packed as (K, P+1, run).
    void (*conv_dw_dx)(const ConvShape&, const float* x, const float* packed, const Survivors&,
                       bool first, float* dw, float* dx);

    // Without a pool: one sample's dJ/dz (I, J, K rounded up to 8) from the errors above sigma times
    // `scale`, and db (K) += their sums; db may be null.
    void (*errors)(const ConvShape&, const Winner* winner, Grid above, float scale, Grid delta,
                   float* db);
    // dw (P+1, Q+1, R, K) += or = (3) of them; (p, q) is the place in the window, unflipped.
    void (*conv_dw_of_errors)(const ConvShape&, const float* x, Grid delta, bool first, float* dw);
    // The same in Winograd's form: its sums += or = those of (3) of one sample, and dw of them.
    void (*winograd_dw)(const ConvShape&, const float* x, Grid delta, bool first, float* sums,
                        float* scratch);
    void (*winograd_dw_sum)(const ConvShape&, const float* sums, float* dw);

    // out (rows, columns) = a (rows, depth) b (depth, columns) + init (columns) or 0: the products
    // of (6) x w + b, (7) w delta^T and (8) x^T delta.
    void (*product)(Strided a, Index rows, Index depth, const float* b, Index b_row, int columns,
                    const float* init, float* out, Index out_row);

    // Columns [0, result) of dx (rows, columns) = delta (rows, depth) w^T (7), w (columns, depth), where
    // there are many zeros in delta and it pays to skip them; 0 otherwise.
    int (*sparse_error)(const float* delta, Index row, int rows, int depth, const float* w,
                        int columns, float* dx, Index dx_row);

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
    // Some columns of rows of w, `w_row` floats from one to the next, and their slots: the step whose gradient is
    // a (rows, depth) b (depth, columns), all of it finite, the same bits as `product` and then
    // `update`; depth is cut into shards, whose products meet along their tree.
    void (*product_update)(const UpdateRule&, Strided a, Index rows, Index depth, Index shards,
                           const float* b, Index b_row, int columns, float* w, Index w_row,
                           float* m, float* v);
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
