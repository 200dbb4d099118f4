//! The memory as its users see it: what is committed is read back, survives crashes and full disks, and grows old in order.

mod crash;
mod files;
mod full;
mod made;
mod paging;
mod retention;
mod roundtrip;
mod story;
