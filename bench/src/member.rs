//! Simulated devices that answer every command at once.

use crate::load::{device_id, now_ms};
use crate::wire::{Packet, Road, Wire};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// The tool that the devices declare.
pub const OP: &str = "wifi.get_environment";

/// Connected devices, on a thread of their own.
pub struct Members {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Members {
    /// Connects so many devices of `home/bench`, each with its own connection, and waits until all are known.
    pub fn connect(addr: SocketAddr, count: usize) -> Result<Self> {
        let (stop, stopping) = watch::channel(false);
        let (told, heard) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let ended = crate::load::on_one_thread(async {
                let mut tasks = Vec::with_capacity(count);
                for number in 0..count {
                    let wire = introduce(addr, number).await.context("a simulated device cannot connect");
                    match wire {
                        Ok(wire) => tasks.push(tokio::spawn(answer(wire, number, stopping.clone()))),
                        Err(error) => {
                            let _ = told.send(Err(error));
                            return Ok(());
                        }
                    }
                }
                let _ = told.send(Ok(()));
                for task in tasks {
                    task.await??;
                }
                Ok(())
            });
            if let Err(error) = ended {
                eprintln!("a simulated device stopped: {error:#}");
            }
        });
        heard.recv_timeout(Duration::from_secs(120)).context("the simulated devices did not connect")??;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn topic(number: usize, tail: &str) -> String {
    format!("rtk/v1/home/bench/{}/{tail}", device_id(number))
}

async fn introduce(addr: SocketAddr, number: usize) -> Result<Wire> {
    let mut wire = Wire::connect(addr, Road::Tcp, &format!("device-{number}")).await?;
    wire.subscribe(&topic(number, "cmd/req"), 1).await?;
    let attr = json!({
        "schema": "attr/1.0", "ts": now_ms(), "device_type": "ap", "name": format!("bench-{number}"), "model": "bench",
        "capabilities": {"tools": {OP: {"supported": true, "version": "1.0", "response_time_ms": 10}}},
    });
    wire.publish(&topic(number, "attr"), attr.to_string().as_bytes(), 1, true);
    wire.flush().await?;
    while !matches!(wire.next().await?, Packet::Puback(1)) {}
    Ok(wire)
}

async fn answer(mut wire: Wire, number: usize, mut stopping: watch::Receiver<bool>) -> Result<()> {
    let (ack, res) = (topic(number, "cmd/ack"), topic(number, "cmd/res"));
    let mut id = 1u16;
    loop {
        let packet = tokio::select! {
            packet = wire.next() => packet?,
            _ = stopping.wait_for(|stop| *stop) => return Ok(()),
        };
        if let Packet::Publish { payload, id: received, .. } = packet {
            if received != 0 {
                wire.puback(received);
            }
            let request: Value = serde_json::from_slice(&payload).context("a command is JSON")?;
            let command = request["id"].clone();
            let mut send = |topic: &str, message: Value| {
                id = if id == u16::MAX { 2 } else { id + 1 };
                wire.publish(topic, message.to_string().as_bytes(), id, false);
            };
            send(&ack, json!({"schema": "cmd.ack/1.0", "ts": now_ms(), "id": command, "status": "accepted"}));
            send(
                &res,
                json!({"schema": "cmd.result/1.0", "ts": now_ms(), "id": command, "status": "completed", "ok": true, "result": {"interface": "wlan0", "channel": 6, "networks": []}}),
            );
            wire.flush().await?;
        }
    }
}
