//! Who lives in the stories.

use talkwire_core::input::{Origin, Understood};
use talkwire_core::session::IntentView;
use talkwire_core::{Language, Principal, Role};

fn person(name: &str, role: Role) -> Principal {
    Principal::Person { name: name.into(), role }
}

/// An administrator.
pub fn ann() -> Principal {
    person("ann", Role::Admin)
}

/// An operator.
pub fn olga() -> Principal {
    person("olga", Role::Operator)
}

/// A viewer.
pub fn victor() -> Principal {
    person("victor", Role::Viewer)
}

pub fn guest(name: &str) -> Principal {
    Principal::Guest { name: name.into() }
}

/// What the mind says of a complaint, or of small talk.
pub fn understood(intent: &str) -> Understood {
    let view = IntentView { intent: intent.into(), language: Language::En, confidence: 0.9, slots: Default::default(), rivals: Vec::new() };
    Understood { view, words: "Let me look.".into() }
}

/// The connection of a principal.
pub fn at(principal: Principal, client_id: &str) -> Origin {
    Origin { principal, client_id: client_id.into() }
}
