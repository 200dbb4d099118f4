//! `cargo run --bin broker`: starts the exchange alone.

fn main() -> std::process::ExitCode {
    talkwire::lone_broker::main()
}
