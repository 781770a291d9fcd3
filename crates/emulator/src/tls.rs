//! TLS: a certificate of our own authority for this run, offered with ALPN.

use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::settings::Alpn;

/// The names the certificate is valid for.
const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "opencode.ai"];

/// A certificate, its key, and the authority a client has to trust.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// The authority, PEM.
    pub(crate) authority_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Certificate {
    /// Makes a new one.
    pub(crate) fn generate() -> io::Result<Self> {
        Self::try_generate().map_err(io::Error::other)
    }

    fn try_generate() -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "Saros emulator");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
        params.distinguished_name.push(DnType::CommonName, "localhost");
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &authority)?;
        Ok(Self {
            authority_pem: authority.pem(),
            chain: vec![leaf.der().clone()],
            key: key.serialize_der(),
        })
    }

    /// A server configuration that offers these protocols.
    pub(crate) fn server(&self, alpn: Alpn) -> io::Result<Arc<ServerConfig>> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.clone()));
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .map_err(io::Error::other)?;
        let (h2, h1) = (b"h2".to_vec(), b"http/1.1".to_vec());
        config.alpn_protocols = match alpn {
            Alpn::Both => vec![h2, h1],
            Alpn::H1 => vec![h1],
            Alpn::H2 => vec![h2],
        };
        Ok(Arc::new(config))
    }
}
