//! `qos.apply_policy`: a limit a little below the speed of the line, with a fair queue behind it, at both ends of the machine.

use super::Hands;
use super::radio::is_name;
use super::support;
use super::tc::{POLICIES, Queue};
use crate::{ports, route};
use serde_json::{Map, Value, json};
use talkwire_device::{Act, Applied, Args, ToolError, ToolSupport};

pub(super) const OP: &str = "qos.apply_policy";
/// How much of the line a policy takes that names no cap.
const SHARE: f64 = 0.9;

/// Applies a policy of traffic control.
pub(super) struct ApplyPolicy(pub(super) Hands);

/// A port and what shall stand at its exit.
#[derive(Debug, Clone, PartialEq)]
struct Plan {
    interface: String,
    queue: Queue,
}

/// A cap in Mbps, from the arguments.
fn cap(args: &Args, name: &str) -> Result<Option<f64>, ToolError> {
    let Some(value) = args.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    let mbps = value.as_f64().filter(|mbps| (0.1..=100_000.0).contains(mbps));
    mbps.map(Some).ok_or_else(|| ToolError::invalid_args(format!("args.{name} must be from 0.1 to 100000 (Mbps)")))
}

/// The only rule that a machine without knowledge of applications can keep is a limit for all of them. A wish that only ranks one kind of
/// traffic is left out, as the fair queue serves everybody alike; a limit for one kind is refused.
struct Rules {
    cap: Option<f64>,
    /// The kinds whose rank is left out.
    left_out: Vec<String>,
}

fn rules(args: &Args) -> Result<Rules, ToolError> {
    let wrong = || {
        ToolError::invalid_args(
            "args.rules: this machine keeps one limit, {category: \"all\", bandwidth_limit_mbps}; it does not tell applications apart, so no other category can have one",
        )
    };
    let list = match args.get("rules") {
        None | Some(Value::Null) => &[][..],
        Some(value) => value.as_array().ok_or_else(wrong)?.as_slice(),
    };
    let mut kept = Rules { cap: None, left_out: Vec::new() };
    for rule in list {
        let rule = Args(rule.as_object().cloned().ok_or_else(wrong)?);
        let category = rule.get("category").and_then(Value::as_str).filter(|word| word.len() <= 32).ok_or_else(wrong)?;
        let limit = cap(&rule, "bandwidth_limit_mbps")?.or(cap(&rule, "bandwidth_limit")?);
        match (category, limit) {
            ("all", Some(limit)) if kept.cap.is_none() => kept.cap = Some(limit),
            (_, Some(_)) => return Err(wrong()),
            (category, None) => kept.left_out.push(crate::text::clean(category, 32)),
        }
    }
    Ok(kept)
}

impl ApplyPolicy {
    fn up(&self) -> Option<String> {
        let named = self.0.settings.surroundings.wan.clone();
        named.or_else(|| route::way_out(&self.0.root).flatten().map(|way| way.interface))
    }

    fn down(&self) -> Option<String> {
        let root = &self.0.root;
        let (named, up) = (self.0.settings.qos.down_interface.clone(), self.up());
        let only = |kinds: &[&str]| {
            let mut fitting = ports::names(root).into_iter().filter(|name| Some(name) != up.as_ref() && kinds.contains(&ports::kind(root, name)));
            fitting.next().filter(|_| fitting.next().is_none())
        };
        named.or_else(|| only(&["bridge"])).or_else(|| only(&["ethernet", "virtual", "wifi"]))
    }

    /// The ports that may be shaped, up before down.
    fn ports(&self) -> Vec<String> {
        self.up().into_iter().chain(self.down()).filter(|name| is_name(name)).collect()
    }

    /// The ports that a call means.
    fn meant(&self, args: &Args) -> Result<Vec<String>, ToolError> {
        let ports = self.ports();
        let wrong = || ToolError::invalid_args(format!("args.interfaces must be a list of ports that are shaped here: {}", ports.join(", ")));
        let Some(list) = args.get("interfaces").filter(|value| !value.is_null()) else { return Ok(ports) };
        let names = list.as_array().filter(|list| !list.is_empty()).ok_or_else(wrong)?;
        let names = names.iter().map(|name| name.as_str().filter(|name| ports.iter().any(|port| port == name)).map(str::to_owned).ok_or_else(wrong));
        names.collect()
    }

    fn plan(&self, args: &Args) -> Result<Vec<Plan>, ToolError> {
        let wrong = || ToolError::invalid_args(format!("args.policy_name must be one of {}, off", POLICIES.join(", ")));
        let name = args.get("policy_name").and_then(Value::as_str).ok_or_else(wrong)?;
        let meant = self.meant(args)?;
        if name == "off" {
            return Ok(meant.into_iter().map(|interface| Plan { interface, queue: Queue::Default }).collect());
        }
        let policy = POLICIES.into_iter().find(|policy| *policy == name).ok_or_else(wrong)?;
        let line = &self.0.settings.surroundings;
        let up = cap(args, "cap_up_mbps")?.or(line.plan_up_mbps.map(|mbps| SHARE * mbps));
        let down = cap(args, "cap_down_mbps")?.or(rules(args)?.cap).or(line.plan_down_mbps.map(|mbps| SHARE * mbps));
        let (up_port, down_port) = (self.up(), self.down());
        if cap(args, "cap_down_mbps")?.is_some() && down_port.is_none() {
            return Err(ToolError::invalid_args(
                "args.cap_down_mbps: which port leads to the clients is not clear; set qos.down_interface in the configuration",
            ));
        }
        let mut plan = Vec::new();
        for interface in meant {
            let mbps = if Some(&interface) == up_port.as_ref() {
                up
            } else if Some(&interface) == down_port.as_ref() {
                down
            } else {
                None
            };
            let Some(mbps) = mbps else { continue };
            plan.push(Plan { interface, queue: Queue::Ours { policy, kbit: (mbps * 1000.0).round() as u64, queue: String::new() } });
        }
        if plan.is_empty() {
            return Err(ToolError::invalid_args(
                "give args.cap_up_mbps or args.cap_down_mbps, or set surroundings.plan_up_mbps and surroundings.plan_down_mbps in the configuration",
            ));
        }
        Ok(plan)
    }

    async fn captured(&self, args: &Args) -> Result<Value, ToolError> {
        let mut queues = Vec::new();
        for interface in self.meant(args)? {
            let queue = self.0.queue(&interface).await?;
            queues.push(Plan { interface, queue });
        }
        Ok(self.section(&queues))
    }

    fn section(&self, queues: &[Plan]) -> Value {
        let (up, down) = (self.up(), self.down());
        let at = |port: &Option<String>| {
            queues
                .iter()
                .filter(|plan| Some(&plan.interface) == port.as_ref())
                .find_map(|plan| if let Queue::Ours { kbit, .. } = plan.queue { Some(kbit as f64 / 1000.0) } else { None })
        };
        let policy = queues.iter().find_map(|plan| if let Queue::Ours { policy, .. } = plan.queue { Some(policy) } else { None });
        json!({
            "enabled": policy.is_some(), "policy_name": policy.unwrap_or("off"), "cap_up_mbps": at(&up), "cap_down_mbps": at(&down),
            "ports": queues.iter().map(|plan| plan.queue.section(&plan.interface)).collect::<Vec<_>>(),
        })
    }
}

impl Act for ApplyPolicy {
    fn op(&self) -> &str {
        OP
    }

    fn support(&self) -> ToolSupport {
        let lacks = match () {
            () if !self.0.programs.has("tc") => Some("no_tc"),
            () => self.ports().is_empty().then_some("no_way_out"),
        };
        support(2500, lacks)
    }

    async fn check(&self, args: &Args) -> Result<Value, ToolError> {
        Ok(self.section(&self.plan(args)?))
    }

    async fn capture(&self, args: &Args) -> Result<Value, ToolError> {
        self.captured(args).await
    }

    async fn apply(&self, args: &Args) -> Result<Applied, ToolError> {
        for plan in self.plan(args)? {
            // `off` takes away what is ours, and leaves alone what is not.
            let is_foreign = plan.queue == Queue::Default && matches!(self.0.queue(&plan.interface).await?, Queue::Other { .. });
            if !is_foreign {
                self.0.set_queue(&plan.interface, &plan.queue).await?;
            }
        }
        let section = self.captured(args).await?;
        let mut result: Map<String, Value> = section.as_object().cloned().unwrap_or_default();
        result.insert("downtime_s".into(), json!(1));
        let left_out = rules(args)?.left_out;
        if !left_out.is_empty() {
            result.insert("rules_left_out".into(), json!(left_out));
        }
        Ok(Applied { result, section })
    }

    async fn restore(&self, previous: &Value) -> Result<Value, ToolError> {
        let unknown = || ToolError::failed("the captured section does not name ports");
        let mut queues = Vec::new();
        for port in previous.get("ports").and_then(Value::as_array).ok_or_else(unknown)? {
            let interface = port.get("interface").and_then(Value::as_str).filter(|name| is_name(name)).ok_or_else(unknown)?;
            let wanted = Queue::of_section(port).ok_or_else(unknown)?;
            let mut now = self.0.queue(interface).await?;
            if now != wanted {
                now = self.0.set_queue(interface, &wanted).await?;
            }
            queues.push(Plan { interface: interface.into(), queue: now });
        }
        Ok(self.section(&queues))
    }

    /// The kernel forgets every queue at a boot.
    fn lasting(&self, section: &Value) -> Option<String> {
        let ports = section.get("ports").and_then(Value::as_array)?;
        Some(ports.iter().filter_map(|port| port.get("interface").and_then(Value::as_str)).collect::<Vec<_>>().join(" "))
    }

    /// Only what is ours is put back; a queue that somebody else set up since the boot is left alone, and said.
    async fn put_back(&self, section: &Value) -> Result<Value, ToolError> {
        for port in section.get("ports").and_then(Value::as_array).into_iter().flatten() {
            let Some(interface) = port.get("interface").and_then(Value::as_str).filter(|name| is_name(name)) else { continue };
            let (now, wanted) = (self.0.queue(interface).await?, Queue::of_section(port));
            if let (Queue::Other { kind, handle, .. }, true) = (&now, wanted.as_ref() != Some(&now)) {
                let advice = format!("{interface} has a queue {kind} {handle} that somebody else set up after the boot; apply the policy again to replace it");
                return Err(ToolError::not_available("foreign_qdisc", advice));
            }
        }
        self.restore(section).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{Tape, args, hands};
    use super::*;
    use crate::root::Root;
    use crate::settings::Settings;
    use talkwire_device::Code;

    const NONE: &str = r#"[{"kind":"noqueue","handle":"0:","root":true,"refcnt":2,"options":{}}]"#;
    const SHOW: &str = "tc -j qdisc show dev wan";

    fn settings() -> Settings {
        let mut settings = Settings::default();
        settings.surroundings.wan = Some("wan".into());
        settings
    }

    fn act(tape: &std::sync::Arc<Tape>) -> ApplyPolicy {
        ApplyPolicy(hands(tape, &Root::new("/nowhere"), settings()))
    }

    #[tokio::test]
    async fn where_the_kernel_has_cake_one_queue_does_it_all() {
        // As iproute2 6.1 prints it.
        let cake = r#"[{"kind":"cake","handle":"7a11:","root":true,"refcnt":2,"options":{"bandwidth":4500000,"diffserv":"diffserv3","rtt":100000}}]"#;
        let tape = Tape::new(
            &["tc"],
            &[
                (SHOW, NONE),
                (SHOW, NONE),
                ("tc qdisc add dev wan root handle 7a11: cake bandwidth 36000kbit", ""),
                (SHOW, cake),
                (SHOW, cake),
                (SHOW, cake),
                (SHOW, cake),
                ("tc qdisc del dev wan root", ""),
                (SHOW, NONE),
            ],
        );
        let (act, call) = (act(&tape), args(json!({"policy_name": "sqm", "cap_up_mbps": 36})));
        let before = act.capture(&call).await.unwrap();
        let applied = act.apply(&call).await.unwrap();
        assert_eq!(
            (&applied.section["cap_up_mbps"], &applied.section["ports"][0]["queue"], &applied.result["enabled"]),
            (&json!(36.0), &json!("cake"), &json!(true))
        );
        assert_eq!(act.restore(&before).await.unwrap(), before);
        tape.assert_played();
    }

    #[tokio::test]
    async fn a_queue_of_somebody_elses_that_could_not_be_put_back_is_not_touched() {
        let hfsc = r#"[{"kind":"hfsc","handle":"1:","root":true,"refcnt":2,"options":{}}]"#;
        let tape = Tape::new(&["tc"], &[(SHOW, hfsc)]);
        let error = act(&tape).capture(&args(json!({"policy_name": "fair", "cap_up_mbps": 36}))).await.unwrap_err();
        assert!(error.is(Code::LlmToolNotAvailable) && error.details["reason"] == "foreign_qdisc", "{error}");
        tape.assert_played();
    }

    #[tokio::test]
    async fn what_cannot_be_meant_is_refused() {
        for (call, hint) in [
            (json!({}), "policy_name"),
            (json!({"policy_name": "; reboot"}), "policy_name"),
            (json!({"policy_name": "fair"}), "cap_up_mbps"),
            (json!({"policy_name": "fair", "cap_up_mbps": 0}), "cap_up_mbps"),
            (json!({"policy_name": "fair", "cap_up_mbps": 10, "cap_down_mbps": 10}), "down_interface"),
            (json!({"policy_name": "fair", "cap_up_mbps": 10, "interfaces": ["../../etc/passwd"]}), "wan"),
            (json!({"policy_name": "fair", "rules": [{"category": "video", "bandwidth_limit_mbps": 5}]}), "all"),
            (json!({"policy_name": "fair", "rules": [{"category": "bulk", "priority": "low"}]}), "cap_up_mbps"),
        ] {
            let error = act(&Tape::new(&["tc"], &[])).check(&args(call.clone())).await.unwrap_err();
            assert!(error.is(Code::InvalidArgs) && error.message.contains(hint), "{call}: {error}");
        }
        assert_eq!(act(&Tape::new(&[], &[])).support().reason.as_deref(), Some("no_tc"));
    }
}
