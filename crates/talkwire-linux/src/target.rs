//! A name or address that a call names, made an address.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use talkwire_device::ToolError;

const TIME: Duration = Duration::from_secs(6);

/// The IPv4 address of a host, by the machine's own resolver.
///
/// # Errors
/// `E_DEVICE` when the name has none now.
pub(crate) async fn resolve(host: &str) -> Result<Ipv4Addr, ToolError> {
    if let Ok(ip) = host.parse() {
        return Ok(ip);
    }
    let found = tokio::time::timeout(TIME, tokio::net::lookup_host((host, 0))).await;
    let addresses = found.map_err(|_| ToolError::failed(format!("the name {host} is not resolved within {} s", TIME.as_secs())))?;
    let mut addresses = addresses.map_err(|error| ToolError::failed(format!("the name {host} cannot be resolved: {error}")))?;
    let first = addresses.find_map(|address| if let IpAddr::V4(ip) = address.ip() { Some(ip) } else { None });
    first.ok_or_else(|| ToolError::failed(format!("the name {host} has no IPv4 address")))
}
