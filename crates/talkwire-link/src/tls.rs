//! TLS: whom we trust, and who we are.

use crate::error::LinkError;
use std::path::PathBuf;

/// How the connection is protected. All files are PEM. They are read again at every connect, so that certificates can be renewed
/// while the program runs. Needs the feature `tls`.
///
/// ```
/// use talkwire_link::Tls;
/// let public_broker = Tls::system();
/// let own_authority = Tls::ca("/etc/talkwire/ca.crt");
/// let mutual = Tls::ca("/etc/talkwire/ca.crt").identity("/etc/talkwire/client.crt", "/etc/talkwire/client.key");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// The authorities that may sign the broker's certificate, beside the system's if those are trusted.
    pub ca: Option<PathBuf>,
    /// Whether the authorities that the operating system trusts are trusted as well.
    pub system_roots: bool,
    /// Our own certificate with its chain, for brokers that ask for one.
    pub certificate: Option<PathBuf>,
    /// The private key of `certificate`.
    pub key: Option<PathBuf>,
    /// Protocol names offered to the broker (ALPN), for example `mqtt`; most brokers want none.
    pub alpn: Vec<String>,
}

impl Tls {
    /// Trusts the authorities of the operating system.
    pub fn system() -> Self {
        Self { system_roots: true, ..Self::default() }
    }

    /// Trusts only the authorities in this file.
    pub fn ca(file: impl Into<PathBuf>) -> Self {
        Self { ca: Some(file.into()), ..Self::default() }
    }

    /// Shows this certificate when the broker asks who we are.
    #[must_use]
    pub fn identity(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        (self.certificate, self.key) = (Some(certificate.into()), Some(key.into()));
        self
    }

    #[cfg(not(feature = "tls"))]
    pub(crate) fn transport(&self) -> Result<rumqttc::Transport, LinkError> {
        Err(LinkError::Config("TLS is asked for, but this program was built without it; build it with the feature `tls`".into()))
    }

    #[cfg(feature = "tls")]
    pub(crate) fn transport(&self) -> Result<rumqttc::Transport, LinkError> {
        use std::sync::Arc;
        use tokio_rustls::rustls::{ClientConfig, crypto::ring::default_provider};

        let wrong = |error: tokio_rustls::rustls::Error| LinkError::Config(format!("TLS: {error}"));
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().map_err(wrong)?;
        let builder = builder.with_root_certificates(self.roots()?);
        let mut config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let why = |error: tokio_rustls::rustls::Error| LinkError::file("client certificate", certificate, &error.to_string());
                builder.with_client_auth_cert(chain("client certificate", certificate)?, private_key(key)?).map_err(why)?
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) => return Err(LinkError::Config("TLS: a client certificate needs its `key`".into())),
            (None, Some(_)) => return Err(LinkError::Config("TLS: a client key needs its `certificate`".into())),
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(rumqttc::Transport::tls_with_config(rumqttc::TlsConfiguration::Rustls(Arc::new(config))))
    }

    #[cfg(feature = "tls")]
    fn roots(&self) -> Result<tokio_rustls::rustls::RootCertStore, LinkError> {
        let mut roots = tokio_rustls::rustls::RootCertStore::empty();
        if let Some(file) = &self.ca {
            for certificate in chain("CA certificate", file)? {
                roots.add(certificate).map_err(|error| LinkError::file("CA certificate", file, &error.to_string()))?;
            }
        }
        if self.system_roots {
            // What the system has and cannot be read is left out, as its other programs do.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() {
            let text = if self.system_roots {
                "the system trusts no authority; install ca-certificates, or give `ca`"
            } else {
                "give `ca`, or trust the system's roots"
            };
            return Err(LinkError::Config(format!("TLS: nobody is trusted: {text}")));
        }
        Ok(roots)
    }
}

#[cfg(feature = "tls")]
fn chain(what: &str, file: &std::path::Path) -> Result<Vec<tokio_rustls::rustls::pki_types::CertificateDer<'static>>, LinkError> {
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
    let why = |error: tokio_rustls::rustls::pki_types::pem::Error| LinkError::file(what, file, &error.to_string());
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file).map_err(why)?.collect::<Result<_, _>>().map_err(why)?;
    if certificates.is_empty() {
        return Err(LinkError::file(what, file, "it holds no PEM certificate"));
    }
    Ok(certificates)
}

#[cfg(feature = "tls")]
fn private_key(file: &std::path::Path) -> Result<tokio_rustls::rustls::pki_types::PrivateKeyDer<'static>, LinkError> {
    use tokio_rustls::rustls::pki_types::{PrivateKeyDer, pem::PemObject};
    PrivateKeyDer::from_pem_file(file).map_err(|error| LinkError::file("client key", file, &error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(tls: &Tls) -> String {
        tls.transport().err().expect("refused").to_string()
    }

    #[test]
    fn what_cannot_work_is_said_before_connecting() {
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().join("ca.crt");
        std::fs::write(&text, "not a certificate").unwrap();
        if cfg!(feature = "tls") {
            assert!(refused(&Tls::default()).contains("nobody is trusted"));
            assert!(refused(&Tls::ca("/nowhere/ca.crt")).contains("/nowhere/ca.crt"));
            assert!(refused(&Tls::ca(text)).contains("holds no PEM certificate"));
        } else {
            assert!(refused(&Tls::system()).contains("feature `tls`"));
        }
    }
}
