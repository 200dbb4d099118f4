//! TLS and sealed payloads: the check looks through both, and a device that is careless with either fails.

use crate::device::{Device, FERNET, ID};
use crate::every_check::{failed, options, report};
use crate::exchange::{Exchange, PASSWORD, free_address};
use crate::mosquitto::{Mosquitto, program, skip};
use crate::tls_door::{Certificates, Door, roots};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use talkwire::check::access::Credentials;
use talkwire::check::target::Secret;
use talkwire::check::{CannotRun, Options, Status, inspect};
use talkwire_device::{Attributes, Broker, DeviceConfig, FernetKey, Running, Severity, StateReport, Tls};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::{ring::default_provider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// A device on the SDK that says all that a check wants to hear.
async fn sdk_device(broker: Broker, data: PathBuf, fernet_key: Option<FernetKey>) -> Running {
    let text = |text: &str| Some(text.to_owned());
    let attributes = Attributes { manufacturer: text("Acme"), model: text("S1"), firmware_version: text("1.0"), ..Attributes::default() };
    let config = DeviceConfig::new(format!("acme/home/{ID}").parse().unwrap(), "sensor", broker);
    let config = DeviceConfig { data_dir: data, attributes, fernet_key, state_period: Duration::from_secs(8), ..config };
    let figures = serde_json::json!({"cpu_usage": 2.0, "memory_usage": 30.0}).as_object().unwrap().clone();
    let builder = talkwire_device::Device::builder(config).state(move || StateReport { figures: figures.clone(), ..StateReport::default() });
    let running = builder.start().await.unwrap();
    running.event("system.start", Severity::Info, serde_json::json!({"reason": "power_on"}));
    let speaking = running.device();
    tokio::spawn(async move {
        speaking.online().await;
        speaking.telemetry("temperature", 21.5, "celsius");
    });
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_a_certificate_passes_at_mosquitto_that_asks_for_one() {
    let Some(mosquitto) = program("mosquitto") else { return skip("with TLS", "it is not installed (`apt install mosquitto`)") };
    let certificates = match Certificates::make() {
        Ok(certificates) => certificates,
        Err(why) => return skip("with TLS", &why),
    };
    let (port, data) = (free_address().port(), tempfile::tempdir().unwrap());
    let file = |name: &str| certificates.file(name);
    let settings = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nrequire_certificate true\ncafile {}\ncertfile {}\nkeyfile {}\npersistence false\nuser root\n",
        file("ca.crt").display(),
        file("broker.crt").display(),
        file("broker.key").display()
    );
    let _running = Mosquitto::start(&mosquitto, data.path(), &settings, port).await;

    let mut options = options(port);
    (options.target.tls, options.require_tls) = (true, true);
    assert!(matches!(inspect(&options, |_| {}).await, Err(CannotRun::Broker { .. })), "a broker whose authority nobody knows is not trusted");
    options.target.ca_file = Some(file("ca.crt"));
    assert!(matches!(inspect(&options, |_| {}).await, Err(CannotRun::Broker { .. })), "the broker wants to see who asks");
    options.target.identity = Some((file("client.crt"), file("client.key")));

    let tls = Tls::ca(file("ca.crt")).identity(file("client.crt"), file("client.key"));
    let device = sdk_device(Broker::tls("127.0.0.1", options.proxy.unwrap().port(), tls), data.path().join("data"), None).await;
    let report = report(&options).await;
    assert_eq!(report.count(Status::Failed), 0, "{}", report.text());
    for id in ["S01", "S06", "B02", "B09", "R01", "R03", "R04", "R05"] {
        assert_eq!(report.finding(id).unwrap().status, Status::Passed, "{}", report.text());
    }
    device.shutdown().await;
}

/// A broker with accounts behind a door with TLS.
struct Locked {
    exchange: Exchange,
    _door: Door,
    certificates: Certificates,
    options: Options,
}

impl Locked {
    async fn start() -> Result<Self, String> {
        let certificates = Certificates::make()?;
        let exchange = Exchange::with_accounts().await;
        let door = Door::before(exchange.port, &certificates, false).await;
        let mut options = options(door.port);
        (options.target.tls, options.require_tls, options.target.ca_file) = (true, true, Some(certificates.file("ca.crt")));
        (options.target.username, options.target.password) = (Some("check".into()), Some(Secret(PASSWORD.into())));
        options.credentials = Some(Credentials { username: ID.into(), password: Secret(PASSWORD.into()) });
        Ok(Self { exchange, _door: door, certificates, options })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_tls_an_account_and_a_key_passes_every_check() {
    let (mut locked, data) = match Locked::start().await {
        Ok(locked) => (locked, tempfile::tempdir().unwrap()),
        Err(why) => return skip("with TLS and a key", &why),
    };
    let key = FernetKey::new([42; 32]);
    locked.options.fernet = Some(key.clone());
    (locked.options.watch, locked.options.watch_least) = (Duration::from_secs(61), Duration::from_secs(61));
    let proxy = locked.options.proxy.unwrap().port();
    let broker = Broker::tls("127.0.0.1", proxy, Tls::ca(locked.certificates.file("ca.crt"))).login(ID, PASSWORD);
    let device = sdk_device(broker, data.path().into(), Some(key)).await;
    let report = report(&locked.options).await;
    let not_passed: Vec<_> = report.findings.iter().filter(|finding| finding.status != Status::Passed).map(|finding| finding.id).collect();
    assert!(not_passed.is_empty(), "{}", report.text());
    device.shutdown().await;
    locked.exchange.stop().await;
}

/// Takes any certificate that is made out to the name that is called, whoever signed it.
#[derive(Debug)]
struct Careless;

impl ServerCertVerifier for Careless {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(&self, message: &[u8], shown: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, shown, signed, &default_provider().signature_verification_algorithms)
    }
    fn verify_tls13_signature(&self, message: &[u8], shown: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, shown, signed, &default_provider().signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A way through TLS to `proxy` for a device that has none; its port.
async fn wrapped(proxy: u16, config: ClientConfig) -> u16 {
    let (listener, connector) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TlsConnector::from(Arc::new(config)));
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut device, _)) = listener.accept().await {
            let connector = connector.clone();
            tokio::spawn(async move {
                let Ok(plain) = TcpStream::connect(("127.0.0.1", proxy)).await else { return };
                let Ok(mut sealed) = connector.connect(ServerName::try_from("127.0.0.1").unwrap(), plain).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut device, &mut sealed).await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_device_that_looks_at_the_brokers_certificate_passes() {
    for careless in [true, false] {
        let locked = match Locked::start().await {
            Ok(locked) => locked,
            Err(why) => return skip("with a careless device", &why),
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().unwrap();
        let config = match careless {
            true => builder.dangerous().with_custom_certificate_verifier(Arc::new(Careless)).with_no_client_auth(),
            false => builder.with_root_certificates(roots(&locked.certificates)).with_no_client_auth(),
        };
        let way = wrapped(locked.options.proxy.unwrap().port(), config).await;
        let device = Device::start(way, Some(PASSWORD), &[]);
        let report = report(&locked.options).await;
        drop(device);
        let bad: BTreeSet<&str> = careless.then_some("S06").into_iter().collect();
        assert_eq!(failed(&report), bad, "{}", report.text());
        let finding = report.finding("S06").unwrap();
        if careless {
            assert!(finding.detail.contains("name and password"), "{finding:?}");
        } else {
            assert_eq!(finding.status, Status::Passed, "{finding:?}");
        }
        locked.exchange.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_seals_and_yet_obeys_commands_in_clear_fails() {
    let exchange = Exchange::open().await;
    let mut options = options(exchange.port);
    options.fernet = Some(FernetKey::new(FERNET));
    let device = Device::start(options.proxy.unwrap().port(), None, &["S07"]);
    let report = report(&options).await;
    drop(device);
    assert_eq!(failed(&report), BTreeSet::from(["S07"]), "{}", report.text());
    assert!(report.finding("S07").unwrap().detail.contains("in clear"), "{}", report.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_speaks_in_clear_although_it_has_a_key_fails() {
    let exchange = Exchange::open().await;
    let mut options = options(exchange.port);
    (options.fernet, options.proxy) = (Some(FernetKey::new(FERNET)), None);
    let device = Device::start(exchange.port, None, &[]);
    let report = report(&options).await;
    drop(device);
    assert!(["B09", "B16", "S07"].iter().all(|id| failed(&report).contains(id)), "{}", report.text());
    assert!(report.finding("B16").unwrap().detail.contains("not sealed with the device's key"), "{}", report.text());
}
