//! From signal and noise to a rate, and from the rate to what TCP gets.

use serde::{Deserialize, Serialize};

/// A generation of Wi-Fi.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Generation {
    /// 802.11b.
    B,
    /// 802.11g.
    G,
    /// 802.11n (Wi-Fi 4).
    N,
    /// 802.11ac (Wi-Fi 5).
    Ac,
    /// 802.11ax (Wi-Fi 6).
    Ax,
}

impl Generation {
    /// The name used on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Generation::B => "b",
            Generation::G => "g",
            Generation::N => "n",
            Generation::Ac => "ac",
            Generation::Ax => "ax",
        }
    }

    fn top_mcs(self, width_mhz: u16) -> usize {
        match self {
            Generation::N => 7,
            Generation::Ac if width_mhz <= 20 => 8,
            Generation::Ac => 9,
            Generation::Ax => 11,
            Generation::B | Generation::G => 0,
        }
    }

    fn most_frames(self) -> f64 {
        match self {
            Generation::Ax => 256.0,
            Generation::Ac => 128.0,
            Generation::N => 42.0,
            Generation::B | Generation::G => 1.0,
        }
    }
}

/// The signal-to-noise ratio from which each scheme works, in dB in the signal's own bandwidth.
const SCHEME_SNR_DB: [f64; 12] = [2.0, 5.0, 9.0, 11.0, 15.0, 18.0, 20.0, 25.0, 29.0, 31.0, 34.0, 36.0];
/// Data bits per subcarrier and symbol (bits times coding) of each scheme.
const SCHEME_BITS: [f64; 12] = [0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 4.5, 5.0, 6.0, 20.0 / 3.0, 7.5, 25.0 / 3.0];
const G_RATES: [(f64, f64); 8] = [(2.0, 6.0), (4.0, 9.0), (5.0, 12.0), (9.0, 18.0), (11.0, 24.0), (15.0, 36.0), (18.0, 48.0), (20.0, 54.0)];
const B_RATES: [(f64, f64); 4] = [(-4.0, 1.0), (-1.0, 2.0), (2.0, 5.5), (5.0, 11.0)];

/// A chosen modulation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Scheme index; 0 for the legacy generations.
    pub mcs: usize,
    /// Spatial streams.
    pub streams: u8,
    /// Rate on the air in Mbps.
    pub phy_mbps: f64,
}

/// Thermal noise of a receiver in dBm, with the man-made part at 2.4 GHz.
pub fn noise_floor_dbm(width_mhz: u16, band: super::path::Band) -> f64 {
    let man_made = if band == super::path::Band::Ghz2 { 2.0 } else { 0.0 };
    -174.0 + 10.0 * (f64::from(width_mhz) * 1e6).log10() + 7.0 + man_made
}

/// Adds powers given in dBm, in milliwatts.
pub fn sum_dbm(levels: impl IntoIterator<Item = f64>) -> f64 {
    10.0 * levels.into_iter().map(|level| 10f64.powf(level / 10.0)).sum::<f64>().max(1e-20).log10()
}

/// The rate on the air of one scheme in Mbps.
pub fn phy_mbps(generation: Generation, width_mhz: u16, mcs: usize, streams: u8) -> f64 {
    let (carriers, symbol_us) = match (generation, width_mhz) {
        (Generation::Ax, 20) => (234.0, 13.6),
        (Generation::Ax, 40) => (468.0, 13.6),
        (Generation::Ax, 80) => (980.0, 13.6),
        (Generation::Ax, _) => (1960.0, 13.6),
        (_, 20) => (52.0, 3.6),
        (_, 40) => (108.0, 3.6),
        (_, 80) => (234.0, 3.6),
        _ => (468.0, 3.6),
    };
    carriers * SCHEME_BITS[mcs.min(11)] * f64::from(streams) / symbol_us
}

/// The best rate for a signal that stands `snr_db` above noise and interference, or nothing if it is too weak.
pub fn choose(generation: Generation, width_mhz: u16, most_streams: u8, snr_db: f64, chains: u8) -> Option<Rate> {
    let combining = if chains >= 4 { 3.0 } else { 0.0 };
    let legacy = |table: &[(f64, f64)]| {
        let snr = snr_db - 2.0 + combining;
        let best = table.iter().rev().find(|(limit, _)| snr >= *limit)?;
        Some(Rate { mcs: 0, streams: 1, phy_mbps: best.1 })
    };
    match generation {
        Generation::B => return legacy(&B_RATES),
        Generation::G => return legacy(&G_RATES),
        _ => {}
    }
    let mut best: Option<Rate> = None;
    for streams in 1..=most_streams.max(1) {
        let per_stream = snr_db - 2.0 - 10.0 * f64::from(streams).log10() + combining;
        let top = generation.top_mcs(width_mhz);
        let Some(mcs) = (0..=top).rev().find(|mcs| per_stream >= SCHEME_SNR_DB[*mcs]) else {
            continue;
        };
        let rate = Rate { mcs, streams, phy_mbps: phy_mbps(generation, width_mhz, mcs, streams) };
        if best.is_none_or(|known| rate.phy_mbps > known.phy_mbps) {
            best = Some(rate);
        }
    }
    best
}

/// The part of all transmissions that are repetitions, from the signal-to-noise ratio alone.
pub fn retry_fraction(snr_db: f64) -> f64 {
    const POINTS: [(f64, f64); 7] = [(3.0, 0.45), (6.0, 0.32), (10.0, 0.22), (15.0, 0.14), (20.0, 0.09), (25.0, 0.06), (30.0, 0.04)];
    if snr_db <= POINTS[0].0 {
        return POINTS[0].1;
    }
    for pair in POINTS.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if snr_db <= x1 {
            return y0 + (y1 - y0) * (snr_db - x0) / (x1 - x0);
        }
    }
    POINTS[6].1
}

/// What a frame loses for good when each of seven tries fails with probability `retry`.
pub fn residual_loss(retry: f64) -> f64 {
    retry.powi(7).max(0.002 * retry)
}

/// What one TCP connection gets with the whole air for itself, in Mbps.
pub fn tcp_mbps(generation: Generation, phy_mbps: f64, retry: f64) -> f64 {
    match generation {
        Generation::B => return 0.5 * phy_mbps * (1.0 - retry),
        Generation::G => return 0.44 * phy_mbps * (1.0 - retry),
        _ => {}
    }
    let fitting = (4000.0 * phy_mbps / 12384.0).floor().max(1.0);
    let frames = generation.most_frames().min(fitting);
    frames * 11584.0 * (1.0 - retry) / (frames * 12384.0 / phy_mbps + 450.0)
}

#[cfg(test)]
mod tests {
    use super::super::path::Band;
    use super::*;

    fn table(generation: Generation, width: u16, streams: u8, chains: u8, band: Band, rssi: f64) -> f64 {
        let snr = rssi - noise_floor_dbm(width, band);
        choose(generation, width, streams, snr, chains).map_or(0.0, |rate| tcp_mbps(generation, rate.phy_mbps, retry_fraction(snr)) * 0.95 * 0.995)
    }

    #[test]
    fn the_table_of_rates_by_signal_is_reproduced() {
        let near = |got: f64, want: f64| assert!((got - want).abs() <= 0.1 * want + 1.0, "{got} against {want}");
        for (rssi, want) in [(-50.0, 795.0), (-60.0, 545.0), (-65.0, 478.0), (-70.0, 306.0), (-75.0, 142.0)] {
            near(table(Generation::Ax, 80, 2, 4, Band::Ghz5, rssi), want);
        }
        for (rssi, want) in [(-55.0, 109.0), (-65.0, 98.0), (-70.0, 63.0)] {
            near(table(Generation::N, 20, 2, 2, Band::Ghz2, rssi), want);
        }
        for (rssi, want) in [(-60.0, 462.0), (-65.0, 412.0)] {
            near(table(Generation::Ac, 80, 2, 4, Band::Ghz5, rssi), want);
        }
    }

    #[test]
    fn a_signal_below_the_lowest_scheme_has_no_rate() {
        assert!(choose(Generation::Ax, 80, 2, 1.0, 2).is_none());
    }
}
