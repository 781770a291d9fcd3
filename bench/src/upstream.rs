//! The stub upstream: TLS, one thread, answers from memory. Its own cost is on the load
//! generator's core, so it only has to be light enough not to slow the contenders down.

mod h1;
mod h2;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{Fallible, tls};

/// How to run it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The port on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// Its certificate, PEM.
    #[arg(long)]
    certificate: PathBuf,
    /// Its key, PEM.
    #[arg(long)]
    key: PathBuf,
    /// Speak HTTP/2 instead of HTTP/1.1.
    #[arg(long)]
    h2: bool,
}

/// Serves until killed.
pub(crate) async fn run(options: Options) -> Fallible<()> {
    let alpn: &[u8] = if options.h2 { b"h2" } else { b"http/1.1" };
    let acceptor = TlsAcceptor::from(tls::server(&options.certificate, &options.key, alpn)?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    loop {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A peer that leaves in the middle is how most measurements end.
            if tcp.set_nodelay(true).is_ok()
                && let Ok(stream) = acceptor.accept(tcp).await
            {
                if options.h2 {
                    h2::serve(stream).await;
                } else {
                    drop(h1::serve(stream).await);
                }
            }
        });
    }
}
