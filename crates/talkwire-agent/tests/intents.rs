//! Sentences that were never shown as examples: they measure how well people are understood.

use std::collections::BTreeMap;

use talkwire_agent::intent::{Intent, Language, OtherKind, detect_language, understand};

#[test]
fn sentences_never_seen_are_understood() {
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<Intent, (usize, usize)> = BTreeMap::new();
    let (mut right, mut total, mut sure) = (0, 0, 0.0);
    for line in include_str!("intents/held_out.tsv").lines().filter(|l| !l.starts_with('#')) {
        let [intent, language, sentence] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (intent, understood): (Intent, _) = (intent.parse().unwrap(), understand(sentence));
        assert!(understood.language.tag().starts_with(language), "{sentence}");
        let count = counts.entry(intent).or_default();
        count.1 += 1;
        total += 1;
        sure += understood.confidence;
        if understood.intent == intent {
            count.0 += 1;
            right += 1;
        } else {
            wrong.push(format!("{intent} read as {} ({:.2}): {sentence}", understood.intent, understood.confidence));
        }
    }
    let share = |right: usize, total: usize| right as f64 / total as f64;
    println!("{}\n{counts:?}\nright {:.3}, sure {:.3}", wrong.join("\n"), share(right, total), sure / total as f64);
    assert!(total >= 300);
    assert!(share(right, total) >= 0.93, "{right} of {total}");
    for (intent, (right, total)) in counts {
        assert!(share(right, total) >= 0.85, "{intent}: {right} of {total}");
    }
}

#[test]
fn no_held_out_sentence_is_an_example() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog/intents/examples");
    let mut examples = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        examples += &std::fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    for line in include_str!("intents/held_out.tsv").lines().filter(|l| !l.starts_with('#')) {
        let sentence = line.rsplit('\t').next().unwrap();
        assert!(!examples.contains(&format!("\"{sentence}\"")), "{sentence} is also an example");
    }
}

#[test]
fn details_told_along_fill_the_slots() {
    let slots = understand("我辦 300M，晚上在書房用筆電看 Netflix 都只有 20M").slots;
    assert_eq!(slots.when.as_deref(), Some("evening"));
    assert_eq!(slots.where_.as_deref(), Some("study"));
    assert_eq!(slots.device.as_deref(), Some("laptop"));
    assert_eq!(slots.application.as_deref(), Some("streaming"));
    assert_eq!(slots.plan_mbps, Some(300.0));
    assert_eq!(understand("we pay for a gigabit and get 90").slots.plan_mbps, Some(1000.0));
    assert_eq!(understand("办的五百兆，测速只有一百").slots.plan_mbps, Some(500.0));
    assert_eq!(understand("since i changed the wifi password the printer is offline").slots.changed.as_deref(), Some("password"));
}

#[test]
fn one_device_and_everybody_are_told_apart() {
    use talkwire_agent::intent::Who;
    assert_eq!(understand("only my tablet is slow").slots.who, Some(Who::OneDevice));
    assert_eq!(understand("全家都很慢").slots.who, Some(Who::All));
    assert_eq!(understand("網路很慢").slots.who, None);
}

#[test]
fn of_two_complaints_the_first_is_the_main_one_and_the_other_is_kept() {
    for (sentence, first, second) in [
        ("網路很慢，而且房間收不到訊號", Intent::SlowSpeed, Intent::WeakSignalCoverage),
        ("my video calls are choppy and also downloads are slow", Intent::RealtimeLatency, Intent::SlowSpeed),
        ("wifi老是掉线，另外打游戏延迟也高", Intent::UnstableDisconnect, Intent::RealtimeLatency),
    ] {
        let understood = understand(sentence);
        assert_eq!((understood.intent, understood.second), (first, Some(second)), "{sentence}");
    }
    assert_eq!(understand("the internet is slow").second, None);
}

#[test]
fn what_is_not_a_complaint_is_answered_as_what_it_is() {
    for (sentence, kind) in [
        ("午安", OtherKind::SmallTalk),
        ("are you a person or a program", OtherKind::SmallTalk),
        ("線上有幾台裝置", OtherKind::StatusQuestion),
        ("which channel are we on", OtherKind::StatusQuestion),
        ("把 5G 的頻道改成 36", OtherKind::ConfigurationWish),
        ("please create a guest wifi", OtherKind::ConfigurationWish),
        ("同意，執行吧", OtherKind::Approval),
        ("yes, do it", OtherKind::Approval),
        ("no, cancel it", OtherKind::Refusal),
        ("先不要改", OtherKind::Refusal),
        ("謝謝你", OtherKind::Thanks),
        ("what can you do", OtherKind::Help),
        ("明天天氣好嗎", OtherKind::OffTopic),
    ] {
        let understood = understand(sentence);
        assert_eq!((understood.intent, understood.other_kind), (Intent::Other, Some(kind)), "{sentence}");
    }
    assert_eq!(understand("網路很慢").other_kind, None);
}

#[test]
fn a_refusal_is_never_read_as_approval() {
    for sentence in ["no", "不要", "不行", "不可以", "don't do it", "別執行", "先不要執行", "not ok", "不同意", "please do not apply it", "no, wait"]
    {
        assert_ne!(understand(sentence).other_kind, Some(OtherKind::Approval), "{sentence}");
    }
}

#[test]
fn the_language_follows_the_script() {
    assert_eq!(detect_language("網路斷了"), Language::ZhTw);
    assert_eq!(detect_language("网络断了"), Language::ZhCn);
    assert_eq!(detect_language("我的 wifi 超 lag 欸"), Language::ZhTw);
    assert_eq!(detect_language("my 小烏龜 is blinking and there is no internet"), Language::En);
    assert_eq!(detect_language("🙂"), Language::En);
}

#[test]
fn an_understanding_keeps_its_shape_on_the_wire() {
    let json = serde_json::to_value(understand("房間的訊號很弱")).unwrap();
    assert_eq!(json["intent"], "weak_signal_coverage");
    assert_eq!(json["language"], "zh-TW");
    assert_eq!(json["slots"]["where"], "bedroom");
    let again: talkwire_agent::intent::Understanding = serde_json::from_value(json).unwrap();
    assert_eq!(again.intent.to_string().parse(), Ok(Intent::WeakSignalCoverage));
}

proptest::proptest! {
    #[test]
    fn any_text_is_understood_as_something(text in "\\PC{0,120}|[ -~網络慢断一二十百兆.。,'#\\n]{0,200}") {
        let understood = understand(&text);
        proptest::prop_assert!((0.0..=1.0).contains(&understood.confidence));
        proptest::prop_assert_eq!(understood.other_kind.is_some(), understood.intent == Intent::Other);
        proptest::prop_assert!(understood.rivals.len() <= 2);
        proptest::prop_assert_eq!(understand(&text), understood);
    }
}

#[test]
fn a_very_long_text_is_bounded() {
    let understood = understand(&"網路很慢 and the wifi keeps dropping, ".repeat(20_000));
    assert_ne!(understood.intent, Intent::Other);
}
