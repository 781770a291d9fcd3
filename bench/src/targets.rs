//! How good it must be, and how good it should be.

/// What a figure is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scale {
    /// The limits are in the row's own unit.
    Absolute,
    /// The limits are multiples of this metric of this contender.
    Of(&'static str, &'static str),
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Target {
    /// The metric it shows.
    pub(crate) metric: &'static str,
    /// What it is.
    pub(crate) title: &'static str,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// What it is compared with.
    pub(crate) scale: Scale,
    /// Above this, Saros is not good enough; `None`: for information.
    must: Option<f64>,
    /// At or below this, it is as good as we want it.
    aim: Option<f64>,
}

const NGINX: &str = "nginx";
const HAPROXY: &str = "haproxy";

/// Every row, in the order of the table.
pub(crate) const ALL: &[Target] = &[
    row("request", "CPU per request, 2 kB body", "µs", Scale::Of("request", HAPROXY), 1.1, 1.0),
    row("request-h2", "the same over h2 upstream", "µs", Scale::Of("request", HAPROXY), 1.5, 1.2),
    info("steady", "CPU per request at 4000/s", "µs", Scale::Of("steady", HAPROXY)),
    info("steady-h2", "the same over h2 upstream", "µs", Scale::Of("steady", HAPROXY)),
    row("paced", "CPU per event, one every 10 ms", "µs", Scale::Of("paced", HAPROXY), 1.0, 0.9),
    info("paced-h2", "the same over h2 upstream", "µs", Scale::Of("paced", HAPROXY)),
    row("burst", "CPU per stream of 50 events at once", "µs", Scale::Of("burst", NGINX), 1.2, 1.0),
    info("burst-h2", "the same over h2 upstream", "µs", Scale::Of("burst", NGINX)),
    info("split", "the same, one packet per event", "µs", Scale::Of("split", NGINX)),
    info("writes", "write calls per burst stream", "calls", Scale::Absolute),
    info("writes-h2", "the same over h2 upstream", "calls", Scale::Absolute),
    row(
        "latency-p50",
        "latency added at 200/s, p50",
        "µs",
        Scale::Of("latency-p50", HAPROXY),
        1.2,
        1.0,
    ),
    row(
        "latency-p99",
        "latency added at 200/s, p99",
        "µs",
        Scale::Of("latency-p99", HAPROXY),
        1.2,
        1.0,
    ),
    row("held", "memory per held stream", "kB", Scale::Absolute, 48.0, 40.0),
    row("held-h2", "the same over h2 upstream", "kB", Scale::Absolute, 48.0, 24.0),
    row("idle", "idle resident memory, 3 accounts", "MB", Scale::Absolute, 12.0, 8.0),
    row("body", "CPU per request, 1 MB body", "µs", Scale::Of("body", NGINX), 1.3, 1.0),
    row("start", "start to listening", "ms", Scale::Absolute, 100.0, 20.0),
    row("core", "selection + settle, 16 accounts", "µs", Scale::Absolute, 2.0, 0.5),
    row("binary", "release binary", "MB", Scale::Absolute, 15.0, 10.0),
];

const fn row(
    metric: &'static str,
    title: &'static str,
    unit: &'static str,
    scale: Scale,
    must: f64,
    aim: f64,
) -> Target {
    Target { metric, title, unit, scale, must: Some(must), aim: Some(aim) }
}

const fn info(
    metric: &'static str,
    title: &'static str,
    unit: &'static str,
    scale: Scale,
) -> Target {
    Target { metric, title, unit, scale, must: None, aim: None }
}

impl Target {
    /// "≤ 1.1 × haproxy" and the like.
    pub(crate) fn limits_as_text(&self) -> [String; 2] {
        [self.must, self.aim].map(|limit| match (limit, self.scale) {
            (None, _) => "–".to_owned(),
            (Some(limit), Scale::Absolute) => format!("≤ {limit}"),
            (Some(limit), Scale::Of(_, who)) => format!("≤ {limit} × {who}"),
        })
    }

    /// What to say of Saros's figure.
    pub(crate) fn verdict(&self, figure: Option<f64>, base: Option<f64>) -> &'static str {
        let (Some(figure), Some(base), Some(must), Some(aim)) = (figure, base, self.must, self.aim)
        else {
            return "–";
        };
        let value = figure / base;
        if value <= aim {
            "aim"
        } else if value <= must {
            "must"
        } else {
            "MISSED"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let target = row("burst", "", "µs", Scale::Of("burst", NGINX), 1.2, 1.0);
        assert_eq!(target.verdict(Some(30.0), Some(30.0)), "aim");
        assert_eq!(target.verdict(Some(33.0), Some(30.0)), "must");
        assert_eq!(target.verdict(Some(37.0), Some(30.0)), "MISSED");
        assert_eq!(target.verdict(None, Some(30.0)), "–");
        assert_eq!(target.verdict(Some(1.0), None), "–");
    }
}
