//! Running one of the machine's programs: no shell, a fixed environment, a time-out and a bound on what is read.

use crate::root::PROGRAM_FOLDERS;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use talkwire_device::ToolError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};

/// Bytes that are kept: the last ones, since the newest lines stand at the end.
const KEPT: usize = 1024 * 1024;
/// A program that says more than this is stopped.
const MOST: usize = 32 * 1024 * 1024;
/// Bytes of its complaints that are kept.
const COMPLAINT: usize = 1024;

/// What a program said.
#[derive(Debug)]
pub(crate) struct Output {
    /// The end of what it said.
    pub(crate) text: String,
    /// Whether the beginning is missing.
    pub(crate) cut: bool,
}

/// What a program may take and say.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// How long it may run.
    pub(crate) time: Duration,
    /// Bytes of what it says that are kept: the last ones.
    pub(crate) keep: usize,
    /// A program that says more bytes than this is stopped.
    pub(crate) most: usize,
    /// What it reads on its standard input.
    pub(crate) input: Option<Vec<u8>>,
}

/// Why a program gave no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It cannot be started.
    Start(io::Error),
    /// It took too long and was stopped.
    Time,
    /// It said too much and was stopped.
    Flood,
    /// It ended with a failure.
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// The first line of its complaints.
        complaint: String,
    },
}

/// Runs a program to its end.
///
/// # Errors
/// `E_LLM_TOOL_NOT_AVAILABLE` when it cannot be started or takes too long, `E_DEVICE` when it fails, with its first complaint.
pub(crate) async fn run(program: &Path, args: &[String], time: Duration) -> Result<Output, ToolError> {
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    bounded(program, args, Bounds { time, keep: KEPT, most: MOST, input: None }).await.map_err(|trouble| match trouble {
        Trouble::Start(error) => ToolError::not_available("program_failed", format!("{name} cannot be run: {error}")),
        Trouble::Time => ToolError::not_available("program_timeout", format!("{name} did not end within {} s and was stopped", time.as_secs_f64())),
        Trouble::Flood => ToolError::not_available("program_floods", format!("{name} said more than {MOST} bytes and was stopped")),
        Trouble::Failed { status, complaint } => ToolError::failed(format!("{name} failed ({status}): {complaint}")),
    })
}

/// Runs a program within bounds.
pub(crate) async fn bounded(program: &Path, args: &[String], bounds: Bounds) -> Result<Output, Trouble> {
    let Bounds { time, keep, most, input } = bounds;
    match tokio::time::timeout(time, to_end(program, args, keep, most, input)).await {
        Err(_) => Err(Trouble::Time),
        Ok(Err(error)) => Err(Trouble::Start(error)),
        Ok(Ok((_, _, None))) => Err(Trouble::Flood),
        Ok(Ok((output, _, Some(status)))) if status.success() => Ok(output),
        Ok(Ok((_, complaint, Some(status)))) => {
            let complaint = crate::text::clean(complaint.lines().next().unwrap_or_default(), 200);
            Err(Trouble::Failed { status, complaint })
        }
    }
}

/// The status is none when the program was stopped because it said too much.
async fn to_end(program: &Path, args: &[String], keep: usize, most: usize, input: Option<Vec<u8>>) -> io::Result<(Output, String, Option<ExitStatus>)> {
    let mut running = start(program, args, input.is_some()).await?;
    let said = running.0.stdout.take().map(|pipe| Receiver::from_owned_fd(OwnedFd::from(pipe))).transpose()?;
    let complained = running.0.stderr.take().map(|pipe| Receiver::from_owned_fd(OwnedFd::from(pipe))).transpose()?;
    let told = running.0.stdin.take().map(|pipe| Sender::from_owned_fd(OwnedFd::from(pipe))).transpose()?;
    let (said, complained, ()) = tokio::try_join!(last_bytes(said, keep, most), last_bytes(complained, COMPLAINT, MOST), tell(told, input))?;
    let Some(((said, cut), (complained, _))) = said.zip(complained) else {
        return Ok((Output { text: String::new(), cut: true }, String::new(), None));
    };
    let status = loop {
        match running.0.try_wait()? {
            Some(status) => break status,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let text = String::from_utf8_lossy(&said).into_owned();
    Ok((Output { text, cut }, String::from_utf8_lossy(&complained).into_owned(), Some(status)))
}

/// Gives a program its input. One that does not read it to the end is none the worse for it.
async fn tell(pipe: Option<Sender>, input: Option<Vec<u8>>) -> io::Result<()> {
    let Some((mut pipe, input)) = pipe.zip(input) else { return Ok(()) };
    match pipe.write_all(&input).await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

async fn start(program: &Path, args: &[String], reads: bool) -> io::Result<Running> {
    let mut command = Command::new(program);
    let folders = PROGRAM_FOLDERS.map(|folder| format!("/{folder}")).join(":");
    command.args(args).env_clear().env("PATH", folders).env("LC_ALL", "C").current_dir("/");
    command.stdin(if reads { Stdio::piped() } else { Stdio::null() }).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that what it started is stopped with it.
    command.process_group(0);
    // A program that is just being replaced by an update is busy for a moment.
    for _ in 0..20 {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => tokio::time::sleep(Duration::from_millis(25)).await,
            spawned => return spawned.map(Running),
        }
    }
    command.spawn().map(Running)
}

/// The last bytes of a pipe, and whether there were more before. None when there is no end to it.
async fn last_bytes(pipe: Option<Receiver>, keep: usize, most: usize) -> io::Result<Option<(Vec<u8>, bool)>> {
    let Some(mut pipe) = pipe else { return Ok(Some((Vec::new(), false))) };
    let (mut kept, mut total, mut chunk) = (Vec::new(), 0, vec![0; 16 * 1024]);
    loop {
        let read = pipe.read(&mut chunk).await?;
        if read == 0 {
            let surplus = kept.len().saturating_sub(keep);
            kept.drain(..surplus);
            return Ok(Some((kept, total > keep)));
        }
        total += read;
        if total > most {
            return Ok(None);
        }
        kept.extend_from_slice(&chunk[..read]);
        if kept.len() > 2 * keep + chunk.len() {
            kept.drain(..kept.len() - keep);
        }
    }
}

/// A program that does not outlive the call: when the call is dropped, it is stopped and its entry in the process table taken away.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            // The group first, while its first process still holds the number; it may have ended in between, which is as good.
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).stderr(Stdio::null()).status();
            let _ = self.0.kill();
            for _ in 0..20 {
                if matches!(self.0.try_wait(), Ok(Some(_))) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            tracing::warn!(pid = self.0.id(), "a stopped program does not go away");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use talkwire_proto::Code;

    async fn shell(script: &str, time: Duration) -> Result<Output, ToolError> {
        run(Path::new("/bin/sh"), &["-c".into(), script.into()], time).await
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn what_it_says_is_read_and_the_environment_is_ours() {
        let output = shell("echo \"$LC_ALL $HOME\"; printf '\\377'", LONG).await.unwrap();
        assert_eq!((output.text.as_str(), output.cut), ("C \n\u{fffd}", false));
    }

    #[tokio::test]
    async fn arguments_are_not_read_by_a_shell() {
        let output = run(Path::new("/bin/echo"), &["; echo broken $(id)".into()], LONG).await.unwrap();
        assert_eq!(output.text, "; echo broken $(id)\n");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_stopped_and_gone() {
        let began = Instant::now();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let error = shell(&format!("echo $$ > {}; exec sleep 60", file.display()), Duration::from_millis(400)).await.unwrap_err();
        assert!(error.is(Code::LlmToolNotAvailable) && error.details["reason"] == "program_timeout", "{error}");
        assert!(began.elapsed() < LONG);
        let pid = std::fs::read_to_string(file).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists(), "the program is still in the process table");
    }

    #[tokio::test]
    async fn of_a_long_speech_the_end_is_kept_and_a_flood_is_stopped() {
        let output = shell("i=0; while [ $i -lt 40000 ]; do echo \"line $i ........................................\"; i=$((i+1)); done", LONG).await.unwrap();
        assert!(output.cut && output.text.len() == KEPT && output.text.ends_with("line 39999 ........................................\n"));
        let error = shell("exec cat /dev/zero", LONG).await.unwrap_err();
        assert_eq!(error.details["reason"], "program_floods");
    }

    #[tokio::test]
    async fn a_failure_carries_the_first_complaint() {
        let error = shell("echo 'not \u{1b}[1mallowed' >&2; exit 3", LONG).await.unwrap_err();
        assert!(error.is(Code::Device) && error.message.ends_with("exit status: 3): not [1mallowed"), "{error}");
        let error = run(Path::new("/nowhere/journalctl"), &[], LONG).await.unwrap_err();
        assert_eq!(error.details["reason"], "program_failed");
    }
}
