//! The byte stream below the connection, made by whoever knows how: plain TCP here, TLS by the house.

use crate::gate::BoxFuture;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A stream to a broker.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Makes a stream to the broker, once per connection.
pub trait Dial: Send + Sync + 'static {
    /// Connects. It is given up after ten seconds.
    fn dial(&self) -> BoxFuture<io::Result<Box<dyn Stream>>>;
}

/// Plain TCP.
#[derive(Debug, Clone)]
pub struct TcpDial {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Dial for TcpDial {
    fn dial(&self) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let to = (self.host.clone(), self.port);
        Box::pin(async move {
            let stream = TcpStream::connect((to.0.as_str(), to.1)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
