//! The document of `usage` as a page of text.

use std::fmt::Write as _;

use crate::cli::screen::figures::{count, dollars, many, share};
use crate::cli::screen::moment::{Times, span};
use crate::cli::screen::{Look, Tone, flow, left, paragraph, right};
use crate::cli::usage::document::{Cache, Document, Forecast, Model, Pool, Totals};

mod account;

/// So many models are shown each; the others in one line.
const MODELS: usize = 8;
/// Columns for a model's name.
const MODEL: usize = 26;
/// Columns for the heading of what is said of the whole.
const HEAD: &str = "Pool    ";

/// The page. `from`: who answered.
pub fn page(document: &Document, from: &str, times: &Times, look: Look) -> String {
    let mut text = String::new();
    let head = format!("{}, {} {}", from, times.whole(times.now()), times.zone());
    text.push_str(&paragraph(look, "", Tone::Plain, &head, Tone::Faint));
    text.push('\n');
    text.push_str(&account::all(&document.accounts, times, look));
    if let Some(totals) = &document.totals {
        text.push_str(&pool(&document.pool, times, look));
        text.push_str(&models(&document.models, totals, times, look));
        text.push_str(&caches(&document.caches, look));
        text.push_str(&sums(totals, times, look));
    } else {
        let what = "No forecast: only a running proxy sees how fast quota is used.";
        text.push_str(&paragraph(look, "", Tone::Plain, what, Tone::Faint));
    }
    text
}

fn pool(pool: &Pool, times: &Times, look: Look) -> String {
    let (mut sentence, tone) = match pool.dry {
        None => ("not enough data yet to say when it runs dry".to_owned(), Tone::Faint),
        Some(dry) => dry_pool(dry, times, look),
    };
    if let Some(at) = pool.returns {
        let _ = write!(sentence, "; the next capacity returns {}", times.in_at(at));
    }
    if pool.scarce {
        sentence.push_str("; quota is scarce: what a reset would take first is used first");
    }
    paragraph(look, HEAD, Tone::Strong, &sentence, tone) + "\n"
}

fn dry_pool(dry: Forecast, times: &Times, look: Look) -> (String, Tone) {
    match (dry.p10, dry.p50, dry.p90) {
        (_, Some(half), _) if half <= times.now() => ("is dry now".to_owned(), Tone::Bad),
        (Some(first), _, Some(last)) => {
            (format!("runs dry {}", times.range(first, last, look)), Tone::Warn)
        }
        (Some(first), Some(_), None) => {
            (format!("runs dry {} or later, or lasts", times.at(first)), Tone::Warn)
        }
        (Some(first), None, None) => {
            (format!("probably lasts; dry {} at worst", times.at(first)), Tone::Plain)
        }
        (None, Some(half), _) => (format!("runs dry about {}", times.at(half)), Tone::Warn),
        (None, None, _) => ("lasts: resets come before it runs dry".to_owned(), Tone::Good),
    }
}

fn models(models: &[Model], totals: &Totals, times: &Times, look: Look) -> String {
    let since = format!("since {}", times.date(totals.since));
    if models.is_empty() {
        return paragraph(
            look,
            "Models  ",
            Tone::Strong,
            &format!("none used {since}"),
            Tone::Faint,
        ) + "\n";
    }
    let columns = [("requests", 9), ("input", 8), ("cached", 9), ("output", 8), ("list cost", 12)];
    let columns: String = columns.map(|(name, width)| right(name, width)).concat();
    let mut text = headed("Models", &since, &columns, look);
    for model in models.iter().take(MODELS) {
        text.push_str(&row(&look.fit(&model.model, MODEL), model, look));
    }
    if models.len() > MODELS {
        let rest = models.iter().skip(MODELS).fold(Model::default(), sum);
        let name = many(models.len().saturating_sub(MODELS), "other", "others");
        text.push_str(&row(&name, &rest, look));
    }
    text + "\n"
}

fn sum(mut sum: Model, model: &Model) -> Model {
    sum.requests = sum.requests.saturating_add(model.requests);
    sum.input_tokens = sum.input_tokens.saturating_add(model.input_tokens);
    sum.cached_tokens = sum.cached_tokens.saturating_add(model.cached_tokens);
    sum.output_tokens = sum.output_tokens.saturating_add(model.output_tokens);
    sum.list_cost += model.list_cost;
    sum
}

fn row(name: &str, model: &Model, look: Look) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown in whole percent")]
    let cached = match model.input_tokens {
        0 => look.nothing().to_owned(),
        input => share(model.cached_tokens as f64 / input as f64),
    };
    format!(
        "  {}  {}{}{}{}{}\n",
        left(name, MODEL),
        right(&count(model.requests), 9),
        right(&count(model.input_tokens), 8),
        right(&cached, 9),
        right(&count(model.output_tokens), 8),
        right(&dollars(model.list_cost), 12),
    )
}

/// The first line of a table whose rows begin with a model.
fn headed(what: &str, beside: &str, columns: &str, look: Look) -> String {
    let what = left(what, HEAD.len());
    let rest = format!("{}{columns}", left(beside, (MODEL + 4).saturating_sub(HEAD.len())));
    format!("{}{}\n", look.paint(Tone::Strong, &what), look.paint(Tone::Faint, &rest))
}

/// Only of models of which something was learned.
fn caches(caches: &[Cache], look: Look) -> String {
    let known: Vec<&Cache> =
        caches.iter().filter(|cache| cache.answers > 0 || cache.moves > 0).collect();
    if known.is_empty() {
        return String::new();
    }
    let columns = [("stays warm", 12), ("survives a move", 17), ("answers", 10), ("moves", 8)];
    let columns: String = columns.map(|(name, width)| right(name, width)).concat();
    let mut text = headed("Caches", "", &columns, look);
    for cache in known.iter().take(MODELS) {
        let unknown = || look.nothing().to_owned();
        let warm = if cache.answers > 0 { span(cache.warm_for_ms / 1_000) } else { unknown() };
        let survives = if cache.moves > 0 { share(cache.survives) } else { unknown() };
        let name = left(&look.fit(&cache.model, MODEL), MODEL);
        let (warm, survives) = (right(&warm, 12), right(&survives, 17));
        let (answers, moves) = (right(&count(cache.answers), 10), right(&count(cache.moves), 8));
        let _ = writeln!(text, "  {name}  {warm}{survives}{answers}{moves}");
    }
    text + "\n"
}

fn sums(totals: &Totals, times: &Times, look: Look) -> String {
    let mut pieces = Vec::new();
    pieces.push(match totals.switches {
        0 => ("no warm session had to move".to_owned(), Tone::Plain),
        moves => {
            let moved = many(moves, "warm session moved", "warm sessions moved");
            (format!("{moved}: rotation tax {}", dollars(totals.rotation_tax)), Tone::Plain)
        }
    });
    pieces
        .push((format!("{} of quota forfeited at resets", dollars(totals.forfeited)), Tone::Plain));
    pieces.push(if totals.balance_spent > 0.0 {
        (format!("{} of prepaid balance spent", dollars(totals.balance_spent)), Tone::Bad)
    } else {
        ("no prepaid balance spent".to_owned(), Tone::Plain)
    });
    pieces.push((format!("since {}", times.date(totals.since)), Tone::Faint));
    flow(look, "Totals  ", Tone::Strong, &pieces)
}

#[cfg(test)]
mod tests;
