//! What all requests share, and the one place where the edge talks to the pool.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::{ArcSwap, Guard};
use saros_core::id::{KeyId, LeaseId, TicketId, UpstreamId};
use saros_core::pool::{Ask, Effects, Notice, Observation, Outcome, Pool, Roster, Rules};
use saros_core::price::Prices;
use saros_core::time::Millis;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::catalogue;
use crate::clock::Clock;
use crate::config::options::{self, SETTINGS};
use crate::config::watch::{Asker, Changes};
use crate::config::{Config, Origin};
use crate::observe::recent::Recent;
use crate::runtime::Tasks;
use crate::server::ids::Ids;
use crate::server::lease::Ticket;
use crate::server::models::Models;
use crate::server::pages::Pages;
use crate::server::poll::Orders;
use crate::server::receive::Memory;
use crate::server::timers::Timers;
use crate::state::State;
use crate::upstream::dial::Dial;
use crate::upstream::exchange::Opener;
use crate::upstream::key::Key;

/// See the module documentation.
pub struct App {
    /// What the owner has chosen; a reload puts another in its place.
    setup: ArcSwap<Setup>,
    /// The one clock.
    pub clock: Clock,
    /// How connections are opened.
    pub opener: Opener,
    /// Background tasks.
    pub tasks: Tasks,
    /// Memory that request bodies take.
    pub memory: Arc<Memory>,
    /// Makes request ids.
    pub ids: Ids,
    /// Timers that wait for the next request.
    pub timers: Arc<Timers>,
    /// The model list as last seen.
    pub models: Models,
    /// What is kept beyond a restart.
    pub state: State,
    /// The last requests that ended.
    pub recent: Recent,
    /// Questions to the usage API that the pool has ordered.
    pub orders: Orders,
    /// What came of the dashboard pages.
    pub pages: Pages,
    /// Requests between their first byte and their last.
    pub active: AtomicUsize,
    /// When serving began.
    pub started: Instant,
    /// No new requests: shutting down.
    pub draining: AtomicBool,
    /// Time is up: what still runs ends now.
    pub cutting: AtomicBool,
    /// Something had to be cut.
    pub was_cut: AtomicBool,
    /// How a reload is asked for; empty where nothing could be loaded anew.
    pub reloads: OnceLock<Asker>,
    /// Rung when `draining` or `cutting` changes.
    pub bell: Arc<Notify>,
    names: Names,
    pool: Mutex<Pool>,
    pub(super) waiters: Mutex<BTreeMap<TicketId, Arc<Notify>>>,
    due: Notify,
    /// Rung after each reload.
    pub(super) reloaded: Notify,
}

/// What the owner has chosen, ready for use. Never changed, only replaced: whoever looked at it
/// before a reload goes on with what was.
pub struct Setup {
    /// Whether a client must show a token, worked out once.
    pub token_required: bool,
    /// The configuration.
    pub config: Config,
    /// The keys in rotation order.
    pub keys: Vec<Arc<Key>>,
    /// Every upstream of this process's life; its place is its identity in the pool.
    upstreams: Vec<Origin>,
}

impl Setup {
    /// Prepares a configuration; what is as it was `before` is kept, with its connections.
    fn new(config: Config, before: Option<&Self>) -> Self {
        let known = before.map_or(&[] as &[Arc<Key>], |before| &before.keys);
        let mut keys: Vec<Arc<Key>> = Vec::with_capacity(config.keys.len());
        for key in &config.keys {
            let id = key.secret.key_id();
            // The same secret twice is one key.
            if keys.iter().any(|known| known.id == id) {
                continue;
            }
            let same = known
                .iter()
                .find(|old| old.id == id && old.label == key.label && old.base == key.base);
            keys.extend(same.map(Arc::clone).or_else(|| Key::new(key).map(Arc::new)));
        }
        let mut upstreams = before.map_or_else(Vec::new, |before| before.upstreams.clone());
        for key in &keys {
            if !upstreams.contains(&key.base.origin) {
                upstreams.push(key.base.origin.clone());
            }
        }
        Self { token_required: config.token_required(), config, keys, upstreams }
    }

    /// The key with this fingerprint.
    pub fn key(&self, id: KeyId) -> Option<&Arc<Key>> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// The keys and the rules, as the pool takes them.
    pub fn roster(&self) -> Roster {
        let keys = self.keys.iter().filter_map(|key| {
            let configured = self.config.keys.iter().find(|one| one.secret.key_id() == key.id)?;
            let place = self.upstreams.iter().position(|origin| *origin == key.base.origin);
            let place = place.and_then(|place| u16::try_from(place).ok()).unwrap_or(u16::MAX);
            Some(key.roster_entry(UpstreamId(place), configured))
        });
        Roster { keys: keys.collect(), rules: rules(&self.config) }
    }
}

impl App {
    /// Prepares everything; nothing is opened or started yet.
    pub fn new(config: Config, clock: Clock, dial: Arc<dyn Dial>, tasks: Tasks) -> Arc<Self> {
        let opener = Opener::new(dial, tasks.clone(), config.connect_timeout);
        let setup = Setup::new(config, None);
        let mut pool = Pool::new();
        let effects = pool.apply(setup.roster(), true, clock.now());
        let Config { state_dir, port, .. } = &setup.config;
        let (state, image) = State::open(state_dir, *port, clock.now());
        let restored = image.map(|image| pool.restore(image, clock.now()));
        let app = Arc::new(Self {
            setup: ArcSwap::from_pointee(setup),
            clock,
            opener,
            tasks,
            memory: Arc::default(),
            ids: Ids::default(),
            timers: Arc::default(),
            models: Models::default(),
            state,
            recent: Recent::default(),
            orders: Orders::default(),
            pages: Pages::default(),
            active: AtomicUsize::new(0),
            started: Instant::now(),
            draining: AtomicBool::new(false),
            cutting: AtomicBool::new(false),
            was_cut: AtomicBool::new(false),
            reloads: OnceLock::new(),
            bell: Arc::default(),
            names: Names::default(),
            pool: Mutex::new(pool),
            waiters: Mutex::default(),
            due: Notify::new(),
            reloaded: Notify::new(),
        });
        app.carry_out(&effects);
        if let Some(effects) = restored {
            app.carry_out(&effects);
        }
        app
    }

    /// What the owner has chosen, as of now. To be looked at, and let go before an await; who needs
    /// it longer takes a copy of the [`Arc`] within.
    pub fn setup(&self) -> Guard<Arc<Setup>> {
        self.setup.load()
    }

    /// The keys in rotation order.
    pub fn keys(&self) -> Vec<Arc<Key>> {
        self.setup().keys.clone()
    }

    /// The key with this fingerprint.
    pub fn key(&self, id: KeyId) -> Option<Arc<Key>> {
        self.setup().key(id).map(Arc::clone)
    }

    /// Replaces the configuration, without touching what is under way: attempts go on with the keys
    /// that they began with. What needs a restart stays as it was. Dead keys get another chance.
    pub fn reload(&self, mut config: Config) -> Changes {
        let before = self.setup.load_full();
        let mut changes = Changes::default();
        let differs = |name: &str, config: &Config| {
            let setting = options::setting(name);
            setting.is_some_and(|setting| (setting.get)(config) != (setting.get)(&before.config))
        };
        for setting in SETTINGS.iter().filter(|setting| !setting.live) {
            if differs(setting.name, &config) {
                changes.at_restart.push(setting.name);
            }
        }
        // Where it listens decides who must show a token.
        config.port = before.config.port;
        config.host.clone_from(&before.config.host);
        config.request_log = before.config.request_log;
        for setting in SETTINGS.iter().filter(|setting| setting.live && setting.name != "keys") {
            // Tokens may look alike when masked.
            let tokens = setting.name == "clientTokens"
                && config.client_tokens != before.config.client_tokens;
            if tokens || differs(setting.name, &config) {
                changes.options.push(setting.name);
            }
        }
        self.opener.allow(config.connect_timeout);
        let after = Arc::new(Setup::new(config, Some(&before)));
        let labels = |of: &[Arc<Key>], not: &[Arc<Key>]| {
            let missing = |key: &&Arc<Key>| !not.iter().any(|other| Arc::ptr_eq(other, key));
            of.iter().filter(missing).map(|key| Arc::clone(&key.label)).collect()
        };
        changes.added = labels(&after.keys, &before.keys);
        changes.removed = labels(&before.keys, &after.keys);
        // Nobody else runs between the two: everything here is on one thread, without an await.
        self.setup.store(Arc::clone(&after));
        let effects = self.pool().apply(after.roster(), true, self.clock.now());
        self.carry_out(&effects);
        self.due.notify_one();
        self.reloaded.notify_one();
        changes
    }

    /// The pool, for a moment. Never held across an await: the guard is not `Send`.
    pub fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// 0 serving, 1 draining, 2 cutting.
    pub fn stage(&self) -> u8 {
        u8::from(self.draining.load(Ordering::Relaxed))
            + u8::from(self.cutting.load(Ordering::Relaxed))
    }

    /// A model's name, shared with those who asked for it lately.
    pub fn model_name(&self, name: &str) -> Arc<str> {
        self.names.of(name)
    }

    /// A place in the pool for a new request, which asks at once.
    pub fn begin(self: &Arc<Self>, ask: &Ask) -> Ticket {
        let now = self.clock.now();
        let (trail, admission, effects) = self.pool().begin(ask, now);
        self.carry_out(&effects);
        Ticket::new(self, trail, admission)
    }

    /// Housekeeping; see [`Pool::tick`].
    pub fn tick(&self) {
        let effects = self.pool().tick(self.clock.now());
        self.carry_out(&effects);
    }

    /// Compares clocks. After a jump open connections are dead, whatever they look like, and what
    /// the pool remembers is seen in the new time.
    pub fn mind_the_clock(&self, moment: Instant) {
        if !self.clock.has_drifted(moment) {
            return;
        }
        // In the old time first: a clock that was set back then moves everything by the same span.
        self.tick();
        let Some(jump) = self.clock.check() else { return };
        tracing::info!(?jump, "The clock jumped: connections are opened anew");
        for key in &self.setup().keys {
            key.connections.drop_all();
        }
        self.tick();
    }

    /// Resolves when [`App::tick`] has something to do.
    pub async fn due(&self) {
        loop {
            let changed = self.due.notified();
            let due = self.pool().due();
            match due {
                Some(due) => {
                    let span = due.since(self.clock.now()).max(0).unsigned_abs();
                    let span = std::time::Duration::from_millis(span);
                    if tokio::time::timeout(span, changed).await.is_err() {
                        return;
                    }
                }
                None => changed.await,
            }
        }
    }

    pub(super) fn settle(&self, lease: LeaseId, outcome: Outcome, now: Millis) {
        let effects = self.pool().settle(lease, outcome, now);
        self.state.mark();
        self.carry_out(&effects);
    }

    /// Tells the pool what was learned with a key.
    pub fn observe(&self, key: KeyId, observation: Observation) {
        let effects = self.pool().observe(key, observation, self.clock.now());
        self.state.mark();
        self.carry_out(&effects);
    }

    /// A snapshot of the pool, for the state folder.
    pub fn save(&self) {
        let image = self.pool().image();
        self.state.save(image, self.clock.now());
    }

    /// The last snapshot: waits, but not long, until it is on the disk.
    pub fn save_and_sync(&self) {
        let image = self.pool().image();
        self.state.save_and_sync(image, self.clock.now());
    }

    /// Whether everything that the pool ordered has been answered.
    pub fn orders_idle(&self) -> bool {
        self.orders.are_idle()
    }

    /// Does what the pool orders.
    pub fn carry_out(&self, effects: &Effects) {
        if effects.save {
            self.state.mark();
        }
        if !effects.poll.is_empty() {
            self.orders.add(&effects.poll);
        }
        if !effects.wake.is_empty() {
            let waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
            for waiter in effects.wake.iter().filter_map(|ticket| waiters.get(ticket)) {
                waiter.notify_one();
            }
        }
        for notice in &effects.notices {
            self.tell(notice);
        }
        if effects.rearm || !effects.notices.is_empty() {
            self.due.notify_one();
        }
    }

    fn upstream_name(&self, upstream: UpstreamId) -> String {
        let setup = self.setup();
        let origin = setup.upstreams.get(usize::from(upstream.0));
        origin.map_or_else(String::new, ToString::to_string)
    }

    fn tell(&self, notice: &Notice) {
        let now = self.clock.now();
        let setup = self.setup();
        let label = |id: &KeyId| setup.key(*id).map_or("(removed)", |key| &*key.label);
        let seconds = |until: Millis| (until.since(now).max(0) + 999) / 1000;
        match notice {
            Notice::Dead { key, why, until } => tracing::error!(
                key = label(key),
                why = why.name(),
                retry_seconds = seconds(*until),
                "Account is not used any more: the service refuses its key. Check the key and its \
                 subscription; it is tried again later, and whenever the configuration changes."
            ),
            Notice::Cooling { key, model, why, until } => tracing::warn!(
                key = label(key),
                model = model.as_deref().unwrap_or("(all)"),
                why = why.name(),
                seconds = seconds(*until),
                "Account cools down"
            ),
            Notice::ModelOpen { model, why, until } => tracing::warn!(
                model = &**model,
                why = why.name(),
                seconds = seconds(*until),
                "Model is in trouble upstream, for every account: requests for it pause"
            ),
            Notice::UpstreamOpen { upstream, until } => tracing::warn!(
                upstream = self.upstream_name(*upstream),
                seconds = seconds(*until),
                "Upstream is out of reach: requests pause"
            ),
            Notice::Back { key } => tracing::info!(key = label(key), "Account is back"),
            Notice::Pardoned { keys, what } => tracing::info!(
                keys = keys.iter().map(label).collect::<Vec<_>>().join(", "),
                what = what.name(),
                "Accounts failed alike: the model or the service is to blame, not these keys"
            ),
            Notice::BalanceSpent { key, amount, until } => tracing::error!(
                key = label(key),
                dollars = amount.unwrap_or(f64::NAN),
                seconds = seconds(*until),
                "Requests were paid from this account's prepaid balance (its quota is used up and \
                 \"Use balance\" is on): it is not used until its window resets. Switch \"Use \
                 balance\" off in the console, or set allowBalance."
            ),
            Notice::Merged { keeps, joins } => tracing::warn!(
                key = label(joins),
                with = label(keeps),
                "Two keys share one account: its quota counts once, and one is never tried for \
                 the other"
            ),
        }
    }
}

/// The names of the models asked for lately. A name outlives its request in the log, on another
/// thread; sharing it keeps memory from wandering between the two.
#[derive(Default)]
struct Names(Mutex<Vec<Arc<str>>>);

impl Names {
    /// More models than this are not used at the same time.
    const KEPT: usize = 16;

    fn of(&self, name: &str) -> Arc<str> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.iter().find(|known| ***known == *name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        if names.len() == Self::KEPT {
            names.remove(0);
        }
        names.push(Arc::clone(&new));
        new
    }
}

fn rules(config: &Config) -> Rules {
    let millis = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Rules {
        breaker_threshold: config.breaker_threshold,
        breaker_cooldown: millis(config.breaker_cooldown),
        max_concurrent: config.max_concurrent_per_key,
        queue_timeout: millis(config.queue_timeout),
        replay_ambiguous: config.replay_ambiguous,
        strategy: config.strategy,
        usage_threshold: config.threshold(),
        prices: Arc::new(prices(config)),
    }
}

/// The bundled price table, and over it what the configuration says.
fn prices(config: &Config) -> Prices {
    let mut prices = catalogue::prices();
    for price in &config.prices {
        prices.overlay(&price.model, &price.into());
    }
    prices
}
