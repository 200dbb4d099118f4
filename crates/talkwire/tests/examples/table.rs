//! The table in `docs/integration.md`: a row for each check, a column for each device.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use talkwire::check::{ITEMS, Report, Status};

/// One writer at a time.
static FILE: Mutex<()> = Mutex::new(());
const HEAD: &str = "| no. | check |";
/// A loaded machine decides these; they are measured and not compared.
const FIGURES: [&str; 2] = ["P01", "P02"];

fn path() -> PathBuf {
    crate::root().join("docs/integration.md")
}

fn cells(line: &str) -> Vec<String> {
    line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// The columns of the table: for each device, the sign of each check.
fn read(text: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with(HEAD)).take_while(|line| line.starts_with('|')).collect();
    let names = lines.first().map(|line| cells(line)).unwrap_or_default();
    let column =
        |place: usize| lines.iter().skip(2).map(|line| cells(line)).filter_map(move |row| Some((row.first()?.clone(), row.get(place)?.clone()))).collect();
    names.iter().enumerate().skip(2).map(|(place, name)| (name.clone(), column(place))).collect()
}

fn write(columns: &[(String, BTreeMap<String, String>)]) -> String {
    let mut text =
        format!("{HEAD} {} |\n|---|---|{}\n", columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" | "), "---|".repeat(columns.len()));
    for item in ITEMS {
        let signs = columns.iter().map(|(_, column)| column.get(item.id).map_or("", String::as_str));
        text += &format!("| {} | {} | {} |\n", item.id, item.name, signs.collect::<Vec<_>>().join(" | "));
    }
    text
}

/// Compares a report with its column, or writes it there with `UPDATE=1`.
pub fn compare(device: &str, report: &Report) {
    compare_but(&[], device, report);
}

/// The same, leaving out further checks that the machine decides.
pub fn compare_but(figures: &[&str], device: &str, report: &Report) {
    let _alone = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = std::fs::read_to_string(path()).expect("docs/integration.md can be read");
    let mut columns = read(&text);
    let place = columns.iter().position(|(name, _)| name == device).unwrap_or_else(|| panic!("docs/integration.md has no column {device:?}"));
    let seen: BTreeMap<String, String> = report.findings.iter().map(|finding| (finding.id.to_owned(), finding.status.sign().to_owned())).collect();
    if std::env::var_os("UPDATE").is_some() {
        columns[place].1 = seen;
        let old: String =
            text.lines().skip_while(|line| !line.starts_with(HEAD)).take_while(|line| line.starts_with('|')).map(|line| format!("{line}\n")).collect();
        std::fs::write(path(), text.replace(&old, &write(&columns))).expect("docs/integration.md can be written");
        eprintln!("{device}\n{}", report.text());
        return;
    }
    let differs: Vec<String> = ITEMS
        .iter()
        .filter(|item| !FIGURES.contains(&item.id) && !figures.contains(&item.id) && columns[place].1.get(item.id) != seen.get(item.id))
        .map(|item| format!("{}: the table says {:?}, seen was {:?}", item.id, columns[place].1.get(item.id), seen.get(item.id)))
        .collect();
    assert!(differs.is_empty(), "{differs:#?}\n{}\nwhen this is right, UPDATE=1 writes it", report.text());
}

/// A good example fails nothing that does not depend on the machine's load.
pub fn is_clean(report: &Report) {
    let failed: Vec<_> =
        report.findings.iter().filter(|finding| finding.status == Status::Failed && !FIGURES.contains(&finding.id)).map(|finding| finding.id).collect();
    assert!(failed.is_empty(), "{}", report.text());
}

#[test]
fn the_table_lists_every_check_by_its_name() {
    let text = std::fs::read_to_string(path()).expect("docs/integration.md can be read");
    let columns = read(&text);
    assert!(columns.len() >= 5 && text.contains(&write(&columns)), "the table is not as it is written by UPDATE=1");
    for (name, column) in columns {
        assert!(ITEMS.iter().all(|item| column.get(item.id).is_some_and(|sign| ["✓", "✗", "·"].contains(&sign.as_str()))), "{name}");
    }
}

#[test]
fn the_document_says_how_to_mend_every_check() {
    let text = std::fs::read_to_string(path()).expect("docs/integration.md can be read");
    for item in ITEMS {
        let row = format!("| {} | {} | {} |", item.id, item.name, item.mend.replace('|', "\\|"));
        assert!(text.contains(&row), "docs/integration.md lacks\n{row}");
    }
}
