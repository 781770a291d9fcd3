//! The service as it would have answered: accounts with the emulator's quota, prompt caches, and
//! the sums that a strategy is judged by.

use saros_emulator::{Exhausted, Money, Plan, Quota, Tokens, Window};

use super::bound::reset;
use super::trace::{Request, Trace};

/// What becomes of a session's cache when it moves to another account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// It is lost.
    LostOnSwitch,
    /// It is where the session is.
    Survives,
}

/// A session's last served request, and where it was.
#[derive(Debug, Clone, Copy)]
struct Seat {
    account: usize,
    request: Request,
}

/// Sums over a replay. Dollars at list price unless they say otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    /// Requests that got an answer.
    pub(super) served: u64,
    /// Requests that nobody could serve.
    pub(super) refused: u64,
    /// What the served ones cost.
    pub(super) list: Money,
    /// Quota-dollars of the served ones, if every cacheable prefix had been cached.
    pub(super) warm: Money,
    /// What was paid again because a warm session moved.
    pub(super) tax: Money,
    /// How many warm sessions moved.
    pub(super) switches: u64,
    /// Quota-dollars that monthly resets took away unused.
    pub(super) forfeited: Money,
    /// Milliseconds in which no account was open.
    pub(super) dry: i64,
    /// Exhausted answers that attempts ran into.
    pub(super) walls: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct World<'a> {
    trace: &'a Trace,
    plan: Plan,
    cache: Cache,
    ttl: i64,
    accounts: Vec<Quota>,
    /// The next monthly reset of each account.
    months: Vec<i64>,
    seats: Vec<Option<Seat>>,
    /// Until when the present drought is counted.
    dry_until: i64,
    sums: Sums,
}

impl<'a> World<'a> {
    /// Fresh accounts.
    pub(super) fn new(
        trace: &'a Trace,
        accounts: Vec<Quota>,
        (plan, cache, ttl): (Plan, Cache, i64),
        start: i64,
    ) -> Self {
        let months = accounts.iter().map(|quota| reset(quota, Window::Monthly, start)).collect();
        let seats = vec![None; usize::try_from(trace.sessions).unwrap_or_default()];
        Self {
            trace,
            plan,
            cache,
            ttl,
            accounts,
            months,
            seats,
            dry_until: start,
            sums: Sums::default(),
        }
    }

    /// The trace that is replayed.
    pub(super) const fn trace(&self) -> &'a Trace {
        self.trace
    }

    /// The accounts as they are.
    pub(super) fn accounts(&self) -> &[Quota] {
        &self.accounts
    }

    /// Months that ended by now took away what was unused in them.
    pub(super) fn advance(&mut self, now: i64) {
        for (quota, end) in self.accounts.iter().zip(&mut self.months) {
            while *end <= now {
                let unused = quota.limit(Window::Monthly) - quota.used(Window::Monthly, *end - 1);
                self.sums.forfeited += unused.max(Money::ZERO);
                *end = reset(quota, Window::Monthly, *end);
            }
        }
    }

    /// An account is asked for an answer. Free models are outside the quota.
    pub(super) fn serve(
        &mut self,
        account: usize,
        request: &Request,
        now: i64,
    ) -> Result<Tokens, Exhausted> {
        let Some(quota) = self.accounts.get_mut(account) else {
            return Err(Exhausted { window: Window::Monthly, retry_after: 0 });
        };
        let free = self.trace.model(request).is_some_and(|model| model.price.is_free());
        if !free && let Err(exhausted) = quota.admit(now) {
            self.sums.walls += 1;
            return Err(exhausted);
        }
        let seat = self.seats.get_mut(request.session as usize);
        let last = seat.as_ref().and_then(|seat| **seat);
        let held = last.map_or(0, |last| last.request.leaves(request, self.ttl));
        let moved = last.is_some_and(|last| last.account != account);
        let lost = moved && self.cache == Cache::LostOnSwitch;
        let cached = if lost { 0 } else { held };
        let (list, quota_cost) = self.trace.cost(request, cached, self.plan);
        if held > 0 && moved {
            self.sums.switches += 1;
            self.sums.tax += list - self.trace.cost(request, held, self.plan).0;
        }
        self.sums.served += 1;
        self.sums.list += list;
        self.sums.warm += self.trace.cost(request, request.prefix, self.plan).1;
        if let Some(seat) = seat {
            *seat = Some(Seat { account, request: *request });
        }
        if !free {
            quota.charge(now, quota_cost);
            if quota.admit(now).is_err() {
                self.count_drought(now);
            }
        }
        Ok(request.tokens(cached))
    }

    /// Nobody could.
    pub(super) fn refuse(&mut self) {
        self.sums.refused += 1;
    }

    /// An account closed: if it was the last open one, nobody serves until the first opens again.
    fn count_drought(&mut self, now: i64) {
        let opens = self.accounts.iter().map(|quota| opens(quota, now)).min().unwrap_or(now);
        let (from, until) = (now.max(self.dry_until), opens.min(self.trace.end()));
        if opens > now && until > from {
            self.sums.dry += until - from;
            self.dry_until = until;
        }
    }

    /// The sums at the end.
    pub(super) fn finish(mut self) -> Sums {
        self.advance(self.trace.end());
        self.sums
    }
}

/// When the account can serve; `now`, if it can now.
pub(super) fn opens(quota: &Quota, now: i64) -> i64 {
    let exhausted = Window::CHECKED
        .into_iter()
        .filter(|window| quota.used(*window, now) >= quota.limit(*window));
    exhausted.map(|window| reset(quota, window, now)).max().unwrap_or(now)
}
