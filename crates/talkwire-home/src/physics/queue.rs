//! Queues and TCP: what waits before a slow link, and what loss does to a flow.

/// Time a full buffer needs to drain, in milliseconds.
pub fn full_ms(buffer_bytes: f64, rate_mbps: f64) -> f64 {
    8.0 * buffer_bytes / (rate_mbps.max(0.01) * 1e3)
}

/// Delay while at least one bulk flow fills the link, in milliseconds.
pub fn saturated_ms(buffer_bytes: f64, rate_mbps: f64) -> f64 {
    0.8 * full_ms(buffer_bytes, rate_mbps)
}

/// Delay under a load that does not saturate, in milliseconds.
pub fn light_ms(rate_mbps: f64, load: f64) -> f64 {
    let rho = load.clamp(0.0, 0.97);
    8.0 * 1500.0 / (rate_mbps.max(0.01) * 1e3) * rho / (2.0 * (1.0 - rho))
}

/// What a link gives and how long packets wait in it when it is filled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Filled {
    /// Rate in Mbps.
    pub rate_mbps: f64,
    /// Added delay in milliseconds.
    pub added_ms: f64,
}

/// A filled link of `line_mbps`, with or without a shaper at `cap_mbps` on a machine that can shape `cpu_mbps`.
pub fn filled(line_mbps: f64, buffer_bytes: f64, cap_mbps: Option<f64>, cpu_mbps: f64) -> Filled {
    match cap_mbps {
        Some(cap) if cap > cpu_mbps && cpu_mbps < line_mbps => Filled { rate_mbps: cpu_mbps, added_ms: 40.0 },
        Some(cap) if cap <= 0.95 * line_mbps => Filled { rate_mbps: cap, added_ms: 5.0 },
        Some(cap) if cap <= line_mbps => Filled { rate_mbps: cap, added_ms: 25.0 },
        _ => Filled { rate_mbps: line_mbps, added_ms: saturated_ms(buffer_bytes, line_mbps) },
    }
}

/// Rate of one loss-driven TCP flow in Mbps.
pub fn flow_mbps(rtt_ms: f64, loss: f64) -> f64 {
    let rtt = rtt_ms.max(0.1) / 1e3;
    let loss = loss.max(1e-9);
    let reno = 1.22 * 1460.0 * 8.0 / (rtt * loss.sqrt());
    let cubic = 1.054 * (rtt / loss).powf(0.75) * 1460.0 * 8.0 / rtt;
    reno.max(cubic) / 1e6
}

/// Delay of the Wi-Fi hop under full load in milliseconds; managed queues stay short.
pub fn hop_ms(rate_mbps: f64, load: f64, managed: bool) -> f64 {
    let full = full_ms(256e3, rate_mbps).min(600.0);
    if managed { full.min(25.0) * load } else { full * load }
}
