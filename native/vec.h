// The only file that knows an instruction set: vectors of W floats, and what the kernels do with
// them.
//
// Vec<8> is the unit of every kernel; Vec<16> is one register on AVX-512.  A vector wider than a
// register is a pair of halves.  No operation mixes lanes, so a width never shows in a result.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define CONVLET_INLINE inline __attribute__((always_inline))

namespace convlet::CONVLET_TARGET {

template <int W>
struct Vec {  // floats
    Vec<W / 2> lo, hi;
};
template <int W>
struct Mask {
    Mask<W / 2> lo, hi;
};
template <int W>
struct Ints {  // int32
    Ints<W / 2> lo, hi;
};

#if defined(__x86_64__)
template <>
struct Vec<8> {
    __m256 v;
};
template <>
struct Mask<8> {
    __m256 v;
};
template <>
struct Ints<8> {
    __m256i v;
};
CONVLET_INLINE void load(Vec<8>& a, const float* p) { a.v = _mm256_loadu_ps(p); }
CONVLET_INLINE void store(float* p, Vec<8> a) { _mm256_storeu_ps(p, a.v); }
CONVLET_INLINE void store(std::int32_t* p, Ints<8> a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v);
}
CONVLET_INLINE __m256i first_lanes(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
CONVLET_INLINE void load_first(Vec<8>& a, const float* p, int count) {
    a.v = _mm256_maskload_ps(p, first_lanes(count));
}
CONVLET_INLINE void store_first(float* p, Vec<8> a, int count) {
    _mm256_maskstore_ps(p, first_lanes(count), a.v);
}
CONVLET_INLINE void store_first(std::int32_t* p, Ints<8> a, int count) {
    _mm256_maskstore_epi32(p, first_lanes(count), a.v);
}
CONVLET_INLINE void broadcast(Vec<8>& a, float s) { a.v = _mm256_set1_ps(s); }
CONVLET_INLINE void broadcast(Ints<8>& a, std::int32_t s) { a.v = _mm256_set1_epi32(s); }
CONVLET_INLINE Vec<8> fma(Vec<8> a, Vec<8> b, Vec<8> c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
CONVLET_INLINE Vec<8> operator+(Vec<8> a, Vec<8> b) { return {_mm256_add_ps(a.v, b.v)}; }
CONVLET_INLINE Vec<8> operator-(Vec<8> a, Vec<8> b) { return {_mm256_sub_ps(a.v, b.v)}; }
CONVLET_INLINE Vec<8> operator*(Vec<8> a, Vec<8> b) { return {_mm256_mul_ps(a.v, b.v)}; }
CONVLET_INLINE Vec<8> operator/(Vec<8> a, Vec<8> b) { return {_mm256_div_ps(a.v, b.v)}; }
CONVLET_INLINE Vec<8> root(Vec<8> a) { return {_mm256_sqrt_ps(a.v)}; }
CONVLET_INLINE Mask<8> operator>(Vec<8> a, Vec<8> b) {
    return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)};
}
CONVLET_INLINE Mask<8> operator<=(Vec<8> a, Vec<8> b) {
    return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)};
}
CONVLET_INLINE Mask<8> operator==(Vec<8> a, Vec<8> b) {
    return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)};
}
CONVLET_INLINE Vec<8> select(Mask<8> m, Vec<8> a, Vec<8> b) {
    return {_mm256_blendv_ps(b.v, a.v, m.v)};
}
CONVLET_INLINE Ints<8> select(Mask<8> m, Ints<8> a, Ints<8> b) {
    return {_mm256_blendv_epi8(b.v, a.v, _mm256_castps_si256(m.v))};
}
CONVLET_INLINE Ints<8> operator+(Ints<8> a, Ints<8> b) { return {_mm256_add_epi32(a.v, b.v)}; }
CONVLET_INLINE Ints<8> operator-(Ints<8> a, Ints<8> b) { return {_mm256_sub_epi32(a.v, b.v)}; }
CONVLET_INLINE Ints<8> operator&(Ints<8> a, Ints<8> b) { return {_mm256_and_si256(a.v, b.v)}; }
template <int N>
CONVLET_INLINE Ints<8> shift_left(Ints<8> a) {
    return {_mm256_slli_epi32(a.v, N)};
}
template <int N>
CONVLET_INLINE Ints<8> shift_right(Ints<8> a) {
    return {_mm256_srai_epi32(a.v, N)};
}
CONVLET_INLINE Vec<8> as_floats(Ints<8> a) { return {_mm256_castsi256_ps(a.v)}; }
CONVLET_INLINE Ints<8> as_ints(Vec<8> a) { return {_mm256_castps_si256(a.v)}; }
CONVLET_INLINE Vec<8> to_floats(Ints<8> a) { return {_mm256_cvtepi32_ps(a.v)}; }
CONVLET_INLINE void load(Ints<8>& a, const std::int32_t* p) {
    a.v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
CONVLET_INLINE Mask<8> operator>=(Ints<8> a, Ints<8> b) {
    const __m256i less = _mm256_cmpgt_epi32(b.v, a.v);
    return {_mm256_castsi256_ps(_mm256_xor_si256(less, _mm256_set1_epi32(-1)))};
}
CONVLET_INLINE Ints<8> operator*(Ints<8> a, std::int32_t s) {
    return {_mm256_mullo_epi32(a.v, _mm256_set1_epi32(s))};
}
// The square turned: row i, lane j becomes row j, lane i.
CONVLET_INLINE void turn(Vec<8> (&a)[8]) {
    __m256 pair[8], four[8];
#pragma GCC unroll 8
    for (int n = 0; n < 8; n += 2) {
        pair[n] = _mm256_unpacklo_ps(a[n].v, a[n + 1].v);
        pair[n + 1] = _mm256_unpackhi_ps(a[n].v, a[n + 1].v);
    }
#pragma GCC unroll 8
    for (int n = 0; n < 8; n += 4) {
        four[n] = _mm256_shuffle_ps(pair[n], pair[n + 2], 0x44);
        four[n + 1] = _mm256_shuffle_ps(pair[n], pair[n + 2], 0xee);
        four[n + 2] = _mm256_shuffle_ps(pair[n + 1], pair[n + 3], 0x44);
        four[n + 3] = _mm256_shuffle_ps(pair[n + 1], pair[n + 3], 0xee);
    }
#pragma GCC unroll 8
    for (int n = 0; n < 4; ++n) {
        a[n].v = _mm256_permute2f128_ps(four[n], four[n + 4], 0x20);
        a[n + 4].v = _mm256_permute2f128_ps(four[n], four[n + 4], 0x31);
    }
}
#if !defined(CONVLET_AVX512)
// For each set of lanes, the lanes to keep, one byte each, the first in the lowest byte.
struct Packing {
    std::uint64_t of[256];
    constexpr Packing() : of() {
        for (int set = 0; set < 256; ++set) {
            int kept = 0;
            for (int lane = 0; lane < 8; ++lane)
                if (set >> lane & 1) of[set] |= std::uint64_t(lane) << 8 * kept++;
        }
    }
};
inline constexpr Packing packing;
#endif
// The lanes of a and b where m holds, side by side at p and q; all 8 lanes there may be written.
// Returns how many hold.
CONVLET_INLINE int store_where(Mask<8> m, std::int32_t* p, Ints<8> a, float* q, Vec<8> b) {
#if defined(CONVLET_AVX512)
    const __mmask8 set = _mm256_movepi32_mask(_mm256_castps_si256(m.v));
    a.v = _mm256_maskz_compress_epi32(set, a.v);
    b.v = _mm256_maskz_compress_ps(set, b.v);
#else
    const int set = _mm256_movemask_ps(m.v);
    const __m256i order =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(packing.of + set)));
    a.v = _mm256_permutevar8x32_epi32(a.v, order);
    b.v = _mm256_permutevar8x32_ps(b.v, order);
#endif
    store(p, a), store(q, b);
    return __builtin_popcount(set);
}
CONVLET_INLINE Vec<8> from_bytes(const std::uint8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))};
}
#endif

#if defined(CONVLET_AVX512)
template <>
struct Vec<16> {
    __m512 v;
};
template <>
struct Mask<16> {
    __mmask16 v;
};
template <>
struct Ints<16> {
    __m512i v;
};
CONVLET_INLINE void load(Vec<16>& a, const float* p) { a.v = _mm512_loadu_ps(p); }
CONVLET_INLINE void store(float* p, Vec<16> a) { _mm512_storeu_ps(p, a.v); }
CONVLET_INLINE void store(std::int32_t* p, Ints<16> a) { _mm512_storeu_si512(p, a.v); }
CONVLET_INLINE __mmask16 first_lanes16(int count) {
    return static_cast<__mmask16>(count >= 16 ? 0xffff : (1 << count) - 1);
}
CONVLET_INLINE void load_first(Vec<16>& a, const float* p, int count) {
    a.v = _mm512_maskz_loadu_ps(first_lanes16(count), p);
}
CONVLET_INLINE void store_first(float* p, Vec<16> a, int count) {
    _mm512_mask_storeu_ps(p, first_lanes16(count), a.v);
}
CONVLET_INLINE void store_first(std::int32_t* p, Ints<16> a, int count) {
    _mm512_mask_storeu_epi32(p, first_lanes16(count), a.v);
}
CONVLET_INLINE void broadcast(Vec<16>& a, float s) { a.v = _mm512_set1_ps(s); }
CONVLET_INLINE void broadcast(Ints<16>& a, std::int32_t s) { a.v = _mm512_set1_epi32(s); }
CONVLET_INLINE Vec<16> fma(Vec<16> a, Vec<16> b, Vec<16> c) {
    return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
CONVLET_INLINE Vec<16> operator+(Vec<16> a, Vec<16> b) { return {_mm512_add_ps(a.v, b.v)}; }
CONVLET_INLINE Vec<16> operator-(Vec<16> a, Vec<16> b) { return {_mm512_sub_ps(a.v, b.v)}; }
CONVLET_INLINE Vec<16> operator*(Vec<16> a, Vec<16> b) { return {_mm512_mul_ps(a.v, b.v)}; }
CONVLET_INLINE Vec<16> operator/(Vec<16> a, Vec<16> b) { return {_mm512_div_ps(a.v, b.v)}; }
CONVLET_INLINE Mask<16> operator>(Vec<16> a, Vec<16> b) {
    return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)};
}
CONVLET_INLINE Mask<16> operator<=(Vec<16> a, Vec<16> b) {
    return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)};
}
CONVLET_INLINE Mask<16> operator==(Vec<16> a, Vec<16> b) {
    return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)};
}
CONVLET_INLINE Vec<16> select(Mask<16> m, Vec<16> a, Vec<16> b) {
    return {_mm512_mask_blend_ps(m.v, b.v, a.v)};
}
CONVLET_INLINE Ints<16> select(Mask<16> m, Ints<16> a, Ints<16> b) {
    return {_mm512_mask_blend_epi32(m.v, b.v, a.v)};
}
CONVLET_INLINE Ints<16> operator+(Ints<16> a, Ints<16> b) { return {_mm512_add_epi32(a.v, b.v)}; }
#endif

#if defined(__aarch64__)
template <>
struct Vec<4> {
    float32x4_t v;
};
template <>
struct Mask<4> {
    uint32x4_t v;
};
template <>
struct Ints<4> {
    int32x4_t v;
};
CONVLET_INLINE void load(Vec<4>& a, const float* p) { a.v = vld1q_f32(p); }
CONVLET_INLINE void load(Ints<4>& a, const std::int32_t* p) { a.v = vld1q_s32(p); }
CONVLET_INLINE void store(float* p, Vec<4> a) { vst1q_f32(p, a.v); }
CONVLET_INLINE void store(std::int32_t* p, Ints<4> a) { vst1q_s32(p, a.v); }
CONVLET_INLINE void load_first(Vec<4>& a, const float* p, int count) {
    float lanes[4] = {0, 0, 0, 0};
    for (int n = 0; n < 4 && n < count; ++n) lanes[n] = p[n];
    load(a, lanes);
}
CONVLET_INLINE void store_first(float* p, Vec<4> a, int count) {
    float lanes[4];
    store(lanes, a);
    for (int n = 0; n < 4 && n < count; ++n) p[n] = lanes[n];
}
CONVLET_INLINE void store_first(std::int32_t* p, Ints<4> a, int count) {
    std::int32_t lanes[4];
    store(lanes, a);
    for (int n = 0; n < 4 && n < count; ++n) p[n] = lanes[n];
}
CONVLET_INLINE void broadcast(Vec<4>& a, float s) { a.v = vdupq_n_f32(s); }
CONVLET_INLINE void broadcast(Ints<4>& a, std::int32_t s) { a.v = vdupq_n_s32(s); }
CONVLET_INLINE Vec<4> fma(Vec<4> a, Vec<4> b, Vec<4> c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
CONVLET_INLINE Vec<4> operator+(Vec<4> a, Vec<4> b) { return {vaddq_f32(a.v, b.v)}; }
CONVLET_INLINE Vec<4> operator-(Vec<4> a, Vec<4> b) { return {vsubq_f32(a.v, b.v)}; }
CONVLET_INLINE Vec<4> operator*(Vec<4> a, Vec<4> b) { return {vmulq_f32(a.v, b.v)}; }
CONVLET_INLINE Vec<4> operator/(Vec<4> a, Vec<4> b) { return {vdivq_f32(a.v, b.v)}; }
CONVLET_INLINE Vec<4> root(Vec<4> a) { return {vsqrtq_f32(a.v)}; }
CONVLET_INLINE Mask<4> operator>(Vec<4> a, Vec<4> b) { return {vcgtq_f32(a.v, b.v)}; }
CONVLET_INLINE Mask<4> operator<=(Vec<4> a, Vec<4> b) { return {vcleq_f32(a.v, b.v)}; }
CONVLET_INLINE Mask<4> operator==(Vec<4> a, Vec<4> b) { return {vceqq_f32(a.v, b.v)}; }
CONVLET_INLINE Vec<4> select(Mask<4> m, Vec<4> a, Vec<4> b) { return {vbslq_f32(m.v, a.v, b.v)}; }
CONVLET_INLINE Ints<4> select(Mask<4> m, Ints<4> a, Ints<4> b) {
    return {vbslq_s32(m.v, a.v, b.v)};
}
CONVLET_INLINE Ints<4> operator+(Ints<4> a, Ints<4> b) { return {vaddq_s32(a.v, b.v)}; }
CONVLET_INLINE Ints<4> operator-(Ints<4> a, Ints<4> b) { return {vsubq_s32(a.v, b.v)}; }
CONVLET_INLINE Ints<4> operator&(Ints<4> a, Ints<4> b) { return {vandq_s32(a.v, b.v)}; }
template <int N>
CONVLET_INLINE Ints<4> shift_left(Ints<4> a) {
    return {vshlq_n_s32(a.v, N)};
}
template <int N>
CONVLET_INLINE Ints<4> shift_right(Ints<4> a) {
    return {vshrq_n_s32(a.v, N)};
}
CONVLET_INLINE Vec<4> as_floats(Ints<4> a) { return {vreinterpretq_f32_s32(a.v)}; }
CONVLET_INLINE Ints<4> as_ints(Vec<4> a) { return {vreinterpretq_s32_f32(a.v)}; }
CONVLET_INLINE Vec<4> to_floats(Ints<4> a) { return {vcvtq_f32_s32(a.v)}; }
CONVLET_INLINE Mask<4> operator>=(Ints<4> a, Ints<4> b) { return {vcgeq_s32(a.v, b.v)}; }
CONVLET_INLINE Ints<4> operator*(Ints<4> a, std::int32_t s) { return {vmulq_n_s32(a.v, s)}; }
CONVLET_INLINE void turn(Vec<8> (&a)[8]) {
    float lanes[8][8];
    for (int i = 0; i < 8; ++i) {
        store(lanes[i], a[i].lo);
        store(lanes[i] + 4, a[i].hi);
    }
    for (int i = 0; i < 8; ++i) {
        float row[8];
        for (int j = 0; j < 8; ++j) row[j] = lanes[j][i];
        load(a[i].lo, row);
        load(a[i].hi, row + 4);
    }
}
CONVLET_INLINE int store_where(Mask<8> m, std::int32_t* p, Ints<8> a, float* q, Vec<8> b) {
    std::uint32_t holds[8];
    std::int32_t ints[8];
    float floats[8];
    vst1q_u32(holds, m.lo.v), vst1q_u32(holds + 4, m.hi.v);
    store(ints, a.lo), store(ints + 4, a.hi);
    store(floats, b.lo), store(floats + 4, b.hi);
    int n = 0;
    for (int lane = 0; lane < 8; ++lane) {
        p[n] = ints[lane];
        q[n] = floats[lane];
        n += holds[lane] != 0;
    }
    return n;
}
CONVLET_INLINE Vec<8> from_bytes(const std::uint8_t* p) {
    const uint16x8_t u = vmovl_u8(vld1_u8(p));
    return {{vcvtq_f32_u32(vmovl_u16(vget_low_u16(u)))},
            {vcvtq_f32_u32(vmovl_u16(vget_high_u16(u)))}};
}
#endif

using V = Vec<8>;  // where the width does not matter

// Pairs of halves.
template <int W>
CONVLET_INLINE void load(Vec<W>& a, const float* p) {
    load(a.lo, p), load(a.hi, p + W / 2);
}
template <int W>
CONVLET_INLINE void load(Ints<W>& a, const std::int32_t* p) {
    load(a.lo, p), load(a.hi, p + W / 2);
}
template <int W>
CONVLET_INLINE void load_first(Vec<W>& a, const float* p, int count) {
    load_first(a.lo, p, count), load_first(a.hi, p + W / 2, count - W / 2);
}
template <int W>
CONVLET_INLINE void store(float* p, Vec<W> a) {
    store(p, a.lo), store(p + W / 2, a.hi);
}
template <int W>
CONVLET_INLINE void store(std::int32_t* p, Ints<W> a) {
    store(p, a.lo), store(p + W / 2, a.hi);
}
template <int W>
CONVLET_INLINE void store_first(float* p, Vec<W> a, int count) {
    store_first(p, a.lo, count), store_first(p + W / 2, a.hi, count - W / 2);
}
template <int W>
CONVLET_INLINE void store_first(std::int32_t* p, Ints<W> a, int count) {
    store_first(p, a.lo, count), store_first(p + W / 2, a.hi, count - W / 2);
}
template <int W>
CONVLET_INLINE void broadcast(Vec<W>& a, float s) {
    broadcast(a.lo, s), broadcast(a.hi, s);
}
template <int W>
CONVLET_INLINE void broadcast(Ints<W>& a, std::int32_t s) {
    broadcast(a.lo, s), broadcast(a.hi, s);
}
template <int W>
CONVLET_INLINE Vec<W> fma(Vec<W> a, Vec<W> b, Vec<W> c) {
    return {fma(a.lo, b.lo, c.lo), fma(a.hi, b.hi, c.hi)};
}
template <int W>
CONVLET_INLINE Vec<W> operator+(Vec<W> a, Vec<W> b) {
    return {a.lo + b.lo, a.hi + b.hi};
}
template <int W>
CONVLET_INLINE Vec<W> operator-(Vec<W> a, Vec<W> b) {
    return {a.lo - b.lo, a.hi - b.hi};
}
template <int W>
CONVLET_INLINE Vec<W> operator*(Vec<W> a, Vec<W> b) {
    return {a.lo * b.lo, a.hi * b.hi};
}
template <int W>
CONVLET_INLINE Vec<W> operator/(Vec<W> a, Vec<W> b) {
    return {a.lo / b.lo, a.hi / b.hi};
}
template <int W>
CONVLET_INLINE Vec<W> root(Vec<W> a) {
    return {root(a.lo), root(a.hi)};
}
template <int W>
CONVLET_INLINE Mask<W> operator>(Vec<W> a, Vec<W> b) {
    return {a.lo > b.lo, a.hi > b.hi};
}
template <int W>
CONVLET_INLINE Mask<W> operator<=(Vec<W> a, Vec<W> b) {
    return {a.lo <= b.lo, a.hi <= b.hi};
}
template <int W>
CONVLET_INLINE Mask<W> operator==(Vec<W> a, Vec<W> b) {
    return {a.lo == b.lo, a.hi == b.hi};
}
template <int W>
CONVLET_INLINE Vec<W> select(Mask<W> m, Vec<W> a, Vec<W> b) {
    return {select(m.lo, a.lo, b.lo), select(m.hi, a.hi, b.hi)};
}
template <int W>
CONVLET_INLINE Ints<W> select(Mask<W> m, Ints<W> a, Ints<W> b) {
    return {select(m.lo, a.lo, b.lo), select(m.hi, a.hi, b.hi)};
}
template <int W>
CONVLET_INLINE Ints<W> operator+(Ints<W> a, Ints<W> b) {
    return {a.lo + b.lo, a.hi + b.hi};
}
template <int W>
CONVLET_INLINE Ints<W> operator-(Ints<W> a, Ints<W> b) {
    return {a.lo - b.lo, a.hi - b.hi};
}
template <int W>
CONVLET_INLINE Ints<W> operator&(Ints<W> a, Ints<W> b) {
    return {a.lo & b.lo, a.hi & b.hi};
}
template <int W>
CONVLET_INLINE Mask<W> operator>=(Ints<W> a, Ints<W> b) {
    return {a.lo >= b.lo, a.hi >= b.hi};
}
template <int W>
CONVLET_INLINE Ints<W> operator*(Ints<W> a, std::int32_t s) {
    return {a.lo * s, a.hi * s};
}
template <int N, int W>
CONVLET_INLINE Ints<W> shift_left(Ints<W> a) {
    return {shift_left<N>(a.lo), shift_left<N>(a.hi)};
}
template <int N, int W>
CONVLET_INLINE Ints<W> shift_right(Ints<W> a) {
    return {shift_right<N>(a.lo), shift_right<N>(a.hi)};
}
template <int W>
CONVLET_INLINE Vec<W> as_floats(Ints<W> a) {
    return {as_floats(a.lo), as_floats(a.hi)};
}
template <int W>
CONVLET_INLINE Ints<W> as_ints(Vec<W> a) {
    return {as_ints(a.lo), as_ints(a.hi)};
}
template <int W>
CONVLET_INLINE Vec<W> to_floats(Ints<W> a) {
    return {to_floats(a.lo), to_floats(a.hi)};
}

// Values out of nothing, and loads and stores of the first lanes only where a vector may be cut.
template <int W>
CONVLET_INLINE Vec<W> loaded(const float* p) {
    Vec<W> a;
    load(a, p);
    return a;
}
template <int W>
CONVLET_INLINE Ints<W> loaded(const std::int32_t* p) {
    Ints<W> a;
    load(a, p);
    return a;
}
template <int W>
CONVLET_INLINE Vec<W> same(float s) {
    Vec<W> a;
    broadcast(a, s);
    return a;
}
template <int W>
CONVLET_INLINE Ints<W> same_int(std::int32_t s) {
    Ints<W> a;
    broadcast(a, s);
    return a;
}
template <int W, bool cut>
CONVLET_INLINE Vec<W> loaded(const float* p, int count) {
    Vec<W> a;
    if constexpr (cut)
        load_first(a, p, count);
    else
        load(a, p);
    return a;
}
template <bool cut, class T, class V>
CONVLET_INLINE void stored(T* p, V a, int count) {
    if constexpr (cut)
        store_first(p, a, count);
    else
        store(p, a);
}

CONVLET_INLINE void turn(Ints<8> (&a)[8]) {
    Vec<8> rows[8];
#pragma GCC unroll 8
    for (int n = 0; n < 8; ++n) rows[n] = as_floats(a[n]);
    turn(rows);
#pragma GCC unroll 8
    for (int n = 0; n < 8; ++n) a[n] = as_ints(rows[n]);
}

// (9): 0 where z <= 0, so that -0 becomes +0 and NaN stays, on every target alike.
template <int W>
CONVLET_INLINE Vec<W> rectified(Vec<W> z) {
    return select(z <= same<W>(0), same<W>(0), z);
}

#if defined(CONVLET_AVX512)
inline constexpr int widest = 16;  // floats in the widest register
inline constexpr int registers = 32;
#elif defined(__aarch64__)
inline constexpr int widest = 8;  // two registers of 4
inline constexpr int registers = 16;
#else
inline constexpr int widest = 8;
inline constexpr int registers = 16;
#endif

}  // namespace convlet::CONVLET_TARGET
