//! The numbered checks: what each is called, where it comes from, and how to mend what it finds.

use super::evidence::Evidence;
use super::report::Verdict;
use super::rules::{basics, commands, messages, performance, reliability, security};

/// One check.
pub struct Item {
    /// Its stable number: B basic, C commands, R reliability, P performance, S security.
    pub id: &'static str,
    /// What must hold.
    pub name: &'static str,
    /// What to do when it does not.
    pub mend: &'static str,
    /// Judges what was seen.
    pub rule: fn(&Evidence) -> Verdict,
}

const fn item(id: &'static str, name: &'static str, rule: fn(&Evidence) -> Verdict, mend: &'static str) -> Item {
    Item { id, name, mend, rule }
}

/// All checks in the order of the report. A number never changes its meaning.
pub const ITEMS: &[Item] = &[
    item(
        "B01",
        "the device connects and stays connected",
        basics::stays,
        "use a client id of the device's own ({device_type}-{mac}), keep-alive 60 s, and one connection at a time; two programs with one client id throw each other out",
    ),
    item(
        "B02",
        "the broker says `offline` in the device's place when the connection is cut",
        basics::will,
        "set a will before connecting: topic …/lwt, {\"schema\":\"lwt/1.0\",\"status\":\"offline\"}, QoS 1, retained",
    ),
    item(
        "B03",
        "lwt `online` is published after connecting and retained",
        basics::lwt,
        "publish {\"status\":\"online\"} on …/lwt with retain after every connect",
    ),
    item("B04", "attr is retained", basics::attr_kept, "publish …/attr with QoS 1 and retain after every connect"),
    item(
        "B05",
        "attr says who the device is and what it can do",
        basics::attr_complete,
        "say device_type, manufacturer, model, firmware_version and capabilities (a list of words, or an object with `tools`)",
    ),
    item("B06", "state is retained", basics::state_kept, "publish …/state with QoS 1 and retain"),
    item(
        "B07",
        "state says health, uptime_s, cpu_usage and memory_usage",
        basics::state_figures,
        "say health (ok, warning, error), uptime_s (seconds), cpu_usage and memory_usage (percent) as numbers",
    ),
    item("B08", "state comes at least every 300 s", basics::cadence, "publish state every 300 s or sooner, and on change; not more than 12 times a minute"),
    item(
        "B09",
        "a command is acknowledged within 1 s",
        commands::ack,
        "publish cmd.ack/1.0 with the command's id on …/cmd/ack first, then run the command outside the MQTT callback",
    ),
    item(
        "B10",
        "a command is answered with a result",
        commands::result,
        "publish cmd.result/1.0 {id, status:\"completed\", result:{…}} on …/cmd/res; answer device.status or name another harmless op with --command",
    ),
    item(
        "B11",
        "telemetry carries a value and a unit",
        messages::telemetry,
        "publish {schema:\"telemetry.METRIC/1.0\", ts, value, unit} on …/telemetry/METRIC, not retained",
    ),
    item(
        "B12",
        "events have the guide's shape",
        messages::events,
        "publish {schema:\"evt.NAME/1.0\", ts, device_id, event_type:\"NAME\", data:{…}} on …/evt/NAME with QoS 1; NAME dotted, in one level",
    ),
    item(
        "B13",
        "only topics of the protocol are used",
        messages::topics,
        "use lwt, attr, state, telemetry/METRIC, evt/NAME, cmd/ack, cmd/res, topology/update, capability/update, diagnostics/TEST",
    ),
    item("B14", "QoS 1 where a message may not be lost", messages::qos, "publish lwt, attr, state, evt, cmd/ack, cmd/res and topology with QoS 1"),
    item(
        "B15",
        "nothing but lwt, attr and state is retained",
        messages::retained,
        "publish telemetry, events, acknowledgements and results without retain, and clear what is kept (an empty retained message)",
    ),
    item("B16", "every message can be read", messages::readable, "correct the field that the detail names; docs/schemas has the JSON Schema of every family"),
    item(
        "B17",
        "every message names its schema and its time",
        messages::tagged,
        "add schema (\"state/1.0\", …, the family as the topic says) and ts (Unix milliseconds)",
    ),
    item("B18", "the device's clock is right", messages::clock, "synchronise the clock (NTP) before connecting, and stamp messages when they are made"),
    item(
        "C01",
        "an unknown op is answered with an error",
        commands::unknown_op,
        "answer {status:\"failed\", error:{code:\"E_UNKNOWN_OP\", message}} on …/cmd/res instead of staying silent",
    ),
    item(
        "C02",
        "wrong arguments are answered with an error",
        commands::bad_args,
        "check the type of `args` and of every argument, and answer {status:\"failed\", error:{code:\"E_INVALID_ARGS\", message}}",
    ),
    item(
        "C03",
        "a command id is run once, a repeat gets the stored result",
        commands::duplicate,
        "keep the results of the last ids (say 100, for an hour) and answer a known id with what is kept",
    ),
    item(
        "C04",
        "batch.execute runs a list, each item with its own result",
        commands::batch,
        "run args.commands in order and answer result.results:[{command_id, status, result|error}]",
    ),
    item(
        "C05",
        "messages that make no sense do no harm",
        commands::malformed,
        "catch every error while reading a command, also JSON that is none and a missing id; never let one end the MQTT loop",
    ),
    item(
        "R01",
        "the device comes back after a cut",
        reliability::returns,
        "reconnect by yourself for ever, first after 1 s, at most 120 s apart, without blocking a callback",
    ),
    item("R02", "attempts to reconnect keep a growing distance", reliability::backoff, "wait 1 s, 2 s, 4 s … up to 120 s between attempts, with jitter"),
    item(
        "R03",
        "what could not be delivered is sent again after the cut",
        reliability::buffer,
        "publish results and events with QoS 1 and keep them (outbox) until PUBACK; send them again after reconnecting",
    ),
    item(
        "R04",
        "a command sent during the outage is answered afterwards",
        reliability::session,
        "connect with a fixed client id and clean_session=false, and subscribe to …/cmd/req with QoS 1",
    ),
    item(
        "R05",
        "the device says `online` again after reconnecting",
        reliability::greets,
        "publish lwt `online`, attr and state on every connect, not only on the first",
    ),
    item(
        "P01",
        "messages arrive within 100 ms",
        performance::latency,
        "acknowledge at once; do not sleep, poll or write to disk between receiving a command and its acknowledgement; set TCP_NODELAY",
    ),
    item(
        "P02",
        "CPU use stays under 20 %",
        performance::cpu,
        "find what uses it (top): the device's own program waits on the socket instead of polling; on a machine that does other work too, say the program's own share as process_cpu_usage",
    ),
    item("P03", "memory use is under 90 %", performance::memory, "bound caches, histories and buffers by count and by age"),
    item("P04", "memory use does not grow", performance::leak, "drop ids, results and events that are over an hour old; watch the figure over a day"),
    item(
        "P05",
        "the device sends at most 60 messages a minute of its own",
        performance::traffic,
        "limit the rate (60 a minute), put the rest in the outbox, and send figures that did not change less often",
    ),
    item("S01", "the connection is encrypted", security::tls, "connect with TLS (mqtts://, port 8883) and check the broker's certificate"),
    item(
        "S02",
        "the broker asks who connects",
        security::authentication,
        "switch anonymous access off at the broker and give each device a name and password, a token or a certificate",
    ),
    item("S03", "no secret is published in the clear", security::secrets, "leave passwords, keys and tokens out of messages, or say null"),
    item(
        "S04",
        "the device cannot write in another device's tree",
        security::write_other,
        "allow each device to publish under rtk/v1/TENANT/SITE/ITS_ID/ only",
    ),
    item(
        "S05",
        "the device cannot read another device's commands",
        security::read_other,
        "allow each device to subscribe to rtk/v1/TENANT/SITE/ITS_ID/cmd/req and its groups only",
    ),
    item(
        "S06",
        "the device refuses a broker whose certificate nobody it trusts has signed",
        security::stranger,
        "give the TLS library the authority's certificate (ca) and leave its verification on; never set `insecure`, CERT_NONE or rejectUnauthorized: false",
    ),
    item(
        "S07",
        "a device with a key seals all it says, and takes nothing that is not sealed with it",
        security::sealed,
        "encrypt every payload, the will too, and drop commands that the key does not open or that are older than 300 s",
    ),
];

/// The check of this number.
pub fn find(id: &str) -> Option<&'static Item> {
    ITEMS.iter().find(|item| item.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_are_unique_and_every_check_says_how_to_mend() {
        assert_eq!(ITEMS.iter().map(|item| item.id).collect::<BTreeSet<_>>().len(), ITEMS.len());
        for item in ITEMS {
            assert!(item.id.len() == 3 && item.name.len() > 10 && item.mend.len() > 20, "{}", item.id);
        }
    }

    #[test]
    fn nothing_seen_passes_nothing() {
        let nothing = Evidence::new("acme/home/aabbccddeeff".parse().unwrap());
        for item in ITEMS {
            assert!(!matches!((item.rule)(&nothing), Verdict::Passed(_)), "{} passes without evidence", item.id);
        }
    }
}
