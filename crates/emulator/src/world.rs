//! Everything the emulator remembers, behind one short lock.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;

use crate::account::{Account, Key};
use crate::cache::PromptCache;
use crate::catalogue;
use crate::clock::Clock;
use crate::fault::Faults;
use crate::limits::Limits;
use crate::log::{Counters, Log};
use crate::model::Model;
use crate::script::Script;
use crate::settings::Settings;
use crate::tls::Certificate;

/// The state of the service.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) accounts: Vec<Account>,
    pub(crate) models: Vec<Arc<Model>>,
    pub(crate) faults: Faults,
    pub(crate) scripts: BTreeMap<String, Arc<Script>>,
    pub(crate) limits: Limits,
    pub(crate) cache: PromptCache,
    pub(crate) counters: Counters,
    pub(crate) log: Log,
}

impl World {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            accounts: Vec::new(),
            models: catalogue::models().into_iter().map(Arc::new).collect(),
            faults: Faults::default(),
            scripts: BTreeMap::new(),
            limits: Limits::default(),
            cache: PromptCache::default(),
            counters: Counters::default(),
            log: Log::default(),
        }
    }

    /// The account of a secret, and the key.
    pub(crate) fn owner(&self, secret: &str) -> Option<(&Account, &Key)> {
        self.accounts.iter().find_map(|account| Some((account, account.find_key(secret)?)))
    }

    pub(crate) fn account(&mut self, label: &str) -> Option<&mut Account> {
        self.accounts.iter_mut().find(|account| account.label == label)
    }

    pub(crate) fn model(&self, id: &str) -> Option<&Arc<Model>> {
        self.models.iter().find(|model| model.answers_to(id))
    }

    pub(crate) fn model_mut(&mut self, id: &str) -> Option<&mut Model> {
        self.models.iter_mut().find(|model| model.answers_to(id)).map(Arc::make_mut)
    }

    /// The script for a model, else the one for all.
    pub(crate) fn script(&self, model: &str) -> Option<Arc<Script>> {
        self.scripts.get(model).or_else(|| self.scripts.get("*")).cloned()
    }
}

/// What connections and requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    pub(crate) clock: Clock,
    pub(crate) connections: AtomicU64,
    pub(crate) certificate: OnceLock<Certificate>,
    changes: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(settings: Settings, clock: Clock) -> Self {
        Self {
            world: Mutex::new(World::new(settings)),
            clock,
            connections: AtomicU64::new(0),
            certificate: OnceLock::new(),
            changes: watch::Sender::new(0),
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those who wait for a condition.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
