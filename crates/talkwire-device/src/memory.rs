//! Which commands came already, and what was answered: a repeat gets the same answer, and nothing runs twice.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use talkwire_proto::command::Answer;

const IDS: usize = 1000;
const BYTES: usize = 8 * 1024 * 1024;
/// `spec/rtk-integration-guide.md` (memory): nothing older than an hour. What was changed is remembered longer, by the journal.
const AGE: Duration = Duration::from_secs(3600);

/// What is known of an id.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Known {
    /// It is new, and from now on running.
    New,
    /// It runs.
    Running,
    /// It was answered.
    Answered(Box<Answer>),
}

/// The last commands, at most 1,000, one hour and 8 MiB of answers. Running ones are never forgotten.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    known: HashMap<String, Option<(Box<Answer>, usize)>>,
    answered: VecDeque<(String, Duration)>,
    bytes: usize,
}

impl Memory {
    /// Looks an id up; a new one is running from now on.
    pub(crate) fn begin(&mut self, id: &str, now: Duration) -> Known {
        self.forget_old(now);
        match self.known.get(id) {
            Some(None) => Known::Running,
            Some(Some((answer, _))) => Known::Answered(answer.clone()),
            None => {
                self.known.insert(id.into(), None);
                Known::New
            }
        }
    }

    /// The id is answered.
    pub(crate) fn end(&mut self, id: &str, answer: &Answer, bytes: usize, now: Duration) {
        self.known.insert(id.into(), Some((Box::new(answer.clone()), bytes)));
        self.answered.push_back((id.into(), now));
        self.bytes += bytes;
        self.forget_old(now);
    }

    /// The id was never run; it may come again.
    pub(crate) fn forget(&mut self, id: &str) {
        self.known.remove(id);
    }

    fn forget_old(&mut self, now: Duration) {
        while let Some((_, at)) = self.answered.front() {
            let fits = self.answered.len() <= IDS && self.bytes <= BYTES && now.saturating_sub(*at) <= AGE;
            if fits {
                break;
            }
            if let Some((id, _)) = self.answered.pop_front()
                && let Some(Some((_, bytes))) = self.known.remove(&id)
            {
                self.bytes -= bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::success;
    use serde_json::json;

    fn answer(id: &str) -> Answer {
        success(id, json!(id))
    }

    #[test]
    fn a_repeat_gets_the_stored_answer_and_an_old_one_is_forgotten() {
        let mut memory = Memory::default();
        let second = Duration::from_secs(1);
        assert_eq!(memory.begin("a", second), Known::New);
        assert_eq!(memory.begin("a", second), Known::Running);
        memory.end("a", &answer("a"), 10, second);
        assert_eq!(memory.begin("a", second), Known::Answered(Box::new(answer("a"))));
        assert_eq!(memory.begin("a", second + AGE + second), Known::New);
    }

    #[test]
    fn the_memory_is_bounded_in_count_and_bytes_and_keeps_what_runs() {
        let mut memory = Memory::default();
        memory.begin("running", Duration::ZERO);
        for n in 0..5000 {
            let id = n.to_string();
            memory.begin(&id, Duration::ZERO);
            memory.end(&id, &answer(&id), if n < 4000 { 10 } else { 100_000 }, Duration::ZERO);
        }
        assert!(memory.answered.len() <= 90 && memory.bytes <= BYTES, "{} {}", memory.answered.len(), memory.bytes);
        assert_eq!(memory.known.len(), memory.answered.len() + 1);
        assert_eq!(memory.begin("running", Duration::ZERO), Known::Running);
    }
}
