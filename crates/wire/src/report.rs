//! What an answer of the usage API says.
//!
//! The service has answered in several shapes, and two of its versions are in use side by side:
//! `{"usage":{"rolling":{"status","percent","resetsAt"},…}}`, for a short time
//! `{"rollingUsage":{"status","resetInSec","usagePercent"},…}`, and clients report names in
//! `snake_case`. So names are compared without case and separators, every field may be missing, and
//! only a document without any window is no report.

use saros_core::report::{Reading, Report, Source};
use saros_core::time::{DAY, Millis, SECOND};
use saros_core::window::Window;
use serde_json::{Map, Value};

use crate::instant;

/// A reset that is further away than this is no reset: the longest window lasts a month.
const FAR: i64 = 62 * DAY;
/// What is kept of an id.
const ID_LIMIT: usize = 128;

/// Reads an answer of the usage API; `None` when it holds no window.
pub fn usage(body: &[u8], sent: Millis, received: Millis) -> Option<Report> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let top = document.as_object()?;
    let inner = ["usage", "data"].into_iter().find_map(|name| field(top, name)?.as_object());
    let windows = Window::ALL.map(|window| {
        let of = |object| window_of(object, window).and_then(|found| reading(found, received));
        inner.and_then(of).or_else(|| of(top))
    });
    if windows.iter().all(Option::is_none) {
        return None;
    }
    let find = |name| field(top, name).or_else(|| field(inner?, name));
    let id = |name| {
        let text = find(name)?.as_str()?;
        let fits = !text.is_empty()
            && text.len() <= ID_LIMIT
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| text.to_owned())
    };
    Some(Report {
        source: Source::Api,
        sent,
        received,
        windows,
        workspace: id("workspaceid"),
        user: id("userid"),
        use_balance: find("usebalance").and_then(Value::as_bool),
    })
}

/// A member by its plain name: lower case, without separators.
fn field<'a>(object: &'a Map<String, Value>, plain: &str) -> Option<&'a Value> {
    object.iter().find(|(name, _)| is_named(name, plain)).map(|(_, value)| value)
}

fn is_named(name: &str, plain: &str) -> bool {
    let letters = name.bytes().filter(|byte| !matches!(byte, b'_' | b'-'));
    letters.map(|byte| byte.to_ascii_lowercase()).eq(plain.bytes())
}

fn window_of(object: &Map<String, Value>, window: Window) -> Option<&Map<String, Value>> {
    let names: &[&str] = match window {
        Window::FiveHour => &["rolling", "rollingusage", "fivehour", "5hour"],
        Window::Weekly => &["weekly", "weeklyusage"],
        Window::Monthly => &["monthly", "monthlyusage"],
    };
    names.iter().find_map(|name| field(object, name)?.as_object())
}

fn reading(window: &Map<String, Value>, received: Millis) -> Option<Reading> {
    let find = |names: &[&str]| names.iter().find_map(|name| field(window, name));
    let limited = find(&["status"])
        .and_then(Value::as_str)
        .map(|status| is_named(status, "ratelimited") || is_named(status, "limited"));
    let percent = find(&["percent", "usagepercent", "usedpercent"]).and_then(number);
    let percent = match percent {
        Some(percent) => whole_percent(percent)?,
        // A window that is closed is full, whatever else is said of it.
        None if limited == Some(true) => 100,
        None => return None,
    };
    let at = find(&["resetsat", "resetat"]).and_then(|value| moment(value, received));
    let resets_at = at.or_else(|| {
        let seconds = find(&["resetinsec", "resetinseconds", "resetsinsec", "resetsinseconds"])?;
        within_reach(number(seconds)?, received)
    });
    Some(Reading { percent, limited: limited.unwrap_or(percent == 100), resets_at })
}

/// Floored, as the service floors; a number that is no percentage is none.
pub(crate) fn whole_percent(percent: f64) -> Option<u8> {
    if !(0.0..1000.0).contains(&percent) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    Some(percent.floor().min(100.0) as u8)
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().trim_end_matches('%').parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// A moment in any of its forms: ISO 8601, seconds or milliseconds since 1970, seconds from now.
fn moment(value: &Value, received: Millis) -> Option<Millis> {
    if let Some(at) = value.as_str().and_then(instant::parse) {
        return near(at, received);
    }
    // Seconds since 1970 have ten digits, milliseconds thirteen.
    let number = number(value)?;
    if number < 1e9 {
        return within_reach(number, received);
    }
    let millis = if number < 1e11 { number * 1000.0 } else { number };
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and is checked at once")]
    near(Millis(millis as i64), received)
}

fn near(at: Millis, received: Millis) -> Option<Millis> {
    (at.since(received).abs() <= FAR).then_some(at)
}

/// `seconds` after `received`.
pub(crate) fn within_reach(seconds: f64, received: Millis) -> Option<Millis> {
    #[expect(clippy::cast_precision_loss, reason = "a span of days")]
    let fits = (0.0..=(FAR / SECOND) as f64).contains(&seconds);
    #[expect(clippy::cast_possible_truncation, reason = "within days")]
    fits.then(|| received.plus((seconds * 1000.0) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-08-13 12:00:00 UTC.
    const NOW: Millis = Millis(1_786_622_400_000);

    fn read(body: &str) -> Option<Report> {
        usage(body.as_bytes(), Millis(NOW.0 - 40), NOW)
    }

    fn at(percent: u8, limited: bool, seconds: i64) -> Reading {
        Reading { percent, limited, resets_at: Some(NOW.plus(seconds * SECOND)) }
    }

    #[test]
    fn the_answer_of_today() {
        let report = read(
            r#"{"usage":{"rolling":{"status":"ok","percent":4,"resetsAt":"2026-08-13T16:27:38.287Z"},
            "weekly":{"status":"ok","percent":3,"resetsAt":"2026-08-17T00:00:00.287Z"},
            "monthly":{"status":"rate-limited","percent":100,"resetsAt":"2026-09-13T06:06:01.287Z"}}}"#,
        )
        .unwrap();
        assert_eq!(
            (report.source, report.sent, report.received),
            (Source::Api, Millis(NOW.0 - 40), NOW)
        );
        let [rolling, weekly, monthly] = report.windows.map(Option::unwrap);
        assert_eq!((rolling.percent, rolling.limited), (4, false));
        assert_eq!(rolling.resets_at.unwrap().since(NOW), 16_058_287);
        assert_eq!((weekly.percent, weekly.limited), (3, false));
        assert_eq!((monthly.percent, monthly.limited), (100, true));
        assert_eq!((report.workspace, report.user, report.use_balance), (None, None, None));
    }

    #[test]
    fn every_other_shape() {
        let full = [at(7, false, 336), at(30, false, 1000), at(100, true, 9000)].map(Some);
        for body in [
            // The first hour of the API.
            r#"{"useBalance":false,"rollingUsage":{"status":"ok","resetInSec":336,"usagePercent":7},
                "weeklyUsage":{"status":"ok","resetInSec":1000,"usagePercent":30},
                "monthlyUsage":{"status":"rate-limited","resetInSec":9000,"usagePercent":100}}"#,
            r#"{"usage":{"rolling":{"status":"ok","percent":7,"resets_at":"2026-08-13T12:05:36Z"},
                "weekly":{"status":"ok","percent":30.9,"resets_at":"2026-08-13T14:16:40+02:00"},
                "monthly":{"status":"rate_limited","percent":100,"resets_at":"2026-08-13T14:30:00.000Z"}}}"#,
            r#"{"data":{"rolling_usage":{"status":"OK","usage_percent":"7","reset_in_sec":336},
                "weekly_usage":{"status":"ok","usage_percent":"30%","reset_in_sec":1000},
                "monthly_usage":{"status":"rate-limited","reset_in_sec":9000}}}"#,
            r#"{"rolling":{"percent":7,"resetsAt":1786622736},"weekly":{"percent":30,"resetsAt":1786623400000},
                "monthly":{"percent":100.0,"resetsAt":9000}}"#,
        ] {
            assert_eq!(read(body).unwrap().windows, full, "{body}");
        }
        assert_eq!(
            read(r#"{"useBalance":true,"rollingUsage":{"usagePercent":1}}"#).unwrap().use_balance,
            Some(true)
        );
    }

    #[test]
    fn what_is_missing_stays_unknown() {
        let report = read(
            r#"{"workspaceID":"wrk_1","userID":"usr_1","usage":{"weekly":{"percent":5},"new":{}}}"#,
        )
        .unwrap();
        let weekly = Some(Reading { percent: 5, limited: false, resets_at: None });
        assert_eq!(report.windows, [None, weekly, None]);
        assert_eq!(
            (report.workspace.as_deref(), report.user.as_deref()),
            (Some("wrk_1"), Some("usr_1"))
        );
        let report =
            read(r#"{"usage":{"workspace_id":"wrk_2","rolling":{"percent":5,"resetsAt":"soon"}}}"#)
                .unwrap();
        assert_eq!(report.workspace.as_deref(), Some("wrk_2"));
        assert_eq!(report.windows[0].unwrap().resets_at, None);
        let report = read(r#"{"workspaceID":"a b\n","usage":{"rolling":{"percent":5,"resetsAt":"2030-01-01T00:00:00Z"}}}"#).unwrap();
        assert_eq!((report.workspace, report.windows[0].unwrap().resets_at), (None, None));
    }

    #[test]
    fn what_is_no_report_is_none() {
        for body in [
            "",
            "null",
            "[]",
            "{}",
            "<html>",
            r#"{"usage":null}"#,
            r#"{"usage":{"rolling":7}}"#,
            r#"{"usage":{"rolling":{"percent":-1}}}"#,
            r#"{"usage":{"rolling":{"percent":"NaN"}}}"#,
            r#"{"usage":{"rolling":{"percent":1e300}}}"#,
            r#"{"usage":{"rolling":{"status":"ok"}}}"#,
            r#"{"error":{"type":"AuthError"}}"#,
        ] {
            assert_eq!(read(body), None, "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn anything_may_come(value in crate::tests::document()) {
            let _read = read(&value.to_string());
        }
    }
}
