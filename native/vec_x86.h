// The registers of x86-64: AVX2 with FMA, and AVX-512 as in x86-64-v4.
#pragma once

#include <immintrin.h>

namespace convlet::CONVLET_TARGET {

#if defined(__AVX512F__)
inline constexpr int widest = 16;     // floats in a register
inline constexpr int registers = 32;  // of them
#else
inline constexpr int widest = 8;
inline constexpr int registers = 16;
#endif

// What depends on the instruction set for 8 lanes: AVX-512 has registers of truth values, which cost
// none of the others, and masked loads and stores that take as long as plain ones.
#if defined(__AVX512F__)
template <>
struct Mask<8> {
    __mmask8 v;
};

// The first `count` lanes, all of them if there are not so many; count is from 0 to 255.
CONVLET_INLINE Mask<8> first_lanes8(int count) {
    return {static_cast<__mmask8>(_bzhi_u32(0xff, static_cast<unsigned>(count)))};
}
CONVLET_INLINE bool all(Mask<8> m) { return m.v == 0xff; }
// A bit for each lane.
CONVLET_INLINE int bits(Mask<8> m) { return m.v; }
CONVLET_INLINE __m256 load_where(Mask<8> m, const float* p) {
    return _mm256_maskz_loadu_ps(m.v, p);
}
CONVLET_INLINE void store_where(Mask<8> m, float* p, __m256 a) { _mm256_mask_storeu_ps(p, m.v, a); }
CONVLET_INLINE void store_where(Mask<8> m, std::int32_t* p, __m256i a) {
    _mm256_mask_storeu_epi32(p, m.v, a);
}
template <int comparison>
CONVLET_INLINE Mask<8> compare(__m256 a, __m256 b) {
    return {_mm256_cmp_ps_mask(a, b, comparison)};
}
CONVLET_INLINE Mask<8> not_less(__m256i a, __m256i b) { return {_mm256_cmpge_epi32_mask(a, b)}; }
CONVLET_INLINE __m256 blend(Mask<8> m, __m256 a, __m256 b) {
    return _mm256_mask_blend_ps(m.v, b, a);
}
CONVLET_INLINE __m256i blend(Mask<8> m, __m256i a, __m256i b) {
    return _mm256_mask_blend_epi32(m.v, b, a);
}
#else
template <>
struct Mask<8> {
    __m256i v;
};

CONVLET_INLINE Mask<8> first_lanes8(int count) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return {_mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane)};
}
CONVLET_INLINE bool all(Mask<8> m) { return _mm256_movemask_epi8(m.v) == -1; }
// A bit for each lane.
CONVLET_INLINE int bits(Mask<8> m) { return _mm256_movemask_ps(_mm256_castsi256_ps(m.v)); }
CONVLET_INLINE __m256 load_where(Mask<8> m, const float* p) { return _mm256_maskload_ps(p, m.v); }
CONVLET_INLINE void store_where(Mask<8> m, float* p, __m256 a) { _mm256_maskstore_ps(p, m.v, a); }
CONVLET_INLINE void store_where(Mask<8> m, std::int32_t* p, __m256i a) {
    _mm256_maskstore_epi32(p, m.v, a);
}
template <int comparison>
CONVLET_INLINE Mask<8> compare(__m256 a, __m256 b) {
    return {_mm256_castps_si256(_mm256_cmp_ps(a, b, comparison))};
}
CONVLET_INLINE Mask<8> not_less(__m256i a, __m256i b) {
    return {_mm256_xor_si256(_mm256_cmpgt_epi32(b, a), _mm256_set1_epi32(-1))};
}
CONVLET_INLINE __m256 blend(Mask<8> m, __m256 a, __m256 b) {
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(m.v));
}
CONVLET_INLINE __m256i blend(Mask<8> m, __m256i a, __m256i b) {
    return _mm256_blendv_epi8(b, a, m.v);
}
#endif

template <>
struct Vec<8> {
    __m256 v;

    CONVLET_INLINE static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
    CONVLET_INLINE static Vec load_first(const float* p, int count) {
        return {load_where(first_lanes8(count), p)};
    }
    CONVLET_INLINE static Vec broadcast(float s) { return {_mm256_set1_ps(s)}; }
    CONVLET_INLINE void store(float* p) const { _mm256_storeu_ps(p, v); }
    CONVLET_INLINE void store_first(float* p, int count) const {
        store_where(first_lanes8(count), p, v);
    }

    CONVLET_INLINE friend Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
    CONVLET_INLINE friend Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
    CONVLET_INLINE friend Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
    CONVLET_INLINE friend Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
    CONVLET_INLINE friend Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
    CONVLET_INLINE friend Vec sqrt(Vec a) { return {_mm256_sqrt_ps(a.v)}; }
    CONVLET_INLINE friend Mask<8> operator>(Vec a, Vec b) { return compare<_CMP_GT_OQ>(a.v, b.v); }
    CONVLET_INLINE friend Mask<8> operator<=(Vec a, Vec b) { return compare<_CMP_LE_OQ>(a.v, b.v); }
    CONVLET_INLINE friend Mask<8> operator==(Vec a, Vec b) { return compare<_CMP_EQ_OQ>(a.v, b.v); }
    CONVLET_INLINE friend Vec select(Mask<8> m, Vec a, Vec b) { return {blend(m, a.v, b.v)}; }
    CONVLET_INLINE friend Ints<8> bit_cast_to_int(Vec a);
};

template <>
struct Ints<8> {
    __m256i v;

    CONVLET_INLINE static Ints load(const std::int32_t* p) {
        return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
    }
    CONVLET_INLINE static Ints broadcast(std::int32_t s) { return {_mm256_set1_epi32(s)}; }
    CONVLET_INLINE void store(std::int32_t* p) const {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
    }
    CONVLET_INLINE void store_first(std::int32_t* p, int count) const {
        store_where(first_lanes8(count), p, v);
    }

    CONVLET_INLINE friend Ints operator+(Ints a, Ints b) { return {_mm256_add_epi32(a.v, b.v)}; }
    CONVLET_INLINE friend Ints operator-(Ints a, Ints b) { return {_mm256_sub_epi32(a.v, b.v)}; }
    CONVLET_INLINE friend Ints operator*(Ints a, Ints b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
    CONVLET_INLINE friend Ints operator&(Ints a, Ints b) { return {_mm256_and_si256(a.v, b.v)}; }
    CONVLET_INLINE friend Ints operator<<(Ints a, int n) { return {_mm256_slli_epi32(a.v, n)}; }
    CONVLET_INLINE friend Ints operator>>(Ints a, int n) { return {_mm256_srai_epi32(a.v, n)}; }
    CONVLET_INLINE friend Mask<8> operator>=(Ints a, Ints b) { return not_less(a.v, b.v); }
    CONVLET_INLINE friend Ints select(Mask<8> m, Ints a, Ints b) { return {blend(m, a.v, b.v)}; }
    CONVLET_INLINE friend Vec<8> to_float(Ints a) { return {_mm256_cvtepi32_ps(a.v)}; }
    CONVLET_INLINE friend Vec<8> bit_cast_to_float(Ints a) { return {_mm256_castsi256_ps(a.v)}; }
};

CONVLET_INLINE Ints<8> bit_cast_to_int(Vec<8> a) { return {_mm256_castps_si256(a.v)}; }

// a is 8 rows of 8 lanes: row i, lane j becomes row j, lane i.
CONVLET_INLINE void transpose(Vec<8> (&a)[8]) {
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

#if !defined(__AVX512F__)
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
CONVLET_INLINE int compress_store(Mask<8> m, std::int32_t* p, Ints<8> a, float* q, Vec<8> b) {
#if defined(__AVX512F__)
    const __mmask8 set = m.v;
    a.v = _mm256_maskz_compress_epi32(set, a.v);
    b.v = _mm256_maskz_compress_ps(set, b.v);
#else
    const int set = _mm256_movemask_ps(_mm256_castsi256_ps(m.v));
    const __m256i order =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(packing.of + set)));
    a.v = _mm256_permutevar8x32_epi32(a.v, order);
    b.v = _mm256_permutevar8x32_ps(b.v, order);
#endif
    a.store(p), b.store(q);
    return __builtin_popcount(set);
}

// 8 bytes as floats.
CONVLET_INLINE Vec<8> load_bytes(const std::uint8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))};
}

#if defined(__AVX512F__)
template <>
struct Mask<16> {
    __mmask16 v;
};

CONVLET_INLINE __mmask16 first_lanes16(int count) {
    return static_cast<__mmask16>(_bzhi_u32(0xffff, static_cast<unsigned>(count)));
}

template <>
struct Vec<16> {
    __m512 v;

    CONVLET_INLINE static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
    CONVLET_INLINE static Vec load_first(const float* p, int count) {
        return {_mm512_maskz_loadu_ps(first_lanes16(count), p)};
    }
    CONVLET_INLINE static Vec broadcast(float s) { return {_mm512_set1_ps(s)}; }
    CONVLET_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
    CONVLET_INLINE void store_first(float* p, int count) const {
        _mm512_mask_storeu_ps(p, first_lanes16(count), v);
    }

    CONVLET_INLINE friend Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
    CONVLET_INLINE friend Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
    CONVLET_INLINE friend Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
    CONVLET_INLINE friend Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
    CONVLET_INLINE friend Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
    CONVLET_INLINE friend Mask<16> operator>(Vec a, Vec b) {
        return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)};
    }
    CONVLET_INLINE friend Mask<16> operator<=(Vec a, Vec b) {
        return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)};
    }
    CONVLET_INLINE friend Mask<16> operator==(Vec a, Vec b) {
        return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)};
    }
    CONVLET_INLINE friend Vec select(Mask<16> m, Vec a, Vec b) {
        return {_mm512_mask_blend_ps(m.v, b.v, a.v)};
    }
};

template <>
struct Ints<16> {
    __m512i v;

    CONVLET_INLINE static Ints load(const std::int32_t* p) { return {_mm512_loadu_si512(p)}; }
    CONVLET_INLINE static Ints broadcast(std::int32_t s) { return {_mm512_set1_epi32(s)}; }
    CONVLET_INLINE void store(std::int32_t* p) const { _mm512_storeu_si512(p, v); }
    CONVLET_INLINE void store_first(std::int32_t* p, int count) const {
        _mm512_mask_storeu_epi32(p, first_lanes16(count), v);
    }

    CONVLET_INLINE friend Ints operator+(Ints a, Ints b) { return {_mm512_add_epi32(a.v, b.v)}; }
    CONVLET_INLINE friend Ints operator-(Ints a, Ints b) { return {_mm512_sub_epi32(a.v, b.v)}; }
    CONVLET_INLINE friend Ints operator&(Ints a, Ints b) { return {_mm512_and_si512(a.v, b.v)}; }
    // of all lanes: GCC 12 takes the plain ones for uses of what nobody set
    CONVLET_INLINE friend Ints operator<<(Ints a, unsigned n) {
        return {_mm512_maskz_slli_epi32(0xffff, a.v, n)};
    }
    CONVLET_INLINE friend Ints operator>>(Ints a, unsigned n) {
        return {_mm512_maskz_srai_epi32(0xffff, a.v, n)};
    }
    CONVLET_INLINE friend Mask<16> operator>=(Ints a, Ints b) {
        return {_mm512_cmpge_epi32_mask(a.v, b.v)};
    }
    CONVLET_INLINE friend Ints select(Mask<16> m, Ints a, Ints b) {
        return {_mm512_mask_blend_epi32(m.v, b.v, a.v)};
    }
    CONVLET_INLINE friend Vec<16> bit_cast_to_float(Ints a) { return {_mm512_castsi512_ps(a.v)}; }
};
#endif

}  // namespace convlet::CONVLET_TARGET
