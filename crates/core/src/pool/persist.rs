//! What survives a restart.

use std::sync::Arc;

use super::account::{Account, Cooldown, Quota};
use super::totals::{Totals, Use};
use super::{Effects, Pool};
use crate::affinity::Affinity;
use crate::appetite::Appetite;
use crate::breaker::Breaker;
use crate::fault::FaultKind;
use crate::forecast::Demand;
use crate::id::{AccountId, KeyId};
use crate::image::{AccountImage, BreakerImage, Image, KeyImage, TotalsImage, UseImage};
use crate::ledger::Ledger;
use crate::time::Millis;
use crate::warmth::Warmth;

impl Pool {
    /// What should survive a restart.
    pub fn image(&self) -> Image {
        Image {
            at: self.now.0,
            accounts: self.accounts.iter().map(|account| self.account_image(account)).collect(),
            affinity: self.affinity.image(|account| self.speaker(account)),
            warmth: self.warmth.image(),
            appetite: self.appetite.image(),
            demand: self.demand.image(),
            totals: self.totals.image(),
            last: self.last.map(|key| key.0),
        }
    }

    fn account_image(&self, account: &Account) -> AccountImage {
        let keys = self.keys.iter().filter(|key| key.account == account.id);
        let funds = &account.funds;
        AccountImage {
            keys: keys
                .map(|key| KeyImage { id: key.id.0, refused: breaker_image(&key.refused) })
                .collect(),
            workspace: account.workspace.clone(),
            ledger: funds.ledger.image(),
            demand: funds.demand.image(),
            balance_spent: funds.balance.spent,
            balance_off: funds.balance.off,
            parked: funds.balance.parked.map(|until| until.0),
            out_of_quota: account.quota.as_ref().map(|quota| quota.until.0),
            cooling: account
                .cooldown
                .as_ref()
                .map(|cooldown| (cooldown.until.0, cooldown.why.name().to_owned())),
            barred: breaker_image(&account.barred),
            breaker: breaker_image(&account.breaker),
            holds: account.holds.image(),
        }
    }

    /// Takes over what survived, for keys that the roster applied before still has. Times that lie
    /// in the past by now have passed. An image from the future, as a clock set back makes one,
    /// keeps the spans that it had left.
    pub fn restore(&mut self, image: Image, now: Millis) -> Effects {
        self.sync(now);
        let mut effects = Effects::default();
        let back = now.since(Millis(image.at)).min(0);
        for known in image.accounts {
            self.restore_account(known, back);
        }
        let account_of = |key| self.key(key).map(|key| key.account);
        self.affinity = Affinity::restore(image.affinity, account_of);
        self.warmth = Warmth::restore(image.warmth);
        self.appetite = Appetite::restore(image.appetite);
        self.demand = Demand::restore(&image.demand);
        self.totals = Totals::restore(image.totals);
        self.affinity.shift(back);
        self.demand.shift(back);
        self.totals.shift(back);
        self.last = image.last.map(KeyId).filter(|last| self.key(*last).is_some());
        self.foresight.informed = self.accounts.iter().any(|account| account.funds.ledger.known());
        self.foresight.restless = true;
        self.refresh();
        self.order_reports(&mut effects);
        effects
    }

    /// Puts what is known of an account to the account of its keys.
    fn restore_account(&mut self, known: AccountImage, back: i64) {
        let of_ours = |key: &&KeyImage| self.key(KeyId(key.id)).is_some();
        let Some(first) = known.keys.iter().find(of_ours).map(|key| KeyId(key.id)) else { return };
        // Keys that were one account are one again, before what is known of it is put in place.
        let Some(account) = self.key(first).map(|key| key.account) else { return };
        let others: Vec<_> = known.keys.iter().filter_map(|key| self.key(KeyId(key.id))).collect();
        let others: Vec<AccountId> =
            others.iter().map(|key| key.account).filter(|other| *other != account).collect();
        let mut quiet = Effects::default();
        for other in others {
            self.merge(account, other, first, &mut quiet);
        }
        for key in &known.keys {
            if let Some((ours, _)) = self.key_mut(KeyId(key.id))
                && let Some(breaker) = &key.refused
            {
                ours.refused = breaker_of(breaker);
                ours.refused.shift(back);
            }
        }
        let Some((_, ours)) = self.key_mut(first) else { return };
        ours.workspace = known.workspace;
        ours.funds.ledger = Ledger::restore(known.ledger);
        ours.funds.demand = Demand::restore(&known.demand);
        ours.funds.balance.spent = known.balance_spent;
        ours.funds.balance.off = known.balance_off;
        ours.funds.balance.parked = known.parked.map(Millis);
        ours.quota = known.out_of_quota.map(|until| Quota { until: Millis(until), window: None });
        ours.cooldown = known.cooling.map(|(until, why)| Cooldown {
            until: Millis(until),
            why: FaultKind::named(&why).unwrap_or(FaultKind::Refused),
            note: u64::MAX,
        });
        ours.barred = known.barred.as_ref().map(breaker_of).unwrap_or_default();
        ours.breaker = known.breaker.as_ref().map(breaker_of).unwrap_or_default();
        ours.holds.restore(known.holds);
        ours.shift(back);
    }
}

fn breaker_image(breaker: &Breaker) -> Option<BreakerImage> {
    let (why, until, span) = breaker.opening()?;
    Some(BreakerImage { why: why.name().to_owned(), until: until.0, span })
}

fn breaker_of(image: &BreakerImage) -> Breaker {
    let why = FaultKind::named(&image.why).unwrap_or(FaultKind::Refused);
    Breaker::reopened(why, Millis(image.until), image.span)
}

impl Totals {
    fn image(&self) -> TotalsImage {
        let models = self.models.iter().map(|(model, used)| UseImage {
            model: model.to_string(),
            requests: used.requests,
            input: used.input,
            cached: used.cached,
            output: used.output,
            list_cost: used.list_cost,
        });
        TotalsImage {
            since: self.since.map(|since| since.0),
            models: models.collect(),
            rotation_tax: self.rotation_tax,
            switches: self.switches,
            forfeited: self.forfeited,
        }
    }

    fn restore(image: TotalsImage) -> Self {
        let models = image.models.into_iter().map(|used| {
            let sums = Use {
                requests: used.requests,
                input: used.input,
                cached: used.cached,
                output: used.output,
                list_cost: used.list_cost,
            };
            (Arc::from(used.model), sums)
        });
        Self {
            since: image.since.map(Millis),
            models: models.collect(),
            rotation_tax: image.rotation_tax,
            switches: image.switches,
            forfeited: image.forfeited,
        }
    }
}
