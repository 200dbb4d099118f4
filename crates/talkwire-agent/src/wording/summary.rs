//! A few words about the answer of one step.

use super::fill::tidy;
use crate::evidence::{Evidence, Item};
use crate::mind::site::Site;
use talkwire_core::Language;
use talkwire_core::session::{IntentView, Step};

/// For example `18 ↓ 9 ↑ Mbps` or `11 clients`.
pub(crate) fn summary(step: &Step, site: &Site<'_>, intent: &IntentView) -> String {
    let evidence = Evidence::of([step], site, intent, "");
    let language = intent.language;
    say(talkwire_proto::op::canonical(&step.tool), &evidence, language).unwrap_or_else(|| language.pick("完成", "完成", "done").to_owned())
}

fn say(tool: &str, evidence: &Evidence, language: Language) -> Option<String> {
    let one = |section: &str| evidence.one.get(section);
    let figure = |section: &str, name: &str| one(section)?.number(name);
    let count = |section: &str| evidence.many.get(section).map(|items| items.len());
    match tool {
        "network.speedtest_full" => {
            let test = evidence.many.get("cspd").and_then(|tests| tests.values().next()).or_else(|| one("spd"))?;
            Some(format!("{} ↓ {} ↑ Mbps", tidy(test.number("dn")?), tidy(test.number("up")?)))
        }
        "clients.list" => Some(match (count("cl")?, language) {
            (n, Language::ZhTw) => format!("{n} 台裝置"),
            (n, Language::ZhCn) => format!("{n} 台设备"),
            (1, Language::En) => "1 client".into(),
            (n, Language::En) => format!("{n} clients"),
        }),
        "clients.health" => {
            let retries: Vec<f64> = evidence.many.get("cl")?.values().filter_map(|client| client.number("retry")).collect();
            let middle = tidy(crate::evidence::median(&retries)?);
            Some(match language {
                Language::ZhTw => format!("重傳 {middle} %"),
                Language::ZhCn => format!("重传 {middle} %"),
                Language::En => format!("{middle} % retries"),
            })
        }
        "wifi.get_environment" | "wifi.basic_scan" => {
            let radio = |radio: &Item| {
                let (channel, busy) = (tidy(radio.number("ch")?), tidy(radio.number("util_ext").or(radio.number("util"))?));
                Some(match language {
                    Language::ZhTw => format!("頻道 {channel}：{busy} %"),
                    Language::ZhCn => format!("信道 {channel}：{busy} %"),
                    Language::En => format!("channel {channel}: {busy} %"),
                })
            };
            let all: Vec<String> = evidence.many.get("env")?.values().filter_map(radio).collect();
            (!all.is_empty()).then(|| all.join(" · "))
        }
        "diagnostics.wan_connectivity" => {
            let wan = one("wan")?;
            Some(match (wan.text("link")?, wan.text("ip"), wan.text("http")) {
                ("down", ..) => language.pick("沒有接上線路", "没有接上线路", "no line").to_owned(),
                (_, Some("none" | "linklocal"), _) => language.pick("沒有拿到位址", "没有拿到地址", "no address").to_owned(),
                (_, _, Some("ok")) => language.pick("線路正常", "线路正常", "line is up").to_owned(),
                (_, _, Some("redirect")) => language.pick("被導到登入頁", "被转到登录页", "sent to a login page").to_owned(),
                _ => language.pick("有位址，但出不去", "有地址，但出不去", "address, but no way out").to_owned(),
            })
        }
        "diagnostics.latency_matrix" => {
            let target = |name: &str| evidence.named.get("lat").and_then(|items| items.get(name));
            if let Some(out) = target("pub").or_else(|| target("cpub")) {
                return match out.number("med") {
                    Some(ms) => Some(format!("{} ms · {} %", tidy(ms), tidy(out.number("loss").unwrap_or(0.0)))),
                    None => Some(language.pick("外面沒有回應", "外面没有响应", "no answer from outside").to_owned()),
                };
            }
            let lost = target("isp").or_else(|| target("router"))?;
            Some(format!("{} ms", tidy(lost.number("med")?)))
        }
        "traffic.get_top_talkers" => {
            let tt = one("tt")?;
            let total = tidy(tt.number("dn")?);
            Some(match tt.text("top_name") {
                Some(name) => format!("{name} {} ↓ / {total} Mbps", tidy(tt.number("top_dn")?)),
                None => format!("{total} Mbps"),
            })
        }
        "system.get_logs" => {
            let lines = tidy(figure("log", "lines")?);
            Some(match language {
                Language::ZhTw => format!("{lines} 行"),
                Language::ZhCn => format!("{lines} 行"),
                Language::En => format!("{lines} lines"),
            })
        }
        "system.get_hardware_info" | "device.status" => {
            if let Some(core) = figure("hw", "load_core") {
                return Some(format!("CPU {} %", tidy(core)));
            }
            let device = evidence.many.get("hws")?.values().next()?;
            let parts = [
                device.number("temp").map(|c| format!("{} °C", tidy(c))),
                device.number("core_max").or(device.number("cpu")).map(|share| format!("CPU {} %", tidy(share))),
            ];
            let text = parts.into_iter().flatten().collect::<Vec<_>>().join(" · ");
            (!text.is_empty()).then_some(text)
        }
        "dhcpdns.get_config" => {
            let used = tidy(figure("dhcp", "used")?);
            Some(match language {
                Language::ZhTw => format!("位址用了 {used} %"),
                Language::ZhCn => format!("地址用了 {used} %"),
                Language::En => format!("{used} % of addresses used"),
            })
        }
        "dhcpdns.scan_rogue" => {
            let found = figure("dhcp", "rogue")?;
            Some(match (found > 0.0, language) {
                (true, Language::ZhTw) => format!("多了 {} 台", tidy(found)),
                (true, Language::ZhCn) => format!("多了 {} 台", tidy(found)),
                (true, Language::En) => format!("{} extra", tidy(found)),
                (false, _) => language.pick("沒有多的", "没有多的", "none").to_owned(),
            })
        }
        "name.resolve_test" => {
            let names = evidence.named.get("dns")?;
            let own = names.get("cfg").or_else(|| names.get("ccfg"))?;
            let time = own.number("ms").map(|ms| format!(" · {} ms", tidy(ms))).unwrap_or_default();
            Some(format!("{} %{time}", tidy(own.number("ok")?)))
        }
        "network.trace_route" => {
            let reached = evidence.find("tr.reached", None)?.datum == crate::evidence::Datum::Flag(true);
            let last = tidy(figure("tr", "last_ok")?);
            Some(match (reached, language) {
                (true, _) => language.pick("走得到", "走得到", "reached").to_owned(),
                (false, Language::ZhTw) => format!("停在第 {last} 站"),
                (false, Language::ZhCn) => format!("停在第 {last} 站"),
                (false, Language::En) => format!("stops after hop {last}"),
            })
        }
        "network.interface_status" => {
            let wan = evidence.named.get("port")?.get("wan")?;
            Some(format!("WAN {} Mbps", tidy(wan.number("mbps")?)))
        }
        "qos.get_status" => {
            let on = evidence.find("qos.on", None)?.datum == crate::evidence::Datum::Flag(true);
            Some(if on { language.pick("開著", "开着", "on") } else { language.pick("沒開", "没开", "off") }.to_owned())
        }
        "mesh.get_topology" => Some(match (count("mh")?, language) {
            (n, Language::ZhTw) => format!("{n} 個節點"),
            (n, Language::ZhCn) => format!("{n} 个节点"),
            (1, Language::En) => "1 node".into(),
            (n, Language::En) => format!("{n} nodes"),
        }),
        "mesh.backhaul_test" => {
            let slowest = evidence.many.get("mh")?.values().filter_map(|node| node.number("mbps")).reduce(f64::min)?;
            Some(format!("{} Mbps", tidy(slowest)))
        }
        "wifi.signal_map" => {
            let rooms = evidence.many.get("rooms")?;
            let weakest = rooms.iter().filter_map(|(name, room)| Some((name, room.number("rssi")?))).min_by(|a, b| a.1.total_cmp(&b.1))?;
            Some(format!("{} {} dBm", weakest.0, tidy(weakest.1)))
        }
        "wifi.roaming_test" => {
            let better = evidence.many.get("cl")?.values().filter(|client| client.number("alt_gain").is_some_and(|gain| gain >= 10.0)).count();
            Some(match language {
                Language::ZhTw => format!("{better} 台可以換到更好的"),
                Language::ZhCn => format!("{better} 台可以换到更好的"),
                Language::En => format!("{better} could be better placed"),
            })
        }
        _ => None,
    }
}
