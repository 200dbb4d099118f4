//! The sentences of the mind in three languages. Short, friendly, no blame, understood by people who are no engineers.

pub(crate) mod fill;
mod other;
mod summary;

use crate::flow::{Library, Target};
use talkwire_core::Language;
use talkwire_core::changeset::{Changeset, Status};
use talkwire_core::device::Device;
use talkwire_core::session::{IntentView, VerdictKind};

pub use other::answer_other;
pub(crate) use summary::summary;

/// The first sentence of the answer to a complaint, in its language.
pub fn opening(view: &IntentView, devices: &[&Device]) -> String {
    opening_of(crate::mind::builtin_library(), view, devices)
}

pub(crate) fn opening_of(library: &Library, view: &IntentView, devices: &[&Device]) -> String {
    let language = view.language;
    if !devices.iter().any(|device| device.online) {
        return nobody_to_ask(devices.is_empty(), language);
    }
    match library.flows.get(&view.intent) {
        Some(flow) => flow.opening.text(language).to_owned(),
        None => answer_other(view.slots.get("other_kind").and_then(|kind| kind.as_str()), language, devices),
    }
}

pub(crate) fn nobody_to_ask(none: bool, language: Language) -> String {
    let text = if none {
        language.pick(
            "這裡還沒有任何裝置連上我，所以我沒辦法量測。請先把路由器接上 Talkwire。",
            "这里还没有任何设备连上我，所以我没法测量。请先把路由器接上 Talkwire。",
            "No device here is connected to me yet, so I cannot measure anything. Please connect the router to Talkwire first.",
        )
    } else {
        language.pick(
            "路由器現在沒有連上我，所以我沒辦法量測。請確認它有電、燈有亮，等一兩分鐘再問我一次。",
            "路由器现在没有连上我，所以我没法测量。请确认它有电、灯亮着，等一两分钟再问我一次。",
            "The router is not connected to me right now, so I cannot measure. Please check that it has power and its lights are on, then ask me again in a minute or two.",
        )
    };
    text.to_owned()
}

pub(crate) fn no_device(target: Target, language: Language) -> String {
    let text = match target {
        Target::ClientAgent => language.pick(
            "這裡沒有可以幫忙測速的電腦，所以略過",
            "这里没有可以帮忙测速的电脑，所以跳过",
            "no computer here can run this measurement, so it is left out",
        ),
        Target::EachAp => language.pick(
            "這裡沒有可以回答的 Wi-Fi 基地台，所以略過",
            "这里没有可以回答的 Wi-Fi 接入点，所以跳过",
            "no access point here can answer, so it is left out",
        ),
        Target::Router | Target::Each => {
            language.pick("路由器沒有連上，所以略過", "路由器没有连上，所以跳过", "the router is not connected, so it is left out")
        }
    };
    text.to_owned()
}

pub(crate) fn no_tool(device: &str, tool: &str, language: Language) -> String {
    let device = crate::evidence::clean(device);
    match language {
        Language::ZhTw => format!("{device} 沒有 {tool} 這個功能，所以略過"),
        Language::ZhCn => format!("{device} 没有 {tool} 这个功能，所以跳过"),
        Language::En => format!("{device} does not offer {tool}, so it is left out"),
    }
}

pub(crate) fn tool_refused(device: &str, why: &str, language: Language) -> String {
    let device = crate::evidence::clean(device);
    match language {
        Language::ZhTw => format!("{device} 現在不能做這個（{why}），所以略過"),
        Language::ZhCn => format!("{device} 现在不能做这个（{why}），所以跳过"),
        Language::En => format!("{device} cannot do this now ({why}), so it is left out"),
    }
}

pub(crate) fn wrong_version(device: &str, tool: &str, language: Language) -> String {
    let device = crate::evidence::clean(device);
    match language {
        Language::ZhTw => format!("{device} 的 {tool} 版本不合，所以略過"),
        Language::ZhCn => format!("{device} 的 {tool} 版本不合，所以跳过"),
        Language::En => format!("{device} speaks another version of {tool}, so it is left out"),
    }
}

pub(crate) fn on_device(about: &str, device: &str, language: Language) -> String {
    let device = crate::evidence::clean(device);
    match language {
        Language::ZhTw | Language::ZhCn => format!("{about}（{device}）"),
        Language::En => format!("{about} ({device})"),
    }
}

pub(crate) fn before_change(about: &str, language: Language) -> String {
    match language {
        Language::ZhTw => format!("{about}（改之前）"),
        Language::ZhCn => format!("{about}（改之前）"),
        Language::En => format!("{about} (before the change)"),
    }
}

pub(crate) fn after_change(about: &str, language: Language) -> String {
    match language {
        Language::ZhTw => format!("{about}（改之後）"),
        Language::ZhCn => format!("{about}（改之后）"),
        Language::En => format!("{about} (after the change)"),
    }
}

pub(crate) fn settling(language: Language) -> &'static str {
    language.pick("等裝置重新連好", "等设备重新连好", "Waiting until everything is connected again")
}

pub(crate) fn list(items: &[String], language: Language) -> String {
    items.join(language.pick("、", "、", ", "))
}

pub(crate) fn missing(labels: &[String], language: Language) -> String {
    let labels = list(labels, language);
    match language {
        Language::ZhTw => format!("還不能下結論：少了{labels}。量得到的部分看起來都正常。"),
        Language::ZhCn => format!("还不能下结论：少了{labels}。能测到的部分看起来都正常。"),
        Language::En => format!("I cannot conclude yet. What is missing: {labels}. What I could measure looks fine."),
    }
}

pub(crate) fn suspected(title: &str, labels: &[String], language: Language) -> String {
    let labels = list(labels, language);
    match language {
        Language::ZhTw => format!("可能是「{title}」，但是少了{labels}，所以我先不猜。"),
        Language::ZhCn => format!("可能是“{title}”，但是少了{labels}，所以我先不猜。"),
        Language::En => format!("It may be this: {title}. But I could not get {labels}, so I will not guess."),
    }
}

pub(crate) fn measure_then(when: &str, language: Language) -> String {
    let (zh_tw, zh_cn, en) = match when {
        "evening" => ("晚上", "晚上", "in the evening"),
        "night" => ("半夜", "半夜", "at night"),
        "morning" => ("早上", "早上", "in the morning"),
        "afternoon" => ("下午", "下午", "in the afternoon"),
        "meal" => ("煮飯用微波爐時", "做饭用微波炉时", "while the microwave runs"),
        "weather" => ("下雨時", "下雨时", "in the rain"),
        "hot" => ("天氣熱時", "天热时", "in the heat"),
        "weekend" => ("週末", "周末", "at the weekend"),
        _ => ("那個時候", "那个时候", "at that time"),
    };
    match language {
        Language::ZhTw => format!("你說的是{zh_tw}，這次量的是現在；如果{zh_tw}又發生，請在當下再問我一次，我馬上量。"),
        Language::ZhCn => format!("你说的是{zh_cn}，这次测的是现在；如果{zh_cn}又发生，请当时再问我一次，我马上测。"),
        Language::En => {
            format!(" You told me about trouble {en}, and this was measured now: if it happens again {en}, ask me at that moment and I will measure at once.")
        }
    }
}

/// The advice, when all that could be changed was tried within the last day and went back.
pub(crate) fn tried_in_vain(advice: &str, language: Language) -> String {
    let tried = language.pick(
        "能替你改的，一天內已經試過，沒有改善，所以已復原，不再重試。",
        "能替你改的，一天内已经试过，没有改善，所以已还原，不再重试。",
        "What I could change was tried within the last day, did not help and was undone, so I do not try it again.",
    );
    format!("{tried}{}{advice}", language.pick("", "", " "))
}

pub(crate) fn goodbye(kind: VerdictKind, language: Language) -> String {
    let text = match kind {
        VerdictKind::Healthy => language.pick(
            "目前不需要改任何設定。如果又發生，請在當下再問我一次。",
            "目前不需要改任何设置。如果又发生，请当时再问我一次。",
            "Nothing needs to be changed. If it happens again, ask me at that moment.",
        ),
        VerdictKind::Inconclusive => language.pick(
            "我沒有更動任何設定。補上缺的量測，或在問題發生時再問我一次，我就能說得更準。",
            "我没有改动任何设置。补上缺的测量，或在问题发生时再问我一次，我就能说得更准。",
            "I changed nothing. With the missing measurement, or if you ask me while it happens, I can say more.",
        ),
        VerdictKind::Fault => language.pick(
            "這個我不能替你安全地改，所以沒有更動任何設定。",
            "这个我不能替你安全地改，所以没有改动任何设置。",
            "This is nothing that I can change safely for you, so I changed nothing.",
        ),
    };
    text.to_owned()
}

/// The last sentence after a change set has ended.
pub(crate) fn change_ended(set: &Changeset, advice: &str, left: &str, language: Language) -> String {
    let figures =
        set.before.as_ref().zip(set.after.as_ref()).map(|(before, after)| {
            format!("{} → {} {}", fill::tidy(before.value), fill::tidy(after.value), crate::evidence::clean(&after.unit)).trim().to_owned()
        });
    let figures = figures.map(|text| format!(" ({text})")).unwrap_or_default();
    let without_gain = set.outcome.as_ref().is_some_and(|outcome| outcome.kind.starts_with("done_"));
    let (mut text, hint) = match set.status {
        Status::Committed if without_gain => (
            language.pick("已經做了，但沒有改善", "已经做了，但没有改善", "It was done, but it did not help").to_owned()
                + &figures
                + language.pick("。", "。", "."),
            advice,
        ),
        Status::Committed => {
            (language.pick("已經改好並保留", "已经改好并保留", "Done, and the change is kept").to_owned() + &figures + language.pick("。", "。", "."), left)
        }
        Status::RolledBack => (
            language.pick("已經恢復成原來的樣子", "已经恢复成原来的样子", "Everything is back as it was").to_owned()
                + &figures
                + language.pick("。", "。", "."),
            advice,
        ),
        Status::Rejected => (language.pick("好，什麼都沒有改。", "好，什么都没有改。", "All right, nothing was changed.").to_owned(), advice),
        _ => (
            language.pick("沒有人確認，所以什麼都沒有改。", "没有人确认，所以什么都没有改。", "Nobody confirmed it, so nothing was changed.").to_owned(),
            advice,
        ),
    };
    if !hint.is_empty() {
        text.push_str(language.pick("", "", " "));
        text.push_str(hint);
    }
    text
}

pub(crate) fn plan_word(language: Language) -> &'static str {
    language.pick("方案", "套餐", "plan")
}

pub(crate) fn line_word(language: Language) -> &'static str {
    language.pick("線路", "线路", "line")
}

pub(crate) fn chart_title(kind: &str, language: Language) -> (&'static str, &'static str) {
    match kind {
        "channels" => (language.pick("各頻道被別人占用的時間", "各信道被别人占用的时间", "Air taken by others, by channel"), "%"),
        "talkers" => (language.pick("誰在用流量", "谁在用流量", "Who uses the line"), "Mbps"),
        "rooms" => (language.pick("各房間的訊號", "各房间的信号", "Signal by room"), "%"),
        _ => (language.pick("量到的下載速度", "测到的下载速度", "Download speed measured"), "Mbps"),
    }
}
