//! The router as a machine: how much it can forward and how hot it gets.

use serde::{Deserialize, Serialize};

/// A class of router hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineClass {
    /// A 580 MHz MIPS core.
    Mips580,
    /// A dual-core MIPS with forwarding engine.
    Mt7621,
    /// Four Cortex-A7 cores.
    QuadA7,
    /// Two cores at 1.7 GHz.
    Dual17,
    /// Cortex-A53 at 1.3–2 GHz.
    A53,
}

/// How packets are forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// By the processor.
    Software,
    /// By the processor, inside PPPoE.
    Pppoe,
    /// By the processor, through a shaper.
    Shaped,
    /// By the forwarding engine.
    Offload,
}

impl MachineClass {
    /// Mbps of TCP before the busiest core is full.
    pub fn capacity_mbps(self, forwarding: Forwarding) -> f64 {
        let [software, pppoe, shaped, offload] = match self {
            MachineClass::Mips580 => [90.0, 90.0, 60.0, 90.0],
            MachineClass::Mt7621 => [750.0, 450.0, 300.0, 940.0],
            MachineClass::QuadA7 => [500.0, 400.0, 200.0, 500.0],
            MachineClass::Dual17 => [700.0, 550.0, 225.0, 940.0],
            MachineClass::A53 => [940.0, 900.0, 750.0, 2300.0],
        };
        match forwarding {
            Forwarding::Software => software,
            Forwarding::Pppoe => pppoe,
            Forwarding::Shaped => shaped,
            Forwarding::Offload => offload,
        }
    }

    /// Number of cores.
    pub fn cores(self) -> f64 {
        match self {
            MachineClass::Mips580 => 1.0,
            MachineClass::Mt7621 | MachineClass::Dual17 => 2.0,
            MachineClass::QuadA7 | MachineClass::A53 => 4.0,
        }
    }
}

/// Load of the busiest core in percent.
pub fn core_max_percent(demand_mbps: f64, capacity_mbps: f64) -> f64 {
    (5.0 + 95.0 * demand_mbps / capacity_mbps.max(1.0)).min(100.0)
}

/// Where the device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// In free air.
    #[default]
    Open,
    /// On a shelf among other things.
    Shelf,
    /// In a closed cabinet.
    Cabinet,
}

impl Placement {
    /// Kelvin per watt between the chip and the room.
    pub fn kelvin_per_watt(self) -> f64 {
        match self {
            Placement::Open => 5.0,
            Placement::Shelf => 8.0,
            Placement::Cabinet => 10.0,
        }
    }
}

/// Power drawn in watts, from the load of the processor (0..1) and what the transmitters work (see [`transmitting`]).
pub fn watts(cpu: f64, transmitters: f64) -> f64 {
    4.0 + 2.0 * cpu.clamp(0.0, 1.0) + 4.5 * transmitters.clamp(0.0, 1.5)
}

/// What one transmitter works, 0..1 at the legal limit: from its own air and its power above or below that limit in dB.
pub fn transmitting(own_air: f64, over_limit_db: f64) -> f64 {
    let amplifier = 0.2 + 0.8 * 10f64.powf(over_limit_db / 10.0);
    (0.3 + 0.7 * own_air.clamp(0.0, 1.0)) * amplifier
}

/// Temperature that the chip tends to.
pub fn settled_c(ambient_c: f64, placement: Placement, watts: f64) -> f64 {
    ambient_c + placement.kelvin_per_watt() * watts
}

/// The chip after `seconds` on its way to `settled_c`, with a time constant of 15 minutes.
pub fn warmed_c(now_c: f64, settled_c: f64, seconds: f64) -> f64 {
    settled_c + (now_c - settled_c) * (-seconds / 900.0).exp()
}

/// The part of the time in which a hot chip lets its transmitters work.
pub fn transmit_duty(die_c: f64) -> f64 {
    match die_c {
        c if c >= 105.0 => 0.25,
        c if c >= 100.0 => 0.5,
        c if c >= 95.0 => 0.75,
        _ => 1.0,
    }
}

/// The chip switches itself off here.
pub const RESET_C: f64 = 115.0;

/// Resets per hour of a chip that works close to its limit.
pub fn reset_hazard_per_h(die_c: f64) -> f64 {
    if die_c < 96.0 { 0.0 } else { 0.2 + 0.1 * (die_c - 96.0) }
}
