//! Figures as people read them.

use crate::cli::screen::Look;

/// An amount: cents, or more places where there would be none.
pub fn dollars(value: f64) -> String {
    match value.abs() {
        // What rounds to nothing is nothing.
        ..0.000_000_5 => "$0.00".to_owned(),
        ..0.000_995 => format!("${value:.6}"),
        ..0.009_95 => format!("${value:.4}"),
        ..0.099_5 => format!("${value:.3}"),
        _ => format!("${value:.2}"),
    }
}

/// A count, in thousands or millions where it is long.
pub fn count(value: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits of it are shown")]
    let float = value as f64;
    match value {
        0..10_000 => value.to_string(),
        10_000..999_500 => format!("{:.0}k", float / 1e3),
        999_500..999_500_000 => format!("{:.1}M", float / 1e6),
        _ => format!("{:.1}G", float / 1e9),
    }
}

/// One thing or several.
pub fn many(value: impl TryInto<u64>, one: &str, more: &str) -> String {
    let value = value.try_into().unwrap_or(u64::MAX);
    format!("{} {}", count(value), if value == 1 { one } else { more })
}

/// A share from 0 to 1.
pub fn share(value: f64) -> String {
    format!("{:.0} %", value.clamp(0.0, 1.0) * 100.0)
}

/// Percent used, at least and at most: one figure, floored as the service's own is, unless the
/// band matters.
pub fn percent((low, high): (f64, f64), look: Look) -> String {
    let (low, high) = (low.clamp(0.0, 100.0), high.clamp(0.0, 100.0));
    if has_band((low, high)) {
        format!("{:.0}{}{:.0} %", low.floor(), look.dash(), high.ceil())
    } else {
        format!("{:.0} %", f64::midpoint(low, high).floor())
    }
}

/// Two points and more are worth showing: less is how exact the service itself is.
fn has_band((low, high): (f64, f64)) -> bool {
    high - low >= 2.0
}

/// How many characters a bar has.
pub const BAR: usize = 12;

/// A bar: used, perhaps used, free.
pub fn bar((low, high): (f64, f64), look: Look) -> String {
    let [used, perhaps, free] = if look.unicode { ["█", "▒", "░"] } else { ["#", "+", "."] };
    let high = if has_band((low, high)) { high } else { low };
    let (low, high) = (cells(low), cells(high));
    format!(
        "{}{}{}",
        used.repeat(low),
        perhaps.repeat(high.saturating_sub(low)),
        free.repeat(BAR.saturating_sub(high.max(low)))
    )
}

/// How many cells of a bar a percentage fills: all of them only when nothing is left.
fn cells(percent: f64) -> usize {
    (1..=BAR)
        .filter(|cell| {
            let all = *cell == BAR;
            #[expect(clippy::cast_precision_loss, reason = "a dozen")]
            let needed = (*cell as f64 - if all { 0.0 } else { 0.5 }) * 100.0 / BAR as f64;
            percent >= needed
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RICH: Look = Look { unicode: true, colors: false };

    #[test]
    fn amounts_and_counts() {
        for (value, text) in [
            (0.0, "$0.00"),
            (0.000_123, "$0.000123"),
            (0.001_23, "$0.0012"),
            (0.012_3, "$0.012"),
            (0.25, "$0.25"),
            (0.999, "$1.00"),
            (12.345, "$12.35"),
        ] {
            assert_eq!(dollars(value), text);
        }
        for (value, text) in [
            (9_999, "9999"),
            (10_000, "10k"),
            (999_499, "999k"),
            (999_500, "1.0M"),
            (41_234_567, "41.2M"),
            (2_000_000_000, "2.0G"),
        ] {
            assert_eq!(count(value), text);
        }
        assert_eq!(
            (many(1, "key", "keys"), many(0, "key", "keys")),
            ("1 key".into(), "0 keys".into())
        );
        assert_eq!(share(0.856), "86 %");
    }

    #[test]
    fn a_band_is_shown_where_it_matters() {
        for (band, text, drawn) in [
            ((0.0, 0.0), "0 %", "............"),
            ((41.0, 41.99), "41 %", "#####......."),
            ((41.0, 43.0), "41-43 %", "#####......."),
            ((41.2, 62.1), "41-63 %", "#####++....."),
            ((99.5, 99.9), "99 %", "###########."),
            ((100.0, 100.0), "100 %", "############"),
            ((90.0, 130.0), "90-100 %", "###########+"),
        ] {
            assert_eq!(percent(band, Look::PLAIN), text);
            assert_eq!(bar(band, Look::PLAIN), drawn, "{band:?}");
        }
        assert_eq!(percent((1.0, 9.0), RICH), "1–9 %");
        assert_eq!(bar((50.0, 75.0), RICH), "██████▒▒▒░░░");
    }
}
