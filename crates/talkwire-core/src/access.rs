//! Who may do what: a pure table over role and permission (`DESIGN.md` §8).

use crate::catalogue::Permission;
use serde::{Deserialize, Serialize};
use talkwire_proto::DeviceKey;

/// What a principal is allowed in general. Each role can do what the ones before it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Nobody in particular: reads and tests, from this machine.
    Guest,
    /// Reads and tests.
    Viewer,
    /// Also approves and rejects changes of configuration.
    Operator,
    /// Also approves what touches the system itself, and changes settings.
    Admin,
}

/// Somebody who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Principal {
    /// A person or service that proved who it is.
    Person {
        /// Its account.
        name: String,
        /// What it may.
        role: Role,
    },
    /// Somebody without an account; the name is what the guest says.
    Guest {
        /// Shown, never trusted.
        name: String,
    },
    /// A device speaking in a room.
    Device {
        /// Which one.
        key: DeviceKey,
    },
    /// The assistant: reads and tests, proposes, never acts.
    Assistant,
    /// Talkwire itself: deadlines, reconciliation.
    System,
}

impl Principal {
    /// The role that counts for permissions.
    pub fn role(&self) -> Role {
        match self {
            Self::Person { role, .. } => *role,
            Self::Guest { .. } | Self::Device { .. } => Role::Guest,
            Self::Assistant | Self::System => Role::Viewer,
        }
    }

    /// How the audit names it.
    pub fn label(&self) -> String {
        match self {
            Self::Person { name, .. } => format!("person:{name}"),
            Self::Guest { name } => format!("guest:{name}"),
            Self::Device { key } => format!("device:{key}"),
            Self::Assistant => "assistant".into(),
            Self::System => "system".into(),
        }
    }

    /// Whether it may use a tool of this permission.
    pub fn may(&self, permission: Permission) -> bool {
        let needed = match permission {
            Permission::Read | Permission::Test => Role::Guest,
            Permission::Config => Role::Operator,
            Permission::Admin => Role::Admin,
        };
        self.role() >= needed
    }

    /// Whether it may stop what `asker` (a [`Self::label`]) asked for: its own work, or as an operator anybody's.
    pub fn may_stop(&self, asker: &str) -> bool {
        self.label() == asker || self.role() >= Role::Operator
    }

    /// Whether it is a person who proved who it is: the only kind whose yes counts.
    pub fn is_person(&self) -> bool {
        matches!(self, Self::Person { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stops_what_one_asked_for_and_an_operator_stops_anything() {
        let guest = Principal::Guest { name: "ann".into() };
        let person = |role| Principal::Person { name: "ann".into(), role };
        assert!(guest.may_stop("guest:ann") && person(Role::Viewer).may_stop("person:ann") && person(Role::Operator).may_stop("person:bob"));
        assert!(!guest.may_stop("person:ann") && !person(Role::Viewer).may_stop("person:bob") && !Principal::Assistant.may_stop("person:ann"));
    }

    #[test]
    fn the_table_of_roles_and_permissions_is_as_designed() {
        use Permission::{Admin, Config, Read, Test};
        let person = |role| Principal::Person { name: "ann".into(), role };
        let guest = Principal::Guest { name: "admin".into() };
        let rows = [
            (guest, [true, true, false, false]),
            (person(Role::Viewer), [true, true, false, false]),
            (person(Role::Operator), [true, true, true, false]),
            (person(Role::Admin), [true, true, true, true]),
            (Principal::Assistant, [true, true, false, false]),
            (Principal::System, [true, true, false, false]),
        ];
        for (who, expected) in rows {
            let found = [Read, Test, Config, Admin].map(|permission| who.may(permission));
            assert_eq!(found, expected, "{who:?}");
        }
    }
}
