//! One connection of a speed test: it loads or sends until its time is over and counts what goes through.

use super::web::Url;
use socket2::SockRef;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// Bytes of one request; the next follows on the same connection.
const REQUEST: u64 = 16 * 1024 * 1024;
const CHUNK: usize = 32 * 1024;
/// What waits in the socket counts as sent, so little may.
const WAITING: usize = 128 * 1024;
const CONNECTING: Duration = Duration::from_secs(4);
/// A head of an answer is not longer.
const HEAD_LINES: usize = 64;
const LINE_BYTES: u64 = 8192;

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Down,
    Up,
}

/// Why a stream stopped before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the server answers {0} to the speed test")]
    Refused(u16),
    #[error("the server's answer is no HTTP")]
    Strange,
}

/// How long it takes to connect: a round trip of the line, loaded or not.
pub(super) async fn connect_ms(server: SocketAddr) -> Option<f64> {
    let began = Instant::now();
    let stream = timeout(CONNECTING, TcpStream::connect(server)).await.ok()?.ok()?;
    let ms = began.elapsed().as_secs_f64() * 1000.0;
    drop(stream);
    Some(ms)
}

/// Runs until the future is dropped or something breaks.
pub(super) async fn run(url: &Url, ip: Ipv4Addr, way: Way, count: &AtomicU64) -> Result<(), StreamError> {
    let stream = timeout(CONNECTING, TcpStream::connect((ip, url.port))).await.map_err(io::Error::from)??;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_send_buffer_size(WAITING)?;
    let mut stream = BufReader::with_capacity(CHUNK, stream);
    let base = url.path.trim_end_matches('/');
    loop {
        match way {
            Way::Down => down(&mut stream, url, base, count).await?,
            Way::Up => up(&mut stream, url, base, count).await?,
        }
    }
}

async fn down(stream: &mut BufReader<TcpStream>, url: &Url, base: &str, count: &AtomicU64) -> Result<(), StreamError> {
    let head = format!("GET {base}/api/v1/speedtest/down?bytes={REQUEST} HTTP/1.1\r\nHost: {}\r\nUser-Agent: talkwire\r\n\r\n", url.authority());
    stream.get_mut().write_all(head.as_bytes()).await?;
    let mut left = answer(stream).await?.filter(|length| *length > 0).ok_or(StreamError::Strange)?;
    let mut chunk = vec![0; CHUNK];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let length = stream.read(chunk.get_mut(..most).unwrap_or_default()).await?;
        if length == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        count.fetch_add(length as u64, Ordering::Relaxed);
        left -= length as u64;
    }
    Ok(())
}

async fn up(stream: &mut BufReader<TcpStream>, url: &Url, base: &str, count: &AtomicU64) -> Result<(), StreamError> {
    let head = format!(
        "POST {base}/api/v1/speedtest/up HTTP/1.1\r\nHost: {}\r\nUser-Agent: talkwire\r\nContent-Type: application/octet-stream\r\nContent-Length: {REQUEST}\r\n\r\n",
        url.authority()
    );
    stream.get_mut().write_all(head.as_bytes()).await?;
    // Different in each place, so that nothing on the way makes it smaller.
    let mut x = 0x2545_f491_u32;
    let noise: Vec<u8> = (0..CHUNK)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            x as u8
        })
        .collect();
    let mut left = REQUEST;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let length = stream.get_mut().write(noise.get(..most).unwrap_or_default()).await?;
        count.fetch_add(length as u64, Ordering::Relaxed);
        left -= length as u64;
    }
    let body = answer(stream).await?.unwrap_or(0).min(LINE_BYTES);
    tokio::io::copy(&mut stream.take(body), &mut tokio::io::sink()).await?;
    Ok(())
}

/// Reads the head of an answer: the length of what follows, when it is told.
async fn answer(stream: &mut BufReader<TcpStream>) -> Result<Option<u64>, StreamError> {
    let mut length = None;
    for place in 0..HEAD_LINES {
        let mut line = String::new();
        (&mut *stream).take(LINE_BYTES).read_line(&mut line).await?;
        if line.is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let line = line.trim_end();
        if place == 0 {
            let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse::<u16>().ok()).ok_or(StreamError::Strange)?;
            if !(200..300).contains(&status) {
                return Err(StreamError::Refused(status));
            }
        } else if line.is_empty() {
            return Ok(length);
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    Err(StreamError::Strange)
}
