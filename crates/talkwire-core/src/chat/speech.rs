//! Speaking: what text is accepted, under which name, and whether the assistant is meant.

use super::ASSISTANT;
use crate::access::Principal;
use talkwire_proto::chat::Role;
use talkwire_proto::chatroom::{plain_text, shown_name};
use talkwire_proto::{Code, limits};

/// Why a message is not taken.
pub type Refused = crate::Refusal;

/// The text as it will be kept, or why it is refused.
pub fn check_text(text: &str) -> Result<String, Refused> {
    let text = plain_text(text);
    let length = text.chars().count();
    if text.trim().is_empty() {
        return Err(Refused::new(Code::ChatMessage, "the message is blank; write something and send it again"));
    }
    if length > limits::CHAT_CHARS {
        return Err(Refused::new(
            Code::ChatMessage,
            format!("the message has {length} characters; at most {} are taken, so send it in parts", limits::CHAT_CHARS),
        ));
    }
    Ok(text)
}

/// Longest first, so that no name is taken for a part of another.
const MENTIONS: [&str; 5] = ["@assistant", "@智能助手", "@ai助手", "@助手", "@ai"];
const RESERVED: [&str; 12] = ["ai", "assistant", "ai assistant", "ai助手", "助手", "智能助手", "admin", "administrator", "system", "talkwire", "bot", "owner"];

/// Where the text calls the assistant: byte offset and length. `@airport` and `ann@ai.example` do not.
fn mention(text: &str) -> Option<(usize, usize)> {
    let lower = text.to_ascii_lowercase();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.char_indices().filter(|(_, c)| *c == '@').find_map(|(at, _)| {
        let name = MENTIONS.iter().find(|mention| lower[at..].starts_with(**mention))?;
        let (before, after) = (text[..at].chars().next_back(), text[at + name.len()..].chars().next());
        (!before.is_some_and(is_word) && !after.is_some_and(is_word)).then_some((at, name.len()))
    })
}

/// Whether the text speaks to the assistant.
pub fn mentions_assistant(text: &str) -> bool {
    mention(&text.replace('＠', "@")).is_some()
}

/// The sentence without the words that call the assistant.
pub fn without_mention(text: &str) -> String {
    let mut left = text.replace('＠', "@");
    while let Some((at, length)) = mention(&left) {
        left.replace_range(at..at + length, " ");
    }
    left.trim().to_owned()
}

/// A name as people confuse it: without case, width, spaces and signs.
pub fn folded_name(name: &str) -> String {
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        c => c,
    };
    name.chars().map(narrow).flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

/// The role and name shown for whoever speaks: decided by identity, never by what the message says of itself.
pub fn speaker(principal: &Principal, claimed: Option<&str>) -> (Role, String) {
    match principal {
        Principal::Person { name, .. } => (Role::User, name.clone()),
        Principal::Device { key } => (Role::Device, key.device_id.shown()),
        Principal::Assistant => (Role::Assistant, ASSISTANT.into()),
        Principal::System => (Role::System, "Talkwire".into()),
        Principal::Guest { name } => {
            let wanted = claimed.map(shown_name).filter(|name| !name.is_empty()).unwrap_or_else(|| shown_name(name));
            let wanted = if wanted.is_empty() { "MQTT用户".to_owned() } else { wanted };
            // A guest may not wear the name of the assistant, the system or an account.
            let folded = folded_name(&wanted);
            let is_reserved = RESERVED.iter().any(|name| folded == name.replace(' ', ""));
            (Role::Guest, if is_reserved { format!("{wanted} (guest)") } else { wanted })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role as Rank;

    #[test]
    fn a_guest_cannot_wear_the_assistants_name() {
        for name in ["AI assistant", "智能助手", "admin", "A\u{200b}I", " System ", "ＡＩ 助手", "Admin."] {
            let (role, shown) = speaker(&Principal::Guest { name: "c1".into() }, Some(name));
            assert_eq!(role, Role::Guest);
            assert!(shown.ends_with("(guest)"), "{name:?} was shown as {shown:?}");
        }
    }

    #[test]
    fn a_person_is_shown_by_account_whatever_the_message_claims() {
        let ann = Principal::Person { name: "ann".into(), role: Rank::Viewer };
        assert_eq!(speaker(&ann, Some("bob")), (Role::User, "ann".into()));
    }

    #[test]
    fn blank_and_overlong_messages_are_refused_and_chinese_counts_by_character() {
        assert!(check_text(" \n\u{200b} ").is_err());
        assert!(check_text(&"慢".repeat(4_001)).is_err());
        assert_eq!(check_text(&"慢".repeat(4_000)).map(|text| text.chars().count()), Ok(4_000));
    }

    #[test]
    fn the_assistant_is_meant_when_it_is_mentioned_in_any_case() {
        assert!(mentions_assistant("hey @Ai, help") && mentions_assistant("@智能助手 在吗") && mentions_assistant("＠助手"));
        for text in ["the air is thin", "ann@ai.example", "@airport", "see @assistants"] {
            assert!(!mentions_assistant(text), "{text}");
        }
        assert_eq!(without_mention("＠AI @助手 Wi-Fi 很慢"), "Wi-Fi 很慢");
    }
}
