//! The Gamma distribution: tail and quantile.
//!
//! Accurate to about 1e-10 for the shapes that occur in forecasts (1e-6 to a few hundred).

/// The natural logarithm of Γ(x), x > 0, by Stirling's series after shifting x above 8.
pub(super) fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < 8.0 {
        product *= x;
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    // The first Bernoulli terms: 1/12, 1/360, 1/1260, 1/1680.
    let series =
        inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    let half_ln_two_pi = 0.918_938_533_204_672_7;
    (x - 0.5) * x.ln() - x + half_ln_two_pi + series - product.ln()
}

/// P(X ≥ x) for X ~ Gamma(shape, scale 1): the regularised upper incomplete gamma function.
pub(super) fn tail(shape: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if shape <= 0.0 {
        return 0.0;
    }
    let front = (shape * x.ln() - x - ln_gamma(shape)).exp();
    if x < shape + 1.0 { 1.0 - front * series(shape, x) } else { front * fraction(shape, x) }
}

/// Σ xⁿ / (a (a+1) … (a+n)): the lower tail without its front factor, for x below a + 1.
fn series(shape: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0 / shape, 1.0 / shape, shape);
    for _ in 0..500 {
        n += 1.0;
        term *= x / n;
        sum += term;
        if term < sum * 1e-11 {
            break;
        }
    }
    sum
}

/// The upper tail's continued fraction (modified Lentz), for x above a + 1.
#[expect(clippy::many_single_char_names, reason = "a, b, c, d as in every book on the method")]
fn fraction(shape: f64, x: f64) -> f64 {
    let tiny = 1e-300;
    let mut b = x + 1.0 - shape;
    let mut c = 1.0 / tiny;
    let mut d = 1.0 / b;
    let mut value = d;
    let mut n = 0.0;
    for _ in 0..500 {
        n += 1.0;
        let a = -n * (n - shape);
        b += 2.0;
        d = 1.0 / not_zero(a * d + b, tiny);
        c = not_zero(b + a / c, tiny);
        let factor = c * d;
        value *= factor;
        if (factor - 1.0).abs() < 1e-11 {
            break;
        }
    }
    value
}

fn not_zero(value: f64, tiny: f64) -> f64 {
    if value.abs() < tiny { tiny } else { value }
}

/// The q-quantile of Gamma(shape, scale 1), 0 < q < 1, to about 1e-4 of itself: Wilson and
/// Hilferty's cube (for small shapes the leading power of the lower tail), made better by Newton's
/// steps on the logarithm of x.
pub(super) fn quantile(shape: f64, q: f64) -> f64 {
    if shape <= 0.0 || q <= 0.0 {
        return 0.0;
    }
    let ln_gamma_shape = ln_gamma(shape);
    // P(X < x) ≈ x^a / Γ(a + 1) for small x.
    let power = ((q.ln() + ln_gamma_shape + shape.ln()) / shape).exp();
    if power < 1e-3 {
        return power;
    }
    let ninth = 1.0 / (9.0 * shape);
    let cube = shape * (1.0 - ninth + normal_quantile(q) * ninth.sqrt()).max(0.0).powi(3);
    let mut x = if shape < 0.5 || cube < 0.05 { power.min(shape + 4.0) } else { cube };
    for _ in 0..12 {
        // d P(X < eˡ) / dl = x · density(x)
        let slope = (shape * x.ln() - x - ln_gamma_shape).exp();
        if slope < 1e-300 {
            break;
        }
        let step = ((1.0 - tail(shape, x) - q) / slope).clamp(-1.0, 1.0);
        x *= (-step).exp();
        if step.abs() < 1e-4 {
            break;
        }
    }
    x
}

/// The q-quantile of the standard normal distribution, to 4.5e-4 (Hastings' approximation,
/// Abramowitz and Stegun 26.2.23): a first guess.
fn normal_quantile(q: f64) -> f64 {
    let tail = q.min(1.0 - q).max(1e-300);
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let z = t - above / below;
    if q < 0.5 { -z } else { z }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64, relative: f64) {
        assert!((got - want).abs() <= relative * want.abs().max(1e-12), "{got}, not {want}");
    }

    #[test]
    fn ln_gamma_at_known_points() {
        close(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln(), 1e-9);
        close(ln_gamma(5.0), 24_f64.ln(), 1e-9);
        close(ln_gamma(20.0), 121_645_100_408_832_000_f64.ln(), 1e-9);
    }

    #[test]
    fn tails_with_closed_forms() {
        for x in [1e-6, 0.1, 0.7, 1.0, 3.0, 12.0, 60.0] {
            // Shape 1 is the exponential, shape 2 and 3 sums of it.
            close(tail(1.0, x), (-x).exp(), 1e-9);
            close(tail(2.0, x), (1.0 + x) * (-x).exp(), 1e-9);
            close(tail(3.0, x), (1.0 + x + x * x / 2.0) * (-x).exp(), 1e-9);
        }
        // Shape 1/2 is half a squared normal: P(X ≥ z²/2) = 2 (1 - Φ(z)), Φ(1.959964) = 0.975.
        close(tail(0.5, 1.959_963_985_f64.powi(2) / 2.0), 0.05, 1e-8);
        // A tiny shape has nearly all its mass at nothing: P(X ≥ x) ≈ shape · E₁(x).
        close(tail(1e-4, 1.0), 1e-4 * 0.219_383_934, 1e-3);
    }

    #[test]
    fn quantiles_are_where_the_tail_says() {
        for shape in [0.02, 0.1, 0.4, 0.7, 1.0, 2.5, 8.0, 40.0, 300.0] {
            let mut before = 0.0;
            for q in [0.001, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.999] {
                let x = quantile(shape, q);
                assert!(x >= before, "{shape} {q}: {x} after {before}");
                before = x;
                if x > 1e-3 {
                    let off = (1.0 - tail(shape, x) - q).abs();
                    assert!(off < 1e-4, "{shape} {q}: {x} is off by {off}");
                }
            }
        }
        close(quantile(1.0, 0.5), 2_f64.ln(), 1e-3);
        assert!(quantile(0.0, 0.9).abs() < 1e-12);
    }
}
