//! `lab relay LISTEN TARGET`: carries connections from an address of the lab to a server that listens on loopback only, as a
//! proxy in front of it would.

use anyhow::{Context, Result, bail};
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;

/// Runs until it is ended.
pub fn run(words: &[String]) -> Result<ExitCode> {
    let [listen, target] = words else { bail!("lab relay takes LISTEN and TARGET") };
    let door = TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    for inside in door.incoming().flatten() {
        let target = target.clone();
        thread::spawn(move || {
            // A caller whose target is gone sees its connection close, as with any proxy.
            if let Ok(outside) = TcpStream::connect(&target) {
                let _ = carry(inside, outside);
            }
        });
    }
    Ok(ExitCode::SUCCESS)
}

fn carry(mut inside: TcpStream, mut outside: TcpStream) -> io::Result<()> {
    inside.set_nodelay(true)?;
    outside.set_nodelay(true)?;
    let (mut from, mut to) = (outside.try_clone()?, inside.try_clone()?);
    let back = thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut inside, &mut outside);
    let _ = outside.shutdown(Shutdown::Write);
    let _ = back.join();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn both_directions_are_carried_and_both_ends_close() {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut caller = TcpStream::connect(door.local_addr().unwrap()).unwrap();
        let (inside, _) = door.accept().unwrap();
        let outside = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let (mut served, _) = server.accept().unwrap();
        let carrying = thread::spawn(move || carry(inside, outside));
        caller.write_all(b"ask").unwrap();
        caller.shutdown(Shutdown::Write).unwrap();
        let mut heard = String::new();
        served.read_to_string(&mut heard).unwrap();
        served.write_all(b"answer").unwrap();
        drop(served);
        let mut back = String::new();
        caller.read_to_string(&mut back).unwrap();
        assert_eq!((heard.as_str(), back.as_str()), ("ask", "answer"));
        carrying.join().unwrap().unwrap();
    }
}
