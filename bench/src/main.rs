//! Measures Talkwire beside its peers, and kills it to see what it keeps.
fn main() {}
