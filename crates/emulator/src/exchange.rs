//! One request from its head to its end: the log entry, the counts, the bill.

use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use http::request::Parts;

use crate::admission::{Admitted, Payer};
use crate::line::Line;
use crate::log::Entry;
use crate::price::{Money, Tokens};
use crate::world::Shared;

/// What is owed when the answer ends.
#[derive(Clone, Debug)]
pub(crate) struct Bill {
    pub(crate) tokens: Tokens,
    /// At list price.
    pub(crate) list: Money,
    /// From the quota.
    pub(crate) quota: Money,
    /// From the balance.
    pub(crate) paid: Money,
    account: Option<String>,
}

impl Bill {
    /// What these tokens cost this request.
    pub(crate) fn of(admitted: &Admitted, tokens: Tokens, now: i64) -> Self {
        let list = admitted.model.price.list_cost(&tokens, now);
        let (quota, paid) = match admitted.payer {
            Payer::Nobody => (Money::ZERO, Money::ZERO),
            Payer::Quota => (admitted.model.quota_cost(list, admitted.plan), Money::ZERO),
            Payer::Balance => (Money::ZERO, list),
        };
        Self { tokens, list, quota, paid, account: admitted.account.clone() }
    }
}

/// A request that runs. Dropped before its end, it was aborted: status 499, nothing charged.
#[derive(Debug)]
pub(crate) struct Exchange {
    shared: Arc<Shared>,
    line: Arc<Line>,
    index: u64,
    counted: String,
    ordinal: u32,
    bill: Option<Bill>,
    status: Option<u16>,
    sent: u64,
    answer: Option<Vec<u8>>,
    open: bool,
}

impl Exchange {
    /// Opens the log entry. `secret`: the credential in whatever header it came.
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        line: &Arc<Line>,
        head: &Parts,
        secret: Option<&str>,
        session: Option<String>,
        inference: bool,
    ) -> Self {
        let mut world = shared.world();
        let owner = secret.and_then(|secret| world.owner(secret));
        let (key, account) = match owner {
            Some((account, key)) => (Some(key.label.clone()), Some(account.label.clone())),
            None => (None, None),
        };
        let missing = if secret.is_some() { "unknown" } else { "none" };
        let counted = key.clone().unwrap_or_else(|| missing.to_owned());
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
        let entry = Entry {
            at_ms: shared.clock.now_ms(),
            connection: line.id,
            version: format!("{:?}", head.version),
            method: head.method.to_string(),
            path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            headers: head.headers.iter().map(|(n, v)| (n.as_str().to_owned(), text(v))).collect(),
            key,
            account,
            session,
            ..Entry::default()
        };
        let settings = world.settings.log;
        let index = world.log.push(entry, &settings);
        world.counters.began(&counted, inference);
        drop(world);
        let ordinal = line.began();
        shared.changed();
        Self {
            shared: Arc::clone(shared),
            line: Arc::clone(line),
            index,
            counted,
            ordinal,
            bill: None,
            status: None,
            sent: 0,
            answer: settings.answers.then(Vec::new),
            open: true,
        }
    }

    /// Ordinal of the request on its connection, from 1.
    pub(crate) const fn ordinal(&self) -> u32 {
        self.ordinal
    }

    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// The body has been read.
    pub(crate) fn read(&self, body: &Bytes, model: Option<&str>, stream: bool) {
        let mut world = self.shared.world();
        let settings = world.settings.log;
        let sha256 = settings.sha256.then(|| hex(digest::digest(&digest::SHA256, body).as_ref()));
        let Some(entry) = world.log.get_mut(self.index) else { return };
        entry.body_len = body.len() as u64;
        entry.body_sha256 = sha256;
        entry.body = (body.len() <= settings.body_bytes).then(|| body.clone());
        entry.model = model.map(str::to_owned);
        entry.stream = stream;
        drop(world);
        self.shared.changed();
    }

    /// The answer's status is known and about to be sent.
    pub(crate) fn answers(&mut self, status: u16) {
        self.status = Some(status);
        if let Some(entry) = self.shared.world().log.get_mut(self.index) {
            entry.status = Some(status);
        }
        self.shared.changed();
    }

    /// What will be owed at the end.
    pub(crate) fn owes(&mut self, bill: Bill) {
        self.bill = Some(bill);
    }

    /// Bytes of the answer were handed to the connection.
    pub(crate) fn sends(&mut self, bytes: &Bytes) {
        self.sent += bytes.len() as u64;
        if let Some(answer) = &mut self.answer {
            answer.extend_from_slice(bytes);
        }
    }

    /// The bill is due now: counters move when an answer ends (upstream.md §3.5).
    pub(crate) fn charge(&mut self) {
        let Some(bill) = self.bill.take() else { return };
        let now = self.shared.clock.now_ms();
        let mut world = self.shared.world();
        let account = bill.account.as_deref().and_then(|label| world.account(label));
        if let Some(account) = account {
            if bill.quota > Money::ZERO {
                account.quota.charge(now, bill.quota);
            }
            if bill.paid > Money::ZERO {
                account.pay(now, bill.paid);
            }
        }
        if let Some(entry) = world.log.get_mut(self.index) {
            entry.tokens = Some(bill.tokens);
            entry.list_cost = bill.list;
            entry.quota_cost = bill.quota;
            entry.paid = bill.paid;
        }
    }

    /// The answer ended as it should.
    pub(crate) fn finish(&mut self) {
        self.charge();
        self.close(false);
    }

    /// A fault cut the answer, or lets it end too early. A request that got no head has no status.
    pub(crate) fn cut(&mut self, aborted: bool) {
        if self.shared.world().settings.charge_aborted {
            self.charge();
        }
        self.close(aborted);
    }

    fn close(&mut self, aborted: bool) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let now = self.shared.clock.now_ms();
        let mut world = self.shared.world();
        let settings = world.settings.log;
        let mut ended = Entry { body_len: 0, ..Entry::default() };
        if let Some(entry) = world.log.get_mut(self.index) {
            entry.ended_ms = Some(now);
            entry.aborted = aborted;
            entry.status = self.status;
            entry.bytes_out = self.sent;
            entry.answer = self
                .answer
                .take()
                .filter(|answer| answer.len() <= settings.body_bytes)
                .map(Bytes::from);
            ended.body_len = entry.body_len;
        }
        ended.status = self.status;
        ended.aborted = aborted;
        ended.bytes_out = self.sent;
        world.counters.ended(&self.counted, &ended);
        drop(world);
        self.line.ended();
        self.shared.changed();
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.open {
            // A client that left is a 499 whatever was sent so far (upstream.md §2.2).
            self.status = Some(499);
            self.cut(true);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
