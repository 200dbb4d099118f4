//! TLS for the tests: certificates made on the spot by openssl, and a door with a lock in front of a broker that has none.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// An authority, and what it signed: a broker at 127.0.0.1, and a client.
pub struct Certificates(tempfile::TempDir);

impl Certificates {
    /// Makes them, or says why not.
    pub fn make() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("san"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        let lines = [
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=authority -days 1",
            "req -newkey rsa:2048 -nodes -keyout broker.key -out broker.csr -subj /CN=broker",
            "x509 -req -in broker.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out broker.crt -days 1 -extfile san",
            "req -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj /CN=client",
            "x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out client.crt -days 1 -extfile san",
        ];
        for line in lines {
            let mut openssl = Command::new("openssl");
            openssl.args(line.split_whitespace()).current_dir(folder.path()).stdout(Stdio::null());
            let made = openssl.output().map_err(|error| format!("there is no openssl ({error}); `apt install openssl`"))?;
            assert!(made.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(Self(folder))
    }

    /// A file of theirs: `ca.crt`, `broker.crt`, `broker.key`, `client.crt`, `client.key`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn chain(file: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(file).unwrap().collect::<Result<_, _>>().unwrap()
}

/// The authority alone.
pub fn roots(certificates: &Certificates) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    chain(&certificates.file("ca.crt")).into_iter().for_each(|certificate| roots.add(certificate).unwrap());
    roots
}

/// Takes TLS connections and passes what they say on; gone when this is dropped.
pub struct Door {
    pub port: u16,
    accepting: tokio::task::AbortHandle,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Door {
    /// Stands before `broker`; `asks`: clients must show a certificate that the authority signed.
    pub async fn before(broker: u16, certificates: &Certificates, asks: bool) -> Self {
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().unwrap();
        let builder = if asks {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(certificates)), Arc::new(default_provider())).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_file(certificates.file("broker.key")).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain(&certificates.file("broker.crt")), key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let (Ok(mut inside), Ok(mut outside)) = (TcpStream::connect(("127.0.0.1", broker)).await, acceptor.accept(client).await) else { return };
                    inside.set_nodelay(true).unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        Self { port, accepting: accepting.abort_handle() }
    }
}
