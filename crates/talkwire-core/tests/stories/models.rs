//! Generated stories, compared with what must hold in all of them.

mod changesets;
mod commands;

/// How many stories are generated: `PROPTEST_CASES` of them, or a default that is quick.
fn cases(quick: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(quick)
}
