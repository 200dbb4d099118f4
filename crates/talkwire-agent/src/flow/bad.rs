//! Why a flow file is refused, and where in it.

/// Why a flow file is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadFlow {
    /// Not the TOML that is wanted.
    #[error("flow file {file} cannot be read: {source}")]
    Parse {
        /// Which file.
        file: String,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// Something that it names does not exist or does not fit.
    #[error("flow file {file}: {place}: {why}")]
    Wrong {
        /// Which file.
        file: String,
        /// Where in it.
        place: String,
        /// What is wrong, and what would be right.
        why: String,
    },
}
