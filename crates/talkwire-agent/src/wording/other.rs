//! Answers to what is no complaint: a greeting, a question about the devices, a wish, a yes.

use talkwire_core::Language;
use talkwire_core::device::Device;

/// The answer to a sentence that is no network complaint, as what it is.
///
/// Kinds: `small_talk`, `status_question`, `configuration_wish`, `approval`, `refusal`, `thanks`, `help`, `off_topic`.
pub fn answer_other(kind: Option<&str>, language: Language, devices: &[&Device]) -> String {
    match kind {
        Some("status_question") => status(language, devices),
        Some(kind) => plain(kind, language).to_owned(),
        None => plain("help", language).to_owned(),
    }
}

fn plain(kind: &str, language: Language) -> &'static str {
    match kind {
        "small_talk" => language.pick(
            "你好！網路有什麼不順，用你自己的話告訴我就好，例如「晚上 Wi-Fi 很慢」。",
            "你好！网络有什么不顺，用你自己的话告诉我就好，例如“晚上 WiFi 很慢”。",
            "Hello! Tell me in your own words what is wrong with the network, for example “Wi-Fi is slow at night”.",
        ),
        "configuration_wish" => language.pick(
            "我只在量測找到原因之後才建議改設定，而且每次都要你按下「套用」才會動。請告訴我現在哪裡不順，我來量。",
            "我只在测量找到原因之后才建议改设置，而且每次都要你按下“应用”才会动。请告诉我现在哪里不顺，我来测。",
            "I only suggest a change after measurements found a cause, and nothing happens until you press Apply. Tell me what is not working well and I will measure.",
        ),
        "approval" => language.pick(
            "只有按下卡片上的「套用」才算同意，打字不算。如果卡片已經過期，再跟我說一次哪裡不順就好。",
            "只有按下卡片上的“应用”才算同意，打字不算。如果卡片已经过期，再跟我说一次哪里不顺就好。",
            "Only the Apply button on the card counts as a yes; typing it does not. If the card has expired, just tell me again what is wrong.",
        ),
        "refusal" => language.pick(
            "好，什麼都不會改。還開著的建議卡片可以按「先不要」，套用過的可以按「立即復原」。",
            "好，什么都不会改。还开着的建议卡片可以按“先不要”，应用过的可以按“立即撤销”。",
            "All right, nothing will be changed. Press Not now on an open card, or Undo now on one that was applied.",
        ),
        "thanks" => language.pick("不客氣！有問題隨時再叫我。", "不客气！有问题随时再叫我。", "You are welcome! Call me any time."),
        "off_topic" => language.pick(
            "這個我幫不上忙。我會的是家裡的網路：慢、斷線、收不到訊號、連不上，都可以問我。",
            "这个我帮不上忙。我会的是家里的网络：慢、断线、没信号、连不上，都可以问我。",
            "I cannot help with that. What I know is your network: slow, dropping, weak signal or not connecting, just ask.",
        ),
        _ => language.pick(
            "我會量測你家的網路、找出原因，需要時提出一個可以復原的修改，由你決定要不要套用。請說說哪裡不順：慢、斷線、某個房間收不到、遊戲會卡，或某台裝置連不上。",
            "我会测量你家的网络、找出原因，需要时提出一个可以撤销的修改，由你决定要不要应用。请说说哪里不顺：慢、断线、某个房间没信号、游戏会卡，或某台设备连不上。",
            "I measure your network, find the cause and, if needed, suggest a change that can be undone; you decide whether it is applied. Tell me what is wrong: slow, dropping, a room without signal, laggy games, or one device that will not connect.",
        ),
    }
}

fn status(language: Language, devices: &[&Device]) -> String {
    if devices.is_empty() {
        return language.pick("現在還沒有任何裝置連上我。", "现在还没有任何设备连上我。", "No device is connected to me yet.").to_owned();
    }
    let online = devices.iter().filter(|device| device.online).count();
    let away: Vec<String> = devices.iter().filter(|device| !device.online).take(5).map(|device| crate::evidence::clean(&device.name)).collect();
    let total = devices.len();
    let mut text = match language {
        Language::ZhTw => format!("{total} 台裝置裡有 {online} 台在線上。"),
        Language::ZhCn => format!("{total} 台设备里有 {online} 台在线。"),
        Language::En => format!("{online} of {total} devices are online."),
    };
    if !away.is_empty() {
        let names = super::list(&away, language);
        text += &match language {
            Language::ZhTw => format!("不在線上的有：{names}。"),
            Language::ZhCn => format!("不在线的有：{names}。"),
            Language::En => format!(" Offline: {names}."),
        };
    }
    text
}
