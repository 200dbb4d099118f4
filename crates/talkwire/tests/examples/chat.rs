//! The chat clients in a room of a real server: what is typed comes back, the assistant answers.

use crate::program::{Program, node, python};
use crate::{need, root, sketches};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use talkwire::config::Config;
use talkwire::serve::{self, Running};

const SOON: Duration = Duration::from_secs(20);

async fn house() -> (Running, tempfile::TempDir, u16) {
    let data = tempfile::tempdir().unwrap();
    let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let running = serve::start(&Config { data: data.path().into(), http: free, mqtt: vec![free], ws: free, ..Config::default() }).await.unwrap();
    let port = running.address("mqtt").unwrap().port();
    (running, data, port)
}

/// Speaks and hears; `ends` says that an empty line ends it.
async fn talks(mut command: Command, running: Running, ends: bool) {
    let talked = tokio::task::spawn_blocking(move || {
        let mut program = Program::start(&mut command);
        program.wait("room", SOON);
        program.type_line("大家好 🌏");
        program.wait("大家好 🌏", SOON);
        program.type_line("@AI 你好");
        program.wait("智能助手: ", SOON);
        if ends {
            program.type_line("");
            program.ends_well(SOON);
        }
    });
    talked.await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_talks() {
    let python = need!("the Python chat client", python());
    let (running, _data, port) = house().await;
    let mut command = python.command();
    command.arg(root().join("examples/python/chat.py")).args(["--port", &port.to_string(), "--name", "Ada"]);
    talks(command, running, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_client_talks() {
    let node = need!("the Node chat client", node());
    let (running, _data, port) = house().await;
    let mut command = node.command();
    command.arg(root().join("examples/node/chat.js")).args(["--port", &port.to_string(), "--name", "Ada"]);
    talks(command, running, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_esp32_client_talks() {
    let folder = need!("the ESP32 chat client", sketches());
    let (running, _data, port) = house().await;
    let mut command = Command::new(folder.join("chat"));
    command.env("BROKER_URI", format!("mqtt://127.0.0.1:{port}")).env("USER_NAME", "Ada");
    talks(command, running, false).await;
}
