//! `talkwire tools` and `talkwire call`: what devices can be asked, and asking them.

use super::client::Client;
use super::lists::{check_name, print, table, text};
use super::say::say;
use super::{Failure, Remote};
use serde_json::{Map, Value, json};

/// Lists the catalogue, or what one device declares of it.
pub fn tools(remote: &Remote, device: Option<&str>) -> Result<(), Failure> {
    let client = Client::new(remote);
    let catalogue = client.fetch("/api/v1/tools")?;
    let Some(name) = device else {
        if remote.json {
            return print(&catalogue);
        }
        let rows = items(&catalogue).map(row);
        table(&["tool", "class", "permission", "risk", "what", "arguments"], &rows.collect::<Vec<_>>());
        return Ok(());
    };
    check_name(name)?;
    let device = client.fetch(&format!("/api/v1/devices/{name}"))?;
    let declared = device["tools"].as_object().cloned().unwrap_or_default();
    let found: Vec<(String, Value, Value)> =
        declared.into_iter().map(|(op, support)| (op.clone(), support, entry(&catalogue, &op).cloned().unwrap_or_default())).collect();
    if remote.json {
        let list = found.iter().map(|(op, support, tool)| json!({"op": op, "support": support, "tool": tool}));
        return print(&json!({"items": list.collect::<Vec<_>>(), "next": null}));
    }
    let rows = found.iter().map(|(op, support, tool)| {
        let now = if support["supported"] == json!(true) { "yes".to_owned() } else { format!("no: {}", text(support, "reason")) };
        match tool.is_null() {
            false => [vec![now], row(tool)].concat(),
            true => {
                vec![now, op.clone(), "?".into(), String::new(), String::new(), "in no catalogue; see talkwire device --print-catalog".into(), String::new()]
            }
        }
    });
    table(&["usable", "tool", "class", "permission", "risk", "what", "arguments"], &rows.collect::<Vec<_>>());
    Ok(())
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn entry<'a>(catalogue: &'a Value, op: &str) -> Option<&'a Value> {
    items(catalogue).find(|tool| tool["op"] == talkwire_proto::op::canonical(op))
}

fn row(tool: &Value) -> Vec<String> {
    let schema = &tool["args_schema"];
    let is_required = |name: &str| schema["required"].as_array().is_some_and(|list| list.iter().any(|one| one == name));
    let args = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| if is_required(name) { name.clone() } else { format!("[{name}]") });
    vec![text(tool, "op"), text(tool, "class"), text(tool, "permission"), text(tool, "risk"), text(&tool["title"], "en"), args.collect::<Vec<_>>().join(" ")]
}

/// Calls a tool and prints its result; an Act is proposed as a change set.
pub fn call(remote: &Remote, device: &str, op: &str, given: &[String]) -> Result<(), Failure> {
    check_name(device)?;
    let client = Client::new(remote);
    let catalogue = client.fetch("/api/v1/tools")?;
    let tool = entry(&catalogue, op).cloned().unwrap_or_default();
    let args = read_args(&tool["args_schema"]["properties"], given).map_err(Failure::Misuse)?;
    let parts: Vec<&str> = device.split('/').collect();
    let mut body = json!({"tenant": parts[0], "site": parts[1], "device_id": parts[2], "op": op, "args": args});
    if tool["class"] != json!("act") {
        // What is in no catalogue is sent as well: the server's refusal says what to do.
        let command = client.send("/api/v1/commands?wait=true", &body)?;
        if remote.json {
            print(&command)?;
        } else if command["error"].is_null() {
            print(&command["result"])?;
        }
        let error = &command["error"];
        let why = format!("{} ({})", text(error, "message"), text(error, "code"));
        return match command["status"].as_str() {
            Some("completed") => Ok(()),
            Some(status) if error.is_null() => Err(Failure::Refused(format!("the command ended as {status}"))),
            _ => Err(Failure::Refused(why)),
        };
    }
    body["op"] = json!(tool["op"]);
    let set = client.send("/api/v1/changesets", &json!({"operations": [body], "reason": format!("{op}, by hand")}))?;
    if remote.json {
        return print(&set);
    }
    let id = text(&set, "changeset_id");
    say!("{op} changes the device, so it is proposed as {id} (risk: {})", text(&set["view"], "risk"));
    say!("To apply it: talkwire changesets approve {id} --server {} --data {}", remote.server, remote.data.display());
    Ok(())
}

/// Arguments `name=value`, each as its type wants it. What the schema does not know is sent as a text, and refused there by name.
fn read_args(properties: &Value, given: &[String]) -> Result<Map<String, Value>, String> {
    let mut args = Map::new();
    for word in given {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word:?} is no argument; write NAME=VALUE"))?;
        let schema = &properties[name];
        let is_text = schema["type"] == json!("string") || schema["enum"].as_array().is_some_and(|list| list.iter().all(Value::is_string));
        let read = if is_text { None } else { serde_json::from_str(value).ok() };
        args.insert(name.to_owned(), read.unwrap_or_else(|| json!(value)));
    }
    Ok(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_as_their_type_wants_them() {
        let properties = json!({"number": {"type": "integer"}, "name": {"type": "string"}, "mode": {"enum": ["1", "x"]}, "width": {"enum": [20, 40]}, "on": {"type": "boolean"}, "list": {"type": "array"}});
        let read = |words: &[&str]| read_args(&properties, &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).map(Value::Object);
        assert_eq!(
            read(&["number=4", "name=12", "mode=1", "width=20", "on=true", "list=[1]"]).unwrap(),
            json!({"number": 4, "name": "12", "mode": "1", "width": 20, "on": true, "list": [1]})
        );
        assert_eq!(read(&["number=four"]).unwrap(), json!({"number": "four"}), "the server says what is wrong with it");
        assert!(read(&["number"]).unwrap_err().contains("NAME=VALUE"));
    }
}
