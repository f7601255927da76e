// Products that skip zeros: behind a ReLU half of x are, and half of delta in front of one.
//
// A tile of the dense product meets each vector of b with several rows of a; here each row has terms
// of its own.  So b comes from L1, a block of it, for every multiply-add, while the sums of a row are
// in registers.  Loads then take the time, not multiply-adds.
#pragma once

#include "elementwise.h"
#include "kernels.h"
#include "vec.h"

namespace convlet::CONVLET_TARGET {

// What a sum begins with: null is 0; `row` floats from row to row, 0 where all rows have the same.
struct Start {
    const float* at;
    Index row;
    CONVLET_INLINE Start(const float* at, Index row = 0) : at(at), row(row) {}
};

// Which terms of a sum count, a bit each.
using Terms = unsigned long long;
inline constexpr int most_terms = 64;
CONVLET_INLINE Terms all_terms(int count) { return ~Terms(0) >> (most_terms - count); }
CONVLET_INLINE int terms_from(Index n, Index depth) {
    return static_cast<int>(depth - n < most_terms ? depth - n : most_terms);
}

// Columns of b whose sums are in registers: a block of b is 32 KB at most.
inline constexpr int sparse_vectors = 8;
inline constexpr int sparse_width = sparse_vectors * widest;

// Rows of a that meet a block of b, and those of a tile of dw.
inline constexpr Index sparse_rows = 256;
inline constexpr int sparse_tile = 32;

// out (rows, sparse_width) = start + a (rows, 64 or less) b, of each row its terms, ascending: the
// bits of the sum of all terms where those left out are 0, but for a result of -0.
CONVLET_FLAT inline void add_terms(Strided a, Index rows, const Terms* terms, const float* b,
                                   Index b_row, Start start, float* out, Index out_row) {
    constexpr int W = widest, NV = sparse_vectors;
    for (Index i = 0; i < rows; ++i, a.at += a.row, out += out_row, start.at += start.row) {
        Vec<W> sum[NV];
        unrolled<NV>(
            [&](int n) { sum[n] = start.at ? load<W>(start.at + n * W) : broadcast<W>(0); });
        for (Terms left = terms[i]; left; left &= left - 1) {
            const Index term = __builtin_ctzll(left);
            const Vec<W> factor = broadcast<W>(a.at[term * a.column]);
            const float* right = b + term * b_row;
            unrolled<NV>([&](int n) { sum[n] = fma(factor, load<W>(right + n * W), sum[n]); });
        }
        unrolled<NV>([&](int n) { store(out + n * W, sum[n]); });
    }
}

// The terms of a row of a: all but zeros; NaN is none.
CONVLET_FLAT inline Terms terms_of_row(const float* a, int count) {
    Terms zeros = 0;
    for (int n = 0; n < count; n += 8)
        zeros |= Terms(bits(load<8, true>(a + n, min(8, count - n)) == broadcast<8>(0))) << n;
    return ~zeros & all_terms(count);
}

// Those of `columns` columns of a, `count` rows.
CONVLET_FLAT inline void terms_of_columns(const float* a, Index a_row, int count, int columns,
                                          Terms* terms) {
    constexpr int W = widest;
    for (int k = 0; k < columns; k += W) {
        const int lanes = min(W, columns - k);
        std::uint32_t words[2][W];
        for (int half = 0; half < 2; ++half) {
            Ints<W> set = broadcast_int<W>(0);
            for (int n = 32 * half; n < min(count, 32 * half + 32); ++n)
                set = select(load<W, true>(a + n * a_row + k, lanes) == broadcast<W>(0), set,
                             set + broadcast_int<W>(static_cast<int>(1u << (n & 31))));
            store(reinterpret_cast<std::int32_t*>(words[half]), set);
        }
        for (int lane = 0; lane < lanes; ++lane)
            terms[k + lane] = words[0][lane] | Terms(words[1][lane]) << 32;
    }
}

// Whether skipping the zeros of a pays, by every eighth row.
inline bool sparse(const float* a, Index a_row, Index rows, Index columns) {
    Index terms = 0, of = 0;
    for (Index i = 0; i < rows; i += 8, of += columns)
        for (Index k = 0; k < columns; k += most_terms)
            terms += __builtin_popcountll(terms_of_row(a + i * a_row + k, terms_from(k, columns)));
    return 8 * terms <= 5 * of;
}

// Of whole lines of 32 floats.
CONVLET_FLAT inline bool finite(const float* a, Index n) {
    V sum[4] = {broadcast<8>(0), broadcast<8>(0), broadcast<8>(0), broadcast<8>(0)};
    for (Index at = 0; at < n; at += 32)
        unrolled<4>([&](int v) { sum[v] = fma(load<8>(a + at + 8 * v), broadcast<8>(0), sum[v]); });
    return all((sum[0] + sum[1]) + (sum[2] + sum[3]) == broadcast<8>(0));
}

CONVLET_FLAT inline bool has_negative_zero(const float* a, Index a_row, Index rows, Index columns) {
    const Ints<8> above = broadcast_int<8>(-0x7fffffff);
    bool none = true;
    for (Index i = 0; i < rows; ++i, a += a_row)
        each_vector(columns, [&]<bool cut>(Index k, int lanes) {
            none &= all(bit_cast_to_int(load<8, cut>(a + k, lanes)) >= above);
        });
    return !none;
}

// out (rows, columns) = a (rows, depth) b (depth, columns) + init or 0 without the zeros of a, in
// whole panels of columns.  Of b either rows or columns are contiguous.
//
// The same bits as with the zeros.  Where a block of b is not finite it meets them, too.  A term 0
// changes no sum but -0, so that a result of -0 might be 0: then all is computed with the zeros.
inline void sparse_product(Strided a, Index rows, Index depth, const Strided& b, Index columns,
                           const float* init, float* out, Index out_row) {
    alignas(64) float packed[most_terms * sparse_width];
    Terms terms[sparse_rows];
    Index width = sparse_width;
    opaque(width);  // the same
    for (Index first = 0; first < rows; first += sparse_rows) {
        const Index count = rows - first < sparse_rows ? rows - first : sparse_rows;
        const float* left = a.at + first * a.row;
        float* sums = out + first * out_row;
        bool zeros = false;
        do {
            for (Index c = 0; c < depth; c += most_terms) {
                const int some = terms_from(c, depth);
                for (Index i = 0; i < count; ++i)
                    terms[i] = zeros ? all_terms(some) : terms_of_row(left + i * a.row + c, some);
                for (Index k = 0; k < columns; k += sparse_width) {
                    const float* block = b.at + c * b.row + k * b.column;
                    if (b.column == 1)
                        for (int n = 0; n < some; ++n, block += b.row)
                            unrolled<sparse_vectors>([&](int v) {
                                store(packed + n * sparse_width + v * widest,
                                      load<widest>(block + v * widest));
                            });
                    else
                        transpose(block, b.column, static_cast<int>(width), some, packed, width);
                    if (!zeros && !finite(packed, some * sparse_width))
                        for (Index i = 0; i < count; ++i) terms[i] = all_terms(some);
                    const Start start =
                        c ? Start{sums + k, out_row} : Start{init ? init + k : init};
                    add_terms({left + c, a.row, 1}, count, terms, packed, sparse_width, start,
                              sums + k, out_row);
                }
            }
            zeros = !zeros && has_negative_zero(sums, out_row, count, columns);
        } while (zeros);
    }
}

// A tile (count, sparse_width) of a^T b, depth by depth, without the zeros of a.
inline void sparse_derivative(const float* a, Index a_row, int count, Index depth,
                              const Terms* terms, const float* b, Index b_row, float* tile) {
    for (Index n = 0; n < depth; n += most_terms, terms += sparse_tile)
        add_terms({a + n * a_row, 1, a_row}, count, terms, b + n * b_row, b_row,
                  n ? Start{tile, sparse_width} : Start{nullptr}, tile, sparse_width);
}

// Columns [0, result) of dx (rows, columns) = delta (rows, depth) w^T (7), w (columns, depth), without
// the zeros of delta; 0 where that does not pay.
inline int sparse_error(const float* delta, Index row, int rows, int depth, const float* w,
                        int columns, float* dx, Index dx_row) {
    const int done = columns / sparse_width * sparse_width;
    if (rows < 96 || depth < most_terms || done == 0 || !sparse(delta, row, rows, depth)) return 0;
    const float* init = nullptr;
    opaque(init);  // or there would be two of the function
    sparse_product({delta, row, 1}, rows, depth, {w, 1, depth}, done, init, dx, dx_row);
    return done;
}

}  // namespace convlet::CONVLET_TARGET
