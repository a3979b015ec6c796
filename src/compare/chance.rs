//! The little of statistics that is needed: Student's t by approximation, and Holm's correction.
//!
//! Sources: Wallace (1959) for t to normal; Abramowitz and Stegun 26.7.5 for the quantile, 7.1.26 for erfc; Holm (1979).

use crate::model::order::Order as _;

/// Probability of a |t| of this size or more by chance, with so many degrees of freedom.
pub(super) fn p_of_t(t: f64, freedom: f64) -> f64 {
    if !t.is_finite() {
        return if t.is_nan() { 1.0 } else { 0.0 };
    }
    let f = freedom.max(1.0);
    let z = (8.0 * f + 1.0) / (8.0 * f + 3.0) * (f * (1.0 + t * t / f).ln()).sqrt();
    erfc(z / std::f64::consts::SQRT_2).clamp(0.0, 1.0)
}

/// The |t| that 95 of 100 stay below.
pub(super) fn t95(freedom: f64) -> f64 {
    const Z: f64 = 1.959_964;
    let f = freedom.max(1.0);
    let (z3, z5, z7) = (Z.powi(3), Z.powi(5), Z.powi(7));
    let first = (z3 + Z) / (4.0 * f);
    let second = (5.0 * z5 + 16.0 * z3 + 3.0 * Z) / (96.0 * f.powi(2));
    let third = (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * Z) / (384.0 * f.powi(3));
    Z + first + second + third
}

/// For x >= 0, within 1.5e-7.
fn erfc(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly = t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    poly * (-x * x).exp()
}

/// Holm's step-down correction: the same order, each at most 1.
pub(super) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.order_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut corrected = vec![1.0; p.len()];
    let mut least: f64 = 0.0;
    for (rank, at) in order.into_iter().enumerate() {
        least = least.max(p[at] * (p.len() - rank) as f64).min(1.0);
        corrected[at] = least;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_t_are_met() {
        for (freedom, t) in [(5.0, 2.571), (11.0, 2.201), (30.0, 2.042), (1e6, 1.960)] {
            assert!((t95(freedom) - t).abs() < 0.015, "{freedom}: {}", t95(freedom));
            assert!((p_of_t(t, freedom) - 0.05).abs() < 0.003, "{freedom}: {}", p_of_t(t, freedom));
        }
        assert_eq!((p_of_t(f64::NAN, 5.0), p_of_t(f64::INFINITY, 5.0)), (1.0, 0.0));
        assert!((p_of_t(0.0, 11.0) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn holm_corrects_the_smallest_most() {
        let corrected = holm(&[0.04, 0.01, 0.03]);
        for (is, should) in corrected.iter().zip([0.06, 0.03, 0.06]) {
            assert!((is - should).abs() < 1e-12, "{corrected:?}");
        }
        assert!(holm(&[]).is_empty());
    }
}
