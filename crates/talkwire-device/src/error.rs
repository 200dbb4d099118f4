//! Why a device does not start.

use std::path::PathBuf;
use talkwire_link::LinkError;

/// Why a device does not start.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The connection cannot be set up.
    #[error("the device cannot connect")]
    Link(#[from] LinkError),
    /// The change journal cannot be read, so nobody knows whether a change is unconfirmed.
    #[error("the change journal in {folder} cannot be read; make the folder readable and writable for this device")]
    Journal {
        /// Where it is.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The outbox cannot be used.
    #[error("the outbox {file} cannot be used; make its folder writable for this device alone, or choose another place")]
    Outbox {
        /// Its file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The configuration asks for something that this program was built without.
    #[error("this program was built without the feature `{0}`; build it with the feature, or leave the setting out")]
    Feature(&'static str),
    /// The key of the payloads cannot be used.
    #[error("payloads cannot be encrypted: {0}")]
    Key(String),
    /// Two tools answer to the same op.
    #[error("two tools answer to {0}; remove one")]
    DoubleOp(String),
    /// An op that the SDK answers itself.
    #[error("{0} is answered by the SDK; remove the tool")]
    ReservedOp(String),
}
