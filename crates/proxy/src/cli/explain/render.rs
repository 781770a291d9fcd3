//! The document of a request as a page of text.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use crate::cli::explain::document::{Candidate, Decision, Document, Tokens};
use crate::cli::screen::figures::{count, dollars, many, share};
use crate::cli::screen::moment::{Times, span};
use crate::cli::screen::{Look, Tone, flow, left, paragraph, right, words};

/// A label is shown up to here.
const LABEL: usize = 20;
/// Columns for the heading of what is said of the whole.
const HEAD: usize = 9;

/// The page.
pub fn page(document: &Document, times: &Times, look: Look) -> String {
    let mut text = whole(document, times, look);
    if document.decisions.is_empty() {
        text.push('\n');
        text.push_str(&attempts_alone(document, look));
        return text;
    }
    for (place, decision) in document.decisions.iter().enumerate() {
        text.push('\n');
        text.push_str(&attempt(place, decision, document, times, look));
    }
    text
}

fn whole(document: &Document, times: &Times, look: Look) -> String {
    let plain = |text: String| (text, Tone::Plain);
    let mut text = String::new();
    let mut line = |head: &str, pieces: &[(String, Tone)]| {
        text.push_str(&flow(look, &left(head, HEAD), Tone::Strong, pieces));
    };
    let at = format!("{} {}", times.whole(document.at), times.zone());
    line("Request", &[plain(document.id.clone()), plain(at)]);
    let mut asked = Vec::new();
    asked.push(plain(match &document.model {
        Some(model) => look.fit(model, 40),
        None => "no model named".to_owned(),
    }));
    asked.extend(document.format.as_deref().map(|format| plain(format.to_owned())));
    asked.extend(document.session.as_deref().map(|id| plain(format!("session {id}"))));
    asked.push(plain(format!("{} in", bytes(document.bytes_in))));
    line("Asked", &asked);
    line("Answer", &answer(document, look));
    if let Some(tokens) = &document.tokens {
        line("Tokens", &consumed(tokens));
    }
    let mut cost = Vec::new();
    match document.list_cost {
        Some(list) => cost.push(plain(format!("{} at list price", dollars(list)))),
        None if document.tokens.is_some() => {
            cost.push(("the answer names no price".to_owned(), Tone::Faint));
        }
        None => {}
    }
    if let Some(spent) = document.balance_cost.filter(|spent| *spent > 0.0) {
        cost.push((format!("{} of prepaid balance", dollars(spent)), Tone::Bad));
    }
    if document.replayed {
        let what = "an attempt was repeated that may have been served: possibly paid twice";
        cost.push((what.to_owned(), Tone::Warn));
    }
    if !cost.is_empty() {
        line("Cost", &cost);
    }
    text
}

fn answer(document: &Document, look: Look) -> Vec<(String, Tone)> {
    let plain = |text: String| (text, Tone::Plain);
    let status = match document.status {
        Some(status @ ..400) => (status.to_string(), Tone::Good),
        Some(status) => (status.to_string(), Tone::Bad),
        None => ("none".to_owned(), Tone::Bad),
    };
    let end = match document.end.as_str() {
        "complete" => plain("complete".to_owned()),
        "cut" => ("cut short by the service".to_owned(), Tone::Bad),
        "client-gone" => ("the client left before its end".to_owned(), Tone::Warn),
        "stopped" => ("cut, because the proxy was stopped".to_owned(), Tone::Warn),
        other => plain(other.to_owned()),
    };
    // What the proxy answers itself is always whole.
    let own = document.attempts == 0 && document.status.is_some();
    let mut pieces = vec![status];
    if own {
        pieces.push(plain("answered by the proxy itself".to_owned()));
    } else {
        pieces.push(end);
    }
    if let Some(label) = &document.label {
        let served = document.status.is_some_and(|status| status < 400);
        let how = if served { "served by" } else { "last tried:" };
        pieces.push(plain(format!("{how} {}", look.fit(label, LABEL))));
    }
    if document.attempts > 0 {
        pieces.push(plain(many(document.attempts, "attempt", "attempts")));
    }
    pieces.push(plain(match document.ttfb_ms {
        Some(first) => {
            format!(
                "{} to its first byte, {} in all",
                duration(first),
                duration(document.duration_ms)
            )
        }
        None => duration(document.duration_ms),
    }));
    pieces.push(plain(format!("{} out", bytes(document.bytes_out))));
    pieces
}

fn consumed(tokens: &Tokens) -> Vec<(String, Tone)> {
    let mut parts = Vec::new();
    if let Some(cached) = tokens.cached {
        parts.push(format!("{} cached", count(cached)));
    }
    if tokens.cache_write > 0 {
        parts.push(format!("{} written to the cache", count(tokens.cache_write)));
    }
    let within = |parts: &[String]| match parts {
        [] => String::new(),
        parts => format!(" ({})", parts.join("; ")),
    };
    let thought = match tokens.reasoning {
        0 => Vec::new(),
        some => vec![format!("{} of them reasoning", count(some))],
    };
    vec![
        (format!("{} in{}", count(tokens.input), within(&parts)), Tone::Plain),
        (format!("{} out{}", count(tokens.output), within(&thought)), Tone::Plain),
    ]
}

/// One attempt: who was chosen, why, among whom, and what came of it.
fn attempt(
    place: usize,
    decision: &Decision,
    document: &Document,
    times: &Times,
    look: Look,
) -> String {
    let chosen = look.fit(decision.chosen.as_deref().unwrap_or("nobody"), LABEL);
    let head = format!("Attempt {}  ", place.saturating_add(1));
    let why = format!("{chosen}, because {}.", reason(decision));
    let mut text = paragraph(look, &head, Tone::Strong, &why, Tone::Plain);
    text.push_str(&paragraph(look, "  ", Tone::Plain, &circumstances(decision, look), Tone::Faint));
    text.push_str(&table(decision, times, look));
    let (came, tone) = came_of_it(place, document);
    text.push_str(&paragraph(look, "  ", Tone::Plain, &came, tone));
    text
}

fn reason(decision: &Decision) -> String {
    match decision.reason.as_str() {
        "turn" => "it was its turn in the rotation".to_owned(),
        "warm" => "the session's prompt cache is warm there".to_owned(),
        "urgency" => "its quota is the first that a reset would take away".to_owned(),
        "least-used" => "every account is over the threshold, and it is the least used".to_owned(),
        "last-resort" => {
            "no account is known to have quota left, and asking costs nothing".to_owned()
        }
        "nothing-to-lose" => {
            "no account may use the model: the client gets the service's own words".to_owned()
        }
        other => other.to_owned(),
    }
}

fn circumstances(decision: &Decision, look: Look) -> String {
    let mut parts = Vec::new();
    // Where nothing is reported yet, nothing is foreseen.
    if let Some(cost) = decision.cost.filter(|cost| cost.most > 0.0) {
        let (likely, most) = (dollars(cost.likely), dollars(cost.most));
        parts.push(format!("likely to cost {likely} of quota, {most} reserved"));
    }
    parts.push(match &decision.seat {
        Some(seat) => {
            let (label, warm) = (look.fit(&seat.label, LABEL), share(seat.warm));
            format!("its session was on {label}, whose cache is still warm with a chance of {warm}")
        }
        None => "no account is known to have its conversation in a cache".to_owned(),
    });
    parts.push(if decision.scarce { "quota is scarce" } else { "no quota is scarce" }.to_owned());
    let mut text = parts.join("; ");
    // A sentence: it begins with an ASCII letter.
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text + "."
}

fn table(decision: &Decision, times: &Times, look: Look) -> String {
    let labels: Vec<String> =
        decision.candidates.iter().map(|one| look.fit(&one.label, LABEL)).collect();
    let widest = labels.iter().map(|label| label.width()).max().unwrap_or(0).max("account".len());
    let head = format!("    {}  in flight   used  urgency  how it stood", left("account", widest));
    let mut text = look.paint(Tone::Faint, &head) + "\n";
    for (candidate, label) in decision.candidates.iter().zip(&labels) {
        let chosen = decision.chosen.as_ref() == Some(&candidate.label);
        let mark = if chosen { look.pointer() } else { " " };
        let used = candidate.highest.map_or_else(
            || look.nothing().to_owned(),
            |percent| format!("{:.0} %", percent.floor()),
        );
        // Less would be shown as nothing.
        let urgency = if candidate.urgency >= 0.005 {
            format!("${:.2}/h", candidate.urgency)
        } else {
            look.nothing().to_owned()
        };
        let columns = format!(
            "  {mark} {}  {}  {}  {}  ",
            left(label, widest),
            right(&candidate.in_flight.to_string(), 9),
            right(&used, 5),
            right(&urgency, 7)
        );
        let (stood, tone) = stood(candidate, times);
        let row_tone = if chosen { Tone::Strong } else { Tone::Plain };
        text.push_str(&flow(look, &columns, row_tone, &[(stood, tone)]));
    }
    text
}

/// Why it could or could not run the request.
fn stood(candidate: &Candidate, times: &Times) -> (String, Tone) {
    let fixed = |text: &str, tone| (text.to_owned(), tone);
    match candidate.fit.as_str() {
        "usable" => fixed("usable", Tone::Good),
        "trial" => fixed("usable, as the one trial after failures", Tone::Good),
        "last-resort" => fixed("only if nobody else can", Tone::Warn),
        "full" => fixed("has as many requests as it may have", Tone::Warn),
        "unsure" => fixed("so close to a limit that a report is awaited", Tone::Warn),
        "awaited" => (after("its trial after failures is under way", candidate, times), Tone::Warn),
        "tried" => fixed("had been tried", Tone::Faint),
        "shares-account" => fixed("shares its account with another key", Tone::Faint),
        _ => {
            let what = match candidate.guard.as_deref() {
                Some("dead") => "not usable",
                Some("quota") => "out of quota",
                Some("balance") => "parked, since requests were paid from its balance",
                Some("cooling") => "cooling down",
                Some("model") => "cooling down for this model",
                Some("not-served") => "may not use this model",
                Some("upstream") => "its service fails",
                Some(other) => other,
                None => candidate.fit.as_str(),
            };
            (after(what, candidate, times), Tone::Bad)
        }
    }
}

fn after(what: &str, candidate: &Candidate, times: &Times) -> String {
    let mut text = what.to_owned();
    if let Some(why) = candidate.why.as_deref()
        && !(candidate.guard.as_deref() == Some("quota") && why == "quota")
    {
        let _ = write!(text, ": {}", words::fault(why));
    }
    if let Some(until) = candidate.until {
        let _ = write!(text, ", until {}", times.at(until));
    }
    text
}

/// Faults are kept in the order of the attempts that ended in them.
fn came_of_it(place: usize, document: &Document) -> (String, Tone) {
    if let Some(failed) = document.failed.get(place) {
        return (format!("It failed: {}.", words::fault(&failed.fault)), Tone::Bad);
    }
    // The fault may be an earlier attempt's, unless it is what ended the request.
    let cut = document.fault.as_deref().map_or("cut", |fault| fault);
    match document.end.as_str() {
        "complete" => ("It served the request.".to_owned(), Tone::Good),
        "cut" => (format!("It began to answer, then: {}.", words::fault(cut)), Tone::Bad),
        "client-gone" => ("The client left while it ran.".to_owned(), Tone::Warn),
        "stopped" => ("The proxy was stopped while it ran.".to_owned(), Tone::Warn),
        other => (other.to_owned(), Tone::Plain),
    }
}

/// Where nothing is known of the decisions.
fn attempts_alone(document: &Document, look: Look) -> String {
    let mut text = String::new();
    for (place, failed) in document.failed.iter().enumerate() {
        let head = format!("Attempt {}  ", place.saturating_add(1));
        let (label, fault) = (look.fit(&failed.label, LABEL), words::fault(&failed.fault));
        let what = format!("{label} failed: {fault}.");
        text.push_str(&paragraph(look, &head, Tone::Strong, &what, Tone::Bad));
    }
    let why = match document.attempts {
        0 => "No account was tried.",
        _ => "The proxy kept nothing of how the accounts were chosen.",
    };
    text + &paragraph(look, "", Tone::Plain, why, Tone::Faint)
}

fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits of it are shown")]
    let float = count as f64;
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", float / 1e3),
        _ => format!("{:.1} MB", float / 1e6),
    }
}

fn duration(milliseconds: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "tenths of a second are shown")]
    let seconds = milliseconds as f64 / 1e3;
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..120_000 => format!("{seconds:.1} s"),
        _ => span(i64::try_from(milliseconds / 1_000).unwrap_or(i64::MAX)),
    }
}

#[cfg(test)]
mod tests;
