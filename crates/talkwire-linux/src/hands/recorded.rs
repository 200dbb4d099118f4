//! Recorded exchanges in the place of programs and hostapd: each call must be the next one that was recorded.

use super::Hands;
use super::hostapd::Hostapd;
use super::programs::Programs;
use crate::root::Root;
use crate::settings::Settings;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use talkwire_device::{BoxFuture, ToolError};

/// A tape: what is asked, and what was answered. An answer that begins with `!` is a failure.
pub(super) struct Tape {
    programs: Vec<&'static str>,
    exchanges: Mutex<VecDeque<(String, String)>>,
}

impl Tape {
    /// `programs` are installed; `exchanges` come in this order.
    pub(super) fn new(programs: &[&'static str], exchanges: &[(&str, &str)]) -> Arc<Self> {
        let exchanges = exchanges.iter().map(|(asked, answered)| ((*asked).to_owned(), (*answered).to_owned())).collect();
        Arc::new(Self { programs: programs.to_vec(), exchanges: Mutex::new(exchanges) })
    }

    pub(super) fn assert_played(&self) {
        assert_eq!(*self.exchanges.lock().unwrap(), VecDeque::new(), "these were not asked");
    }

    fn next(&self, asked: &str) -> Result<String, ToolError> {
        let Some((wanted, answer)) = self.exchanges.lock().unwrap().pop_front() else { panic!("{asked:?} is not on the tape") };
        assert_eq!(asked, wanted);
        answer.strip_prefix('!').map_or(Ok(answer.clone()), |complaint| Err(ToolError::failed(complaint)))
    }
}

impl Programs for Arc<Tape> {
    fn has(&self, program: &str) -> bool {
        self.programs.contains(&program)
    }
    fn run<'a>(&'a self, program: &'a str, args: &'a [&'a str]) -> BoxFuture<'a, Result<String, ToolError>> {
        let asked = [&[program], args].concat().join(" ");
        Box::pin(async move { self.next(&asked) })
    }
}

impl Hostapd for Arc<Tape> {
    fn interfaces(&self) -> Vec<String> {
        self.programs.iter().filter_map(|name| name.strip_prefix("hostapd:")).map(str::to_owned).collect()
    }
    fn ask<'a>(&'a self, interface: &'a str, command: &'a str) -> BoxFuture<'a, Result<String, ToolError>> {
        Box::pin(async move { self.next(&format!("{interface}> {command}")) })
    }
}

/// Hands that play a tape.
pub(super) fn hands(tape: &Arc<Tape>, root: &Root, settings: Settings) -> Hands {
    Hands { root: root.clone(), programs: Arc::new(tape.clone()), hostapd: Arc::new(tape.clone()), settings: Arc::new(settings) }
}

/// Arguments of a call.
pub(super) fn args(value: serde_json::Value) -> talkwire_device::Args {
    talkwire_device::Args(value.as_object().cloned().unwrap())
}
