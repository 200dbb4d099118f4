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
    /// Two tools answer to the same op.
    #[error("two tools answer to {0}; remove one")]
    DoubleOp(String),
    /// An op that the SDK answers itself.
    #[error("{0} is answered by the SDK; remove the tool")]
    ReservedOp(String),
}
