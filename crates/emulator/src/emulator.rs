//! The handle on an emulator.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::account::{Account, Key};
use crate::clock::Clock;
use crate::fault::{Fault, FaultId};
use crate::log::{Counters, Entry};
use crate::model::Model;
use crate::script::Script;
use crate::serve::{self, Listening, Transport};
use crate::settings::Settings;
use crate::world::Shared;

/// An OpenCode Go. Clones are handles on the same one.
#[derive(Clone, Debug)]
pub struct Emulator {
    pub(crate) shared: Arc<Shared>,
}

impl Emulator {
    /// An emulator without accounts, with the models of upstream.md §8.5.
    pub fn new(settings: Settings, clock: Clock) -> Self {
        Self { shared: Arc::new(Shared::new(settings, clock)) }
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Adds an account, or replaces the one of the same label; its first key.
    pub fn add_account(&self, account: Account) -> Key {
        let account = account.completed(self.shared.clock.now_ms());
        let key = account.keys.first().cloned().unwrap_or_default();
        let mut world = self.shared.world();
        world.accounts.retain(|other| other.label != account.label);
        world.accounts.push(account);
        drop(world);
        self.shared.changed();
        key
    }

    /// Removes an account; its keys become unknown. Whether there was one.
    pub fn remove_account(&self, label: &str) -> bool {
        let mut world = self.shared.world();
        let before = world.accounts.len();
        world.accounts.retain(|account| account.label != label);
        world.accounts.len() != before
    }

    /// Looks at an account, or changes it.
    pub fn account<R>(&self, label: &str, change: impl FnOnce(&mut Account) -> R) -> Option<R> {
        let result = self.shared.world().account(label).map(change);
        self.shared.changed();
        result
    }

    /// Copies of all accounts.
    pub fn accounts(&self) -> Vec<Account> {
        self.shared.world().accounts.clone()
    }

    /// All keys of all accounts, deleted ones included.
    pub fn keys(&self) -> Vec<Key> {
        self.shared.world().accounts.iter().flat_map(|account| account.keys.clone()).collect()
    }

    /// Looks at a model (by id or alias), or changes it.
    pub fn model<R>(&self, id: &str, change: impl FnOnce(&mut Model) -> R) -> Option<R> {
        self.shared.world().model_mut(id).map(change)
    }

    /// Adds a model, or replaces the one of the same id.
    pub fn add_model(&self, model: Model) {
        let mut world = self.shared.world();
        world.models.retain(|other| other.id != model.id);
        world.models.push(Arc::new(model));
    }

    /// Removes a model. Whether there was one.
    pub fn remove_model(&self, id: &str) -> bool {
        let mut world = self.shared.world();
        let before = world.models.len();
        world.models.retain(|model| model.id != id);
        world.models.len() != before
    }

    /// Looks at the settings, or changes them. Those of connections hold for new connections.
    pub fn settings<R>(&self, change: impl FnOnce(&mut Settings) -> R) -> R {
        change(&mut self.shared.world().settings)
    }

    /// Adds a fault. Of several that match, the oldest strikes.
    pub fn fault(&self, fault: Fault) -> FaultId {
        self.shared.world().faults.add(fault)
    }

    /// Clears a fault. Whether it still waited.
    pub fn clear_fault(&self, id: FaultId) -> bool {
        self.shared.world().faults.clear(id)
    }

    /// Clears all faults.
    pub fn clear_faults(&self) {
        self.shared.world().faults.clear_all();
    }

    /// Gives a model (or `*`, all without their own) a script.
    pub fn script(&self, model: &str, script: Script) {
        self.shared.world().scripts.insert(model.to_owned(), Arc::new(script));
    }

    /// Takes a script away. Whether there was one.
    pub fn clear_script(&self, model: &str) -> bool {
        self.shared.world().scripts.remove(model).is_some()
    }

    /// The request log, oldest first.
    pub fn log(&self) -> Vec<Entry> {
        self.log_since(0)
    }

    /// The request log from this index on.
    pub fn log_since(&self, index: u64) -> Vec<Entry> {
        self.shared.world().log.since(index).cloned().collect()
    }

    /// Forgets the log; indices go on.
    pub fn clear_log(&self) {
        self.shared.world().log.clear();
    }

    /// The counters.
    pub fn counters(&self) -> Counters {
        self.shared.world().counters.clone()
    }

    /// Starts counting anew.
    pub fn clear_counters(&self) {
        self.shared.world().counters.clear();
    }

    /// Requests that run now.
    pub fn in_flight(&self) -> u64 {
        self.shared.world().counters.total.in_flight
    }

    /// Waits until a log entry, present or future, is as wished.
    pub async fn logged(&self, wished: impl Fn(&Entry) -> bool) -> Entry {
        let mut changes = self.shared.watch();
        loop {
            changes.mark_unchanged();
            let found = self.shared.world().log.since(0).find(|entry| wished(entry)).cloned();
            if let Some(entry) = found {
                return entry;
            }
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    /// Waits until a condition over the emulator holds. It is looked at after every change in
    /// requests and accounts.
    pub async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changes = self.shared.watch();
        loop {
            changes.mark_unchanged();
            if holds(self) {
                return;
            }
            let _ = changes.changed().await;
        }
    }

    /// Serves one connection over any pipe: HTTP/1.1, or h2 by its preface. Ends when either side
    /// ends the connection. Loopback rights (the control API) are given: a pipe has no peer.
    pub fn serve_io<T>(&self, io: T) -> impl Future<Output = ()> + Send + 'static
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        serve::pipe(Arc::clone(&self.shared), io)
    }

    /// Listens on a socket.
    pub async fn listen(&self, addr: SocketAddr, transport: Transport) -> io::Result<Listening> {
        serve::listen(Arc::clone(&self.shared), addr, transport).await
    }

    /// The authority that signed the certificate of [`Transport::Tls`], PEM: what a client has to
    /// trust, for example by `SSL_CERT_FILE`.
    pub fn certificate_pem(&self) -> io::Result<String> {
        serve::certificate(&self.shared).map(|certificate| certificate.authority_pem.clone())
    }
}
