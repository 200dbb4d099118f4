//! Two devices with one id: each throws the other out, and neither can be told so.

use crate::device::Device;
use crate::every_check::{options, report};
use crate::exchange::Exchange;
use talkwire::check::{Options, Status};

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_with_one_id_do_not_stay_connected() {
    let exchange = Exchange::open().await;
    let _two = [Device::start(exchange.port, None, &[]), Device::start(exchange.port, None, &[])];
    let report = report(&Options { proxy: None, ..options(exchange.port) }).await;
    let finding = report.finding("B01").unwrap();
    assert_eq!(finding.status, Status::Failed, "{}", report.text());
    assert!(finding.detail.contains("times") && finding.detail.contains("two clients use this id"), "{finding:?}");
}
