//! What a long-running command needs of the process: a runtime, signals, no core dumps.

use std::future::Future;
use std::io::{self, IsTerminal};

use tokio::sync::watch;

/// Runs a future on one thread: all traffic is carried by one, which spares locks and wake-ups.
pub fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(future))
}

/// How often we were asked to stop, by SIGINT and SIGTERM.
#[derive(Debug, Clone)]
pub struct Asked(watch::Receiver<u32>);

impl Asked {
    /// Listens from now on; what is returned next to it must run for that.
    pub fn listen() -> io::Result<(Self, impl Future<Output = ()>)> {
        let (count, asked) = watch::channel(0);
        let mut signals = Signals::new()?;
        let pump = async move {
            loop {
                signals.next().await;
                count.send_modify(|count| *count += 1);
            }
        };
        Ok((Self(asked), pump))
    }

    /// The same, and SIGHUP calls `reload`, unless it says that our terminal is gone: then we are
    /// asked to stop.
    pub fn listen_and_reload(reload: impl Fn()) -> io::Result<(Self, impl Future<Output = ()>)> {
        let (count, asked) = watch::channel(0);
        let mut signals = Signals::new()?;
        let mut hangup = Hangup::new()?;
        let pump = async move {
            loop {
                let stop = tokio::select! {
                    () = signals.next() => true,
                    stop = hangup.next() => stop,
                };
                if stop {
                    count.send_modify(|count| *count += 1);
                } else {
                    reload();
                }
            }
        };
        Ok((Self(asked), pump))
    }

    /// Resolves when we were asked to stop for the `times`-th time.
    pub async fn times(&self, times: u32) {
        let mut asked = self.0.clone();
        if asked.wait_for(|count| *count >= times).await.is_err() {
            // Nobody listens any more, so nobody can ask.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// SIGHUP: sent by whoever wants a reload, and by a terminal that closes.
#[cfg(unix)]
struct Hangup {
    signal: tokio::signal::unix::Signal,
    on_terminal: bool,
}

#[cfg(unix)]
impl Hangup {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { signal: signal(SignalKind::hangup())?, on_terminal: io::stdin().is_terminal() })
    }

    /// Whether the terminal has closed, at the next signal. A closed one is no terminal any more.
    async fn next(&mut self) -> bool {
        if self.signal.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        self.on_terminal && !io::stdin().is_terminal()
    }
}

#[cfg(not(unix))]
struct Hangup;

#[cfg(not(unix))]
impl Hangup {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> bool {
        std::future::pending().await
    }
}

/// Forbids core dumps, which would hold every key.
///
/// The limit is one byte, not none: the kernel hands dumps to a handler such as systemd-coredump
/// whatever the limit, unless it is exactly one (core(5), `do_coredump`).
#[cfg(unix)]
pub fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    if getrlimit(Resource::Core).maximum != Some(0) {
        let one = Rlimit { current: Some(1), maximum: Some(1) };
        // Refused only by a sandbox, which then has its own ways.
        let _ = setrlimit(Resource::Core, one);
    }
}

/// Nothing to forbid here.
#[cfg(not(unix))]
pub fn forbid_core_dumps() {}

/// Allows as many open files, and with them connections, as the hard limit does.
///
/// The soft limit is often 1024, for the sake of programs that use `select`, which we do not.
#[cfg(unix)]
pub fn allow_many_connections() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // Refused where the hard limit is more than the system can do; then it stays as it is.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// There is no such limit here.
#[cfg(not(unix))]
pub fn allow_many_connections() {}

/// From now on, a file that has reached the limit of its size (setrlimit(2), `RLIMIT_FSIZE`) is an
/// error of whoever writes to it, not the end of the process.
#[cfg(target_os = "linux")]
pub fn survive_file_size_limit() {
    use tokio::signal::unix::{SignalKind, signal};
    /// SIGXFSZ, see signal(7); the number is another on MIPS only.
    const FILE_SIZE: i32 = 25;
    // A handler stays when the runtime that it was installed from has gone, and an early one is
    // needed: the log may be such a file.
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() {
        let _inside = runtime.enter();
        drop(signal(SignalKind::from_raw(FILE_SIZE)));
    }
}

/// Nothing is known of such a limit here.
#[cfg(not(target_os = "linux"))]
pub fn survive_file_size_limit() {}
