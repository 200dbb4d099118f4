//! `system.restart_service`: only services that the configuration names, through systemd, procd or programs of its own.

use super::Hands;
use super::radio::wait_for;
use super::support;
use crate::args;
use crate::settings::Service;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use talkwire_device::{Act, Applied, Args, ToolError, ToolSupport};

pub(super) const OP: &str = "system.restart_service";
/// How long a service may take until it runs again.
const START: Duration = Duration::from_secs(30);

/// Restarts a service.
pub(super) struct RestartService(pub(super) Hands);

/// Who keeps the services of the machine running.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manager {
    Systemd,
    Procd,
}

impl Hands {
    fn manager(&self) -> Option<Manager> {
        match () {
            () if self.root.has("run/systemd/system") && self.programs.has("systemctl") => Some(Manager::Systemd),
            () if self.root.has("sbin/procd") => Some(Manager::Procd),
            () => None,
        }
    }

    /// The commands that restart a service and ask whether it runs.
    fn commands(&self, service: &Service) -> Result<[Vec<String>; 2], ToolError> {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        match service {
            Service::Programs { restart, check } => Ok([restart.clone(), check.clone()]),
            Service::Unit(unit) => match self.manager() {
                Some(Manager::Systemd) => Ok([words(&["systemctl", "restart", unit]), words(&["systemctl", "is-active", "--quiet", unit])]),
                Some(Manager::Procd) => {
                    let script = format!("/etc/init.d/{unit}");
                    Ok([words(&[&script, "restart"]), words(&[&script, "running"])])
                }
                None => Err(ToolError::not_available("no_service_manager", "neither systemd nor procd runs on this machine; name programs in [services]")),
            },
        }
    }

    async fn run_words(&self, words: &[String]) -> Result<String, ToolError> {
        let Some((program, args)) = words.split_first() else { return Err(ToolError::failed("no program is named")) };
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.programs.run(program, &args).await
    }

    /// Restarts a service and waits until it runs.
    pub(super) async fn restart(&self, name: &str, service: &Service, wait: bool) -> Result<bool, ToolError> {
        let [restart, check] = self.commands(service)?;
        self.run_words(&restart).await?;
        if !wait {
            return Ok(self.run_words(&check).await.is_ok());
        }
        let runs = wait_for(START, || async { Ok(self.run_words(&check).await.ok()) }).await?;
        runs.map(|_| true).ok_or_else(|| ToolError::failed(format!("{name} was restarted, but does not run after {} s", START.as_secs())))
    }

    /// Lets dnsmasq read its configuration again.
    pub(super) async fn reload_dnsmasq(&self) -> Result<(), ToolError> {
        let reload = &self.settings.dhcpdns.reload;
        match reload.is_empty() {
            true => self.restart("dnsmasq", &Service::Unit("dnsmasq".into()), true).await.map(|_| ()),
            false => self.run_words(reload).await.map(|_| ()),
        }
    }

    /// Whether dnsmasq can be told to read its configuration again.
    pub(super) fn can_reload_dnsmasq(&self) -> bool {
        !self.settings.dhcpdns.reload.is_empty() || self.manager().is_some()
    }
}

impl RestartService {
    fn wanted<'a>(&'a self, args: &Args) -> Result<(&'a String, &'a Service), ToolError> {
        let services = &self.0.settings.services;
        let name = args.get("service").and_then(Value::as_str);
        name.and_then(|name| services.get_key_value(name)).ok_or_else(|| {
            let names: Vec<_> = services.keys().map(String::as_str).collect();
            ToolError::invalid_args(format!("args.service must be one that [services] of the configuration names: {}", names.join(", ")))
        })
    }
}

impl Act for RestartService {
    fn op(&self) -> &str {
        OP
    }

    fn support(&self) -> ToolSupport {
        let services = &self.0.settings.services;
        let needs_manager = services.values().any(|service| matches!(service, Service::Unit(_)));
        let lacks = match () {
            () if services.is_empty() => Some("no_service_allowed"),
            () => (needs_manager && self.0.manager().is_none()).then_some("no_service_manager"),
        };
        let mut support = support(4000, lacks);
        support.limitations.insert("services".into(), services.keys().cloned().collect());
        support
    }

    async fn check(&self, args: &Args) -> Result<Value, ToolError> {
        args::flag(args, "wait_for_startup")?;
        let (_, service) = self.wanted(args)?;
        self.0.commands(service)?;
        Ok(Value::Null)
    }

    async fn capture(&self, _: &Args) -> Result<Value, ToolError> {
        Ok(Value::Null)
    }

    async fn apply(&self, args: &Args) -> Result<Applied, ToolError> {
        let wait = args::flag(args, "wait_for_startup")?.unwrap_or(true);
        let (name, service) = self.wanted(args)?;
        let began = Instant::now();
        let runs = self.0.restart(name, service, wait).await?;
        let fields =
            [("service", json!(name)), ("status", json!(if runs { "running" } else { "starting" })), ("downtime_s", json!(began.elapsed().as_secs() + 1))];
        Ok(Applied { result: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(), section: Value::Null })
    }

    async fn restore(&self, _: &Value) -> Result<Value, ToolError> {
        // A restart has no configuration that could be put back.
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{Tape, args, hands};
    use super::*;
    use crate::root::Root;
    use crate::settings::Settings;
    use std::path::Path;
    use talkwire_device::Code;

    fn settings() -> Settings {
        let text = "[services]\ndns = 'dnsmasq'\nwan = { restart = ['/sbin/ifup', 'wan'], check = ['/sbin/ifstatus', 'wan'] }\n";
        Settings::parse(Path::new("device.toml"), text).unwrap()
    }

    fn machine(marks: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        marks.iter().for_each(|mark| std::fs::create_dir_all(folder.path().join(mark)).unwrap());
        folder
    }

    #[tokio::test]
    async fn each_manager_is_asked_in_its_own_way_until_the_service_runs() {
        let systemd = machine(&["run/systemd/system"]);
        let tape = Tape::new(
            &["systemctl"],
            &[
                ("systemctl restart dnsmasq", ""),
                ("systemctl is-active --quiet dnsmasq", "!systemctl failed (exit status: 3)"),
                ("systemctl is-active --quiet dnsmasq", ""),
                ("/sbin/ifup wan", ""),
                ("/sbin/ifstatus wan", "{}"),
            ],
        );
        let act = RestartService(hands(&tape, &Root::new(systemd.path()), settings()));
        let result = act.apply(&args(json!({"service": "dns"}))).await.unwrap().result;
        assert_eq!((&result["service"], &result["status"]), (&json!("dns"), &json!("running")));
        act.apply(&args(json!({"service": "wan", "wait_for_startup": false}))).await.unwrap();
        tape.assert_played();

        let procd = machine(&["sbin/procd"]);
        let tape = Tape::new(&[], &[("/etc/init.d/dnsmasq restart", ""), ("/etc/init.d/dnsmasq running", "")]);
        RestartService(hands(&tape, &Root::new(procd.path()), settings())).apply(&args(json!({"service": "dns"}))).await.unwrap();
        tape.assert_played();
    }

    #[tokio::test]
    async fn only_what_the_configuration_names_is_restarted() {
        let systemd = machine(&["run/systemd/system"]);
        let act = RestartService(hands(&Tape::new(&["systemctl"], &[]), &Root::new(systemd.path()), settings()));
        for service in [json!("ssh"), json!("dnsmasq; reboot"), json!("../../etc/passwd"), json!(1), Value::Null] {
            let error = act.check(&args(json!({"service": service}))).await.unwrap_err();
            assert!(error.is(Code::InvalidArgs) && error.message.contains("dns, wan"), "{error}");
        }
        let none = |settings| RestartService(hands(&Tape::new(&[], &[]), &Root::new("/nowhere"), settings)).support().reason;
        assert_eq!((none(settings()).as_deref(), none(Settings::default()).as_deref()), (Some("no_service_manager"), Some("no_service_allowed")));
    }
}
