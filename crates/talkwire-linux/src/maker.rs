//! Who made the machine and which one it is. Where the machine does not say it, what it does say is told, with the word for what that is.
//!
//! Each is asked for in this order: the firmware (DMI), the board that OpenWrt knows, the device tree, the parts (main board, hypervisor,
//! processor), the system, and at last that nothing is known. Only the first three are the name of the machine itself; all others carry
//! in brackets what they name, and `attr` says in `identity_from` where each came from.

use crate::root::Root;
use crate::text::clean;
use serde_json::Value;

const NAME_CHARS: usize = 64;
/// What makers leave in the fields that they never filled.
const UNFILLED: [&str; 8] =
    ["to be filled", "default string", "system product name", "system manufacturer", "not specified", "not applicable", "o.e.m.", "unknown"];
/// What a processor calls its maker, and the maker's name.
const PROCESSORS: [(&str, &str); 8] = [
    ("GenuineIntel", "Intel"),
    ("AuthenticAMD", "AMD"),
    ("HygonGenuine", "Hygon"),
    ("CentaurHauls", "VIA"),
    ("0x41", "Arm"),
    ("0x42", "Broadcom"),
    ("0x51", "Qualcomm"),
    ("0x61", "Apple"),
];

/// A name and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    /// `dmi`, `board`, `device_tree`, `main_board`, `hypervisor`, `processor`, `system` or `nothing`.
    pub(crate) from: &'static str,
}

impl Name {
    fn new(text: impl AsRef<str>, from: &'static str) -> Option<Self> {
        filled(text.as_ref()).map(|text| Self { text, from })
    }

    /// Names a part of the machine, and says which.
    fn part(text: impl AsRef<str>, word: &str, from: &'static str) -> Option<Self> {
        let text = filled(text.as_ref())?;
        Some(Self { text: format!("{text} ({word})"), from })
    }
}

/// Which machine it is, in the words of its maker; none when it does not say.
pub(crate) fn own_model(root: &Root) -> Option<Name> {
    let board = || board_file(root, "name").or_else(|| root.word("tmp/sysinfo/model"));
    let tree = || ["proc/device-tree/model", "sys/firmware/devicetree/base/model"].into_iter().find_map(|file| root.word(file));
    Name::new(root.word("sys/class/dmi/id/product_name").unwrap_or_default(), "dmi")
        .or_else(|| Name::new(board()?, "board"))
        .or_else(|| Name::new(tree()?, "device_tree"))
}

/// Which machine it is. Where nothing names it: its main board, its processor, or at least for what processors its programs are.
pub(crate) fn model(root: &Root) -> Name {
    let board = || Name::part(root.word("sys/class/dmi/id/board_name")?, "main board", "main_board");
    let processor = || {
        let name = ["model name", "system type", "cpu model", "Hardware", "uarch"].into_iter().find_map(|field| processor_says(root, field))?;
        Name::part(name, &format!("processor of {}", kind_of_machine(root)), "processor")
    };
    let nameless = || Name { text: format!("nameless {} machine", architecture(root)), from: "nothing" };
    own_model(root).or_else(board).or_else(processor).unwrap_or_else(nameless)
}

/// Who made the machine; where nothing says it, who made a part of it or its system.
pub(crate) fn manufacturer(root: &Root) -> Name {
    let main_board = || Name::part(root.word("sys/class/dmi/id/board_vendor")?, "main board", "main_board");
    let hypervisor = || Name::part(root.word("sys/hypervisor/type")?, "hypervisor", "hypervisor");
    Name::new(root.word("sys/class/dmi/id/sys_vendor").unwrap_or_default(), "dmi")
        .or_else(|| Name::new(board_maker(root)?, "board"))
        .or_else(|| Name::new(tree_maker(root)?, "device_tree"))
        .or_else(main_board)
        .or_else(hypervisor)
        .or_else(|| Name::part(processor_maker(root)?, "processor", "processor"))
        .or_else(|| Name::part(os_release(root, "NAME")?, "system", "system"))
        .unwrap_or_else(|| Name { text: "not told by this machine".into(), from: "nothing" })
}

/// The version of its system; at least that of its kernel.
pub(crate) fn firmware_version(root: &Root) -> Option<String> {
    let kernel = || Some(format!("Linux {}", root.word("proc/sys/kernel/osrelease")?));
    os_release(root, "PRETTY_NAME").or_else(kernel).and_then(|text| filled(&text))
}

/// What OpenWrt knows of its board: `{"model": {"id": "maker,board", "name": "…"}}`.
fn board_file(root: &Root, field: &str) -> Option<String> {
    let board: Value = serde_json::from_str(&root.text("etc/board.json")?).ok()?;
    Some(board.get("model")?.get(field)?.as_str()?.to_owned())
}

fn board_maker(root: &Root) -> Option<String> {
    // Images tell the maker only where whoever built them wrote it; else it is the distribution, and no maker.
    let told = os_release(root, "OPENWRT_DEVICE_MANUFACTURER").filter(|maker| !maker.eq_ignore_ascii_case("openwrt"));
    let id = || board_file(root, "id").or_else(|| root.word("tmp/sysinfo/board_name"));
    told.or_else(|| maker_of(&id()?, own_model(root).map(|name| name.text)))
}

fn tree_maker(root: &Root) -> Option<String> {
    let compatible = ["proc/device-tree/compatible", "sys/firmware/devicetree/base/compatible"].into_iter().find_map(|file| root.text(file))?;
    maker_of(compatible.split('\0').next()?, own_model(root).map(|name| name.text))
}

/// `maker` of `maker,board`, as the model's name spells it where that begins with it: `tplink` of "TP-Link Archer" is "TP-Link".
fn maker_of(id: &str, model: Option<String>) -> Option<String> {
    let (maker, _) = id.split_once(',')?;
    let is_same =
        |text: &str| text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).eq(maker.chars().filter(char::is_ascii_alphanumeric));
    let model = model.unwrap_or_default();
    let ends = model.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
    let spelled = ends.map(|end| &model[..end]).find(|begin| is_same(begin));
    Some(spelled.unwrap_or(maker).to_owned())
}

fn processor_maker(root: &Root) -> Option<String> {
    let id = ["vendor_id", "CPU implementer"].into_iter().find_map(|field| processor_says(root, field))?;
    let known = PROCESSORS.into_iter().find(|(word, _)| *word == id).map(|(_, maker)| maker.to_owned());
    // A number that we do not know says nothing to anybody.
    known.or_else(|| Some(id).filter(|id| !id.starts_with("0x")))
}

/// A field of `/proc/cpuinfo`.
fn processor_says(root: &Root, field: &str) -> Option<String> {
    let text = root.text("proc/cpuinfo")?;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.trim(), value.trim())).find(|(name, value)| *name == field && !value.is_empty()).map(|(_, value)| value.to_owned())
}

fn kind_of_machine(root: &Root) -> String {
    let is_virtual = processor_says(root, "flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    let article = if is_virtual { "a virtual" } else { "a nameless" };
    format!("{article} {} machine", architecture(root))
}

fn architecture(root: &Root) -> String {
    root.word("proc/sys/kernel/arch").unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// A field of `/etc/os-release`.
fn os_release(root: &Root, field: &str) -> Option<String> {
    let text = root.text("etc/os-release")?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix('='))?;
    filled(value.trim().trim_matches(['"', '\'']))
}

fn filled(text: &str) -> Option<String> {
    let text = clean(text, NAME_CHARS);
    let lower = text.to_lowercase();
    (!text.is_empty() && !UNFILLED.iter().any(|phrase| lower.contains(phrase))).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(files: &[(&str, &str)]) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let root = Root::new(folder.path());
        (manufacturer(&root).text, model(&root).text)
    }

    fn pair(maker: &str, model: &str) -> (String, String) {
        (maker.into(), model.into())
    }

    const ARCH: (&str, &str) = ("proc/sys/kernel/arch", "x86_64\n");
    const INTEL: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Processor\nflags\t\t: fpu hypervisor lm\n";
    const DEBIAN: (&str, &str) = ("etc/os-release", "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n");

    #[test]
    fn the_machines_own_words_come_first() {
        let dmi = [("sys/class/dmi/id/sys_vendor", "Acme\n"), ("sys/class/dmi/id/product_name", "Router 9\n"), ("proc/cpuinfo", INTEL), DEBIAN];
        assert_eq!(who(&dmi), pair("Acme", "Router 9"));
        let tree = [("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0"), ("proc/device-tree/compatible", "raspberrypi,4-model-b\0brcm,bcm2711\0")];
        assert_eq!(who(&tree), pair("Raspberry Pi", "Raspberry Pi 4 Model B Rev 1.4"));
        let other = [("sys/firmware/devicetree/base/model", "Board X\0"), ("sys/firmware/devicetree/base/compatible", "acme,board-x\0")];
        assert_eq!(who(&other), pair("acme", "Board X"));
    }

    #[test]
    fn openwrt_knows_its_board() {
        let file = [("etc/board.json", r#"{"model":{"id":"tplink,archer-c7-v2","name":"TP-Link Archer C7 v2"}}"#)];
        assert_eq!(who(&file), pair("TP-Link", "TP-Link Archer C7 v2"));
        let info = [("tmp/sysinfo/model", "GL.iNet GL-MT300N-V2\n"), ("tmp/sysinfo/board_name", "glinet,gl-mt300n-v2\n"), ("etc/board.json", "; reboot")];
        assert_eq!(who(&info), pair("GL.iNet", "GL.iNet GL-MT300N-V2"));
        let release = [
            ("etc/os-release", "NAME=\"OpenWrt\"\nOPENWRT_DEVICE_MANUFACTURER=\"OpenWrt\"\n"),
            ("tmp/sysinfo/board_name", "acme,ap-1\n"),
            ("tmp/sysinfo/model", "AP 1\n"),
        ];
        assert_eq!(who(&release), pair("acme", "AP 1"));
    }

    #[test]
    fn what_stands_in_for_a_name_says_what_it_is() {
        let unfilled = [("sys/class/dmi/id/sys_vendor", "To Be Filled By O.E.M.\n"), ("sys/class/dmi/id/product_name", "Default string\n")];
        let board = [&unfilled[..], &[("sys/class/dmi/id/board_vendor", "Boardmaker\n"), ("sys/class/dmi/id/board_name", "B550\n")]].concat();
        assert_eq!(who(&board), pair("Boardmaker (main board)", "B550 (main board)"));
        assert_eq!(
            who(&[("proc/cpuinfo", INTEL), ARCH, DEBIAN]),
            pair("Intel (processor)", "Intel(R) Xeon(R) Processor (processor of a virtual x86_64 machine)")
        );
        let xen = [("sys/hypervisor/type", "xen\n"), ("proc/cpuinfo", INTEL), ARCH];
        assert_eq!(who(&xen).0, "xen (hypervisor)");
        let mips = [("proc/cpuinfo", "system type\t\t: MediaTek MT7621\nmachine\t\t: x\n"), ("proc/sys/kernel/arch", "mips\n"), DEBIAN];
        assert_eq!(who(&mips), pair("Debian GNU/Linux (system)", "MediaTek MT7621 (processor of a nameless mips machine)"));
        let arm = [("proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\n"), ("proc/sys/kernel/arch", "aarch64\n")];
        assert_eq!(who(&arm), pair("Arm (processor)", "nameless aarch64 machine"));
        assert_eq!(who(&[("proc/cpuinfo", "CPU implementer\t: 0x99\n"), ARCH]), pair("not told by this machine", "nameless x86_64 machine"));
    }

    #[test]
    fn the_version_is_the_systems_or_the_kernels() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        assert_eq!(firmware_version(&root), None);
        std::fs::create_dir_all(folder.path().join("proc/sys/kernel")).unwrap();
        std::fs::write(folder.path().join("proc/sys/kernel/osrelease"), "6.1.0\n").unwrap();
        assert_eq!(firmware_version(&root).as_deref(), Some("Linux 6.1.0"));
        std::fs::create_dir_all(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("etc/os-release"), DEBIAN.1).unwrap();
        assert_eq!(firmware_version(&root).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
    }
}
