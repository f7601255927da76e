// Vectors of W floats, W int32 and W truth values, and what the kernels do with them.
//
// Vec<8> is the unit of every kernel; Vec<16> is one register on AVX-512.  A vector wider than a
// register is a pair of halves.  No operation mixes lanes, so a width never shows in a result.
// vec_x86.h and vec_neon.h, the only files that know an instruction set, have the registers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels.h"

namespace convlet::CONVLET_TARGET {

// The pairs.  An operation on a pair is the same operation on its halves.
template <int W>
struct Mask {
    Mask<W / 2> lo, hi;
};

template <int W>
struct Ints;

template <int W>
struct Vec {
    using Half = Vec<W / 2>;
    Half lo, hi;

    CONVLET_INLINE static Vec load(const float* p) {
        return {Half::load(p), Half::load(p + W / 2)};
    }
    CONVLET_INLINE static Vec load_first(const float* p, int count) {
        return {Half::load_first(p, count), Half::load_first(p + W / 2, count - W / 2)};
    }
    CONVLET_INLINE static Vec broadcast(float s) {
        return {Half::broadcast(s), Half::broadcast(s)};
    }
    CONVLET_INLINE void store(float* p) const { lo.store(p), hi.store(p + W / 2); }
    CONVLET_INLINE void store_first(float* p, int count) const {
        lo.store_first(p, count), hi.store_first(p + W / 2, count - W / 2);
    }

    // a b + c, rounded once
    CONVLET_INLINE friend Vec fma(Vec a, Vec b, Vec c) {
        return {fma(a.lo, b.lo, c.lo), fma(a.hi, b.hi, c.hi)};
    }
    CONVLET_INLINE friend Vec operator+(Vec a, Vec b) { return {a.lo + b.lo, a.hi + b.hi}; }
    CONVLET_INLINE friend Vec operator-(Vec a, Vec b) { return {a.lo - b.lo, a.hi - b.hi}; }
    CONVLET_INLINE friend Vec operator*(Vec a, Vec b) { return {a.lo * b.lo, a.hi * b.hi}; }
    CONVLET_INLINE friend Vec operator/(Vec a, Vec b) { return {a.lo / b.lo, a.hi / b.hi}; }
    CONVLET_INLINE friend Vec sqrt(Vec a) { return {sqrt(a.lo), sqrt(a.hi)}; }
    CONVLET_INLINE friend Mask<W> operator>(Vec a, Vec b) { return {a.lo > b.lo, a.hi > b.hi}; }
    CONVLET_INLINE friend Mask<W> operator<=(Vec a, Vec b) { return {a.lo <= b.lo, a.hi <= b.hi}; }
    CONVLET_INLINE friend Mask<W> operator==(Vec a, Vec b) { return {a.lo == b.lo, a.hi == b.hi}; }
    // a where m holds, b elsewhere
    CONVLET_INLINE friend Vec select(Mask<W> m, Vec a, Vec b) {
        return {select(m.lo, a.lo, b.lo), select(m.hi, a.hi, b.hi)};
    }
    CONVLET_INLINE friend Ints<W> bit_cast_to_int(Vec a) {
        return {bit_cast_to_int(a.lo), bit_cast_to_int(a.hi)};
    }
};

template <int W>
struct Ints {
    using Half = Ints<W / 2>;
    Half lo, hi;

    CONVLET_INLINE static Ints load(const std::int32_t* p) {
        return {Half::load(p), Half::load(p + W / 2)};
    }
    CONVLET_INLINE static Ints broadcast(std::int32_t s) {
        return {Half::broadcast(s), Half::broadcast(s)};
    }
    CONVLET_INLINE void store(std::int32_t* p) const { lo.store(p), hi.store(p + W / 2); }
    CONVLET_INLINE void store_first(std::int32_t* p, int count) const {
        lo.store_first(p, count), hi.store_first(p + W / 2, count - W / 2);
    }

    CONVLET_INLINE friend Ints operator+(Ints a, Ints b) { return {a.lo + b.lo, a.hi + b.hi}; }
    CONVLET_INLINE friend Ints operator-(Ints a, Ints b) { return {a.lo - b.lo, a.hi - b.hi}; }
    CONVLET_INLINE friend Ints operator*(Ints a, Ints b) { return {a.lo * b.lo, a.hi * b.hi}; }
    CONVLET_INLINE friend Ints operator&(Ints a, Ints b) { return {a.lo & b.lo, a.hi & b.hi}; }
    CONVLET_INLINE friend Ints operator<<(Ints a, int n) { return {a.lo << n, a.hi << n}; }
    CONVLET_INLINE friend Ints operator>>(Ints a, int n) { return {a.lo >> n, a.hi >> n}; }
    CONVLET_INLINE friend Mask<W> operator>=(Ints a, Ints b) {
        return {a.lo >= b.lo, a.hi >= b.hi};
    }
    CONVLET_INLINE friend Ints select(Mask<W> m, Ints a, Ints b) {
        return {select(m.lo, a.lo, b.lo), select(m.hi, a.hi, b.hi)};
    }
    CONVLET_INLINE friend Vec<W> to_float(Ints a) { return {to_float(a.lo), to_float(a.hi)}; }
    CONVLET_INLINE friend Vec<W> bit_cast_to_float(Ints a) {
        return {bit_cast_to_float(a.lo), bit_cast_to_float(a.hi)};
    }
};

}  // namespace convlet::CONVLET_TARGET

#if defined(__x86_64__)
#include "vec_x86.h"
#elif defined(__aarch64__)
#include "vec_neon.h"
#endif

namespace convlet::CONVLET_TARGET {

using V = Vec<8>;  // where the width does not matter

CONVLET_INLINE constexpr int min(int a, int b) { return a < b ? a : b; }
CONVLET_INLINE constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

template <int W>
CONVLET_INLINE bool all(Mask<W> m) {  // of a pair
    return all(m.lo) && all(m.hi);
}

// The kernels name the width; `lanes` of a masked vector exist, the others are loaded as 0 and not
// stored.
template <int W>
CONVLET_INLINE Vec<W> broadcast(float s) {
    return Vec<W>::broadcast(s);
}
template <int W>
CONVLET_INLINE Ints<W> broadcast_int(std::int32_t s) {
    return Ints<W>::broadcast(s);
}
template <int W>
CONVLET_INLINE Vec<W> load(const float* p) {
    return Vec<W>::load(p);
}
template <int W>
CONVLET_INLINE Ints<W> load(const std::int32_t* p) {
    return Ints<W>::load(p);
}
template <int W, bool masked>
CONVLET_INLINE Vec<W> load(const float* p, int lanes) {
    if constexpr (masked)
        return Vec<W>::load_first(p, lanes);
    else
        return Vec<W>::load(p);
}
template <class T, class V>
CONVLET_INLINE void store(T* p, V a) {
    a.store(p);
}
template <bool masked, class T, class V>
CONVLET_INLINE void store(T* p, V a, int lanes) {
    if constexpr (masked)
        a.store_first(p, lanes);
    else
        a.store(p);
}

// f(0), ..., f(N - 1), and over several ranges, the last one innermost.  For loops over registers,
// which have no address: every index must be a constant.
template <int N, class F>
CONVLET_INLINE void unrolled(const F& f) {
#pragma GCC unroll 64
    for (int n = 0; n < N; ++n) f(n);
}
template <int M, int N, class F>
CONVLET_INLINE void unrolled(const F& f) {
    unrolled<M>([&](int m) { unrolled<N>([&](int n) { f(m, n); }); });
}
template <int L, int M, int N, class F>
CONVLET_INLINE void unrolled(const F& f) {
    unrolled<L>([&](int l) { unrolled<M, N>([&](int m, int n) { f(l, m, n); }); });
}

// From here on the compiler knows nothing of the value.
template <class T>
CONVLET_INLINE void opaque(T& value) {
    asm("" : "+r"(value));
}

// f<n>() for an n in 1..N that is known only now.
template <int N, class F>
CONVLET_INLINE void as_constant(int n, const F& f) {
    if constexpr (N >= 1) {
        if (n == N)
            f.template operator()<N>();
        else
            as_constant<N - 1>(n, f);
    }
}

// f<n>(j, count) for [j, end): `count` times N at a time, as often as that fits, then half as many,
// and so on.
template <int N, class F>
CONVLET_INLINE void halving(int j, int end, const F& f) {
    const int count = (end - j) / N;
    if (count > 0) f.template operator()<N>(j, count);
    if constexpr (N > 1) halving<N / 2>(j + count * N, end, f);
}

// f<n>(first) for all of [0, count), in as few parts as can be of at most N, whose sizes n differ by
// one at most.
template <int N, class F>
CONVLET_INLINE void equal_parts(int count, const F& f) {
    const int parts = ceil_div(count, N);
    for (int part = 0, first = 0; part < parts; ++part) {
        const int n = (count - first) / (parts - part);
        as_constant<N>(n, [&]<int SIZE>() { f.template operator()<SIZE>(first); });
        first += n;
    }
}

// f<W, NV, masked>(k, lanes) for all panels of K channels: up to MOST vectors at a time, two twos in
// the place of a three and a one; the last one masked, and of 8 if they are enough.
template <int MOST, class F>
CONVLET_INLINE void each_panel(int K, const F& f) {
    int k = 0;
    if constexpr (MOST == 3)
        for (int left = K / widest; left == 3 || left >= 5; left -= 3, k += 3 * widest)
            f.template operator()<widest, 3, false>(k, widest);
    if constexpr (MOST >= 2)
        for (; k + 2 * widest <= K; k += 2 * widest)
            f.template operator()<widest, 2, false>(k, widest);
    if constexpr (widest > 8)
        for (; k + 8 < K; k += widest)
            f.template operator()<widest, 1, true>(k, min(widest, K - k));
    else
        for (; k + 8 <= K; k += 8) f.template operator()<8, 1, false>(k, 8);
    if (k < K) f.template operator()<8, 1, true>(k, K - k);
}

// (9): 0 where z <= 0, so that -0 becomes +0 and NaN stays, on every target alike.
template <int W>
CONVLET_INLINE Vec<W> rectified(Vec<W> z) {
    return select(z <= broadcast<W>(0), broadcast<W>(0), z);
}

CONVLET_INLINE void transpose(Ints<8> (&a)[8]) {
    Vec<8> rows[8];
    unrolled<8>([&](int n) { rows[n] = bit_cast_to_float(a[n]); });
    transpose(rows);
    unrolled<8>([&](int n) { a[n] = bit_cast_to_int(rows[n]); });
}

}  // namespace convlet::CONVLET_TARGET
