//! "Is fan-1 online?": whether one named device is there, and since when, in three languages.

use crate::evidence::clean;
use talkwire_core::Language;
use talkwire_core::device::Device;
use talkwire_proto::envelope::iso_text;
use talkwire_proto::id::mac_digits;

/// Longest name that is looked for, in characters.
const NAME_CHARS: usize = 48;
/// How many devices are listed when a name is not known.
const LISTED: usize = 10;

/// What stands after the name in an English question.
const ENGLISH: [&str; 9] = ["online", "offline", "connected", "disconnected", "reachable", "on-line", "up", "there", "on line"];
/// What may follow that.
const NOW: [&str; 6] = ["right now", "at the moment", "currently", "now", "still", "yet"];
/// What stands after the name in a Chinese question, longest first.
const CHINESE: [&str; 18] = [
    "在不在線上",
    "在不在线上",
    "在不在線",
    "在不在线",
    "在線上",
    "在线上",
    "在線",
    "在线",
    "離線",
    "离线",
    "上線",
    "上线",
    "連線",
    "连线",
    "斷線",
    "断线",
    "連著",
    "连着",
];
/// What may stand between the name and that.
const BETWEEN: [&str; 15] = ["現在", "现在", "目前", "有沒有", "有没有", "是不是", "是否", "還", "还", "有", "已經", "已经", "了", "是", "不"];
/// Words that name no device: such a question is about the whole network, or about something else.
const GENERAL: [&str; 40] = [
    "it",
    "you",
    "your",
    "we",
    "i",
    "what",
    "who",
    "this",
    "that",
    "they",
    "he",
    "she",
    "everything",
    "anything",
    "everyone",
    "everybody",
    "anyone",
    "anybody",
    "somebody",
    "someone",
    "internet",
    "wifi",
    "wi-fi",
    "network",
    "line",
    "connection",
    "all",
    "any",
    "devices",
    "哪",
    "誰",
    "谁",
    "所有",
    "全部",
    "都",
    "大家",
    "多少",
    "什",
    "網",
    "网",
];

/// The name that a sentence asks about, `fan-1` of "is fan-1 online?" and of "fan-1 在線嗎？", and whether it can mean nothing else.
fn asked(text: &str) -> Option<(String, bool)> {
    let text = text.trim().trim_start_matches(['@', '＠']).trim();
    let is_question = text.ends_with(['?', '？']);
    let text = text.trim_end_matches(['?', '？', '.', '。', '!', '！', ' ']).to_lowercase();
    let (name, is_clear) = english(&text, is_question).or_else(|| Some((chinese(&text, is_question)?, true)))?;
    let name = name.trim().trim_matches(['"', '“', '”', '「', '」', '\'']).trim();
    let length = name.chars().count();
    ((1..=NAME_CHARS).contains(&length)).then(|| (name.to_owned(), is_clear))
}

fn english(text: &str, is_question: bool) -> Option<(String, bool)> {
    let begun = ["is ", "are "].into_iter().find_map(|word| text.strip_prefix(word));
    let mut rest = begun.or(is_question.then_some(text))?;
    rest = ending(rest, &NOW).unwrap_or(rest);
    rest = ending(rest, &ENGLISH)?;
    rest = ending(rest, &NOW).unwrap_or(rest);
    let rest = ["the ", "my ", "our ", "device "].into_iter().fold(rest.trim(), |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    Some((rest.strip_suffix(" device").unwrap_or(rest).to_owned(), begun.is_some()))
}

/// The text before one of these words at its end.
fn ending<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().find_map(|word| text.trim_end().strip_suffix(word).and_then(|before| before.strip_suffix(' '))).map(str::trim_end)
}

fn chinese(text: &str, is_question: bool) -> Option<String> {
    let asked = ["了嗎", "了吗", "了沒", "了没", "嗎", "吗", "沒", "没", "麼", "么", "呢"].into_iter().find_map(|word| text.strip_suffix(word));
    let rest = asked.unwrap_or(text).trim_end();
    let (word, mut rest) = CHINESE.iter().find_map(|word| Some((*word, rest.strip_suffix(word)?)))?;
    if asked.is_none() && !is_question && !word.starts_with("在不在") {
        return None;
    }
    while let Some(shorter) = BETWEEN.iter().find_map(|word| rest.trim_end().strip_suffix(word)) {
        rest = shorter;
    }
    let rest = ["請問", "请问", "現在", "现在", "目前"].into_iter().fold(rest.trim(), |rest, word| rest.strip_prefix(word).unwrap_or(rest).trim_start());
    let name = ["裝置", "設備", "设备", "装置"].into_iter().find_map(|word| rest.strip_prefix(word));
    Some(name.unwrap_or(rest).to_owned())
}

/// The answer to a question about one device; `None` when the sentence asks about none.
///
/// What is not known is only answered with the list of those that are when `is_other`: the sentence was no complaint.
pub fn presence(text: &str, language: Language, devices: &[&Device], is_other: bool, now_ms: i64) -> Option<String> {
    let (name, is_clear) = asked(text)?;
    let mut named: Vec<&&Device> = devices.iter().filter(|device| is_called(device, &name)).collect();
    if named.is_empty() {
        // "The router" is whatever says that it is one.
        let kind = if name == "路由器" { "router" } else { name.as_str() };
        named = devices.iter().filter(|device| device.device_type.replace('_', " ") == kind).collect();
    }
    if !named.is_empty() {
        return Some(named.iter().take(LISTED).map(|device| stands(device, language, now_ms)).collect::<Vec<_>>().join("\n"));
    }
    let is_general = name.split_whitespace().count() > 3
        || GENERAL.iter().any(|word| if word.is_ascii() { name.split(' ').any(|one| one == *word) } else { name.contains(word) });
    if is_general || !is_clear || !is_other {
        return None;
    }
    let name = clean(&name);
    if devices.is_empty() {
        return Some(match language {
            Language::ZhTw => format!("我不認識「{name}」，現在還沒有任何裝置連上我。"),
            Language::ZhCn => format!("我不认识“{name}”，现在还没有任何设备连上我。"),
            Language::En => format!("I know no device called “{name}”; none is connected to me yet."),
        });
    }
    let mut known: Vec<String> = devices.iter().take(LISTED).map(|device| clean(&device.name)).collect();
    if devices.len() > LISTED {
        known.push("…".into());
    }
    let known = super::list(&known, language);
    Some(match language {
        Language::ZhTw => format!("我不認識叫「{name}」的裝置。我認識的有：{known}。"),
        Language::ZhCn => format!("我不认识叫“{name}”的设备。我认识的有：{known}。"),
        Language::En => format!("I know no device called “{name}”. I know: {known}."),
    })
}

/// By id, as people write it too, or by name.
fn is_called(device: &Device, name: &str) -> bool {
    let id = device.key.device_id.as_str();
    id.eq_ignore_ascii_case(name) || clean(&device.name).to_lowercase() == name || mac_digits(name).is_some_and(|digits| mac_digits(id) == Some(digits))
}

fn stands(device: &Device, language: Language, now_ms: i64) -> String {
    let name = clean(&device.name);
    let id = device.key.device_id.shown();
    let name = if name == id || name == device.key.device_id.as_str() { name } else { format!("{name} ({id})") };
    // `2026-11-21T19:48:46.000`: the minute is enough.
    let clock = iso_text(device.presence_since_ms, 0).chars().take(16).collect::<String>().replace('T', " ");
    let time = duration((now_ms - device.presence_since_ms).max(0) / 1000, language);
    match (language, device.online) {
        (Language::ZhTw, true) => format!("{name} 在線上，已經 {time}（從 {clock} UTC 起）。"),
        (Language::ZhTw, false) => format!("{name} 不在線上，已經 {time}（從 {clock} UTC 起）。"),
        (Language::ZhCn, true) => format!("{name} 在线，已经 {time}（从 {clock} UTC 起）。"),
        (Language::ZhCn, false) => format!("{name} 不在线，已经 {time}（从 {clock} UTC 起）。"),
        (Language::En, true) => format!("{name} is online, for {time} (since {clock} UTC)."),
        (Language::En, false) => format!("{name} is offline, for {time} (since {clock} UTC)."),
    }
}

fn duration(seconds: i64, language: Language) -> String {
    let (number, zh_tw, zh_cn, en) = match seconds {
        ..120 => (seconds, "秒", "秒", "s"),
        120..7_200 => (seconds / 60, "分鐘", "分钟", "min"),
        7_200..172_800 => (seconds / 3_600, "小時", "小时", "h"),
        _ => (seconds / 86_400, "天", "天", "days"),
    };
    format!("{number} {}", language.pick(zh_tw, zh_cn, en))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 19:40 UTC.
    const SINCE: i64 = 1_795_290_000_000;

    fn device(id: &str, name: &str, online: bool) -> Device {
        let key = format!("home/flat/{id}").parse().unwrap();
        Device { name: name.into(), online, presence_since_ms: SINCE, ..Device::unknown(key, SINCE) }
    }

    fn said(text: &str, language: Language) -> Option<String> {
        let (fan, vm, mut router) = (device("fan-1", "fan-1", true), device("vm", "vm", false), device("020000000001", "Hall router", true));
        router.device_type = "access_point".into();
        presence(text, language, &[&fan, &vm, &router], true, SINCE + 12 * 60_000)
    }

    #[test]
    fn a_named_device_is_told_in_three_languages_with_since_when() {
        for text in ["is fan-1 online?", "Is fan-1 online", "is the device fan-1 still connected right now?", "fan-1 online?", "is Fan-1 offline?"] {
            assert_eq!(said(text, Language::En).as_deref(), Some("fan-1 is online, for 12 min (since 2026-11-21 19:40 UTC)."), "{text}");
        }
        for text in ["vm 在線嗎？", "vm在線上嗎", "vm 現在有沒有在線上？", "VM 離線了嗎", "vm 在不在線", "請問現在 vm 在線嗎？"]
        {
            assert_eq!(said(text, Language::ZhTw).as_deref(), Some("vm 不在線上，已經 12 分鐘（從 2026-11-21 19:40 UTC 起）。"), "{text}");
        }
        assert_eq!(said("fan-1 在线吗？", Language::ZhCn).as_deref(), Some("fan-1 在线，已经 12 分钟（从 2026-11-21 19:40 UTC 起）。"));
        for text in ["is the hall router up?", "is 02:00:00:00:00:01 online?", "is 020000000001 online?", "is the access point online?"] {
            assert!(said(text, Language::En).is_some_and(|said| said.starts_with("Hall router (02:00:00:00:00:01) is online")), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_not_known_is_said_with_those_that_are() {
        assert_eq!(said("is toaster online?", Language::En).as_deref(), Some("I know no device called “toaster”. I know: fan-1, vm, Hall router."));
        assert!(said("烤箱在線嗎？", Language::ZhTw).is_some_and(|said| said.contains("烤箱") && said.contains("fan-1")));
        assert!(presence("is toaster online?", Language::ZhCn, &[], true, 0).is_some_and(|said| said.contains("还没有")));
    }

    #[test]
    fn other_sentences_are_left_to_others() {
        for text in [
            "which devices are online?",
            "are all access points online",
            "現在哪些裝置在線上？",
            "is the internet online?",
            "my tv is offline",
            "電視斷線",
            "is everything up?",
            "why is my wifi slow",
            "大家都在线吗",
            "what is up?",
            "",
            "?",
            "is online?",
        ] {
            assert_eq!(said(text, Language::En), None, "{text}");
        }
        let fan = device("fan-1", "fan-1", true);
        assert_eq!(presence("is toaster online?", Language::En, &[&fan], false, 0), None, "a complaint is measured");
    }
}
