//! Conditions and values of the flow files: CEL over the evidence, three-valued because evidence may be missing.

use crate::evidence::{Datum, Evidence, Item};
use cel::{Context, Env, Program, Value};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled expression.
pub struct Expression {
    source: String,
    program: Program,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.source)
    }
}

impl Expression {
    /// Compiles a text; the error says where it breaks.
    pub fn compile(source: &str) -> Result<Self, String> {
        let program = ENVIRONMENT.compile(source).map_err(|error| error.to_string().lines().take(4).collect::<Vec<_>>().join(" "))?;
        Ok(Self { source: source.to_owned(), program })
    }

    /// The text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The variables that it names.
    pub fn variables(&self) -> Vec<String> {
        self.program.references().variables().into_iter().map(str::to_owned).collect()
    }
}

/// The evidence as variables of expressions, and what is bound beside it.
pub struct Scope {
    context: Context<'static, 'static>,
    bound: Vec<(String, Value)>,
}

impl Scope {
    /// All evidence.
    pub fn new(evidence: &Evidence) -> Self {
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        for (name, item) in &evidence.one {
            context.add_variable_from_value(*name, of_item(None, item));
        }
        for (name, items) in &evidence.named {
            let map: HashMap<String, Value> = items.iter().map(|(key, item)| (key.clone(), of_item(None, item))).collect();
            context.add_variable_from_value(*name, Value::from(map));
        }
        for (name, items) in &evidence.many {
            let list: Vec<Value> = items.iter().map(|(key, item)| of_item(Some(key), item)).collect();
            context.add_variable_from_value(*name, Value::List(Arc::new(list)));
        }
        // Their names are not in the standard library, so they cannot clash.
        let _ = context.add_function("abs", |x: f64| x.abs());
        let _ = context.add_function("round", |x: f64| x.round());
        let _ = context.add_function("least", |a: f64, b: f64| a.min(b));
        let _ = context.add_function("most", |a: f64, b: f64| a.max(b));
        let _ = context.add_function("median", median_of);
        Self { context, bound: Vec::new() }
    }

    /// The same with an item bound to `it`.
    pub fn bind_item(&mut self, key: &str, item: &Item) {
        self.bind("it", of_item(Some(key), item));
    }

    /// Binds a value to a name, replacing an earlier one.
    pub fn bind(&mut self, name: &str, value: impl Into<Value>) {
        self.bound.retain(|(bound, _)| bound != name);
        self.bound.push((name.to_owned(), value.into()));
    }

    /// Forgets what was bound.
    pub fn unbind(&mut self) {
        self.bound.clear();
    }

    fn run(&self, expression: &Expression) -> Option<Value> {
        let mut inner = self.context.new_inner_scope();
        for (name, value) in &self.bound {
            inner.add_variable_from_value(name.as_str(), value.clone());
        }
        expression.program.execute(&inner).ok()
    }

    /// Whether a condition holds. `None`: the evidence for it is missing.
    pub fn test(&self, expression: &Expression) -> Option<bool> {
        match self.run(expression)? {
            Value::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    /// A figure.
    pub fn number(&self, expression: &Expression) -> Option<f64> {
        match self.run(expression)? {
            Value::Float(x) if x.is_finite() => Some(x),
            Value::Int(x) => Some(x as f64),
            Value::UInt(x) => Some(x as f64),
            _ => None,
        }
    }

    /// A JSON value, whole numbers without a fraction.
    pub fn json(&self, expression: &Expression) -> Option<serde_json::Value> {
        to_json(&self.run(expression)?, 0)
    }
}

fn median_of(values: Arc<Vec<Value>>) -> Result<f64, cel::ExecutionError> {
    let numbers: Vec<f64> = values.iter().filter_map(|value| if let Value::Float(x) = value { Some(*x) } else { None }).collect();
    crate::evidence::median(&numbers).ok_or_else(|| cel::ExecutionError::function_error("median", "the list has no numbers"))
}

fn of_item(key: Option<&str>, item: &Item) -> Value {
    let mut map: HashMap<String, Value> = item.facts().map(|(name, fact)| (name.to_owned(), of_datum(&fact.datum))).collect();
    if let Some(key) = key {
        map.insert("id".into(), Value::String(Arc::new(key.to_owned())));
    }
    Value::from(map)
}

fn of_datum(datum: &Datum) -> Value {
    match datum {
        Datum::Number(x) => Value::Float(*x),
        Datum::Text(text) => Value::String(Arc::new(text.clone())),
        Datum::Flag(flag) => Value::Bool(*flag),
    }
}

fn to_json(value: &Value, depth: usize) -> Option<serde_json::Value> {
    use serde_json::json;
    if depth > 4 {
        return None;
    }
    match value {
        Value::Float(x) if x.is_finite() && x.fract() == 0.0 && x.abs() < 1e15 => Some(json!(*x as i64)),
        Value::Float(x) if x.is_finite() => Some(json!((x * 10.0).round() / 10.0)),
        Value::Int(x) => Some(json!(x)),
        Value::UInt(x) => Some(json!(x)),
        Value::Bool(flag) => Some(json!(flag)),
        Value::String(text) => Some(json!(text.as_str())),
        Value::List(list) => list.iter().map(|item| to_json(item, depth + 1)).collect::<Option<Vec<_>>>().map(serde_json::Value::Array),
        Value::Map(map) => {
            let mut pairs: Vec<(String, serde_json::Value)> = Vec::new();
            for (key, value) in map.map.iter() {
                pairs.push((key.to_string(), to_json(value, depth + 1)?));
            }
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Some(serde_json::Value::Object(pairs.into_iter().collect()))
        }
        _ => None,
    }
}
