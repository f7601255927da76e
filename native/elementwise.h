// What goes over arrays once: x^0 from bytes, ReLU (9), (10), sums of partial gradients.
#pragma once

#include "kernels.h"
#include "vec.h"

namespace convlet::CONVLET_TARGET {

// f<cut>(at, lanes) over n floats, the last vector cut.
template <class F>
CONVLET_INLINE void each_vector(Index n, const F& f) {
    Index at = 0;
    for (; at + 8 <= n; at += 8) f.template operator()<false>(at, 8);
    if (at < n) f.template operator()<true>(at, static_cast<int>(n - at));
}

inline void scale_bytes(const std::uint8_t* u, Index n, float* x) {
    Index at = 0;
    for (; at + 8 <= n; at += 8) store(x + at, load_bytes(u + at) / broadcast<8>(255));
    for (; at < n; ++at) x[at] = static_cast<float>(u[at]) / 255.0f;
}

inline void relu(const float* z, Index n, float* x) {
    each_vector(n, [&]<bool cut>(Index at, int lanes) {
        store<cut>(x + at, rectified(load<8, cut>(z + at, lanes)), lanes);  // (9)
    });
}

inline void relu_backward(const float* z, float at_zero, Index n, float* error) {
    each_vector(n, [&]<bool cut>(Index at, int lanes) {
        const V value = load<8, cut>(z + at, lanes), zero = broadcast<8>(0);
        const V factor = select(value == zero, broadcast<8>(at_zero),
                                select(value <= zero, zero, broadcast<8>(1)));  // (10)
        store<cut>(error + at, load<8, cut>(error + at, lanes) * factor, lanes);
    });
}

inline void add(float* a, const float* b, Index n) {
    each_vector(n, [&]<bool cut>(Index at, int lanes) {
        store<cut>(a + at, load<8, cut>(a + at, lanes) + load<8, cut>(b + at, lanes), lanes);
    });
}

inline void multiply(float* a, const float* b, Index n) {
    each_vector(n, [&]<bool cut>(Index at, int lanes) {
        store<cut>(a + at, load<8, cut>(a + at, lanes) * load<8, cut>(b + at, lanes), lanes);
    });
}

inline void add_rows(const float* a, Index a_row, Index rows, int columns, float* sum) {
    each_vector(columns, [&]<bool cut>(Index at, int lanes) {
        V total = broadcast<8>(0);
        for (Index s = 0; s < rows; ++s) total = total + load<8, cut>(a + s * a_row + at, lanes);
        store<cut>(sum + at, total, lanes);
    });
}

// Squares of 8 x 8 are transposed in registers.
CONVLET_FLAT inline void transpose(const float* a, Index a_row, int rows, int columns, float* t,
                                   Index t_row) {
    for (int i0 = 0; i0 < rows; i0 += 8)
        for (int j0 = 0; j0 < columns; j0 += 8) {
            if (i0 + 8 <= rows && j0 + 8 <= columns) {
                V square[8];
                unrolled<8>([&](int n) { square[n] = load<8>(a + (i0 + n) * a_row + j0); });
                transpose(square);
                unrolled<8>([&](int n) { store(t + (j0 + n) * t_row + i0, square[n]); });
                continue;
            }
            for (int j = j0; j < columns && j < j0 + 8; ++j)
                for (int i = i0; i < rows && i < i0 + 8; ++i) t[j * t_row + i] = a[i * a_row + j];
        }
}

}  // namespace convlet::CONVLET_TARGET
