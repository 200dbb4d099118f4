//! The stranger in the broker's place: a TLS server whose certificate nobody has signed but himself. A device that talks to him would
//! talk to anybody.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::{default_provider, sign::any_ecdsa_type};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{AlertDescription, Error, ServerConfig};

/// How long a handshake may take on a small device.
const HANDSHAKE: Duration = Duration::from_secs(8);
/// How long after it the device may take to say something.
const SPEAKS: Duration = Duration::from_secs(2);

/// How a client met the stranger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Met {
    /// It hung up; how.
    Refused(String),
    /// It went on: what it said first inside the encrypted connection.
    Spoke(Vec<u8>),
    /// The two did not get so far that the certificate was looked at; why.
    Unclear(String),
}

/// Receives a client in the broker's name, under whatever name it calls. Never longer than ten seconds.
pub async fn meet(client: TcpStream) -> Met {
    let unclear = |why: String| Met::Unclear(why);
    let here = match client.local_addr() {
        Ok(address) => address.ip(),
        Err(error) => return unclear(error.to_string()),
    };
    let provider = Arc::new(default_provider());
    let config = match ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions() {
        Ok(builder) => builder.with_no_client_auth().with_cert_resolver(Arc::new(Mask { here })),
        Err(error) => return unclear(error.to_string()),
    };
    let mut talk = match tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(Arc::new(config)).accept(client)).await {
        Err(_) => return unclear(format!("nothing came within {} s", HANDSHAKE.as_secs())),
        Ok(Err(error)) => return refusal(&error),
        Ok(Ok(talk)) => talk,
    };
    // Some libraries look at the certificate only when the handshake is over.
    let mut said = vec![0; 4096];
    match tokio::time::timeout(SPEAKS, talk.read(&mut said)).await {
        Ok(Ok(0)) => Met::Refused("it hung up after the handshake".into()),
        Ok(Err(error)) => refusal(&error),
        Err(_) => unclear("it said nothing after the handshake".into()),
        Ok(Ok(count)) => {
            said.truncate(count);
            Met::Spoke(said)
        }
    }
}

/// Why a handshake ended: because of the certificate, or of something else.
fn refusal(error: &std::io::Error) -> Met {
    use AlertDescription::{HandshakeFailure, InsufficientSecurity, NoApplicationProtocol, ProtocolVersion};
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::AlertReceived(HandshakeFailure | InsufficientSecurity | NoApplicationProtocol | ProtocolVersion)) => Met::Unclear(error.to_string()),
        Some(Error::AlertReceived(alert)) => Met::Refused(format!("it said {alert:?}")),
        Some(other) => Met::Unclear(other.to_string()),
        None => Met::Refused(format!("it hung up ({error})")),
    }
}

/// Shows a certificate for whatever name is called, or for the address when none is.
#[derive(Debug)]
struct Mask {
    here: IpAddr,
}

impl ResolvesServerCert for Mask {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).ok()?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random).ok()?;
        let certificate = certificate(&pair, &random, hello.server_name(), self.here)?;
        let signer = any_ecdsa_type(&PrivatePkcs8KeyDer::from(key.as_ref().to_vec()).into()).ok()?;
        Some(Arc::new(CertifiedKey::new(vec![CertificateDer::from(certificate)], signer)))
    }
}

/// A self-signed X.509 certificate, version 3 (RFC 5280 §4.1), for a name or an address.
fn certificate(pair: &EcdsaKeyPair, random: &SystemRandom, name: Option<&str>, here: IpAddr) -> Option<Vec<u8>> {
    const ECDSA_WITH_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
    const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
    const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
    const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1D, 0x11];
    let algorithm = sequence(&[der(OID, ECDSA_WITH_SHA256)]);
    let who = sequence(&[der(SET, &sequence(&[der(OID, COMMON_NAME), der(UTF8, b"talkwire check: a stranger")]))]);
    let validity = sequence(&[der(TIME, b"200101000000Z"), der(TIME, b"490101000000Z")]);
    let public = sequence(&[sequence(&[der(OID, EC_PUBLIC_KEY), der(OID, P256)]), der(BITS, &[&[0], pair.public_key().as_ref()].concat())]);
    let called = match (name, here) {
        (Some(name), _) => der(DNS_NAME, name.as_bytes()),
        (None, IpAddr::V4(address)) => der(IP_ADDRESS, &address.octets()),
        (None, IpAddr::V6(address)) => der(IP_ADDRESS, &address.octets()),
    };
    let extensions = der(EXTENSIONS, &sequence(&[sequence(&[der(OID, ALTERNATIVE_NAMES), der(OCTETS, &sequence(&[called]))])]));
    let version = der(VERSION, &der(INTEGER, &[2]));
    let body = sequence(&[version, der(INTEGER, &[1]), algorithm.clone(), who.clone(), validity, who, public, extensions]);
    let signature = pair.sign(random, &body).ok()?;
    Some(sequence(&[body, algorithm, der(BITS, &[&[0], signature.as_ref()].concat())]))
}

const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const UTF8: u8 = 0x0C;
const TIME: u8 = 0x17;
const SET: u8 = 0x31;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
const VERSION: u8 = 0xA0;
const EXTENSIONS: u8 = 0xA3;

/// One value in DER: tag, length, content (at most 64 KiB).
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let (high, low) = ((length >> 8) as u8, length as u8);
    let head = match length {
        0..=0x7F => vec![tag, low],
        0x80..=0xFF => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head.as_slice(), content].concat()
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    der(0x30, &parts.concat())
}
