//! Moments on the wire: Unix milliseconds, and the ISO-8601 forms that are also read.

/// The last moment with a four-digit year, in Unix milliseconds.
const LAST_MS: i64 = 253_402_300_799_999;

/// Unix milliseconds of an ISO-8601 date and time from 1970 on. Without a zone it is taken as UTC.
pub fn iso_millis(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-')?;
    let (clock, offset_minutes) = match rest.find(['Z', 'z', '+', '-']) {
        None => (rest, 0),
        Some(at) => (&rest[..at], offset(&rest[at..])?),
    };
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':').or_else(|| numbers(clock, ':').map(|[hour, minute]| [hour, minute, 0]))?;
    let millis = number(fraction).and_then(|_| number(&format!("{fraction:0<3}")[..3]))?;
    let last_day = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let fits = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=last_day).contains(&day) && hour < 24 && minute < 60 && second < 61;
    let ts_ms = fits.then(|| ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute - offset_minutes) * 60_000 + second * 1000 + millis)?;
    (0..=LAST_MS).contains(&ts_ms).then_some(ts_ms)
}

/// A number of at most twelve digits.
fn number(digits: &str) -> Option<i64> {
    let fits = (1..=12).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| digits.parse().ok()).flatten()
}

/// Exactly `N` numbers with a sign between them.
fn numbers<const N: usize>(text: &str, between: char) -> Option<[i64; N]> {
    let list: Option<Vec<i64>> = text.split(between).take(N + 1).map(number).collect();
    list?.try_into().ok()
}

/// Minutes east of UTC of `Z`, `+08`, `+0800` or `+08:00`.
fn offset(zone: &str) -> Option<i64> {
    let (sign, digits) = match zone.split_at(1) {
        ("Z" | "z", "") => return Some(0),
        ("+", digits) => (1, digits.replace(':', "")),
        ("-", digits) => (-1, digits.replace(':', "")),
        _ => return None,
    };
    let all = number(&digits)?;
    let (hours, minutes) = match digits.len() {
        2 => (all, 0),
        4 => (all / 100, all % 100),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Unix milliseconds as ISO-8601 with microseconds and without a zone, as the chat document prints it; `offset_minutes` is local time's.
///
/// Moments outside 1970–9999 are shown as the nearest one inside.
pub fn iso_text(ts_ms: i64, offset_minutes: i64) -> String {
    let local = ts_ms.clamp(0, LAST_MS).saturating_add(offset_minutes.clamp(-1440, 1440) * 60_000).clamp(0, LAST_MS);
    let (days, millis) = (local.div_euclid(86_400_000), local.rem_euclid(86_400_000));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, micros) = (millis / 1000, millis % 1000 * 1000);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_chat_document_s_moment_is_read_and_printed() {
        let ts_ms = iso_millis("2025-07-26T11:05:13.675321").unwrap();
        assert_eq!(ts_ms, 1_753_527_913_675);
        assert_eq!(iso_text(ts_ms, 0), "2025-07-26T11:05:13.675000");
        assert_eq!(iso_text(ts_ms, 480), "2025-07-26T19:05:13.675000");
    }

    #[test]
    fn every_usual_form_of_a_moment_means_the_same() {
        let same = [
            "2024-08-20T08:00:00Z",
            "2024-08-20 08:00:00",
            "2024-08-20T16:00:00+08:00",
            "2024-08-20T16:00+0800",
            "2024-08-20T03:00:00.000-05",
            "2024-08-20t08:00:00,0z",
        ];
        for text in same {
            assert_eq!(iso_millis(text), Some(1_724_140_800_000), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_moment_is_refused() {
        let wrong = [
            "",
            "T",
            "now",
            "2024-08-20",
            "2024-02-30T00:00:00",
            "2023-02-29T00:00:00",
            "2024-08-20T24:00:00",
            "2024-08-20T08:00:00+8",
            "2024-08-20T08:00:00.ab€",
            "2024-08-20T08:00:00.",
            "2024-08-20-01T08:00:00",
            "2024-08-20T08:00:00:00",
            "1969-12-31T23:59:59",
            "2024-08-20T08:00:00+99:00",
            "99999999999999999999-01-01T00:00:00",
            "2024-08-20T08:00:00Zé",
            "2024-08-20T08:00:00+é8",
        ];
        for text in wrong {
            assert_eq!(iso_millis(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_moment_reads_back(ts_ms in 0..=LAST_MS) {
            prop_assert_eq!(iso_millis(&iso_text(ts_ms, 0)), Some(ts_ms));
        }

        #[test]
        fn no_text_and_no_number_is_too_strange(text in any::<String>(), ts_ms in any::<i64>(), offset in any::<i64>()) {
            let _ = iso_millis(&text);
            let _ = iso_millis(&format!("2024-08-20T08:00:00{text}"));
            prop_assert_eq!(iso_text(ts_ms, offset).len(), 26);
        }
    }
}
