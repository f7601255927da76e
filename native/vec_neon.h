// The registers of aarch64: NEON, 32 of 4 floats.
//
// transpose, compress_store, load_first and store_first go through memory, element by element: NEON
// has no masked load or store.
#pragma once

#include <arm_neon.h>

namespace convlet::CONVLET_TARGET {

inline constexpr int widest = 8;      // floats in a pair of registers
inline constexpr int registers = 16;  // such pairs

template <>
struct Mask<4> {
    uint32x4_t v;
};

template <>
struct Vec<4> {
    float32x4_t v;

    CONVLET_INLINE static Vec load(const float* p) { return {vld1q_f32(p)}; }
    CONVLET_INLINE static Vec load_first(const float* p, int count) {
        float lanes[4] = {0, 0, 0, 0};
        for (int n = 0; n < 4 && n < count; ++n) lanes[n] = p[n];
        return load(lanes);
    }
    CONVLET_INLINE static Vec broadcast(float s) { return {vdupq_n_f32(s)}; }
    CONVLET_INLINE void store(float* p) const { vst1q_f32(p, v); }
    CONVLET_INLINE void store_first(float* p, int count) const {
        float lanes[4];
        store(lanes);
        for (int n = 0; n < 4 && n < count; ++n) p[n] = lanes[n];
    }

    CONVLET_INLINE friend Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
    CONVLET_INLINE friend Vec operator+(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
    CONVLET_INLINE friend Vec operator-(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
    CONVLET_INLINE friend Vec operator*(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
    CONVLET_INLINE friend Vec operator/(Vec a, Vec b) { return {vdivq_f32(a.v, b.v)}; }
    CONVLET_INLINE friend Vec sqrt(Vec a) { return {vsqrtq_f32(a.v)}; }
    CONVLET_INLINE friend Mask<4> operator>(Vec a, Vec b) { return {vcgtq_f32(a.v, b.v)}; }
    CONVLET_INLINE friend Mask<4> operator<=(Vec a, Vec b) { return {vcleq_f32(a.v, b.v)}; }
    CONVLET_INLINE friend Mask<4> operator==(Vec a, Vec b) { return {vceqq_f32(a.v, b.v)}; }
    CONVLET_INLINE friend Vec select(Mask<4> m, Vec a, Vec b) { return {vbslq_f32(m.v, a.v, b.v)}; }
    CONVLET_INLINE friend Ints<4> bit_cast_to_int(Vec a);
};

template <>
struct Ints<4> {
    int32x4_t v;

    CONVLET_INLINE static Ints load(const std::int32_t* p) { return {vld1q_s32(p)}; }
    CONVLET_INLINE static Ints broadcast(std::int32_t s) { return {vdupq_n_s32(s)}; }
    CONVLET_INLINE void store(std::int32_t* p) const { vst1q_s32(p, v); }
    CONVLET_INLINE void store_first(std::int32_t* p, int count) const {
        std::int32_t lanes[4];
        store(lanes);
        for (int n = 0; n < 4 && n < count; ++n) p[n] = lanes[n];
    }

    CONVLET_INLINE friend Ints operator+(Ints a, Ints b) { return {vaddq_s32(a.v, b.v)}; }
    CONVLET_INLINE friend Ints operator-(Ints a, Ints b) { return {vsubq_s32(a.v, b.v)}; }
    CONVLET_INLINE friend Ints operator*(Ints a, Ints b) { return {vmulq_s32(a.v, b.v)}; }
    CONVLET_INLINE friend Ints operator&(Ints a, Ints b) { return {vandq_s32(a.v, b.v)}; }
    CONVLET_INLINE friend Ints operator<<(Ints a, int n) { return {a.v << n}; }
    CONVLET_INLINE friend Ints operator>>(Ints a, int n) { return {a.v >> n}; }
    CONVLET_INLINE friend Mask<4> operator>=(Ints a, Ints b) { return {vcgeq_s32(a.v, b.v)}; }
    CONVLET_INLINE friend Ints select(Mask<4> m, Ints a, Ints b) {
        return {vbslq_s32(m.v, a.v, b.v)};
    }
    CONVLET_INLINE friend Vec<4> to_float(Ints a) { return {vcvtq_f32_s32(a.v)}; }
    CONVLET_INLINE friend Vec<4> bit_cast_to_float(Ints a) { return {vreinterpretq_f32_s32(a.v)}; }
};

CONVLET_INLINE Ints<4> bit_cast_to_int(Vec<4> a) { return {vreinterpretq_s32_f32(a.v)}; }

// a is 8 rows of 8 lanes: row i, lane j becomes row j, lane i.
CONVLET_INLINE void transpose(Vec<8> (&a)[8]) {
    float lanes[8][8];
    for (int i = 0; i < 8; ++i) a[i].store(lanes[i]);
    for (int i = 0; i < 8; ++i) {
        float row[8];
        for (int j = 0; j < 8; ++j) row[j] = lanes[j][i];
        a[i] = Vec<8>::load(row);
    }
}

// The lanes of a and b where m holds, side by side at p and q; all 8 lanes there may be written.
// Returns how many hold.
CONVLET_INLINE int compress_store(Mask<8> m, std::int32_t* p, Ints<8> a, float* q, Vec<8> b) {
    std::uint32_t holds[8];
    std::int32_t ints[8];
    float floats[8];
    vst1q_u32(holds, m.lo.v), vst1q_u32(holds + 4, m.hi.v);
    a.store(ints), b.store(floats);
    int n = 0;
    for (int lane = 0; lane < 8; ++lane) {
        p[n] = ints[lane];
        q[n] = floats[lane];
        n += holds[lane] != 0;
    }
    return n;
}

// 8 bytes as floats.
CONVLET_INLINE Vec<8> load_bytes(const std::uint8_t* p) {
    const uint16x8_t u = vmovl_u8(vld1_u8(p));
    return {{vcvtq_f32_u32(vmovl_u16(vget_low_u16(u)))},
            {vcvtq_f32_u32(vmovl_u16(vget_high_u16(u)))}};
}

}  // namespace convlet::CONVLET_TARGET
