//! What can go wrong with a home.

use serde::Serialize;

/// A home that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The file cannot be read.
    #[error("cannot read the home {path}")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not a home.
    #[error("this is not a home file, see docs/home.md for the keys")]
    Parse(#[from] toml::de::Error),
    /// The file contradicts itself.
    #[error("{place}: {problem}")]
    Invalid {
        /// Where in the file.
        place: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
}

impl HomeError {
    pub(crate) fn invalid(place: impl Into<String>, problem: impl Into<String>) -> Self {
        HomeError::Invalid { place: place.into(), problem: problem.into() }
    }
}

/// Why a tool gave no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ToolFault {
    /// A stable code such as `E_INVALID_ARGS`.
    pub code: &'static str,
    /// What happened and what to do instead.
    pub message: String,
}

impl ToolFault {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn args(message: impl Into<String>) -> Self {
        Self::new("E_INVALID_ARGS", message)
    }
}
