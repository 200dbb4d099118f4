//! `lab web LISTEN`: the web beyond the provider. `/generate_204` and `/success.txt` answer as the pages that machines ask
//! whether they are online, a POST takes bytes until the caller hangs up, everything else sends some until then.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;

/// Longest head of a request.
const HEAD_BYTES: u64 = 16 * 1024;

/// Runs until it is ended.
pub fn run(words: &[String]) -> Result<ExitCode> {
    let [listen] = words else { bail!("lab web takes LISTEN") };
    let door = TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    for stream in door.incoming().flatten() {
        thread::spawn(move || serve(stream));
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?.take(HEAD_BYTES));
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && line.trim() != "" {
        line.clear();
    }
    let mut stream = stream;
    if request.starts_with("POST ") {
        return std::io::copy(&mut stream, &mut std::io::sink()).map(drop);
    }
    let mut end = |text: &str| stream.write_all(text.as_bytes());
    match request.split_whitespace().nth(1) {
        Some("/generate_204") => end("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        Some("/success.txt") => end("HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nsuccess\n"),
        Some(_) => {
            end("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\r\n")?;
            let piece = [0u8; 64 * 1024];
            loop {
                stream.write_all(&piece)?;
            }
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_for_machines_is_empty_and_a_download_goes_on() {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = door.local_addr().unwrap();
        thread::spawn(move || door.incoming().flatten().for_each(|stream| drop(thread::spawn(move || serve(stream)))));
        let ask = |path: &str, most: u64| {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut said = Vec::new();
            stream.take(most).read_to_end(&mut said).unwrap();
            said
        };
        assert!(ask("/generate_204", 1000).starts_with(b"HTTP/1.1 204"));
        assert!(ask("/success.txt", 1000).ends_with(b"success\n"));
        assert_eq!(ask("/film", 1_000_000).len(), 1_000_000);
    }
}
