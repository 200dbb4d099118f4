//! A message that must arrive: its class, where it goes and what it says.

/// The classes of messages, each with a rate and an order of its own. Smaller is more urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    Answer,
    Event,
    Report,
    Telemetry,
}

/// Every class.
pub(crate) const CLASSES: [Class; 4] = [Class::Answer, Class::Event, Class::Report, Class::Telemetry];

impl Class {
    pub(crate) fn number(self) -> usize {
        self as usize
    }

    #[cfg(feature = "outbox")]
    pub(crate) fn of_number(number: i64) -> Option<Self> {
        CLASSES.into_iter().find(|class| *class as i64 == number)
    }
}

/// A message on its way. The text is in clear; it is sealed when it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) class: Class,
    pub(crate) topic: String,
    pub(crate) text: String,
}

impl Letter {
    /// Bytes that count against the outbox's limit.
    pub(crate) fn bytes(&self) -> usize {
        self.topic.len() + self.text.len()
    }
}
