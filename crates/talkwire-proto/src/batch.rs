//! `batch.execute`: many commands in one, each with its own id and result (`PROTOCOL.md` §3, `spec/rtk-integration-guide.md` batch commands).

use crate::command::{Answer, CommandError, Outcome, Request, read_error};
use crate::envelope::BadEnvelope;
use crate::fields::{Fields, WrongType, type_name, unknown_word};
use crate::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The tool's name.
pub const OP: &str = "batch.execute";

/// One command of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BatchCommand {
    /// Its own id.
    pub id: String,
    /// The tool.
    pub op: String,
    /// Its arguments.
    pub args: Map<String, Value>,
}

/// How one command of a batch ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BatchResult {
    /// The command's own id.
    pub command_id: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What came out.
    pub result: Option<Value>,
    /// What went wrong.
    pub error: Option<CommandError>,
}

/// The `args` of a batch. Each item has the flat fields and, for devices that read it as the guide shows, `payload`.
pub fn args(commands: &[BatchCommand]) -> Map<String, Value> {
    let item = |command: &BatchCommand| {
        let BatchCommand { id, op, args } = command;
        json!({"id": id, "op": op, "args": args, "payload": {"id": id, "op": op, "args": args}})
    };
    Map::from_iter([("commands".to_owned(), commands.iter().map(item).collect())])
}

/// Reads the commands of a batch. An item without an id gets the batch's with its place behind it.
///
/// # Errors
/// No list, an empty or too long one, an item that is no command, two with one id, or a batch inside the batch.
pub fn commands(request: &Request) -> Result<Vec<BatchCommand>, BadEnvelope> {
    let list = Fields(&request.args).list(&["commands"]).map_err(|wrong| wrong.under("args"))?;
    let list = list.ok_or_else(|| BadEnvelope::Missing("args.commands".into()))?;
    if list.is_empty() || list.len() > limits::BATCH_ITEMS {
        return Err(BadEnvelope::Value(format!("field `args.commands` must have 1-{} items, not {}", limits::BATCH_ITEMS, list.len())));
    }
    let commands: Vec<_> = list.iter().enumerate().map(|(index, item)| read_command(&request.id, index, item)).collect::<Result<_, _>>()?;
    let mut seen = BTreeSet::new();
    match commands.iter().find(|command| !seen.insert(command.id.as_str())) {
        Some(twice) => Err(BadEnvelope::Value(format!("two items of `args.commands` have the id {:?}", twice.id))),
        None => Ok(commands),
    }
}

fn read_command(batch_id: &str, index: usize, item: &Value) -> Result<BatchCommand, BadEnvelope> {
    let at = format!("args.commands[{index}]");
    let place = |error: BadEnvelope| match error {
        BadEnvelope::Field(wrong) => wrong.under(&at).into(),
        BadEnvelope::Missing(name) => BadEnvelope::Missing(format!("{at}.{name}")),
        other => other,
    };
    let object = as_object(&at, item)?;
    let read = || {
        let outer = Fields(object);
        let inner = outer.object(&["payload"])?.map(Fields);
        let name = |field: &str, most: usize| match inner.map(|inner| inner.name(&[field], most)).transpose()?.flatten() {
            None => outer.name(&[field], most),
            found => Ok(found),
        };
        let args = match inner.map(|inner| inner.object(&["args"])).transpose()?.flatten() {
            None => outer.object(&["args"])?,
            found => found,
        };
        Ok(BatchCommand {
            id: name("id", limits::ID_BYTES)?.unwrap_or_else(|| format!("{batch_id}.{index}")),
            op: name("op", limits::WORD_CHARS)?.ok_or_else(|| BadEnvelope::Missing("op".into()))?,
            args: args.cloned().unwrap_or_default(),
        })
    };
    let command = read().map_err(place)?;
    if command.op == OP { Err(BadEnvelope::Value(format!("field `{at}.op` must not be {OP}: batches do not nest"))) } else { Ok(command) }
}

/// The `result` of a batch, as the guide's device writes it: `status` is `success` or `error` there.
pub fn result(results: &[BatchResult]) -> Value {
    let item = |ended: &BatchResult| {
        let status = match ended.outcome {
            Outcome::Completed => json!("success"),
            Outcome::Failed => json!("error"),
            other => json!(other),
        };
        let mut item = json!({"command_id": ended.command_id, "status": status});
        if let Some(result) = &ended.result {
            item["result"] = result.clone();
        }
        if let Some(error) = &ended.error {
            item["error"] = json!(error);
        }
        item
    };
    results.iter().map(item).collect()
}

/// Reads the results inside the answer to a batch: `result` as a list, or an object with the list under `results`.
pub fn results(answer: &Answer) -> Result<Vec<BatchResult>, BadEnvelope> {
    let list = match &answer.result {
        Some(Value::Array(list)) => list,
        Some(Value::Object(object)) => {
            let list = Fields(object).list(&["results"]).map_err(|wrong| wrong.under("result"))?;
            list.ok_or_else(|| BadEnvelope::Missing("result.results".into()))?
        }
        Some(other) => return Err(WrongType { field: "result".into(), expected: "a list or an object", found: type_name(other) }.into()),
        None => return Err(BadEnvelope::Missing("result".into())),
    };
    if list.len() > limits::BATCH_ITEMS {
        return Err(BadEnvelope::Value(format!("field `result` must have at most {} items", limits::BATCH_ITEMS)));
    }
    list.iter().enumerate().map(|(index, item)| read_result(index, item)).collect()
}

fn read_result(index: usize, item: &Value) -> Result<BatchResult, BadEnvelope> {
    let at = format!("result[{index}]");
    let fields = Fields(as_object(&at, item)?);
    let status = fields.text(&["status"]).map_err(|wrong| wrong.under(&at))?;
    let error = fields.any(&["error", "err"]).map(|(name, value)| read_error(name, value)).transpose().map_err(|wrong| wrong.under(&at))?;
    let outcome = status.as_deref().and_then(Outcome::parse);
    Ok(BatchResult {
        command_id: fields.name(&["command_id", "id"], limits::ID_BYTES)?.ok_or_else(|| BadEnvelope::Missing(format!("{at}.command_id")))?,
        outcome: outcome.ok_or_else(|| unknown_word(&format!("{at}.status"), "success or error", status.as_deref()))?,
        result: fields.any(&["result"]).map(|(_, value)| value.clone()),
        error,
    })
}

fn as_object<'a>(at: &str, item: &'a Value) -> Result<&'a Map<String, Value>, WrongType> {
    item.as_object().ok_or_else(|| WrongType { field: at.into(), expected: "an object", found: type_name(item) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{CommandEnvelope, Expect};

    fn batch(args: Value) -> Request {
        let args = args.as_object().unwrap().clone();
        let id = "b1".to_owned();
        Request { id, op: OP.into(), args, timeout_ms: None, expect: Expect::Result, trace: None, authorization: None, version: "1.0".into() }
    }

    fn ended(result: Value) -> Answer {
        let id = "b1".to_owned();
        Answer { id, outcome: Some(Outcome::Completed), progress_percent: None, progress_text: None, result: Some(result), error: None, recovery_action: None }
    }

    #[test]
    fn the_list_that_the_guide_s_device_runs_is_read() {
        let list = json!([{"id": "c1", "payload": {"op": "device.status"}}, {"id": "c2", "payload": {"op": "speed_test", "args": {"duration": 5}}}]);
        let commands = commands(&batch(json!({"commands": list}))).unwrap();
        assert_eq!((commands[0].id.as_str(), commands[0].op.as_str()), ("c1", "device.status"));
        assert_eq!((commands[1].op.as_str(), &commands[1].args["duration"]), ("speed_test", &json!(5)));
    }

    #[test]
    fn the_list_that_the_guide_s_device_answers_is_read() {
        let list =
            json!([{"command_id": "c1", "status": "success", "result": {"uptime": 5}}, {"command_id": "c2", "status": "error", "error": "Unknown command: x"}]);
        for result in [list.clone(), json!({"results": list})] {
            let results = results(&ended(result)).unwrap();
            assert_eq!((results[0].outcome, results[0].result.as_ref().unwrap()), (Outcome::Completed, &json!({"uptime": 5})));
            assert_eq!((results[1].outcome, results[1].error.as_ref().unwrap().message.as_str()), (Outcome::Failed, "Unknown command: x"));
        }
    }

    #[test]
    fn what_is_sent_reads_back_through_the_wire() {
        let sent = vec![
            BatchCommand { id: "c1".into(), op: "a.b".into(), args: json!({"n": 1}).as_object().unwrap().clone() },
            BatchCommand { id: "c2".into(), op: "c".into(), args: Map::new() },
        ];
        let request = Request { args: args(&sent), ..batch(json!({})) };
        let bytes = request.encode(CommandEnvelope::Both, 5).to_string();
        assert_eq!(commands(&Request::decode(bytes.as_bytes(), 5).unwrap()), Ok(sent));
        let error = CommandError { code: "E_X".into(), message: "no".into(), details: Map::new() };
        let sent = vec![
            BatchResult { command_id: "c1".into(), outcome: Outcome::Completed, result: Some(json!(5)), error: None },
            BatchResult { command_id: "c2".into(), outcome: Outcome::Failed, result: None, error: Some(error) },
            BatchResult { command_id: "c3".into(), outcome: Outcome::Timeout, result: None, error: None },
        ];
        assert_eq!(results(&ended(result(&sent))), Ok(sent));
    }

    #[test]
    fn an_item_without_an_id_gets_one_of_its_own() {
        let commands = commands(&batch(json!({"commands": [{"op": "a"}, {"op": "a"}]}))).unwrap();
        assert_eq!((commands[0].id.as_str(), commands[1].id.as_str()), ("b1.0", "b1.1"));
    }

    #[test]
    fn a_list_that_is_none_says_why() {
        let many: Vec<Value> = (0..=limits::BATCH_ITEMS).map(|_| json!({"op": "a"})).collect();
        let cases = [
            (json!({}), "field `args.commands` is missing"),
            (json!({"commands": {}}), "field `args.commands` must be a list, not an object"),
            (json!({"commands": []}), "field `args.commands` must have 1-64 items, not 0"),
            (json!({"commands": many}), "field `args.commands` must have 1-64 items, not 65"),
            (json!({"commands": [5]}), "field `args.commands[0]` must be an object, not a number"),
            (json!({"commands": [{"id": "a"}]}), "field `args.commands[0].op` is missing"),
            (json!({"commands": [{"op": "a", "payload": 5}]}), "field `args.commands[0].payload` must be an object, not a number"),
            (json!({"commands": [{"id": "a", "op": "x"}, {"id": "a", "op": "y"}]}), "two items of `args.commands` have the id \"a\""),
            (json!({"commands": [{"op": OP}]}), "field `args.commands[0].op` must not be batch.execute: batches do not nest"),
        ];
        for (args, reason) in cases {
            assert_eq!(commands(&batch(args)).unwrap_err().to_string(), reason);
        }
        assert_eq!(results(&ended(json!(5))).unwrap_err().to_string(), "field `result` must be a list or an object, not a number");
        assert_eq!(results(&ended(json!([{"command_id": "c"}]))).unwrap_err().to_string(), "field `result[0].status` is missing");
    }
}
