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
        assert!(understood.language.as_str().starts_with(language), "{sentence}");
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
