//! NEON, which belongs to aarch64.

use super::vector::Vector;
use std::arch::aarch64::*;

/// Sixteen bytes, or what they stand for.
#[derive(Clone, Copy)]
pub(super) struct Neon(uint8x16_t);

/// Functions of a vector and others, whose elements are as the two conversions, from and to bytes, say.
macro_rules! vectors {
    ($from:ident, $to:ident: $($name:ident$(<$n:ident>)?($a:ident$(, $other:ident)*) => $result:expr;)*) => {$(
        #[inline(always)]
        fn $name$(<const $n: i32>)?(self$(, $other: Self)*) -> Self {
            // SAFETY: NEON belongs to aarch64.
            unsafe {
                let $a = $from(self.0);
                $(let $other = $from($other.0);)*
                Self($to($result))
            }
        }
    )*};
}

/// Bytes as they are.
#[inline(always)]
fn bytes(vector: uint8x16_t) -> uint8x16_t {
    vector
}

impl Vector for Neon {
    #[inline(always)]
    fn load(bytes: &[u8; 16]) -> Self {
        // SAFETY: NEON belongs to aarch64; the array has what is read.
        Self(unsafe { vld1q_u8(bytes.as_ptr()) })
    }

    #[inline(always)]
    fn load_half(bytes: &[u8; 8]) -> Self {
        // SAFETY: NEON belongs to aarch64; the array has what is read.
        Self(unsafe { vcombine_u8(vld1_u8(bytes.as_ptr()), vdup_n_u8(0)) })
    }

    #[inline(always)]
    fn load_values(values: &[i16; 8]) -> Self {
        // SAFETY: NEON belongs to aarch64; the array has what is read.
        Self(unsafe { vreinterpretq_u8_s16(vld1q_s16(values.as_ptr())) })
    }

    #[inline(always)]
    fn store(self, bytes: &mut [u8; 16]) {
        // SAFETY: NEON belongs to aarch64; the array has room for what is written.
        unsafe { vst1q_u8(bytes.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn store_half(self, bytes: &mut [u8; 8]) {
        // SAFETY: NEON belongs to aarch64; the array has room for what is written.
        unsafe { vst1_u8(bytes.as_mut_ptr(), vget_low_u8(self.0)) }
    }

    #[inline(always)]
    fn store_values(self, values: &mut [i16; 8]) {
        // SAFETY: NEON belongs to aarch64; the array has room for what is written.
        unsafe { vst1q_s16(values.as_mut_ptr(), vreinterpretq_s16_u8(self.0)) }
    }

    #[inline(always)]
    fn splat_8(value: u8) -> Self {
        // SAFETY: NEON belongs to aarch64.
        Self(unsafe { vdupq_n_u8(value) })
    }

    #[inline(always)]
    fn splat_16(value: i16) -> Self {
        // SAFETY: NEON belongs to aarch64.
        Self(unsafe { vreinterpretq_u8_s16(vdupq_n_s16(value)) })
    }

    vectors! { bytes, bytes:
        and(a, b) => vandq_u8(a, b);
        or(a, b) => vorrq_u8(a, b);
        xor(a, b) => veorq_u8(a, b);
        where_zero_16(a, one, other) => {
            vbslq_u8(vreinterpretq_u8_u16(vceqzq_u16(vreinterpretq_u16_u8(a))), one, other)
        };
        sub_8(a, b) => vsubq_u8(a, b);
        add_saturating_8(a, b) => vqaddq_u8(a, b);
        sub_saturating_8(a, b) => vqsubq_u8(a, b);
        mean_8(a, b) => vrhaddq_u8(a, b);
        difference_8(a, b) => vabdq_u8(a, b);
        add_neighbours_8(a) => vreinterpretq_u8_u16(vpaddlq_u8(a));
        widen_low(a) => vreinterpretq_u8_u16(vmovl_u8(vget_low_u8(a)));
        widen_high(a) => vreinterpretq_u8_u16(vmovl_high_u8(a));
        add_sad(sums, a, b) => {
            vreinterpretq_u8_u16(vpadalq_u8(vreinterpretq_u16_u8(sums), vabdq_u8(a, b)))
        };
    }

    vectors! { vreinterpretq_s16_u8, vreinterpretq_u8_s16:
        add_16(a, b) => vaddq_s16(a, b);
        sub_16(a, b) => vsubq_s16(a, b);
        max_16(a, b) => vmaxq_s16(a, b);
        min_16(a, b) => vminq_s16(a, b);
        multiply_16(a, b) => vmulq_s16(a, b);
        abs_16(a) => vabsq_s16(a);
        negative_16(a) => vshrq_n_s16::<15>(a);
        shift_left_16<N>(a) => vshlq_n_s16::<N>(a);
        zip_low_16(a, b) => vzip1q_s16(a, b);
        zip_high_16(a, b) => vzip2q_s16(a, b);
    }

    vectors! { vreinterpretq_u16_u8, vreinterpretq_u8_u16:
        shift_right_16<N>(a) => vshrq_n_u16::<N>(a);
        multiply_high_16(a, b) => {
            let low = vmull_u16(vget_low_u16(a), vget_low_u16(b));
            vuzp2q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(vmull_high_u16(a, b)))
        };
    }

    vectors! { vreinterpretq_s32_u8, vreinterpretq_u8_s32:
        add_32(a, b) => vaddq_s32(a, b);
        sub_32(a, b) => vsubq_s32(a, b);
        shift_right_32<N>(a) => vshrq_n_s32::<N>(a);
        zip_low_32(a, b) => vzip1q_s32(a, b);
        zip_high_32(a, b) => vzip2q_s32(a, b);
        add_products(sums, a, b) => {
            let (a, b) = (vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
            vmlal_high_s16(vmlal_s16(sums, vget_low_s16(a), vget_low_s16(b)), a, b)
        };
    }

    vectors! { vreinterpretq_s64_u8, vreinterpretq_u8_s64:
        low_halves(a, b) => vzip1q_s64(a, b);
        high_halves(a, b) => vzip2q_s64(a, b);
    }

    #[inline(always)]
    fn scale_16(self, factor: i16) -> Self {
        // SAFETY: NEON belongs to aarch64.
        Self(unsafe { vreinterpretq_u8_s16(vqrdmulhq_n_s16(vreinterpretq_s16_u8(self.0), factor)) })
    }

    #[inline(always)]
    fn narrow_16(self, other: Self) -> Self {
        // SAFETY: NEON belongs to aarch64.
        unsafe {
            let (a, b) = (vreinterpretq_s16_u8(self.0), vreinterpretq_s16_u8(other.0));
            Self(vcombine_u8(vqmovun_s16(a), vqmovun_s16(b)))
        }
    }

    #[inline(always)]
    fn narrow_32(self, other: Self) -> Self {
        // SAFETY: NEON belongs to aarch64.
        unsafe {
            let (a, b) = (vreinterpretq_s32_u8(self.0), vreinterpretq_s32_u8(other.0));
            Self(vreinterpretq_u8_s16(vcombine_s16(vqmovn_s32(a), vqmovn_s32(b))))
        }
    }

    #[inline(always)]
    fn nonzero_16(self, other: Self) -> u16 {
        // SAFETY: NEON belongs to aarch64; the array has what is read.
        unsafe {
            let bits = vld1q_u8([1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128].as_ptr());
            let nonzero = |values: uint8x16_t| vmovn_u16(vcgtzq_s16(vreinterpretq_s16_u8(values)));
            let bits = vandq_u8(vcombine_u8(nonzero(self.0), nonzero(other.0)), bits);
            u16::from(vaddv_u8(vget_low_u8(bits))) | u16::from(vaddv_u8(vget_high_u8(bits))) << 8
        }
    }

    #[inline(always)]
    fn first_16(self) -> i16 {
        // SAFETY: NEON belongs to aarch64.
        unsafe { vgetq_lane_s16::<0>(vreinterpretq_s16_u8(self.0)) }
    }

    #[inline(always)]
    fn sum_16(self) -> u32 {
        // SAFETY: NEON belongs to aarch64.
        unsafe { vaddlvq_u16(vreinterpretq_u16_u8(self.0)) }
    }

    #[inline(always)]
    fn sum_32(self) -> u32 {
        // SAFETY: NEON belongs to aarch64.
        unsafe { vaddvq_u32(vreinterpretq_u32_u8(self.0)) }
    }

    #[inline(always)]
    fn sums_of_sads(self) -> [u32; 2] {
        // SAFETY: NEON belongs to aarch64.
        unsafe {
            let sums = vreinterpretq_u16_u8(self.0);
            [vaddlv_u16(vget_low_u16(sums)), vaddlv_u16(vget_high_u16(sums))]
        }
    }

    #[inline(always)]
    fn dot(self, other: Self, [a, b]: [i32; 2]) -> [Self; 2] {
        // SAFETY: NEON belongs to aarch64.
        unsafe {
            let (one, two) = (vreinterpretq_s16_u8(self.0), vreinterpretq_s16_u8(other.0));
            let low = vmull_n_s16(vget_low_s16(one), a as i16);
            let high = vmull_high_n_s16(one, a as i16);
            let sums = [vmlal_n_s16(low, vget_low_s16(two), b as i16), vmlal_high_n_s16(high, two, b as i16)];
            sums.map(|sum| Self(vreinterpretq_u8_s32(sum)))
        }
    }
}
