//! A certificate for this machine, from an authority that only this process knows.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Makes an authority and a certificate for `127.0.0.1` and `localhost`, and writes the authority's certificate to
/// `authority_file` (PEM). A client that runs with `SSL_CERT_FILE` set to that file trusts the simulator.
pub(crate) fn make_acceptor(authority_file: &Path) -> io::Result<TlsAcceptor> {
    let (authority, chain, key) = make_certificates().map_err(io::Error::other)?;
    fs::write(authority_file, authority)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The authority's certificate, the server's, and the server's key.
type Certificates = (
    String,
    tokio_rustls::rustls::pki_types::CertificateDer<'static>,
    PrivateKeyDer<'static>,
);

fn make_certificates() -> Result<Certificates, rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok((authority_certificate.pem(), certificate.der().clone(), key))
}
