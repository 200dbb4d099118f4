//! Why the agent of a machine does not start.

use std::path::PathBuf;
use talkwire_device::DeviceError;

/// Why the agent of a machine does not start.
#[derive(Debug, thiserror::Error)]
pub enum LinuxError {
    /// There is no Linux below the root.
    #[error("{0} cannot be read; run on Linux with /proc mounted")]
    NoProc(PathBuf),
    /// The SDK does not start.
    #[error("the device of this machine does not start")]
    Device(#[from] DeviceError),
}
