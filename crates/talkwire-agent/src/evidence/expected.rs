//! The rate that a client can have where it is: TCP on one link with quiet air.

/// Received level of the columns, in dBm.
const LEVELS: [f64; 9] = [-50.0, -55.0, -60.0, -65.0, -67.0, -70.0, -75.0, -80.0, -84.0];
/// Wi-Fi 6, 80 MHz, two streams.
const AX80: [f64; 9] = [795.0, 654.0, 545.0, 478.0, 420.0, 306.0, 142.0, 83.0, 17.0];
/// Wi-Fi 5, 80 MHz, two streams.
const AC80: [f64; 9] = [590.0, 542.0, 462.0, 412.0, 367.0, 276.0, 128.0, 75.0, 15.0];
/// Wi-Fi 4 at 2.4 GHz, 20 MHz, two streams.
const N20: [f64; 9] = [109.0, 109.0, 109.0, 98.0, 86.0, 63.0, 40.0, 19.0, 8.0];

/// Mbps to expect for a level, a generation (`n`, `ac`, `ax`…), streams and width. `None`: unknown generation.
pub fn expected_mbps(rssi_dbm: f64, generation: &str, streams: f64, width_mhz: f64) -> Option<f64> {
    let (row, row_width) = match generation {
        "ax" | "be" if width_mhz >= 40.0 => (&AX80, 80.0),
        "ac" if width_mhz >= 40.0 => (&AC80, 80.0),
        "n" | "ac" | "ax" | "be" => (&N20, 20.0),
        "g" => return Some(at(&N20, rssi_dbm).min(22.0)),
        "b" => return Some(at(&N20, rssi_dbm).min(5.0)),
        _ => return None,
    };
    let newer = if generation == "ax" && width_mhz < 40.0 { 1.3 } else { 1.0 };
    Some(at(row, rssi_dbm) * newer * (streams / 2.0).clamp(0.5, 2.0) * (width_mhz / row_width).clamp(0.25, 2.0))
}

fn at(row: &[f64; 9], level: f64) -> f64 {
    if level >= LEVELS[0] {
        return row[0];
    }
    let next = LEVELS.iter().position(|known| level >= *known).unwrap_or(LEVELS.len() - 1);
    let part = ((LEVELS[next - 1] - level) / (LEVELS[next - 1] - LEVELS[next])).min(1.0);
    row[next - 1] + part * (row[next] - row[next - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_wifi_6_laptop_and_a_far_wifi_4_box_get_what_the_table_says() {
        assert!((expected_mbps(-65.0, "ax", 2.0, 80.0).unwrap() - 478.0).abs() < 1.0);
        assert!((expected_mbps(-72.5, "n", 2.0, 20.0).unwrap() - 51.5).abs() < 1.0);
        assert!((expected_mbps(-60.0, "n", 1.0, 20.0).unwrap() - 54.5).abs() < 1.0);
        assert!(expected_mbps(-99.0, "ax", 2.0, 80.0).unwrap() > 0.0);
        assert_eq!(expected_mbps(-60.0, "carrier pigeon", 1.0, 20.0), None);
    }
}
