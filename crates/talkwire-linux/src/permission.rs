//! Whether this process may run a program, told without running it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// `CAP_DAC_OVERRIDE`: permissions of files do not count, but something must be executable at all.
const OVERRIDE: u64 = 1 << 1;

/// As whom this process runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Who {
    user: u32,
    groups: Vec<u32>,
    capabilities: u64,
}

impl Who {
    /// From `/proc/self/status`.
    fn parse(text: &str) -> Option<Self> {
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        // Real, effective, saved and that of the file system.
        let effective = |name: &str| line(name)?.split_ascii_whitespace().nth(1)?.parse().ok();
        let mut groups: Vec<u32> = line("Groups:")?.split_ascii_whitespace().filter_map(|group| group.parse().ok()).collect();
        groups.extend(effective("Gid:"));
        Some(Self { user: effective("Uid:")?, groups, capabilities: u64::from_str_radix(line("CapEff:")?.trim(), 16).ok()? })
    }

    fn may_run(&self, file: &Metadata) -> bool {
        let place = match () {
            () if self.capabilities & OVERRIDE != 0 => 0o111,
            () if file.uid() == self.user => 0o100,
            () if self.groups.contains(&file.gid()) => 0o010,
            () => 0o001,
        };
        file.mode() & place != 0
    }
}

/// Whether this process may run a file that is there.
pub(crate) fn may_run(path: &Path) -> bool {
    static WHO: OnceLock<Option<Who>> = OnceLock::new();
    let Ok(file) = path.metadata() else { return false };
    let who = WHO.get_or_init(|| Who::parse(&std::fs::read_to_string("/proc/self/status").ok()?));
    let by_mode = who.as_ref().is_none_or(|who| who.may_run(&file));
    // Lists of permissions (ACL) know more than the mode shows; only the kernel knows all of them.
    file.is_file() && (by_mode || (file.mode() & 0o111 != 0 && is_executable(path)))
}

fn is_executable(path: &Path) -> bool {
    ["/usr/bin/test", "/bin/test"].into_iter().any(|program| {
        let mut test = Command::new(program);
        test.arg("-x").arg(path).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        test.status().is_ok_and(|status| status.success())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_mode_counts_for_owner_group_and_others() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("program");
        std::fs::write(&file, "").unwrap();
        let meta = |mode: u32| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            file.metadata().unwrap()
        };
        let (user, group) = (meta(0o700).uid(), meta(0o700).gid());
        let who = |user, groups: &[u32], capabilities| Who { user, groups: groups.to_vec(), capabilities };
        assert!(who(user, &[], 0).may_run(&meta(0o700)) && !who(user + 1, &[], 0).may_run(&meta(0o700)));
        assert!(who(user + 1, &[group], 0).may_run(&meta(0o750)) && !who(user + 1, &[group], 0).may_run(&meta(0o705)));
        assert!(who(user + 1, &[], OVERRIDE).may_run(&meta(0o700)) && !who(user, &[], OVERRIDE).may_run(&meta(0o600)));
        meta(0o600);
        assert!(!may_run(&file) && !may_run(folder.path()) && !may_run(&folder.path().join("none")));
        meta(0o755);
        assert!(may_run(&file));
    }

    #[test]
    fn who_it_is_stands_in_proc() {
        let text = "Name:\tx\nUid:\t1000\t1001\t1000\t1000\nGid:\t100\t101\t100\t100\nGroups:\t4 27 \nCapEff:\t0000000000000003\n";
        assert_eq!(Who::parse(text), Some(Who { user: 1001, groups: vec![4, 27, 101], capabilities: 3 }));
        assert_eq!(Who::parse("; reboot"), None);
    }
}
