//! Generated stories, compared with what must hold in all of them.

mod changesets;
mod commands;
