//! The report as a file for others: a self-contained HTML page, or Markdown.

use super::report::{Finding, Report};
use std::fmt::Write as _;
use talkwire_proto::envelope::iso_text;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
table{border-collapse:collapse;width:100%}td,th{padding:.45rem .6rem;border-bottom:1px solid #d8dee4;text-align:left;vertical-align:top}\
.passed{color:#116329}.failed{color:#a40e26;font-weight:600}.skipped{color:#57606a}.mend{color:#57606a}code{font-size:.9em}";

const GROUPS: [(char, &str); 5] = [('B', "Basic functions"), ('C', "Commands"), ('R', "Reliability"), ('P', "Performance"), ('S', "Security")];

fn groups(report: &Report) -> impl Iterator<Item = (&'static str, Vec<&Finding>)> {
    GROUPS.into_iter().map(|(letter, title)| (title, report.findings.iter().filter(|finding| finding.id.starts_with(letter)).collect()))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A page that needs nothing else.
pub fn html(report: &Report) -> String {
    let title = format!("Integration check of {}", report.device);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n<p>{1}</p>\n<p><strong>{2}</strong></p>\n",
        escaped(&title),
        escaped(&about(report)),
        escaped(&report.sum())
    );
    for (title, findings) in groups(report) {
        let _ = writeln!(page, "<h2>{title}</h2>\n<table><tr><th>No.</th><th>Check</th><th>Result</th><th>Seen</th></tr>");
        for finding in findings {
            let mend = if finding.mend.is_empty() { String::new() } else { format!("<br><span class=\"mend\">To mend: {}</span>", escaped(finding.mend)) };
            let word = finding.status.word();
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td>{}</td><td class=\"{word}\">{word}</td><td>{}{mend}</td></tr>",
                finding.id,
                escaped(finding.name),
                escaped(&finding.detail)
            );
        }
        page += "</table>\n";
    }
    page + "</body></html>\n"
}

fn about(report: &Report) -> String {
    format!(
        "Broker {}, {} UTC, watched for {:.0} s, {} messages heard, talkwire {}.",
        report.broker,
        iso_text(report.began_ms, 0),
        report.seconds,
        report.messages,
        env!("CARGO_PKG_VERSION")
    )
}

/// Text that may stand in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ").replace('<', "&lt;")
}

/// The same as Markdown.
pub fn markdown(report: &Report) -> String {
    let mut page = format!("# Integration check of {}\n\n{}\n\n**{}**\n", report.device, about(report), cell(&report.sum()));
    for (title, findings) in groups(report) {
        let _ = write!(page, "\n## {title}\n\n| no. | check | result | seen |\n|---|---|---|---|\n");
        for finding in findings {
            let mend = if finding.mend.is_empty() { String::new() } else { format!(" To mend: {}", finding.mend) };
            let _ = writeln!(
                page,
                "| {} | {} | {} {} | {}{} |",
                finding.id,
                cell(finding.name),
                finding.status.sign(),
                finding.status.word(),
                cell(&finding.detail),
                cell(&mend)
            );
        }
    }
    page
}

/// The form that a file's name asks for.
pub fn for_file(report: &Report, name: &std::path::Path) -> String {
    let is_html = name.extension().is_some_and(|end| end.eq_ignore_ascii_case("html") || end.eq_ignore_ascii_case("htm"));
    if is_html { html(report) } else { markdown(report) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::evidence::Evidence;

    #[test]
    fn what_a_device_says_cannot_break_out_of_the_report() {
        let mut report = Report::judge(&Evidence::new("acme/home/aabbccddeeff".parse().unwrap()), "mqtt://127.0.0.1:1883");
        report.findings[0].detail = "<script>x</script> | y".into();
        assert!(html(&report).contains("&lt;script&gt;") && !html(&report).contains("<script>"));
        assert!(markdown(&report).contains("&lt;script> x".replace(" x", "x").as_str()) && markdown(&report).contains("\\| y"));
        assert_eq!(html(&report).matches("<tr><td>").count(), report.findings.len());
    }
}
