//! What the older dashboard page says of a workspace's quota.
//!
//! The page carries its data as the text of a script that fills it with life:
//! `rollingUsage:$R[4]={status:"ok",resetInSec:336,usagePercent:0},weeklyUsage:$R[5]={…},…`, with
//! names that may be quoted, numbers `n` and an order of fields that change from build to build,
//! and truth values as `!0` and `!1`. Where that is not found, the markup of its
//! `data-slot="usage-item"` is read, which has percentages only.
//!
//! A page that says two different things, or nothing, is an unknown page: never a wrong number.

use saros_core::report::{Reading, Report, Source};
use saros_core::time::Millis;
use saros_core::window::{PerWindow, Window};

use crate::report::{whole_percent, within_reach};

/// Why a page yields no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRead {
    /// It has no data of the kind that is known.
    Unknown,
    /// The subscription is another member's.
    NotMine,
}

/// Reads a page.
pub fn dashboard(page: &str, sent: Millis, received: Millis) -> Result<Report, NotRead> {
    let mut windows: PerWindow<Option<Reading>> = [None; 3];
    for window in Window::ALL {
        let found = hydrated(page, window, received)?;
        if let Some(slot) = windows.get_mut(window.index()) {
            *slot = found;
        }
    }
    let data = windows.iter().any(Option::is_some);
    if data && flag(page, "mine") == Some(false) {
        return Err(NotRead::NotMine);
    }
    if !data {
        windows = from_markup(page)?;
    }
    let use_balance = if data { flag(page, "useBalance") } else { None };
    let source = Source::Page;
    Ok(Report { source, sent, received, windows, workspace: None, user: None, use_balance })
}

/// A window out of the script's data. All places that name it must agree.
fn hydrated(page: &str, window: Window, received: Millis) -> Result<Option<Reading>, NotRead> {
    let name = match window {
        Window::FiveHour => "rollingUsage",
        Window::Weekly => "weeklyUsage",
        Window::Monthly => "monthlyUsage",
    };
    let mut found = None;
    for value in values(page, name) {
        let Some(object) = object(page, value) else { continue };
        let reading = reading(object, received).ok_or(NotRead::Unknown)?;
        if found.is_some_and(|other| other != reading) {
            return Err(NotRead::Unknown);
        }
        found = Some(reading);
    }
    Ok(found)
}

/// What stands behind `name:` wherever it occurs as the name of a field.
fn values<'a>(page: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    page.match_indices(name).filter_map(move |(at, _)| {
        let before = page.get(..at)?.bytes().next_back();
        if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        let rest = page.get(at + name.len()..)?;
        // Data within a string of the script has its quotes escaped.
        let rest = rest.trim_start_matches('\\').trim_start_matches(['"', '\'']).trim_start();
        Some(rest.strip_prefix(':')?.trim_start())
    })
}

/// The inside of `{…}`, of `$R[4]={…}`, or of the `{…}` that `$R[4]` was said to be elsewhere. The
/// objects looked for hold no other objects.
fn object<'a>(page: &'a str, value: &'a str) -> Option<&'a str> {
    if let Some(inside) = value.strip_prefix('{') {
        return inside.split_once('}').map(|(inside, _)| inside);
    }
    let end = value.strip_prefix("$R[")?.find(']')? + "$R[]".len();
    let (reference, rest) = value.split_at_checked(end)?;
    let rest = if let Some(rest) = rest.trim_start().strip_prefix('=') {
        rest.trim_start()
    } else {
        let given = format!("{reference}={{");
        let at = page.find(&given)? + given.len() - 1;
        page.get(at..)?
    };
    rest.strip_prefix('{')?.split_once('}').map(|(inside, _)| inside)
}

fn reading(object: &str, received: Millis) -> Option<Reading> {
    let percent = scalar(object, "usagePercent")?.parse::<f64>().ok()?;
    // The page's own numbers do not exceed 100; what does is something else.
    let percent = whole_percent(percent).filter(|_| percent <= 100.0)?;
    let limited = match scalar(object, "status") {
        Some(status) if status.eq_ignore_ascii_case("ok") => false,
        Some(status) if status.eq_ignore_ascii_case("rate-limited") => true,
        Some(_) => return None,
        None => percent == 100,
    };
    let seconds = scalar(object, "resetInSec").and_then(|text| text.parse::<f64>().ok());
    let resets_at = seconds.and_then(|seconds| within_reach(seconds, received));
    Some(Reading { percent, limited, resets_at })
}

/// The value of a field that is no object: without its quotes.
fn scalar<'a>(text: &'a str, name: &'a str) -> Option<&'a str> {
    let value = values(text, name).next()?;
    let end = value.find([',', '}', ';', ')']).unwrap_or(value.len());
    let value = value.get(..end)?.trim();
    Some(value.trim_matches(['"', '\'', '\\']))
}

fn flag(page: &str, name: &str) -> Option<bool> {
    match scalar(page, name)? {
        "!0" | "true" => Some(true),
        "!1" | "false" => Some(false),
        _ => None,
    }
}

/// The percentages of the markup. Each item must name its window and one percentage.
fn from_markup(page: &str) -> Result<PerWindow<Option<Reading>>, NotRead> {
    let mut windows: PerWindow<Option<Reading>> = [None; 3];
    let mut items = page.split("data-slot=\"usage-item\"");
    items.next();
    for item in items {
        let text = visible(item);
        let window = window_named(&text).ok_or(NotRead::Unknown)?;
        let percent = percentage(&text).ok_or(NotRead::Unknown)?;
        let reading = Reading { percent, limited: percent == 100, resets_at: None };
        let slot = windows.get_mut(window.index()).ok_or(NotRead::Unknown)?;
        if slot.replace(reading).is_some() {
            return Err(NotRead::Unknown);
        }
    }
    if windows.iter().all(Option::is_none) { Err(NotRead::Unknown) } else { Ok(windows) }
}

/// The text of an item, a blank for each tag. The rest of the page follows the last item, so no
/// more is read than an item can have.
fn visible(item: &str) -> String {
    const LONGEST: usize = 2_000;
    // It begins inside the item's own tag.
    let inside = item.split_once('>').map_or("", |(_, inside)| inside);
    let mut text = String::new();
    let mut in_tag = false;
    for c in inside.chars().take(LONGEST) {
        match c {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                text.push(' ');
            }
            c if !in_tag => text.push(c),
            _ => {}
        }
    }
    text
}

fn window_named(text: &str) -> Option<Window> {
    let text = text.trim_start().to_ascii_lowercase();
    let names =
        [("rolling", Window::FiveHour), ("5", Window::FiveHour), ("five", Window::FiveHour)];
    let names = names.into_iter().chain([("weekly", Window::Weekly), ("monthly", Window::Monthly)]);
    names.into_iter().find(|(name, _)| text.starts_with(name)).map(|(_, window)| window)
}

fn percentage(text: &str) -> Option<u8> {
    let (before, _) = text.split_once('%')?;
    let before = before.trim_end();
    let digits =
        before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let number = before.get(before.len() - digits..)?.parse::<f64>().ok()?;
    whole_percent(number).filter(|_| number <= 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_795_089_600_000);

    fn read(page: &str) -> Result<Report, NotRead> {
        dashboard(page, NOW, NOW)
    }

    fn windows(page: &str) -> PerWindow<Option<(u8, bool, Option<i64>)>> {
        let shown = |reading: Reading| {
            let seconds = reading.resets_at.map(|at| at.since(NOW) / 1000);
            (reading.percent, reading.limited, seconds)
        };
        read(page).unwrap().windows.map(|reading| reading.map(shown))
    }

    const ALL: PerWindow<Option<(u8, bool, Option<i64>)>> =
        [Some((7, false, Some(336))), Some((30, false, Some(1000))), Some((100, true, Some(9000)))];

    #[test]
    fn the_script_in_its_variants() {
        for page in [
            r#"<script>$R[3]={mine:!0,useBalance:!1,rollingUsage:$R[4]={status:"ok",resetInSec:336,usagePercent:7},weeklyUsage:$R[5]={status:"ok",resetInSec:1000,usagePercent:30},monthlyUsage:$R[6]={status:"rate-limited",resetInSec:9000,usagePercent:100}};</script>"#,
            r#"monthlyUsage:$R[16]={usagePercent:100,status:"rate-limited",resetInSec:9000},rollingUsage:$R[99]={resetInSec:336,usagePercent:7.9,status:"ok"},weeklyUsage:{ usagePercent : 30 , resetInSec : 1000 , status : "ok" },mine:!0"#,
            r#"{"rollingUsage":{"status":"ok","resetInSec":336,"usagePercent":7},"weeklyUsage":{"status":"ok","resetInSec":1000,"usagePercent":30},"monthlyUsage":{"status":"rate-limited","resetInSec":9000,"usagePercent":100}}"#,
            r#"x={rollingUsage:$R[1],weeklyUsage:$R[2],monthlyUsage:$R[12]};$R[12]={status:"rate-limited",resetInSec:9000,usagePercent:100};$R[1]={status:"ok",resetInSec:336,usagePercent:7};$R[2]={status:"ok",resetInSec:1000,usagePercent:30}"#,
            r#"s="{\"rollingUsage\":{\"status\":\"ok\",\"resetInSec\":336,\"usagePercent\":7},\"weeklyUsage\":{\"status\":\"ok\",\"resetInSec\":1000,\"usagePercent\":30},\"monthlyUsage\":{\"status\":\"rate-limited\",\"resetInSec\":9000,\"usagePercent\":100}}""#,
        ] {
            assert_eq!(windows(page), ALL, "{page}");
        }
        let page = r"mine:!0,useBalance:!0,rollingUsage:{usagePercent:7}";
        assert_eq!(
            (windows(page), read(page).unwrap().use_balance),
            ([Some((7, false, None)), None, None], Some(true))
        );
    }

    #[test]
    fn the_markup_where_there_is_no_script() {
        let item = |name: &str, value: &str| {
            format!(
                "<div data-slot=\"usage-item\" class=\"x\"><span data-slot=\"usage-label\">{name}</span><span>{value}</span><div style=\"width:99%\"></div>Resets in 3 hours 5 minutes</div>"
            )
        };
        let page = [
            item("Rolling Usage", "7%"),
            item("Weekly Usage", "30 %"),
            item("Monthly Usage", "100%"),
        ]
        .concat();
        assert_eq!(
            windows(&page),
            [Some((7, false, None)), Some((30, false, None)), Some((100, true, None))]
        );
        for page in [
            item("Rolling Usage", "n/a"),
            item("Yearly Usage", "4%"),
            item("Weekly Usage", "400%"),
            item("Weekly Usage", "4%") + &item("Weekly Usage", "5%"),
        ] {
            assert_eq!(read(&page), Err(NotRead::Unknown), "{page}");
        }
    }

    #[test]
    fn an_unknown_page_gives_no_number() {
        for page in [
            "",
            "<html><form action=/login>Sign in</form></html>",
            "rollingUsage",
            "rollingUsage:",
            "rollingUsage:$R[4]",
            "rollingUsage:$R[4]={",
            "rollingUsage:null",
            r#"rollingUsage:{status:"ok",resetInSec:3}"#,
            r#"rollingUsage:{status:"paused",usagePercent:3}"#,
            r#"rollingUsage:{status:"ok",usagePercent:300}"#,
            r#"rollingUsage:{status:"ok",usagePercent:-3}"#,
            r"rollingUsage:{usagePercent:NaN}",
            r"rollingUsage:{usagePercent:3},rollingUsage:{usagePercent:4}",
            r"my_rollingUsage:{usagePercent:3}",
        ] {
            assert_eq!(read(page), Err(NotRead::Unknown), "{page}");
        }
        let other = r"mine:!1,rollingUsage:{usagePercent:3}";
        assert_eq!(read(other), Err(NotRead::NotMine));
    }

    proptest::proptest! {
        #[test]
        fn anything_may_come(
            pieces in proptest::collection::vec(proptest::prop_oneof![
                proptest::prelude::Just("rollingUsage:"), proptest::prelude::Just("$R[4]"),
                proptest::prelude::Just("={"), proptest::prelude::Just("usagePercent:"),
                proptest::prelude::Just("}"), proptest::prelude::Just("é"), proptest::prelude::Just("5"),
                proptest::prelude::Just("data-slot=\"usage-item\""), proptest::prelude::Just("%"),
                proptest::prelude::Just("<>"), proptest::prelude::Just("Weekly "),
            ], 0..40)
        ) {
            let _read = read(&pieces.concat());
        }
    }
}
