// The only file that knows an instruction set: vectors of N floats, and what the kernels do with them.
//
// Vec<8> is the unit of every kernel; Vec<16> is one register on AVX-512.  A vector wider than a register is a pair of
// halves.  No operation mixes lanes, so the width of a vector never shows in a result.
#pragma once

namespace convlet::CONVLET_TARGET {

template <int N>
struct Vec {
    Vec<N / 2> lo, hi;
};
template <int N>
struct Mask {
    Mask<N / 2> lo, hi;
};
template <int N>
struct Ints {
    Ints<N / 2> lo, hi;
};

#define CONVLET_INLINE inline __attribute__((always_inline))

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
CONVLET_INLINE void broadcast(Vec<8>& a, float s) { a.v = _mm256_set1_ps(s); }
CONVLET_INLINE Vec<8> fma(Vec<8> a, Vec<8> b, Vec<8> c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
CONVLET_INLINE Vec<8> add(Vec<8> a, Vec<8> b) { return {_mm256_add_ps(a.v, b.v)}; }
CONVLET_INLINE Vec<8> divide(Vec<8> a, Vec<8> b) { return {_mm256_div_ps(a.v, b.v)}; }
CONVLET_INLINE Mask<8> greater(Vec<8> a, Vec<8> b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
CONVLET_INLINE Mask<8> equal(Vec<8> a, Vec<8> b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
CONVLET_INLINE Vec<8> select(Mask<8> m, Vec<8> a, Vec<8> b) { return {_mm256_blendv_ps(b.v, a.v, m.v)}; }
CONVLET_INLINE Ints<8> select(Mask<8> m, Ints<8> a, Ints<8> b) {
    return {_mm256_blendv_epi8(b.v, a.v, _mm256_castps_si256(m.v))};
}
CONVLET_INLINE void broadcast(Ints<8>& a, int s) { a.v = _mm256_set1_epi32(s); }
CONVLET_INLINE void store(int* p, Ints<8> a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v); }
CONVLET_INLINE Vec<8> from_bytes(const unsigned char* p) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
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
CONVLET_INLINE void broadcast(Vec<16>& a, float s) { a.v = _mm512_set1_ps(s); }
CONVLET_INLINE Vec<16> fma(Vec<16> a, Vec<16> b, Vec<16> c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
CONVLET_INLINE Vec<16> add(Vec<16> a, Vec<16> b) { return {_mm512_add_ps(a.v, b.v)}; }
CONVLET_INLINE Mask<16> greater(Vec<16> a, Vec<16> b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
CONVLET_INLINE Mask<16> equal(Vec<16> a, Vec<16> b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
CONVLET_INLINE Vec<16> select(Mask<16> m, Vec<16> a, Vec<16> b) { return {_mm512_mask_blend_ps(m.v, b.v, a.v)}; }
CONVLET_INLINE Ints<16> select(Mask<16> m, Ints<16> a, Ints<16> b) {
    return {_mm512_mask_blend_epi32(m.v, b.v, a.v)};
}
CONVLET_INLINE void broadcast(Ints<16>& a, int s) { a.v = _mm512_set1_epi32(s); }
CONVLET_INLINE void store(int* p, Ints<16> a) { _mm512_storeu_si512(p, a.v); }
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
CONVLET_INLINE void store(float* p, Vec<4> a) { vst1q_f32(p, a.v); }
CONVLET_INLINE void broadcast(Vec<4>& a, float s) { a.v = vdupq_n_f32(s); }
CONVLET_INLINE Vec<4> fma(Vec<4> a, Vec<4> b, Vec<4> c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
CONVLET_INLINE Vec<4> add(Vec<4> a, Vec<4> b) { return {vaddq_f32(a.v, b.v)}; }
CONVLET_INLINE Vec<4> divide(Vec<4> a, Vec<4> b) { return {vdivq_f32(a.v, b.v)}; }
CONVLET_INLINE Mask<4> greater(Vec<4> a, Vec<4> b) { return {vcgtq_f32(a.v, b.v)}; }
CONVLET_INLINE Mask<4> equal(Vec<4> a, Vec<4> b) { return {vceqq_f32(a.v, b.v)}; }
CONVLET_INLINE Vec<4> select(Mask<4> m, Vec<4> a, Vec<4> b) { return {vbslq_f32(m.v, a.v, b.v)}; }
CONVLET_INLINE Ints<4> select(Mask<4> m, Ints<4> a, Ints<4> b) { return {vbslq_s32(m.v, a.v, b.v)}; }
CONVLET_INLINE void broadcast(Ints<4>& a, int s) { a.v = vdupq_n_s32(s); }
CONVLET_INLINE void store(int* p, Ints<4> a) { vst1q_s32(p, a.v); }
CONVLET_INLINE Vec<8> from_bytes(const unsigned char* p) {
    const uint16x8_t u = vmovl_u8(vld1_u8(p));
    return {{vcvtq_f32_u32(vmovl_u16(vget_low_u16(u)))}, {vcvtq_f32_u32(vmovl_u16(vget_high_u16(u)))}};
}
#endif

// Pairs of halves.
template <int N>
CONVLET_INLINE void load(Vec<N>& a, const float* p) {
    load(a.lo, p), load(a.hi, p + N / 2);
}
template <int N>
CONVLET_INLINE void store(float* p, Vec<N> a) {
    store(p, a.lo), store(p + N / 2, a.hi);
}
template <int N>
CONVLET_INLINE void broadcast(Vec<N>& a, float s) {
    broadcast(a.lo, s), broadcast(a.hi, s);
}
template <int N>
CONVLET_INLINE Vec<N> fma(Vec<N> a, Vec<N> b, Vec<N> c) {
    return {fma(a.lo, b.lo, c.lo), fma(a.hi, b.hi, c.hi)};
}
template <int N>
CONVLET_INLINE Vec<N> add(Vec<N> a, Vec<N> b) {
    return {add(a.lo, b.lo), add(a.hi, b.hi)};
}
template <int N>
CONVLET_INLINE Vec<N> divide(Vec<N> a, Vec<N> b) {
    return {divide(a.lo, b.lo), divide(a.hi, b.hi)};
}
template <int N>
CONVLET_INLINE Mask<N> greater(Vec<N> a, Vec<N> b) {
    return {greater(a.lo, b.lo), greater(a.hi, b.hi)};
}
template <int N>
CONVLET_INLINE Mask<N> equal(Vec<N> a, Vec<N> b) {
    return {equal(a.lo, b.lo), equal(a.hi, b.hi)};
}
template <int N>
CONVLET_INLINE Vec<N> select(Mask<N> m, Vec<N> a, Vec<N> b) {
    return {select(m.lo, a.lo, b.lo), select(m.hi, a.hi, b.hi)};
}
template <int N>
CONVLET_INLINE Ints<N> select(Mask<N> m, Ints<N> a, Ints<N> b) {
    return {select(m.lo, a.lo, b.lo), select(m.hi, a.hi, b.hi)};
}
template <int N>
CONVLET_INLINE void broadcast(Ints<N>& a, int s) {
    broadcast(a.lo, s), broadcast(a.hi, s);
}
template <int N>
CONVLET_INLINE void store(int* p, Ints<N> a) {
    store(p, a.lo), store(p + N / 2, a.hi);
}

template <int N>
CONVLET_INLINE Vec<N> loaded(const float* p) {
    Vec<N> a;
    load(a, p);
    return a;
}
template <int N>
CONVLET_INLINE Vec<N> same(float s) {
    Vec<N> a;
    broadcast(a, s);
    return a;
}
template <int N>
CONVLET_INLINE Ints<N> same_int(int s) {
    Ints<N> a;
    broadcast(a, s);
    return a;
}
template <int N>
CONVLET_INLINE Vec<N> rectified(Vec<N> z) {  // (9); -0 becomes +0 on every target
    return select(greater(z, same<N>(0)), z, same<N>(0));
}

#if defined(CONVLET_AVX512) || defined(CONVLET_WIDE)
inline constexpr int widest = 16;     // floats in the widest vector worth using
inline constexpr int accumulators = 24;  // such vectors that stay in registers beside operands
#elif defined(__aarch64__)
inline constexpr int widest = 8;
inline constexpr int accumulators = 12;
#else
inline constexpr int widest = 8;
inline constexpr int accumulators = 12;
#endif

}  // namespace convlet::CONVLET_TARGET
