//! The command line: what people type, and exit codes that mean something.
//!
//! 0: done. 1: asked and answered with a no (a refusal, a receipt that is not genuine, a diagnosis that failed, a change that was
//! not kept). 2: wrong use.
//! 3: the server cannot be reached. `talkwire check`: 2 when no check could be made, 130 when it was interrupted.

mod ask;
mod check;
mod client;
mod device;
mod keys;
mod lists;
mod notify;
mod offline;
mod run;
mod say;
mod tools;

use crate::config::{Config, Flags, OutsideBroker};
use crate::demo::HomeFlags;
use crate::lone_broker;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// People, an assistant and network devices talk over MQTT: diagnosis, safe changes, proof.
#[derive(Debug, Parser)]
#[command(
    name = "talkwire",
    version,
    arg_required_else_help = true,
    after_help = "Start here:\n  talkwire demo\n  talkwire ask \"my wifi is slow in the evening\""
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Where the server is and how answers are printed.
#[derive(Debug, Clone, Args)]
pub struct Remote {
    /// Address of the server.
    #[arg(long, global = true, value_name = "URL", env = "TALKWIRE_SERVER", default_value = "http://127.0.0.1:5000")]
    pub server: String,
    /// The server's data folder, for the owner's token.
    #[arg(long, global = true, value_name = "DIR", env = "TALKWIRE_DATA", default_value = "talkwire-data")]
    pub data: PathBuf,
    /// The owner's token itself.
    #[arg(long, global = true, value_name = "TOKEN", env = "TALKWIRE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Print JSON for programs.
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything with a simulated home, and print the address of the console.
    #[command(after_help = "Example:\n  talkwire demo --home homes/hog.toml --at 21:00 --speed 30")]
    Demo {
        #[command(flatten)]
        flags: Flags,
        #[command(flatten)]
        home: HomeFlags,
        /// The home to simulate [default: an evening with busy neighbours].
        #[arg(long = "home", value_name = "FILE", env = "TALKWIRE_HOME")]
        file: Option<PathBuf>,
        /// Do not open the browser.
        #[arg(long)]
        no_open: bool,
    },
    /// Start the server: broker, rules, assistant, console, API.
    #[command(after_help = "Example:\n  talkwire serve --data /var/lib/talkwire --http 127.0.0.1:5000\n  talkwire serve --broker mqtts://broker.example:8883")]
    Serve {
        #[command(flatten)]
        flags: Flags,
    },
    /// Start only the MQTT broker.
    #[command(after_help = "Example:\n  talkwire broker --config rumqttd.toml")]
    Broker(lone_broker::Arguments),
    /// Be a device: this Linux machine joins, with its tools.
    #[command(
        after_help = "Example:\n  talkwire device --broker mqtt://127.0.0.1:1883\n  talkwire device --example-config > device.toml\n  talkwire device --config device.toml"
    )]
    Device(device::DeviceFlags),
    /// Simulated homes.
    #[command(subcommand, after_help = "Example:\n  talkwire home check homes/evening.toml\n  talkwire home run homes/evening.toml --broker 127.0.0.1:1883")]
    Home(HomeCommand),
    /// Tell the assistant what is wrong and watch it work.
    #[command(after_help = "Example:\n  talkwire ask \"家裡 WiFi 很慢，尤其是晚上\"\n  talkwire ask \"my wifi is slow\" --apply   # approves what is proposed")]
    Ask {
        #[command(flatten)]
        remote: Remote,
        /// The complaint, in Chinese or English.
        text: String,
        /// Approve the proposed change, wait until it is kept or undone.
        #[arg(long)]
        apply: bool,
        /// Tenant, when there are several.
        #[arg(long)]
        tenant: Option<String>,
        /// Site, when there are several.
        #[arg(long)]
        site: Option<String>,
    },
    /// Check a device against the integration guide's list, at any broker.
    #[command(
        after_help = "Example:\n  talkwire check aabbccddeeff --tenant home --site living --broker mqtt://127.0.0.1:1883\n  talkwire check aabbccddeeff --tenant home --site living --proxy 0.0.0.0:18883 --report report.html   # the device connects to port 18883"
    )]
    Check(check::Arguments),
    /// List devices, or show one.
    #[command(after_help = "Example:\n  talkwire devices\n  talkwire devices home/living/020000000002")]
    Devices {
        #[command(flatten)]
        remote: Remote,
        /// `tenant/site/device_id`, to show one.
        device: Option<String>,
    },
    /// List the tools of the catalogue, or those that one device declares.
    #[command(after_help = "Example:\n  talkwire tools\n  talkwire tools home/living/020000000002")]
    Tools {
        #[command(flatten)]
        remote: Remote,
        /// `tenant/site/device_id`, to list what it declares.
        device: Option<String>,
    },
    /// Call a tool of a device; one that changes something is proposed as a change set.
    #[command(
        after_help = "Example:\n  talkwire call home/living/020000000002 device.status\n  talkwire call home/living/020000000002 fan.read number=1\n  talkwire call home/living/020000000002 wifi.set_channel channel=6   # proposes it; a person approves"
    )]
    Call {
        #[command(flatten)]
        remote: Remote,
        /// `tenant/site/device_id`.
        device: String,
        /// The tool, for example device.status.
        op: String,
        /// Arguments; each is read as the tool's type wants it.
        #[arg(value_name = "NAME=VALUE")]
        args: Vec<String>,
    },
    /// List diagnoses, or show one.
    #[command(after_help = "Example:\n  talkwire sessions\n  talkwire sessions s-01JD…")]
    Sessions {
        #[command(flatten)]
        remote: Remote,
        /// To show one.
        id: Option<String>,
    },
    /// List change sets, show one, approve, reject or undo it.
    #[command(
        after_help = "Example:\n  talkwire changesets\n  talkwire changesets show cs-01JD…\n  talkwire changesets approve cs-01JD…\n  talkwire changesets rollback cs-01JD…"
    )]
    Changesets {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Option<lists::ChangesetCommand>,
    },
    /// Fetch a receipt, or check one offline.
    #[command(
        subcommand,
        after_help = "Example:\n  talkwire receipt get cs-01JD… > receipt.json\n  talkwire receipt verify receipt.json --key talkwire-data/signing.pub"
    )]
    Receipt(offline::ReceiptCommand),
    /// The audit: list it from the server, or check the chain offline.
    #[command(subcommand, after_help = "Example:\n  talkwire audit list\n  talkwire audit verify --data talkwire-data")]
    Audit(offline::AuditCommand),
    /// The keys of devices that encrypt their payloads: list, give, change, take away.
    #[command(
        subcommand,
        after_help = "Example:\n  talkwire keys add home/lab/020000000077\n  talkwire keys rotate home/lab/020000000077 --out new.key\n  talkwire keys remove --old home/lab/020000000077"
    )]
    Keys(keys::KeysCommand),
    /// Print the commented default configuration, or the one in force.
    #[command(after_help = "Example:\n  talkwire config > talkwire.toml\n  talkwire config --effective")]
    Config {
        #[command(flatten)]
        flags: Flags,
        /// Print what file, variables and flags come to.
        #[arg(long)]
        effective: bool,
    },
}

#[derive(Debug, Subcommand)]
enum HomeCommand {
    /// Connect a simulated home to a broker.
    #[command(after_help = "Example:\n  talkwire home run homes/evening.toml --broker 127.0.0.1:1883")]
    Run {
        /// The home.
        file: PathBuf,
        /// The broker: mqtt(s)://[user[:password]@]host[:port], or host:port.
        #[arg(long, value_name = "URL", env = "TALKWIRE_BROKER", hide_env_values = true, default_value = "127.0.0.1:1883")]
        broker: String,
        /// PEM file of the authorities that may sign the broker's certificate [default: whom the system trusts].
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// Folder of the devices' journals and configuration.
        #[arg(long, value_name = "DIR", env = "TALKWIRE_DATA", default_value = "talkwire-data/home")]
        data: PathBuf,
        #[command(flatten)]
        home: HomeFlags,
    },
    /// Check a home file.
    #[command(after_help = "Example:\n  talkwire home check homes/evening.toml")]
    Check {
        /// The home.
        file: PathBuf,
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
}

/// Why a command ended without doing it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Answered with a no.
    #[error("{0}")]
    Refused(String),
    /// Wrong use: a flag or a file that cannot be meant so.
    #[error("{0}")]
    Misuse(String),
    /// The server is not there.
    #[error("no server answers at {0}; start one with `talkwire demo` or `talkwire serve`, or name it with --server URL")]
    Unreachable(String),
    /// Nothing could be asked at all; the text says what to do.
    #[error("{0}")]
    CannotRun(String),
    /// Ended by the user before it was through.
    #[error("interrupted")]
    Interrupted,
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Other(_) => 1,
            Self::CannotRun(_) | Self::Misuse(_) => 2,
            Self::Interrupted => 130,
            Self::Unreachable(_) => 3,
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("talkwire: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo { flags, home, file, no_open } => Ok(run::demo(&flags, &home, file.as_deref(), no_open)?),
        Command::Serve { flags } => Ok(run::serve(&flags)?),
        Command::Broker(arguments) => Ok(lone_broker::start(&arguments)?),
        Command::Device(flags) => device::device(&flags),
        Command::Home(HomeCommand::Run { file, broker, ca, data, home }) => {
            let broker = OutsideBroker { url: Some(broker), ca, ..OutsideBroker::default() };
            Ok(run::home(&file, &broker, data, &home)?)
        }
        Command::Home(HomeCommand::Check { file, json }) => Ok(run::check_home(&file, json)?),
        Command::Ask { remote, text, apply, tenant, site } => ask::ask(&remote, &text, apply, tenant, site),
        Command::Check(arguments) => check::check(&arguments),
        Command::Devices { remote, device } => lists::devices(&remote, device.as_deref()),
        Command::Tools { remote, device } => tools::tools(&remote, device.as_deref()),
        Command::Call { remote, device, op, args } => tools::call(&remote, &device, &op, &args),
        Command::Sessions { remote, id } => lists::sessions(&remote, id.as_deref()),
        Command::Changesets { remote, command } => lists::changesets(&remote, command),
        Command::Receipt(command) => offline::receipt(command),
        Command::Audit(command) => offline::audit(command),
        Command::Keys(command) => keys::keys(command),
        Command::Config { flags, effective } => Ok(config(&flags, effective)?),
    }
}

fn config(flags: &Flags, effective: bool) -> anyhow::Result<()> {
    if effective || flags.json {
        let config = Config::load(flags)?;
        say::say!("{}", serde_json::to_string_pretty(&config)?);
    } else {
        say::say!("{}", Config::commented_default().trim_end());
    }
    Ok(())
}
