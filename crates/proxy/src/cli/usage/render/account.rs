//! One account: its windows, how it stands and why.

use unicode_width::UnicodeWidthStr;

use crate::cli::screen::figures::{BAR, bar, dollars, percent};
use crate::cli::screen::moment::{Times, span, spread};
use crate::cli::screen::{Look, Tone, flow, left, paragraph, right, words};
use crate::cli::usage::document::{Account, Forecast, Key, Standing, Window};

/// Columns of a window's row: its name, its percentage, its reset.
const NAME: usize = 7;
const PERCENT: usize = 9;
const RESET: usize = 19;
/// A label is shown up to here.
const LABEL: usize = 24;

/// The accounts, one block each.
pub(super) fn all(accounts: &[Account], times: &Times, look: Look) -> String {
    if accounts.is_empty() {
        let text = "no accounts are configured";
        return paragraph(look, "", Tone::Plain, text, Tone::Bad) + "\n";
    }
    let labels: Vec<String> = accounts.iter().map(|one| look.fit(&one.label, LABEL)).collect();
    let widest = labels.iter().map(|label| label.width()).max().unwrap_or(0);
    let mut text = heading(look);
    for (account, label) in accounts.iter().zip(&labels) {
        let head = left(label, widest) + "  ";
        text.push_str(&flow(look, &head, Tone::Strong, &standing(account, times)));
        for (name, window) in account.windows.named() {
            let binds = account.binds.as_deref() == Some(binding(name));
            text.push_str(&row(name, window, binds, times, look));
        }
        text.push_str(&notes(account, times, look));
        text.push('\n');
    }
    text
}

fn heading(look: Look) -> String {
    let used = right("used", BAR + 1 + PERCENT);
    let text = format!("  {}  {used}  {}  forecast", left("", NAME), left("resets in", RESET));
    look.paint(Tone::Faint, &text) + "\n"
}

/// The name of a window in the document.
fn binding(name: &str) -> &'static str {
    match name {
        "5 hours" => "fiveHour",
        "week" => "weekly",
        _ => "monthly",
    }
}

/// How it stands, and what goes on.
fn standing(account: &Account, times: &Times) -> Vec<(String, Tone)> {
    let mut pieces = vec![said(&account.standing, times)];
    if account.in_flight > 0 {
        pieces.push((format!("{} in flight", account.in_flight), Tone::Plain));
    }
    let burns = account.windows.named().map(|(_, window)| window.burn_per_hour);
    let burn = burns.into_iter().fold(0.0, f64::max);
    // Less would be shown as nothing.
    if burn >= 0.005 {
        pieces.push((format!("burns {} of quota an hour", dollars(burn)), Tone::Plain));
    }
    pieces.push(match account.reported_at {
        Some(at) => {
            let by = if account.source.as_deref() == Some("page") { " by the page" } else { "" };
            let age = times.now().since(at);
            let ago = if age < 1 { "just now".to_owned() } else { format!("{} ago", span(age)) };
            (format!("reported {ago}{by}"), Tone::Faint)
        }
        None => ("no report yet".to_owned(), Tone::Faint),
    });
    pieces
}

/// `out of quota (its quota is used up) until Tue 17:54`.
fn said(standing: &Standing, times: &Times) -> (String, Tone) {
    let mut text = words::state(&standing.state).to_owned();
    if let Some(why) = standing.why.as_deref().filter(|_| standing.state != "ready") {
        let why = words::fault(why);
        let repeats = standing.state == "outOfQuota" && why == words::fault("quota");
        if !repeats {
            text = format!("{text}: {why}");
        }
    }
    if let Some(until) = standing.until.filter(|until| *until > times.now()) {
        text = format!("{text}, back {}", times.in_at(until));
    }
    let tone = match standing.state.as_str() {
        "ready" => Tone::Good,
        "trial" | "cooling" => Tone::Warn,
        "unknown" => Tone::Faint,
        _ => Tone::Bad,
    };
    (text, tone)
}

fn row(name: &str, window: &Window, binds: bool, times: &Times, look: Look) -> String {
    let mark = if binds { look.pointer() } else { " " };
    let (band, drawn) = match window.percent {
        Some(band) => (percent(band, look), bar(band, look)),
        None if window.limited => ("100 %".to_owned(), bar((100.0, 100.0), look)),
        None => (look.nothing().to_owned(), " ".repeat(BAR)),
    };
    let high = if window.limited { 100.0 } else { window.percent.map_or(0.0, |(_, high)| high) };
    let tone = match high {
        ..70.0 => Tone::Good,
        70.0..90.0 => Tone::Warn,
        _ => Tone::Bad,
    };
    let reset = match window.resets_at {
        Some(at) => times.until_at(at),
        None if name == "5 hours" && window.percent.is_some() => "not begun".to_owned(),
        None => look.nothing().to_owned(),
    };
    let (forecast, forecast_tone) = forecast(window, times, look);
    format!(
        "{mark} {}  {} {}  {}  {}",
        left(name, NAME),
        look.paint(tone, &drawn),
        right(&band, PERCENT),
        left(&reset, RESET),
        look.paint(forecast_tone, &forecast)
    )
    .trim_end()
    .to_owned()
        + "\n"
}

/// When it is used up, in at most 24 columns.
fn forecast(window: &Window, times: &Times, look: Look) -> (String, Tone) {
    if window.limited {
        return ("used up".to_owned(), Tone::Bad);
    }
    let Some(Forecast { p10, p50, p90 }) = window.forecast else {
        return ("not enough data yet".to_owned(), Tone::Faint);
    };
    match (p10, p50, p90) {
        (_, Some(half), _) if half <= times.now() => ("dry now".to_owned(), Tone::Bad),
        (first, Some(half), Some(last)) => {
            let before = first.map_or(0, |first| half.since(first));
            let seconds = before.max(last.since(half));
            let band = format!("{} {}", look.give_or_take(), spread(seconds));
            // With hours of a day left open, or days away, the minute says nothing.
            let exact = seconds < 129_600 && times.is_near(half);
            let when = if exact { times.at(half) } else { times.day(half) };
            (format!("dry {when} {band}"), Tone::Warn)
        }
        (_, Some(half), None) => (format!("dry {} or later", times.day(half)), Tone::Warn),
        (Some(first), None, _) => (format!("may be dry {}", times.at(first)), Tone::Warn),
        (None, None, _) => ("lasts until reset".to_owned(), Tone::Good),
    }
}

/// What else the owner should know of it.
fn notes(account: &Account, times: &Times, look: Look) -> String {
    let mut text = String::new();
    let mut note = |what: &str, tone: Tone| {
        text.push_str(&paragraph(look, "  ", Tone::Plain, what, tone));
    };
    if let [_, _, ..] = account.labels.as_slice() {
        let labels: Vec<String> =
            account.labels.iter().map(|label| look.fit(label, LABEL)).collect();
        note(&format!("one account behind the keys {}", labels.join(", ")), Tone::Warn);
        for key in account.keys.iter().filter(|key| key.standing.state != account.standing.state) {
            let (said, tone) = key_said(key, times, look);
            note(&said, tone);
        }
    }
    if account.standing.state == "dead" {
        note(remedy(account.standing.why.as_deref()), Tone::Plain);
    }
    if let Some(until) = account.parked_until.filter(|until| *until > times.now()) {
        let spent = if account.balance_spent > 0.0 {
            format!("{} of its prepaid balance was spent", dollars(account.balance_spent))
        } else {
            "requests on it were paid from its prepaid balance".to_owned()
        };
        let what = format!(
            "parked, because {spent}; back {}; `allowBalance: true` at its key in config.yaml uses \
             it all the same",
            times.in_at(until)
        );
        note(&what, Tone::Bad);
    } else if account.balance_spent > 0.0 {
        note(&format!("{} of prepaid balance spent", dollars(account.balance_spent)), Tone::Bad);
    }
    let lost: Vec<String> = account
        .windows
        .named()
        .into_iter()
        // A five-hour window comes back before anybody could mind.
        .skip(1)
        .filter_map(|(name, window)| Some((name, window.forfeits.filter(|lost| *lost >= 0.005)?)))
        .map(|(name, lost)| format!("{} of the {name}", dollars(lost)))
        .collect();
    if !lost.is_empty() {
        note(&format!("a reset will probably take unused: {}", lost.join(", ")), Tone::Faint);
    }
    text
}

fn key_said(key: &Key, times: &Times, look: Look) -> (String, Tone) {
    let (said, tone) = said(&key.standing, times);
    let flying = match key.in_flight {
        0 => String::new(),
        count => format!(", {count} in flight"),
    };
    (format!("{}: {said}{flying}", look.fit(&key.label, LABEL)), tone)
}

/// What to do about a dead key.
fn remedy(why: Option<&str>) -> &'static str {
    match why {
        Some("entitlement" | "credits") => {
            "subscribe with the user who made the key, or remove it from config.yaml"
        }
        Some("blocked") => "ask the service why, or remove the key from config.yaml",
        _ => "make a new key at https://opencode.ai and put it in its place in config.yaml",
    }
}
