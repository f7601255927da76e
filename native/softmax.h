// Softmax (11), the cost (14) and its derivative (15).  Lanes are samples, so that sums over the
// classes are chains in a fixed order; exp and log are written here, so that every target agrees.
#pragma once

#include "kernels.h"
#include "vec.h"

namespace convlet::CONVLET_TARGET {

// e^x for x <= 0: x = n ln 2 + r with |r| <= ln 2 / 2, then the Taylor sum to r^7 (relative rest
// 6e-9) times 2^n.  Below ln of the least normal number: 0.
CONVLET_INLINE V exponential(V x) {
    const V least = broadcast<8>(-87.33654f);
    const auto gone = x <= least;
    const V bounded = select(gone, least, x);
    const V shift = broadcast<8>(12582912.0f);  // 1.5 2^23: adding it rounds to a whole number
    const V t = fma(bounded, broadcast<8>(1.44269504f), shift);
    const V n = t - shift;
    V r =
        fma(n, broadcast<8>(-0.693145752f), bounded);  // ln 2 in two parts, the first exact times n
    r = fma(n, broadcast<8>(-1.42860677e-6f), r);
    V sum = broadcast<8>(1.0f / 5040);
    constexpr float terms[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
    for (const float c : terms) sum = fma(sum, r, broadcast<8>(c));
    const V power =
        bit_cast_to_float((bit_cast_to_int(t) << 23) + bit_cast_to_int(broadcast<8>(1.0f)));  // 2^n
    return select(gone, broadcast<8>(0), sum * power);
}

// ln x for normal x > 0: x = 2^e m with m in [sqrt 1/2, sqrt 2), ln m = 2 artanh((m-1)/(m+1)) to
// the ninth power (relative rest 7e-10).
CONVLET_INLINE V logarithm(V x) {
    const Ints<8> root_half = broadcast_int<8>(0x3f3504f3);
    const Ints<8> shifted = bit_cast_to_int(x) - root_half;
    const V e = to_float(shifted >> 23);
    const V m = bit_cast_to_float((shifted & broadcast_int<8>(0x007fffff)) + root_half);
    const V one = broadcast<8>(1);
    const V s = (m - one) / (m + one), s2 = s * s;
    V sum = broadcast<8>(2.0f / 9);
    constexpr float terms[] = {2.0f / 7, 2.0f / 5, 2.0f / 3, 2.0f};
    for (const float c : terms) sum = fma(sum, s2, broadcast<8>(c));
    const V small = fma(e, broadcast<8>(1.42860677e-6f), sum * s);
    return fma(e, broadcast<8>(0.693145752f), small);
}

CONVLET_INLINE V maximum(const float* z, int M, int lanes) {
    V most = load<8>(z);
    for (int j = 1; j < M; ++j) {
        const V value = load<8>(z + Index(j) * lanes);
        most = select(value > most, value, most);
    }
    return most;
}

inline void softmax(float* z, int M, int lanes) {
    for (int s = 0; s < lanes; s += 8) {
        const V most = maximum(z + s, M, lanes);
        V sum = broadcast<8>(0);
        for (int j = 0; j < M; ++j) {
            float* at = z + Index(j) * lanes + s;
            const V e = exponential(load<8>(at) - most);
            store(at, e);
            sum = sum + e;
        }
        for (int j = 0; j < M; ++j) {
            float* at = z + Index(j) * lanes + s;
            store(at, load<8>(at) / sum);  // (11)
        }
    }
}

inline void cross_entropy(float* z, const float* y, const float* factor, int M, int lanes,
                          float* cost) {
    for (int s = 0; s < lanes; s += 8) {
        const V most = maximum(z + s, M, lanes);
        V sum = broadcast<8>(0);
        for (int j = 0; j < M; ++j)
            sum = sum + exponential(load<8>(z + Index(j) * lanes + s) - most);
        const V log_sum = logarithm(sum);
        V total = broadcast<8>(0);
        for (int j = 0; j < M; ++j) {
            const Index at = Index(j) * lanes + s;
            const V shifted = load<8>(z + at) - most;
            const V truth = load<8>(y + at);
            const V p = exponential(shifted) / sum;
            // (14) has no term where y is 0, though z may be further from the maximum than floats
            // reach; p adds 0 there, and NaN where z was
            total =
                fma(truth, select(truth == broadcast<8>(0), p, log_sum - shifted), total);  // (14)
            store(z + at, (p - truth) * load<8>(factor + s));                               // (15)
        }
        store(cost + s, total);
    }
}

}  // namespace convlet::CONVLET_TARGET
