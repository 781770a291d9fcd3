//! `simulate`: a month of requests under several strategies, side by side.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;

use saros_emulator::Plan;

use crate::cli::Exit;
use crate::cli::args::{SimulateArgs, WhereCache, WhichPlan};
use crate::simulate::{
    self, Cache, FIRST_MONDAY, LOADS, Load, Settings, Strategy, Trace, foresight,
};

/// Replays, and prints what came of it.
pub fn run(args: &SimulateArgs) -> Exit {
    let (settings, strategies) = match read(args) {
        Ok(read) => read,
        Err(why) => return fail(&why, Exit::Usage),
    };
    if args.forecast {
        return print(&foresight::report(&settings));
    }
    let trace = match trace(args, &settings) {
        Ok(trace) => trace,
        Err(why) => return fail(&why, Exit::Failed),
    };
    let outcomes = simulate::run(&trace, &settings, &strategies);
    let text = if args.json {
        serde_json::to_string_pretty(&outcomes).map(|json| json + "\n").unwrap_or_default()
    } else {
        simulate::table(&outcomes)
    };
    print(&text)
}

/// A reader that has gone is no failure of ours.
fn print(text: &str) -> Exit {
    drop(io::stdout().write_all(text.as_bytes()));
    Exit::Done
}

fn fail(why: &str, exit: Exit) -> Exit {
    drop(writeln!(anstream::stderr(), "error: {why}"));
    exit
}

/// What clap cannot check by itself.
fn read(args: &SimulateArgs) -> Result<(Settings, Vec<Strategy>), String> {
    let accounts =
        args.accounts.or(u32::try_from(args.anniversaries.len()).ok().filter(|n| *n > 0));
    let mut settings = Settings::new(accounts.unwrap_or(3));
    if !args.anniversaries.is_empty() {
        let (days, accounts) = (args.anniversaries.len(), settings.anniversaries.len());
        if days != accounts {
            return Err(format!("--anniversaries has {days} days for {accounts} accounts"));
        }
        if args.anniversaries.iter().any(|days| !(*days > 0.0 && *days <= 10_000.0)) {
            return Err("--anniversaries are days from the start, greater than 0".to_owned());
        }
        settings.anniversaries.clone_from(&args.anniversaries);
    }
    settings.plan = match args.plan {
        WhichPlan::Go => Plan::Go,
        WhichPlan::GoPlus => Plan::GoPlus,
    };
    settings.cache = match args.cache {
        WhereCache::LostOnSwitch => Cache::LostOnSwitch,
        WhereCache::Survives => Cache::Survives,
    };
    settings.cache_ttl = milliseconds("--cache-ttl", args.cache_ttl)?;
    settings.report_lag = milliseconds("--report-lag", args.report_lag)?;
    settings.start = args.start.as_deref().map_or(Ok(FIRST_MONDAY), date)?;
    Ok((settings, strategies(&args.strategy)?))
}

fn strategies(names: &[String]) -> Result<Vec<Strategy>, String> {
    if names.is_empty() {
        return Ok(Strategy::ALL.to_vec());
    }
    let find = |name: &String| {
        Strategy::ALL.into_iter().find(|it| it.name() == name.trim()).ok_or_else(|| {
            let known: Vec<_> = Strategy::ALL.iter().map(|it| it.name()).collect();
            format!("no strategy `{name}`; there are {}", known.join(", "))
        })
    };
    names.iter().map(find).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be far below")]
fn milliseconds(flag: &str, seconds: f64) -> Result<i64, String> {
    if (0.0..=1e9).contains(&seconds) {
        Ok((seconds * 1_000.0).round() as i64)
    } else {
        Err(format!("{flag} is a number of seconds, not negative"))
    }
}

/// A date (its 00:00 UTC) or a moment.
fn date(text: &str) -> Result<i64, String> {
    let moment = text.parse::<jiff::Timestamp>().or_else(|_| {
        text.parse::<jiff::civil::Date>()
            .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC))
            .map(|zoned| zoned.timestamp())
    });
    moment
        .map(jiff::Timestamp::as_millisecond)
        .map_err(|_| format!("--start `{text}` is neither a date like 2026-11-30 nor a moment like 2026-11-30T08:00:00Z"))
}

fn trace(args: &SimulateArgs, settings: &Settings) -> Result<Trace, String> {
    let read = |lines: &mut dyn io::BufRead| {
        Trace::read(lines, settings.start, settings.cache_ttl).map_err(|why| why.to_string())
    };
    match args.trace.as_deref() {
        None => Ok(settings.generate(load(&args.load)?, args.days, args.seed)),
        Some(path) if path == Path::new("-") => read(&mut io::stdin().lock()),
        Some(path) if path == Path::new("log") => Err(
            "`--trace log` needs the request log, which this version does not write yet; give a file".to_owned(),
        ),
        Some(path) => {
            let file = File::open(path).map_err(|why| format!("{}: {why}", path.display()))?;
            read(&mut BufReader::new(file))
        }
    }
}

fn load(name: &str) -> Result<&'static Load, String> {
    LOADS.iter().find(|load| load.name == name).ok_or_else(|| {
        let known: Vec<_> = LOADS.iter().map(|load| load.name).collect();
        format!("no load `{name}`; there are {}", known.join(", "))
    })
}
