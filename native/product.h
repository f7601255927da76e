// The dense map (6) and its derivatives (7), (8): three products of matrices, one kernel.
#pragma once

#include "kernels.h"
#include "sparse.h"
#include "vec.h"

namespace convlet::CONVLET_TARGET {

// Rows of b that are packed at a time: with the widest panel 16 to 24 KB, which L1 holds.
inline constexpr Index packed_depth = registers == 32 ? 128 : 256;

// Floats of b from which on L1 does not hold it by far, 512 KB, and those that an L2 of 2 MB does not
// hold.
inline constexpr Index large_b = 1 << 17, far_b = 1 << 19;

// Lines of memory that are fetched while a product is computed, one for each of its terms: `row` floats
// from one to the next; with 0 none but the first.  Addresses behind an array do no harm.
struct Ahead {
    const float* at;
    Index row;
};

// sum (ROWS, NV vectors) += a (ROWS, depth) b (depth, NV vectors).
//
// ROW is a.row where that is a constant (0: it is not), so that one register addresses all rows.
//
// A step of the loop over depth is NV loads, ROWS broadcasts and ROWS * NV multiply-adds, which
// stay in ROWS * NV registers from the first term to the last: each element is one chain, c
// ascending.
template <int W, int NV, bool masked, int ROW, int ROWS>
CONVLET_INLINE void add_product(Strided a, Index depth, const float* b, Index b_row, int lanes,
                                Ahead ahead, Vec<W> (&sum)[ROWS][NV]) {
    const Index row = ROW ? ROW : a.row, column = a.column;
    const float* left = a.at;
    for (const float* end = left + depth * column; left != end; left += column, b += b_row) {
        __builtin_prefetch(ahead.at, 0, 2);
        ahead.at += ahead.row;
        Vec<W> right[NV];
        unrolled<NV>([&](int n) { right[n] = load<W, masked>(b + n * W, lanes); });
        unrolled<ROWS>([&](int i) {
            const Vec<W> factor = broadcast<W>(left[i * row]);
            unrolled<NV>([&](int n) { sum[i][n] = fma(factor, right[n], sum[i][n]); });
        });
    }
}

// out (ROWS, NV vectors) = a (ROWS, depth) b (depth, NV vectors) + start.
template <int W, int NV, bool masked, int ROWS>
CONVLET_FLAT void product_tile(Strided a, Index depth, const float* b, Index b_row, Start start,
                               int lanes, float* out, Index out_row, Ahead ahead) {
    Vec<W> sum[ROWS][NV];
    unrolled<ROWS, NV>([&](int i, int n) {
        sum[i][n] =
            start.at ? load<W, masked>(start.at + i * start.row + n * W, lanes) : broadcast<W>(0);
    });
    add_product<W, NV, masked, 0, ROWS>(a, depth, b, b_row, lanes, ahead, sum);
    unrolled<ROWS, NV>(
        [&](int i, int n) { store<masked>(out + i * out_row + n * W, sum[i][n], lanes); });
}

// The most vectors of a panel of columns, and the most rows of a tile of it.  The multiply-adds of two
// ports, four or five cycles each, want eight to ten sums under way, and more where they wait for
// loads.  32 registers: 8 x 3 sums, 3 of b, 1 broadcast = 28, or 12 x 2, 2 and 1 = 27.  16 registers:
// 6 x 2 sums, 2 of b, 1 broadcast = 15, and 8 x 1 sums, 1 of b, 1 broadcast = 10.
inline constexpr int product_vectors = registers == 32 ? 3 : 2;
template <int NV>
inline constexpr int product_rows = registers == 32 ? (NV == 2 ? 12 : 8) : (NV == 2 ? 6 : 8);

// The rows in tiles whose heights differ by one at most.  Each of the first NV fetches its vector of
// the rows `ahead`.
template <int W, int NV, bool masked>
void product_panel(Strided a, Index rows, Index depth, const float* b, Index b_row, Start start,
                   int lanes, float* out, Index out_row, Ahead ahead) {
    int tiles = 0;
    equal_parts<product_rows<NV>>(static_cast<int>(rows), [&]<int ROWS>(Index i) {
        product_tile<W, NV, masked, ROWS>(
            {a.at + i * a.row, a.row, a.column}, depth, b, b_row,
            {start.at ? start.at + i * start.row : start.at, start.row}, lanes, out + i * out_row,
            out_row, ahead);
        if (++tiles < NV)
            ahead.at += W;
        else
            ahead.row = 0;
    });
}

// With b copied, some of its rows at a time.
//
// From row to row of b are as many floats as the stage has units: with 1,024 each row lies in a page
// of its own and all of them in the same few sets of each cache, so that a panel would come from
// memory again for every tile of rows.  All columns of some rows of b, so that b is read once, as it
// lies in memory, and the columns of a that meet them stay in a cache.  Sums go to `out` and back
// between two blocks of depth, which rounds nothing: each element stays one chain.
inline void product_packed(Strided a, Index rows, Index depth, const float* b, Index b_row,
                           int columns, const float* init, float* out, Index out_row) {
    alignas(64) float packed[packed_depth * product_vectors * widest];
    Start start{init};
    for (Index c = 0; c < depth; c += packed_depth) {
        const float* some = b + c * b_row;
        const Index count = depth - c < packed_depth ? depth - c : packed_depth;
        const bool last = c + count == depth;
        each_panel<product_vectors>(columns, [&]<int W, int NV, bool masked>(int k, int lanes) {
            for (Index n = 0; n < count; ++n)
                unrolled<NV>([&](int v) {
                    store(packed + (n * NV + v) * W,
                          load<W, masked>(some + n * b_row + k + v * W, lanes));
                });
            const Ahead below{some + k + (last ? 0 : count * b_row), last ? 0 : b_row};
            product_panel<W, NV, masked>(
                {a.at + c * a.column, a.row, a.column}, rows, count, packed, NV * W,
                {start.at ? start.at + k : nullptr, start.row}, lanes, out + k, out_row, below);
        });
        start = {out, out_row};
    }
}

// Sums from which on the zeros of a are skipped where there are many: each row has to pay for the
// search for its own, and all rows for the copy of b.
inline constexpr Index sparse_work = 1 << 13;

// One row times a large b: the rows of b whose factor is not 0 are read once, as they lie in memory,
// some at a time from their beginning to their end, while the sums stay in L1.  (1024, 1024) behind
// a ReLU on AVX-512: from 421 to 300 us, as a stream, and to 235 without the zeros.
//
// The same bits as with every row: b is finite, and adding 0 b to a sum changes none but -0, which a
// sum begins with, or rounds to where it is very small: then all is computed with every row.
inline void product_of_row_far(Strided a, Index depth, const float* b, Index b_row, int columns,
                               const float* init, float* out) {
    constexpr int terms = 8;  // as many streams
    // of the terms under way, and of the next, which are fetched meanwhile
    const float* rows[2 * terms];
    float factors[2 * terms];
    const float* start;
    const auto add = [&]<int TERMS>(int first) {
        each_panel<2>(columns, [&]<int W, int NV, bool masked>(int k, int lanes) {
            Vec<W> sum[NV];
            unrolled<NV>([&](int n) {
                sum[n] = start ? load<W, masked>(start + k + n * W, lanes) : broadcast<W>(0);
            });
            if constexpr (TERMS == terms)
                for (int d = terms; d < 2 * terms; ++d)
                    for (int n = 0; n < NV; ++n) __builtin_prefetch(rows[d] + k + n * W);
            unrolled<TERMS, NV>([&](int d, int n) {
                sum[n] = fma(broadcast<W>(factors[first + d]),
                             load<W, masked>(rows[first + d] + k + n * W, lanes), sum[n]);
            });
            unrolled<NV>([&](int n) { store<masked>(out + k + n * W, sum[n], lanes); });
        });
        start = out;
    };
    bool all = init && has_negative_zero(init, 0, 1, columns);  // whether a 0 counts, too
    do {
        start = init;
        int count = 0;
        bool any = false;
        for (Index c = 0; c < depth; ++c) {
            const float factor = a.at[c * a.column];
            if (factor == 0 && !all && (any || c + 1 < depth)) continue;
            any = true;
            rows[count] = b + c * b_row;
            factors[count] = factor;
            if (++count < 2 * terms) continue;
            add.template operator()<terms>(0);
            for (int d = 0; d < terms; ++d)
                rows[d] = rows[terms + d], factors[d] = factors[terms + d];
            count = terms;
        }
        int done = 0;
        if (count >= terms) {
            for (int d = count; d < 2 * terms; ++d) rows[d] = b;  // no more
            add.template operator()<terms>(0);
            done = terms;
        }
        as_constant<terms>(count - done,
                           [&]<int TERMS>() { add.template operator()<TERMS>(done); });
        all = !all && has_negative_zero(out, 0, 1, columns);
    } while (all);
}

// The same where L2 holds b: 8 vectors of columns at a time down 64 rows after each other, with their
// sums in registers; (784, 256) at 150 GB/s, where the form above reaches 125.  Whole panels of columns.
inline void product_of_row_near(const float* a, Index depth, const float* b, Index b_row,
                                int columns, const float* init, float* out) {
    for (int k = 0; k < columns; k += sparse_width) {
        bool all = init && has_negative_zero(init + k, 0, 1, sparse_width);
        do {
            Start start{init ? init + k : nullptr};
            for (Index c = 0; c < depth; c += most_terms, start = {out + k}) {
                const int some = terms_from(c, depth);
                const Terms terms = all ? all_terms(some) : terms_of_row(a + c, some);
                add_terms({a + c, 0, 1}, 1, &terms, b + c * b_row + k, b_row, start, out + k, 0);
            }
            all = !all && has_negative_zero(out + k, 0, 1, sparse_width);
        } while (all);
    }
}

// One row.  Eight vectors of columns at a time, so that enough sums are under way (8 of them, 8 of b, 1
// broadcast) and b is one stream; of a large b the rows whose factor is 0 are not read.
inline void product_of_row(Strided a, Index depth, const float* b, Index b_row, int columns,
                           const float* init, float* out) {
    const auto from = [&](int k) { return init ? init + k : nullptr; };
    if (depth * columns >= far_b) return product_of_row_far(a, depth, b, b_row, columns, init, out);
    const int panels = columns / sparse_width * sparse_width, rest = columns - panels;
    if (depth * columns >= large_b && a.column == 1) {
        product_of_row_near(a.at, depth, b, b_row, panels, init, out);
        if (rest) product_of_row_far(a, depth, b + panels, b_row, rest, from(panels), out + panels);
        return;
    }
    for (int k = 0; k < panels; k += sparse_width)
        product_tile<widest, sparse_vectors, false, 1>(a, depth, b + k, b_row, from(k), widest,
                                                       out + k, 0, {b + k, 0});
    each_panel<product_vectors>(rest, [&]<int W, int NV, bool masked>(int k, int lanes) {
        product_tile<W, NV, masked, 1>(a, depth, b + panels + k, b_row, from(panels + k), lanes,
                                       out + panels + k, 0, {b + panels + k, 0});
    });
}

inline void product(Strided a, Index rows, Index depth, const float* b, Index b_row, int columns,
                    const float* init, float* out, Index out_row) {
    if (rows == 1) return product_of_row(a, depth, b, b_row, columns, init, out);
    int j = 0;
    const int panels = columns / sparse_width * sparse_width;
    if (rows > 12 && rows * panels >= sparse_work && a.column == 1 && depth >= most_terms &&
        sparse(a.at, a.row, rows, depth)) {
        j = panels;
        sparse_product(a, rows, depth, {b, b_row, 1}, j, init, out, out_row);
    }
    // worth a copy: two tiles of rows and more, or fewer where a panel of b comes from memory
    if (rows > (depth * columns >= large_b ? 3 : 12) && depth > 64 && b_row > 64)
        return product_packed(a, rows, depth, b + j, b_row, columns - j, init ? init + j : nullptr,
                              out + j, out_row);
    each_panel<product_vectors>(columns - j, [&]<int W, int NV, bool masked>(int k, int lanes) {
        product_panel<W, NV, masked>(a, rows, depth, b + j + k, b_row,
                                     init ? init + j + k : nullptr, lanes, out + j + k, out_row,
                                     {b + j + k, 0});
    });
}

}  // namespace convlet::CONVLET_TARGET
