//! What a run of many stages found: each passed, failed or was left out, and nobody has to scroll back to see it.

use anyhow::Result;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How a stage ended.
enum Ending {
    Passed,
    Failed(String),
    Skipped(String),
}

/// All stages so far.
#[derive(Default)]
pub struct Stages(Vec<(String, Ending, Duration)>);

impl Stages {
    /// Runs a stage; a failure is kept and the next stage runs all the same. True when it passed.
    pub fn run(&mut self, name: &str, act: impl FnOnce() -> Result<()>) -> bool {
        eprintln!("\n━━ {name}");
        let began = Instant::now();
        let ending = match act() {
            Ok(()) => Ending::Passed,
            Err(error) => {
                eprintln!("{error:#}");
                Ending::Failed(format!("{error:#}").lines().next().unwrap_or_default().to_owned())
            }
        };
        let passed = matches!(ending, Ending::Passed);
        self.0.push((name.into(), ending, began.elapsed()));
        passed
    }

    /// Notes that something was left out, and why.
    pub fn skip(&mut self, name: &str, why: &str) {
        eprintln!("\n━━ {name}: SKIPPED: {why}");
        self.0.push((name.into(), Ending::Skipped(why.into()), Duration::ZERO));
    }

    /// Prints how each stage ended, and the line that sums it up.
    pub fn finish(self) -> ExitCode {
        eprintln!("\n━━ how it ended");
        for (name, ending, took) in &self.0 {
            match ending {
                Ending::Passed => eprintln!("  passed   {name} ({:.0} s)", took.as_secs_f64()),
                Ending::Failed(why) => eprintln!("  FAILED   {name} ({:.0} s): {why}", took.as_secs_f64()),
                Ending::Skipped(why) => eprintln!("  SKIPPED  {name}: {why}"),
            }
        }
        println!("{}", self.sum());
        if self.count(|ending| matches!(ending, Ending::Failed(_))) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn sum(&self) -> String {
        let passed = self.count(|ending| matches!(ending, Ending::Passed));
        let failed = self.count(|ending| matches!(ending, Ending::Failed(_)));
        let skipped = self.count(|ending| matches!(ending, Ending::Skipped(_)));
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }

    fn count(&self, which: impl Fn(&Ending) -> bool) -> usize {
        self.0.iter().filter(|(_, ending, _)| which(ending)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_counts_every_stage_and_a_failure_does_not_end_the_run() {
        let mut stages = Stages::default();
        assert!(!stages.run("a", || anyhow::bail!("broken")));
        assert!(stages.run("b", || Ok(())));
        stages.skip("c", "nothing to run it with");
        assert_eq!(stages.sum(), "1 passed, 1 failed, 1 skipped");
        assert_eq!(stages.finish(), ExitCode::FAILURE);
    }

    #[test]
    fn without_a_failure_the_run_succeeds() {
        let mut stages = Stages::default();
        stages.skip("c", "nothing to run it with");
        assert_eq!(stages.finish(), ExitCode::SUCCESS);
    }
}
