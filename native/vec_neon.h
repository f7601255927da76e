// The registers of aarch64: NEON, 32 of 4 floats.
//
// NEON has no masked load or store: `load_first` and `store_first` choose between whole vectors,
// halves and single lanes by the count.  A broadcast costs nothing where the scalar is only a
// factor: gcc makes it the multiply-add's lane.
#pragma once

#include <arm_neon.h>

namespace convlet::CONVLET_TARGET {

inline constexpr int widest = 8;      // floats in a pair of registers
inline constexpr int registers = 16;  // such pairs

template <>
struct Mask<4> {
    uint32x4_t v;
};

CONVLET_INLINE bool all(Mask<4> m) { return vminvq_u32(m.v) != 0; }

template <>
struct Vec<4> {
    float32x4_t v;

    CONVLET_INLINE static Vec load(const float* p) { return {vld1q_f32(p)}; }
    CONVLET_INLINE static Vec load_first(const float* p, int count) {
        if (count >= 4) return load(p);
        const float32x2_t none = vdup_n_f32(0);
        if (count == 3) return {vcombine_f32(vld1_f32(p), vld1_lane_f32(p + 2, none, 0))};
        if (count == 2) return {vcombine_f32(vld1_f32(p), none)};
        return {vcombine_f32(count == 1 ? vld1_lane_f32(p, none, 0) : none, none)};
    }
    CONVLET_INLINE static Vec broadcast(float s) { return {vdupq_n_f32(s)}; }
    CONVLET_INLINE void store(float* p) const { vst1q_f32(p, v); }
    CONVLET_INLINE void store_first(float* p, int count) const {
        if (count >= 4) return store(p);
        if (count >= 2) vst1_f32(p, vget_low_f32(v));
        if (count == 3) vst1q_lane_f32(p + 2, v, 2);
        if (count == 1) vst1q_lane_f32(p, v, 0);
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
        if (count >= 4) return store(p);
        if (count >= 2) vst1_s32(p, vget_low_s32(v));
        if (count == 3) vst1q_lane_s32(p + 2, v, 2);
        if (count == 1) vst1q_lane_s32(p, v, 0);
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

// Four rows of four lanes: pairs of lanes, then pairs of pairs.
CONVLET_INLINE void transpose(Vec<4>& a, Vec<4>& b, Vec<4>& c, Vec<4>& d) {
    const auto wide = [](float32x4_t x) { return vreinterpretq_f64_f32(x); };
    const auto narrow = [](float64x2_t x) { return vreinterpretq_f32_f64(x); };
    const float64x2_t even = wide(vtrn1q_f32(a.v, b.v)), odd = wide(vtrn2q_f32(a.v, b.v));
    const float64x2_t even2 = wide(vtrn1q_f32(c.v, d.v)), odd2 = wide(vtrn2q_f32(c.v, d.v));
    a.v = narrow(vtrn1q_f64(even, even2)), b.v = narrow(vtrn1q_f64(odd, odd2));
    c.v = narrow(vtrn2q_f64(even, even2)), d.v = narrow(vtrn2q_f64(odd, odd2));
}

// a is 8 rows of 8 lanes: row i, lane j becomes row j, lane i.
CONVLET_INLINE void transpose(Vec<8> (&a)[8]) {
    transpose(a[0].lo, a[1].lo, a[2].lo, a[3].lo);
    transpose(a[0].hi, a[1].hi, a[2].hi, a[3].hi);
    transpose(a[4].lo, a[5].lo, a[6].lo, a[7].lo);
    transpose(a[4].hi, a[5].hi, a[6].hi, a[7].hi);
#pragma GCC unroll 4
    for (int n = 0; n < 4; ++n) {
        const Vec<4> right = a[n].hi;
        a[n].hi = a[n + 4].lo;
        a[n + 4].lo = right;
    }
}

// A bit for each lane.
CONVLET_INLINE int bits(Mask<8> m) {
    static constexpr std::uint16_t lane[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16x8_t holds =
        vuzp1q_u16(vreinterpretq_u16_u32(m.lo.v), vreinterpretq_u16_u32(m.hi.v));
    return vaddvq_u16(vandq_u16(holds, vld1q_u16(lane)));
}

// For each set of 4 lanes, the bytes of the lanes to keep side by side.
struct Packing {
    std::uint8_t of[16][16];
    constexpr Packing() : of() {
        for (int set = 0; set < 16; ++set) {
            int kept = 0;
            for (int byte = 0; byte < 16; ++byte)
                if (set >> byte / 4 & 1) of[set][kept++] = static_cast<std::uint8_t>(byte);
        }
    }
};
inline constexpr Packing packing;

// The lanes of a and b where m holds, side by side at p and q; all 8 lanes there may be written.
// Returns how many hold.
CONVLET_INLINE int compress_store(Mask<8> m, std::int32_t* p, Ints<8> a, float* q, Vec<8> b) {
    // One sum over the lanes gives the set, 8 bits, and how many of each half, 4 bits each.
    static constexpr std::uint16_t lane[8] = {0x0101, 0x0102, 0x0104, 0x0108,
                                              0x1010, 0x1020, 0x1040, 0x1080};
    const uint16x8_t holds =
        vuzp1q_u16(vreinterpretq_u16_u32(m.lo.v), vreinterpretq_u16_u32(m.hi.v));
    const unsigned sum = vaddvq_u16(vandq_u16(holds, vld1q_u16(lane)));
    const unsigned low = sum >> 8 & 15, high = sum >> 12;
    const uint8x16_t first = vld1q_u8(packing.of[sum & 15]);
    const uint8x16_t second = vld1q_u8(packing.of[sum >> 4 & 15]);
    vst1q_s32(p, vreinterpretq_s32_u8(vqtbl1q_u8(vreinterpretq_u8_s32(a.lo.v), first)));
    vst1q_s32(p + low, vreinterpretq_s32_u8(vqtbl1q_u8(vreinterpretq_u8_s32(a.hi.v), second)));
    vst1q_f32(q, vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(b.lo.v), first)));
    vst1q_f32(q + low, vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(b.hi.v), second)));
    return static_cast<int>(low + high);
}

// 8 bytes as floats.
CONVLET_INLINE Vec<8> load_bytes(const std::uint8_t* p) {
    const uint16x8_t u = vmovl_u8(vld1_u8(p));
    return {{vcvtq_f32_u32(vmovl_u16(vget_low_u16(u)))},
            {vcvtq_f32_u32(vmovl_u16(vget_high_u16(u)))}};
}

}  // namespace convlet::CONVLET_TARGET
