//! Certificates, keys and header values, read from the files that the configuration names. An error
//! names the key of the configuration and never what stands in the file.

use std::path::Path;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use zeroize::Zeroizing;

use crate::config::{ConnectionConfig, ConnectionError, ConnectionName, TlsConfig};
use crate::limits::SECRET_FILE_MAX_BYTES;

/// TLS of a listener: HTTP/2 where the client has it, else HTTP/1.1.
pub(crate) fn server_tls(
    name: &ConnectionName,
    tls: &TlsConfig,
) -> Result<Arc<ServerConfig>, ConnectionError> {
    let certificates = certificates(name, "tls.cert", &tls.cert)?;
    let pem = secret(name, "tls.key", &tls.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| wrong(name, "tls.key", "holds no private key in PEM"))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|_| wrong(name, "tls", "certificate and key can't be used together"))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// TLS to an upstream.
pub(crate) fn client_tls(
    name: &ConnectionName,
    connection: &ConnectionConfig,
) -> Result<ClientConfig, ConnectionError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &connection.upstream_ca {
        for certificate in certificates(name, "upstream_ca", file)? {
            roots
                .add(certificate)
                .map_err(|_| wrong(name, "upstream_ca", "holds no authority's certificate"))?;
        }
    } else if connection.upstream.scheme == http::uri::Scheme::HTTPS {
        use hyper_rustls::ConfigBuilderExt as _;
        return Ok(ClientConfig::builder()
            .with_native_roots()
            .map_err(|_| wrong(name, "upstream", "this machine has no authorities' certificates"))?
            .with_no_client_auth());
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

/// The headers that the upstream gets from the gateway.
pub(crate) fn injected_headers(
    name: &ConnectionName,
    connection: &ConnectionConfig,
) -> Result<Vec<(HeaderName, HeaderValue)>, ConnectionError> {
    let key = "inject_headers";
    let mut headers = Vec::with_capacity(connection.inject_headers.len());
    for (header, file) in &connection.inject_headers {
        let header =
            header.parse::<HeaderName>().map_err(|_| wrong(name, key, "not a header's name"))?;
        let text = secret(name, key, file)?;
        let mut value = HeaderValue::from_bytes(text.trim_ascii())
            .map_err(|_| wrong(name, key, "a file holds what no header can"))?;
        value.set_sensitive(true);
        headers.push((header, value));
    }
    Ok(headers)
}

fn certificates(
    name: &ConnectionName,
    key: &'static str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, ConnectionError> {
    let pem = secret(name, key, file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(wrong(name, key, "holds no certificate in PEM")),
    }
}

fn secret(
    name: &ConnectionName,
    key: &'static str,
    file: &Path,
) -> Result<Zeroizing<Vec<u8>>, ConnectionError> {
    let unreadable = |_| wrong(name, key, "a file can't be read");
    if std::fs::metadata(file).map_err(unreadable)?.len() > SECRET_FILE_MAX_BYTES {
        return Err(wrong(name, key, "a file is too long"));
    }
    std::fs::read(file).map(Zeroizing::new).map_err(unreadable)
}

fn wrong(name: &ConnectionName, key: &'static str, problem: &'static str) -> ConnectionError {
    ConnectionError { connection: name.as_str().to_owned(), key, problem }
}
