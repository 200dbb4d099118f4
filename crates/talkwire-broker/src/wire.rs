//! The bytes of a client, whether they come on plain TCP or in WebSocket frames.

use crate::config::Limits;
use bytes::{Buf, BytesMut};
use futures_util::{Sink, Stream};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

const CHUNK: usize = 4096;
const PATHS: [&str; 3] = ["/", "/mqtt", "/mqtt/"];
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

pub(crate) enum Wire {
    Tcp(TcpStream),
    WebSocket { stream: Box<WebSocketStream<TcpStream>>, unflushed: bool },
}

impl Wire {
    /// Answers the HTTP upgrade; also returns the browser's origin.
    pub(crate) async fn upgrade(stream: TcpStream, limits: &Limits) -> Result<(Self, Option<String>), tungstenite::Error> {
        let config = WebSocketConfig::default()
            .read_buffer_size(CHUNK)
            .write_buffer_size(0)
            .max_message_size(Some(limits.max_packet_bytes * 2))
            .max_frame_size(Some(limits.max_packet_bytes * 2));
        let mut origin = None;
        let stream = tokio_tungstenite::accept_hdr_async_with_config(stream, Door { origin: &mut origin }, Some(config)).await?;
        let wire = Self::WebSocket { stream: Box::new(stream), unflushed: false };
        Ok((wire, origin))
    }

    /// Appends what arrived to `buffer`; zero is the end of the stream.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => {
                let mut chunk = [0; CHUNK];
                let mut read = ReadBuf::new(&mut chunk);
                ready!(Pin::new(stream).poll_read(cx, &mut read))?;
                buffer.extend_from_slice(read.filled());
                Poll::Ready(Ok(read.filled().len()))
            }
            Self::WebSocket { stream, .. } => loop {
                match ready!(Pin::new(&mut **stream).poll_next(cx)) {
                    Some(Ok(Message::Binary(data))) if data.is_empty() => {}
                    Some(Ok(Message::Binary(data))) => {
                        buffer.extend_from_slice(&data);
                        return Poll::Ready(Ok(data.len()));
                    }
                    Some(Ok(Message::Text(_))) => {
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "text frame where MQTT needs a binary one")));
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(0)),
                    Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                }
            },
        }
    }

    /// Sends from the front of `buffer`; ready when nothing is left, pending with the rest still in it.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => {
                while !buffer.is_empty() {
                    let sent = ready!(Pin::new(&mut *stream).poll_write(cx, buffer))?;
                    if sent == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    buffer.advance(sent);
                }
                Poll::Ready(Ok(()))
            }
            Self::WebSocket { stream, unflushed } => {
                let mut sink = Pin::new(&mut **stream);
                if *unflushed {
                    ready!(sink.as_mut().poll_flush(cx)).map_err(io::Error::other)?;
                    *unflushed = false;
                }
                if buffer.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                ready!(sink.as_mut().poll_ready(cx)).map_err(io::Error::other)?;
                let message = Message::Binary(buffer.split().freeze());
                sink.as_mut().start_send(message).map_err(io::Error::other)?;
                *unflushed = true;
                ready!(sink.poll_flush(cx)).map_err(io::Error::other)?;
                *unflushed = false;
                Poll::Ready(Ok(()))
            }
        }
    }

    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::WebSocket { stream, .. } => {
                let closed = ready!(Pin::new(&mut **stream).poll_close(cx));
                Poll::Ready(closed.map_err(io::Error::other))
            }
        }
    }
}

/// Lets a browser in at the two paths and agrees on the subprotocol.
struct Door<'a> {
    origin: &'a mut Option<String>,
}

impl Callback for Door<'_> {
    fn on_request(self, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        if !PATHS.contains(&request.uri().path()) {
            let mut refusal = ErrorResponse::new(Some("MQTT is served at / and /mqtt\n".into()));
            *refusal.status_mut() = StatusCode::NOT_FOUND;
            return Err(refusal);
        }
        let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok());
        *self.origin = header("origin").map(str::to_owned);
        let offered = header("sec-websocket-protocol").unwrap_or_default();
        let chosen = SUBPROTOCOLS.iter().find(|ours| offered.split(',').any(|theirs| theirs.trim() == **ours));
        if let Some(chosen) = chosen {
            response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(chosen));
        }
        Ok(response)
    }
}
