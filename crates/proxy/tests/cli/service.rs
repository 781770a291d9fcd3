//! An emulator of the service that listens, on a thread of its own.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use saros_emulator::{Account, Clock, Emulator, Settings, Transport};
use tokio::sync::oneshot;

pub(crate) struct Service {
    pub(crate) emulator: Emulator,
    pub(crate) address: SocketAddr,
    /// The key of its one account.
    pub(crate) key: String,
    /// Ends it when dropped.
    _end: oneshot::Sender<()>,
}

impl Service {
    pub(crate) fn start(transport: Transport) -> Self {
        let emulator = Emulator::new(Settings::default(), Clock::system());
        let key = emulator.add_account(Account::new("home")).secret;
        let (end, ended) = oneshot::channel::<()>();
        let (tell, told) = mpsc::channel();
        let serving = emulator.clone();
        thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let here = SocketAddr::from(([127, 0, 0, 1], 0));
                let listening = serving.listen(here, transport).await.unwrap();
                tell.send(listening.addr()).unwrap();
                drop(ended.await);
            });
        });
        Self { emulator, address: told.recv().unwrap(), key, _end: end }
    }
}
