//! The sanity checks of the physics, one test each: the numbers that every house must be able to reproduce.

use talkwire_home::physics::line::{LineClass, activity, port_goodput_mbps};
use talkwire_home::physics::path::{Band, Material, loss_db, rssi_down_dbm};
use talkwire_home::physics::rate::{Generation, choose, noise_floor_dbm, retry_fraction, tcp_mbps};
use talkwire_home::physics::{address, air, machine, queue};

#[track_caller]
fn near(got: f64, want: f64, tolerance: f64) {
    assert!((got - want).abs() <= tolerance, "got {got:.2}, want {want:.2} within {tolerance:.2}");
}

/// TCP rate of a client alone with others keeping the air busy.
fn tcp(generation: Generation, width: u16, band: Band, rssi: f64, chains: u8, rise: f64, external: f64) -> f64 {
    let snr = rssi - noise_floor_dbm(width, band) - rise;
    let rate = choose(generation, width, 2, snr, chains).expect("a usable signal");
    tcp_mbps(generation, rate.phy_mbps, retry_fraction(snr)) * air::share(external)
}

#[test]
fn check_01_ax_80_mhz_at_minus_65() {
    let snr = -65.0 - noise_floor_dbm(80, Band::Ghz5);
    let rate = choose(Generation::Ax, 80, 2, snr, 4).expect("a rate");
    assert_eq!((rate.mcs, rate.streams), (6, 2));
    near(rate.phy_mbps, 648.6, 1.0);
    near(tcp(Generation::Ax, 80, Band::Ghz5, -65.0, 4, 0.0, 0.05), 478.0, 20.0);
    near(tcp(Generation::Ax, 80, Band::Ghz5, -65.0, 2, 0.0, 0.05), 319.0, 20.0);
}

#[test]
fn check_02_the_same_with_busy_air() {
    near(tcp(Generation::Ax, 80, Band::Ghz5, -65.0, 4, 0.0, 0.6), 190.0, 10.0);
}

#[test]
fn check_03_n_20_mhz_and_what_a_quieter_channel_brings() {
    let at = |busy| tcp(Generation::N, 20, Band::Ghz2, -60.0, 2, 0.0, busy);
    near(at(0.1), 103.0, 5.0);
    near(at(0.7), 32.0, 3.0);
    near(at(0.3) / at(0.7), 2.4, 0.1);
}

#[test]
fn check_04_a_phone_behind_two_plasterboards() {
    let level = |band: Band, mhz, eirp| rssi_down_dbm(eirp, -4.0, loss_db(mhz, 10.0, 2.0 * Material::Plasterboard.loss_db(band)), 3.0);
    near(level(Band::Ghz2, 2437.0, 20.0), -54.0, 2.0);
    near(level(Band::Ghz5, 5250.0, 23.0), -60.0, 2.0);
}

#[test]
fn check_05_a_phone_behind_concrete() {
    let level = |band: Band, mhz, eirp| {
        let walls = Material::Concrete15.loss_db(band) + Material::Plasterboard.loss_db(band);
        rssi_down_dbm(eirp, -4.0, loss_db(mhz, 12.0, walls), 3.0)
    };
    near(level(Band::Ghz2, 2437.0, 20.0), -65.0, 2.0);
    near(level(Band::Ghz5, 5250.0, 23.0), -78.0, 2.0);
}

#[test]
fn check_06_usb_3_noise() {
    near(tcp(Generation::N, 20, Band::Ghz2, -65.0, 2, 0.0, 0.1), 92.0, 5.0);
    near(tcp(Generation::N, 20, Band::Ghz2, -65.0, 2, 15.0, 0.1), 17.0, 2.0);
}

#[test]
fn check_07_a_microwave_oven() {
    let near_channel = air::oven_share(-40.0, 11);
    assert!((0.45..=0.5).contains(&near_channel), "{near_channel}");
    assert!(air::oven_share(-40.0, 1) >= 0.85);
    assert!(retry_fraction(30.0) + 0.35 * (1.0 - near_channel) + 0.2 >= 0.4);
}

#[test]
fn check_08_two_saturated_access_points() {
    near(air::rival_share(false), 0.47, 0.02);
}

#[test]
fn check_09_a_slow_and_a_fast_client() {
    let unfair = air::saturated(&[10.0, 450.0], false);
    near(unfair[0], 9.8, 0.1);
    near(unfair[1], 9.8, 0.1);
    assert_eq!(air::saturated(&[10.0, 450.0], true), vec![5.0, 225.0]);
}

#[test]
fn check_10_a_shared_mesh_hop() {
    near(air::shared_hops(&[498.0, 669.0]), 285.0, 3.0);
    near(498.0_f64.min(669.0), 498.0, 0.1);
}

#[test]
fn check_11_a_full_uplink() {
    let full = |cap| queue::filled(20.0, 1e6, cap, 300.0);
    near(10.0 + full(None).added_ms, 330.0, 20.0);
    let shaped = full(Some(18.0));
    assert!(10.0 + shaped.added_ms <= 20.0);
    near(shaped.rate_mbps, 17.5, 0.6);
    near(10.0 + full(Some(25.0)).added_ms, 330.0, 20.0);
}

#[test]
fn check_12_loss_slows_a_flow() {
    near(queue::flow_mbps(20.0, 0.01), 7.1, 0.3);
    near(4.0 * queue::flow_mbps(20.0, 0.01), 28.0, 1.5);
    near(queue::flow_mbps(20.0, 0.001), 22.5, 1.0);
}

#[test]
fn check_13_a_port_at_100() {
    near(port_goodput_mbps(100.0, false), 94.1, 0.2);
    near(port_goodput_mbps(100.0, true), 93.6, 0.2);
}

#[test]
fn check_14_an_oversubscribed_line() {
    let at = |hour| LineClass::Oversubscribed.at(activity(hour, false));
    near(300.0 * at(4.0).part, 297.0, 2.0);
    let peak = at(21.0);
    near(300.0 * peak.part, 165.0, 2.0);
    near(peak.delay_ms, 35.0, 0.5);
    near(peak.loss, 0.005, 0.0005);
}

#[test]
fn check_16_a_pool_that_fills() {
    near(address::full_on_day(150.0, 40.0, 30.0, 7.0).expect("full"), 3.7, 0.1);
    assert!(address::full_on_day(150.0, 40.0, 30.0, 1.0).is_none());
    near(address::pool_used(40.0, 30.0, 1.0, 30.0), 70.0, 0.1);
}

#[test]
fn check_17_a_race_of_address_servers() {
    let wins = (5..=50).filter(|offer| address::rogue_wins(false, address::PING_CHECK_MS, f64::from(*offer))).count();
    assert_eq!(wins, 46);
    assert!(!address::rogue_wins(true, address::PING_CHECK_MS, 20.0));
}

#[test]
fn check_18_the_first_resolver_is_dead() {
    near(address::lookup_ms(&[false, true], 5000.0, 20.0).expect("an answer"), 5020.0, 0.1);
    near(address::lookup_ms(&[true, true], 5000.0, 20.0).expect("an answer"), 20.0, 0.1);
    assert!(address::lookup_ms(&[false, false], 5000.0, 20.0).is_none());
}

#[test]
fn check_19_a_sticky_client_is_steered() {
    let before = tcp(Generation::Ax, 80, Band::Ghz5, -78.0, 4, 0.0, 0.05);
    let after = tcp(Generation::Ax, 80, Band::Ghz5, -55.0, 4, 0.0, 0.05);
    near(before, 100.0, 20.0);
    near(after, 654.0, 20.0);
}

#[test]
fn heat_settles_where_the_table_says() {
    let open = machine::settled_c(25.0, machine::Placement::Open, machine::watts(0.05, 0.3));
    near(open, 55.0, 4.0);
    let cabinet = machine::settled_c(35.0, machine::Placement::Cabinet, machine::watts(1.0, 1.0));
    near(cabinet, 138.0, 6.0);
    near(machine::warmed_c(50.0, 100.0, 900.0), 81.6, 0.2);
}
