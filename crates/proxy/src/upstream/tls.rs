//! The TLS client configuration: aws-lc-rs, the platform's roots, HTTP/2 by ALPN.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::sync::OnceCell;

/// Builds the configuration on first use, off the traffic thread: loading the platform's roots
/// costs tens of milliseconds and must not delay the start.
#[derive(Debug, Default)]
pub struct Tls {
    config: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    /// The configuration. `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured.
    pub async fn config(&self) -> io::Result<Arc<ClientConfig>> {
        self.config
            .get_or_try_init(|| async {
                tokio::task::spawn_blocking(build).await.map_err(io::Error::other)?
            })
            .await
            .cloned()
    }
}

fn build() -> io::Result<Arc<ClientConfig>> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(io::Error::other)?
        .with_no_client_auth();
    // HTTP/1.1 with `stream: true` failed upstream where HTTP/2 worked (anomalyco/opencode#42843).
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
