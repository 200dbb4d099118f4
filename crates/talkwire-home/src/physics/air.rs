//! Sharing the air: who must wait for whom, and what is left.

/// A frame heard at this level or above on our primary channel makes us wait.
pub const FRAME_SENSE_DBM: f64 = -82.0;
/// Any energy at this level or above makes us wait.
pub const ENERGY_SENSE_DBM: f64 = -62.0;
/// A frame on a secondary part of a wide channel counts from this level.
pub const SECONDARY_SENSE_DBM: f64 = -69.0;

/// Busy share of several independent senders, at most 95 %.
pub fn busy(parts: impl IntoIterator<Item = f64>) -> f64 {
    (1.0 - parts.into_iter().map(|part| 1.0 - part.clamp(0.0, 1.0)).product::<f64>()).min(0.95)
}

/// The share of the air that one own sender can use when others keep it busy.
pub fn share(external: f64) -> f64 {
    (1.0 - external) * (1.0 - 0.1 * external)
}

/// Share of each of two saturated access points on one channel.
pub fn rival_share(protected: bool) -> f64 {
    0.5 * (1.0 - if protected { 0.02 } else { 0.05 })
}

/// Probability that a frame collides with `senders` saturated stations on the channel.
pub fn collision(senders: usize) -> f64 {
    match senders {
        0 | 1 => 0.0,
        2 => 0.105,
        3 => 0.18,
        4 => 0.23,
        5 => 0.27,
        6 | 7 => 0.31,
        8 | 9 => 0.35,
        _ => 0.38,
    }
}

/// How much weaker a 20 MHz neighbour arrives that is `offset` channels away at 2.4 GHz, in dB.
pub fn offset_db(offset: u16) -> f64 {
    [0.0, -1.3, -3.2, -6.7, -23.0, -31.0, -37.0].get(usize::from(offset)).copied().unwrap_or(-60.0)
}

/// Extra frame error caused by a sender that ours cannot hear.
pub fn hidden_error(busy: f64, frame_ms: f64, their_frame_ms: f64) -> f64 {
    1.0 - (1.0 - busy) * (-busy * frame_ms / their_frame_ms.max(0.05)).exp()
}

/// Air taken by the beacons of one network, by the rate of its beacons.
pub fn beacon_share(rate_mbps: f64) -> f64 {
    (192.0 + 8.0 * 300.0 / rate_mbps) / 102_400.0
}

/// Rate of a wide channel whose secondary part is busy for the share `v`.
pub fn narrowed(rate_mbps: f64, v: f64) -> f64 {
    rate_mbps * (1.0 - v / 2.0)
}

/// What a running microwave oven leaves of the air, by the level at which it arrives and its distance in channels.
pub fn oven_share(level_dbm: f64, channel: u16) -> f64 {
    let arriving = level_dbm - if channel.abs_diff(10) >= 7 { 30.0 } else { 0.0 };
    if arriving >= ENERGY_SENSE_DBM { 0.5 * 0.95 } else { 1.0 - 0.1 * ((arriving + 92.0) / 30.0).clamp(0.0, 1.0) }
}

/// Divides `air` among senders that want the shares in `wants`: equal turns in time, what one leaves goes to the others.
pub fn divide(air: f64, wants: &[f64]) -> Vec<f64> {
    let weights = vec![1.0; wants.len()];
    divide_weighted(air, wants, &weights)
}

/// Like [`divide`], with a weight for each sender.
pub fn divide_weighted(amount: f64, wants: &[f64], weights: &[f64]) -> Vec<f64> {
    let mut given = vec![0.0; wants.len()];
    let mut open: Vec<usize> = (0..wants.len()).filter(|i| wants[*i] > 0.0).collect();
    let mut left = amount.max(0.0);
    while !open.is_empty() && left > 1e-12 {
        let weight: f64 = open.iter().map(|i| weights[*i]).sum();
        let unit = left / weight.max(1e-12);
        let (full, rest): (Vec<usize>, Vec<usize>) = open.iter().partition(|i| wants[**i] <= unit * weights[**i]);
        if full.is_empty() {
            for i in &rest {
                given[*i] = unit * weights[*i];
            }
            break;
        }
        for i in &full {
            given[*i] = wants[*i];
            left -= wants[*i];
        }
        open = rest;
    }
    given
}

/// Rates of saturating stations: each gets the same time, or without airtime fairness the same number of frames.
pub fn saturated(solo_mbps: &[f64], airtime_fair: bool) -> Vec<f64> {
    if airtime_fair {
        let n = solo_mbps.len() as f64;
        return solo_mbps.iter().map(|solo| solo / n).collect();
    }
    let same = 1.0 / solo_mbps.iter().map(|solo| 1.0 / solo).sum::<f64>();
    vec![same; solo_mbps.len()]
}

/// Rate over radio hops that share one channel.
pub fn shared_hops(hops_mbps: &[f64]) -> f64 {
    1.0 / hops_mbps.iter().map(|hop| 1.0 / hop.max(1e-6)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_leaves_goes_to_the_others() {
        assert_eq!(divide(0.9, &[0.1, 1.0, 1.0]), vec![0.1, 0.4, 0.4]);
        assert_eq!(divide(1.0, &[0.2, 0.3]), vec![0.2, 0.3]);
        assert_eq!(divide_weighted(100.0, &[1e9, 1e9], &[1.0, 3.0]), vec![25.0, 75.0]);
    }

    #[test]
    fn slow_beacons_cost_more() {
        assert!((beacon_share(1.0) - 0.025).abs() < 0.001);
        assert!((beacon_share(24.0) - 0.0029).abs() < 0.001);
    }
}
