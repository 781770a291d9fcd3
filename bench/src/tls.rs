//! A throw-away certificate authority, and both ends of TLS.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::Fallible;

/// Where the files of the stub's identity are.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The authority that contenders must trust, PEM.
    pub(crate) ca: PathBuf,
    /// The stub's certificate for `localhost`, PEM.
    pub(crate) certificate: PathBuf,
    /// Its key, PEM.
    pub(crate) key: PathBuf,
}

/// Makes an authority and a certificate for `localhost`.
pub(crate) fn make_identity(folder: &Path) -> Fallible<Identity> {
    let ca_key = KeyPair::generate()?;
    let mut ca_params = CertificateParams::default();
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca_params.distinguished_name.push(rcgen::DnType::CommonName, "saros bench");
    let ca = ca_params.self_signed(&ca_key)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?
        .signed_by(&key, &Issuer::new(ca_params, ca_key))?;
    let identity = Identity {
        ca: folder.join("ca.pem"),
        certificate: folder.join("stub.pem"),
        key: folder.join("stub.key"),
    };
    std::fs::write(&identity.ca, ca.pem())?;
    std::fs::write(&identity.certificate, certificate.pem())?;
    std::fs::write(&identity.key, key.serialize_pem())?;
    Ok(identity)
}

/// Trusts `ca` alone and offers one protocol.
pub(crate) fn client(ca: &Path, alpn: &[u8]) -> Fallible<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).map_err(io::Error::other)?)?;
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(Arc::new(config))
}

/// The stub's end; one protocol.
pub(crate) fn server(certificate: &Path, key: &Path, alpn: &[u8]) -> Fallible<Arc<ServerConfig>> {
    let chain = vec![CertificateDer::from_pem_file(certificate).map_err(io::Error::other)?];
    let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(Arc::new(config))
}
