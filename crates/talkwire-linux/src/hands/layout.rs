//! Channels, frequencies and widths: which belong together, and what the middle of a wide channel is.

/// A band of Wi-Fi.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Band {
    Two,
    Five,
    Six,
}

impl Band {
    pub(super) const WORDS: [&str; 3] = ["2.4GHz", "5GHz", "6GHz"];

    pub(super) fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    pub(super) fn of_word(at: usize) -> Self {
        [Self::Two, Self::Five, Self::Six][at.min(2)]
    }

    pub(super) fn of_mhz(mhz: u64) -> Option<Self> {
        match mhz {
            2400..=2500 => Some(Self::Two),
            4900..=5895 => Some(Self::Five),
            5925..=7125 => Some(Self::Six),
            _ => None,
        }
    }

    /// The frequency of a channel's middle in MHz; none when the band has no such channel.
    pub(super) fn mhz(self, channel: u64) -> Option<u64> {
        match (self, channel) {
            (Self::Two, 1..=13) => Some(2407 + 5 * channel),
            (Self::Two, 14) => Some(2484),
            (Self::Five, 36..=64 | 100..=144) if channel.is_multiple_of(4) => Some(5000 + 5 * channel),
            (Self::Five, 149..=177) if channel % 4 == 1 => Some(5000 + 5 * channel),
            (Self::Six, 1..=233) if channel % 4 == 1 => Some(5950 + 5 * channel),
            _ => None,
        }
    }

    /// Whether the radio must listen for radar before it may send (5250–5350 and 5470–5725 MHz).
    pub(super) fn needs_radar_watch(self, channel: u64) -> bool {
        self == Self::Five && (52..=144).contains(&channel)
    }

    /// The middle of the channel of this width that holds the plain channel, as a frequency in MHz.
    pub(super) fn middle_mhz(self, channel: u64, width: u64) -> Option<u64> {
        let own = self.mhz(channel)?;
        let channels = width / 20;
        if channels == 1 {
            return Some(own);
        }
        let (first, base) = match self {
            // At 2.4 GHz the second half lies above on the low channels, below on the high ones.
            Self::Two if width == 40 => return Some(if channel <= 7 { own + 10 } else { own - 10 }),
            Self::Two => return None,
            Self::Five if channel >= 149 => (149, 5745),
            Self::Five if channel >= 100 => (100, 5500),
            Self::Five => (36, 5180),
            Self::Six => (1, 5955),
        };
        let block = (channel - first) / 4 / channels;
        let last = first + (block * channels + channels - 1) * 4;
        self.mhz(last)?;
        Some(base + 20 * block * channels + 10 * (channels - 1))
    }

    /// Where the second 20 MHz lie: +1 above, -1 below.
    pub(super) fn second(self, channel: u64) -> Option<i8> {
        Some(if self.middle_mhz(channel, 40)? > self.mhz(channel)? { 1 } else { -1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_and_frequencies_belong_together() {
        assert_eq!(
            (Band::Two.mhz(11), Band::Two.mhz(14), Band::Five.mhz(36), Band::Five.mhz(165), Band::Six.mhz(37)),
            (Some(2462), Some(2484), Some(5180), Some(5825), Some(6135))
        );
        for (band, channel) in [(Band::Two, 0), (Band::Two, 15), (Band::Five, 37), (Band::Five, 68), (Band::Five, 148), (Band::Six, 2), (Band::Six, 999_999)] {
            assert_eq!(band.mhz(channel), None, "{channel}");
        }
    }

    #[test]
    fn the_middle_of_a_wide_channel_is_that_of_the_standard() {
        // IEEE 802.11: centre channels 38, 46, 42, 50, 155, 163 at 5 GHz, 3, 7, 15 at 6 GHz.
        let five = |channel, width| Band::Five.middle_mhz(channel, width).map(|mhz| (mhz - 5000) / 5);
        assert_eq!([five(36, 40), five(48, 40), five(44, 80), five(52, 160), five(157, 80), five(149, 160)], [38, 46, 42, 50, 155, 163].map(Some));
        let six = |channel, width| Band::Six.middle_mhz(channel, width).map(|mhz| (mhz - 5950) / 5);
        assert_eq!([six(5, 40), six(1, 80), six(29, 160)], [3, 7, 15].map(Some));
        assert_eq!((Band::Five.second(36), Band::Five.second(40), Band::Two.second(1), Band::Two.second(11)), (Some(1), Some(-1), Some(1), Some(-1)));
        assert_eq!((Band::Two.middle_mhz(6, 80), Band::Five.middle_mhz(132, 160), Band::Five.middle_mhz(60, 20)), (None, None, Some(5300)));
    }
}
