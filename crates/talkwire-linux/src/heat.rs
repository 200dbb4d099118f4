//! Temperature, from the zones of `/sys/class/thermal`.

use crate::root::Root;
use crate::text::tenth;

/// What a sensor can truly see; many show a constant far away when they are off.
const BELIEVABLE_C: std::ops::RangeInclusive<f64> = -40.0..=150.0;
/// Words in the type of a zone that is the processor's.
const PROCESSOR: [&str; 5] = ["cpu", "pkg", "soc", "core", "package"];

/// Thousandths of a degree as the kernel writes them. Zero is what a sensor shows that is not there.
pub(crate) fn parse_millidegrees(text: &str) -> Option<f64> {
    let milli: i32 = text.trim().parse().ok()?;
    let degrees = f64::from(milli) / 1000.0;
    (milli != 0 && BELIEVABLE_C.contains(&degrees)).then(|| tenth(degrees))
}

/// The hottest zone of the processor; of all zones when none is called so.
pub(crate) fn hottest(zones: &[(String, f64)]) -> Option<f64> {
    let is_processor = |kind: &str| PROCESSOR.iter().any(|word| kind.to_ascii_lowercase().contains(word));
    let processor = zones.iter().filter(|(kind, _)| is_processor(kind)).map(|(_, degrees)| *degrees).reduce(f64::max);
    processor.or_else(|| zones.iter().map(|(_, degrees)| *degrees).reduce(f64::max))
}

/// Degrees Celsius, when the machine has a thermometer.
pub(crate) fn degrees_c(root: &Root) -> Option<f64> {
    let folder = "sys/class/thermal";
    let zones = root.names(folder).into_iter().filter(|name| name.starts_with("thermal_zone"));
    let zones = zones.filter_map(|zone| {
        let degrees = parse_millidegrees(&root.text(&format!("{folder}/{zone}/temp"))?)?;
        Some((root.word(&format!("{folder}/{zone}/type")).unwrap_or_default(), degrees))
    });
    hottest(&zones.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_processor_counts_before_the_radio() {
        let zones = [("iwlwifi_1".to_owned(), 71.0), ("x86_pkg_temp".into(), 52.5), ("cpu-thermal".into(), 55.0)];
        assert_eq!(hottest(&zones), Some(55.0));
        assert_eq!(hottest(&zones[..1]), Some(71.0));
        assert_eq!(hottest(&[]), None);
    }

    #[test]
    fn a_sensor_that_is_off_is_no_temperature() {
        assert_eq!(parse_millidegrees("48250\n"), Some(48.3));
        assert_eq!(parse_millidegrees("-5000"), Some(-5.0));
        for broken in ["", "0", "-273200", "255000", "hot", "99999999999"] {
            assert_eq!(parse_millidegrees(broken), None, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,12}|-?[0-9]{0,12}\n?") {
            prop_assert!(parse_millidegrees(&text).is_none_or(|degrees| BELIEVABLE_C.contains(&degrees)));
        }
    }
}
