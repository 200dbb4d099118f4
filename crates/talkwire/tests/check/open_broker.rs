//! What the check finds out about a broker by itself: whether everybody is let in, and what everybody may do.

use crate::device::{Device, ID};
use crate::every_check::{failed, options, report};
use crate::exchange::{Exchange, PASSWORD};
use std::collections::BTreeSet;
use talkwire::check::access::Credentials;
use talkwire::check::target::Secret;
use talkwire::check::{Options, Report, Status};

async fn checked(exchange: &Exchange, password: Option<&str>, change: impl FnOnce(Options) -> Options) -> Report {
    let _device = Device::start(exchange.port, password, &[]);
    report(&change(Options { proxy: None, ..options(exchange.port) })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_broker_fails_without_anybodys_credentials_unless_it_is_meant_to_be_open() {
    let exchange = Exchange::open().await;
    let open = checked(&exchange, None, |options| Options { open_broker: false, ..options }).await;
    assert_eq!(failed(&open), BTreeSet::from(["S02", "S04", "S05"]), "{}", open.text());
    assert!(open.finding("S04").unwrap().detail.contains("anybody, without a name"), "{}", open.text());
    assert!(open.finding("S02").unwrap().mend.contains("anonymous"));

    let meant = checked(&exchange, None, |options| options).await;
    assert!(failed(&meant).is_empty() && meant.finding("S02").unwrap().detail.contains("--open-broker"), "{}", meant.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_of_the_device_is_named_and_not_taken_for_the_brokers_fault() {
    let exchange = Exchange::with_accounts().await;
    let account = |options: Options, password: Option<&str>| {
        let credentials = password.map(|password| Credentials { username: ID.into(), password: Secret(password.into()) });
        let mut options = Options { open_broker: false, credentials, ..options };
        (options.target.username, options.target.password) = (Some("check".into()), Some(Secret(PASSWORD.into())));
        options
    };
    let wrong = checked(&exchange, Some(PASSWORD), |options| account(options, Some("mistyped"))).await;
    assert!(failed(&wrong).is_empty(), "{}", wrong.text());
    for id in ["S02", "S04", "S05"] {
        let finding = wrong.finding(id).unwrap();
        assert!(finding.status == Status::Skipped && finding.detail.contains("refused --device-username and --device-password"), "{finding:?}");
    }
    assert!(wrong.sum().contains("THE DEVICE'S CREDENTIALS WERE REFUSED"), "{}", wrong.text());

    // A broker that asks is not called open, but without the device's name nothing more is known.
    let none = checked(&exchange, Some(PASSWORD), |options| account(options, None)).await;
    assert!(failed(&none).is_empty() && none.finding("S02").unwrap().detail.contains("is refused"), "{}", none.text());
}
