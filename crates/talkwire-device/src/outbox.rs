//! The outbox: letters that the broker has not acknowledged, numbered in the order in which they came.
//!
//! They lie in an SQLite file ([`table`], feature `outbox`), or in memory. When the file takes nothing (a full disk), letters wait
//! in memory and go to the file as soon as it takes them. Every call may block on the disk.

#[cfg(feature = "outbox")]
mod table;

use crate::letter::{CLASSES, Class, Letter};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a disk that took nothing is left alone.
const REST: Duration = Duration::from_secs(1);

/// Where letters outlive the process. Every call is one transaction.
pub(crate) trait Table: Send {
    /// All numbers with class and size.
    #[cfg(any(test, feature = "outbox"))]
    fn index(&mut self) -> io::Result<Vec<(u64, Class, usize)>>;
    /// Takes letters out and puts others in, both or neither.
    fn change(&mut self, out: &BTreeSet<u64>, put: &BTreeMap<u64, Letter>) -> io::Result<()>;
    /// One letter.
    fn read(&mut self, number: u64) -> io::Result<Letter>;
}

/// What the outbox tells about itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Letters in it.
    pub(crate) waiting: u64,
    /// Letters dropped because it was full.
    pub(crate) dropped: u64,
    /// How often the disk took nothing or gave nothing back.
    pub(crate) errors: u64,
}

/// Letters by number, within limits.
pub(crate) struct Outbox {
    table: Option<Box<dyn Table>>,
    rest_until: Option<Instant>,
    /// When a disk that gave nothing back is asked again.
    unread_until: Option<Instant>,
    /// Size of each letter, by class and number.
    index: BTreeMap<(Class, u64), usize>,
    bytes: usize,
    next: u64,
    /// Letters that are in memory only.
    memory: BTreeMap<u64, Letter>,
    /// Letters that the table still has although they are gone.
    gone: BTreeSet<u64>,
    /// Letters that were dropped while they were on their way: lost only when they come back.
    doubtful: BTreeSet<u64>,
    max_messages: usize,
    max_bytes: usize,
    dropped: u64,
    errors: u64,
}

impl Outbox {
    /// An outbox in memory.
    pub(crate) fn in_memory(max_messages: usize, max_bytes: usize) -> Self {
        Self {
            table: None,
            rest_until: None,
            unread_until: None,
            index: BTreeMap::new(),
            bytes: 0,
            next: 1,
            memory: BTreeMap::new(),
            gone: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            max_messages: max_messages.max(1),
            max_bytes,
            dropped: 0,
            errors: 0,
        }
    }

    /// An outbox in a file. A file that holds no outbox is set aside; on a disk that is full this run does without.
    #[cfg(feature = "outbox")]
    pub(crate) fn open(file: &Path, max_messages: usize, max_bytes: usize) -> io::Result<Self> {
        match table::Sqlite::open(file) {
            Ok(table) => Self::with_table(Box::new(table), max_messages, max_bytes),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                tracing::error!(file = %file.display(), "the disk is full: what waits for the broker is kept in memory until the next start");
                Ok(Self { errors: 1, ..Self::in_memory(max_messages, max_bytes) })
            }
            Err(error) => Err(error),
        }
    }

    #[cfg(not(feature = "outbox"))]
    pub(crate) fn open(_: &Path, _: usize, _: usize) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this program was built without the feature `outbox`"))
    }

    #[cfg(any(test, feature = "outbox"))]
    pub(crate) fn with_table(mut table: Box<dyn Table>, max_messages: usize, max_bytes: usize) -> io::Result<Self> {
        let mut outbox = Self::in_memory(max_messages, max_bytes);
        for (number, class, bytes) in table.index()? {
            outbox.index.insert((class, number), bytes);
            outbox.bytes += bytes;
            outbox.next = outbox.next.max(number + 1);
        }
        outbox.table = Some(table);
        Ok(outbox)
    }

    pub(crate) fn figures(&self) -> Figures {
        Figures { waiting: count(self.index.len()), dropped: self.dropped, errors: self.errors }
    }

    /// Takes out what is acknowledged and puts in what came. Afterwards it is on the disk, unless [`Outbox::owes`] says when to try
    /// again. `under_way` are the letters that were read and may still arrive: one of them that must be dropped counts as dropped
    /// when it is no longer among them and was not acknowledged.
    pub(crate) fn change(&mut self, acknowledged: &[u64], letters: Vec<Letter>, under_way: &BTreeSet<u64>, now: Instant) {
        for number in acknowledged {
            if self.doubtful.remove(number) {
                continue;
            }
            if let Some(class) = CLASSES.into_iter().find(|class| self.index.contains_key(&(*class, *number))) {
                self.take_out(class, *number);
            }
        }
        let doubtful = self.doubtful.len();
        self.doubtful.retain(|number| under_way.contains(number));
        self.dropped += count(doubtful - self.doubtful.len());
        for letter in letters {
            let (number, bytes) = (self.next, letter.bytes());
            self.next += 1;
            self.index.insert((letter.class, number), bytes);
            self.bytes += bytes;
            self.memory.insert(number, letter);
            while self.index.len() > self.max_messages || (self.bytes > self.max_bytes && self.index.len() > 1) {
                self.drop_oldest(under_way);
            }
        }
        self.settle(now);
    }

    /// When what is only in memory should be tried again.
    pub(crate) fn owes(&self) -> Option<Instant> {
        self.rest_until
    }

    /// When what could not be read should be tried again, if that is later than now.
    pub(crate) fn unread(&self, now: Instant) -> Option<Instant> {
        self.unread_until.filter(|until| *until > now)
    }

    /// The letters of a class after a number: the next ones, at most so many, and so many bytes unless one alone is larger.
    pub(crate) fn read(&mut self, class: Class, after: u64, most: usize, most_bytes: usize, now: Instant) -> Vec<(u64, Letter)> {
        let (mut letters, mut bytes) = (Vec::new(), 0);
        if self.unread(now).is_some() {
            return letters;
        }
        self.unread_until = None;
        let numbers: Vec<_> = self.index.range((class, after + 1)..=(class, u64::MAX)).take(most).map(|((_, number), size)| (*number, *size)).collect();
        for (number, size) in numbers {
            bytes += size;
            if bytes > most_bytes && !letters.is_empty() {
                break;
            }
            let read = match (self.memory.get(&number), &mut self.table) {
                (Some(letter), _) => Ok(letter.clone()),
                (None, Some(table)) => table.read(number),
                (None, None) => Err(io::ErrorKind::NotFound.into()),
            };
            match read {
                Ok(letter) => letters.push((number, letter)),
                Err(error) if is_gone(&error) => {
                    self.errors += 1;
                    self.dropped += 1;
                    tracing::warn!(%error, number, "a waiting message is damaged; it is dropped");
                    self.take_out(class, number);
                }
                Err(error) => {
                    // The order is kept: what comes after it waits as well.
                    self.errors += 1;
                    tracing::warn!(%error, number, "a waiting message cannot be read now; it is tried again");
                    self.unread_until = Some(now + REST);
                    break;
                }
            }
        }
        letters
    }

    /// Whether a class has a letter after a number.
    pub(crate) fn has(&self, class: Class, after: u64) -> bool {
        self.index.range((class, after + 1)..=(class, u64::MAX)).next().is_some()
    }

    fn drop_oldest(&mut self, under_way: &BTreeSet<u64>) {
        let telemetry = self.index.range((Class::Telemetry, 0)..).next();
        let oldest = telemetry.or_else(|| self.index.iter().min_by_key(|((_, number), _)| *number)).map(|(key, _)| *key);
        if let Some((class, number)) = oldest {
            if under_way.contains(&number) {
                self.doubtful.insert(number);
            } else {
                self.dropped += 1;
            }
            self.take_out(class, number);
        }
    }

    fn take_out(&mut self, class: Class, number: u64) {
        if let Some(bytes) = self.index.remove(&(class, number)) {
            self.bytes -= bytes;
        }
        if self.memory.remove(&number).is_none() && self.table.is_some() {
            self.gone.insert(number);
        }
    }

    /// Makes the table say what memory says.
    fn settle(&mut self, now: Instant) {
        let Some(table) = &mut self.table else { return };
        if (self.gone.is_empty() && self.memory.is_empty()) || self.rest_until.is_some_and(|until| now < until) {
            return;
        }
        match table.change(&self.gone, &self.memory) {
            Ok(()) => {
                self.gone.clear();
                self.memory.clear();
                if self.rest_until.take().is_some() {
                    tracing::info!("the outbox is on the disk again");
                }
            }
            Err(error) => {
                self.errors += 1;
                if self.rest_until.is_none() {
                    tracing::error!(%error, "the outbox cannot be written; messages wait in memory until it can");
                }
                self.rest_until = Some(now + REST);
            }
        }
    }
}

/// Whether an error says that the letter itself is damaged or not there; any other may pass.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData)
}

fn count(letters: usize) -> u64 {
    u64::try_from(letters).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A table that a test can break.
    #[derive(Clone, Default)]
    struct Shelf {
        letters: Arc<Mutex<BTreeMap<u64, Letter>>>,
        full: Arc<Mutex<bool>>,
        unread: Arc<Mutex<Option<io::ErrorKind>>>,
    }

    impl Table for Shelf {
        fn index(&mut self) -> io::Result<Vec<(u64, Class, usize)>> {
            Ok(self.letters.lock().unwrap().iter().map(|(number, letter)| (*number, letter.class, letter.bytes())).collect())
        }
        fn change(&mut self, out: &BTreeSet<u64>, put: &BTreeMap<u64, Letter>) -> io::Result<()> {
            if *self.full.lock().unwrap() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let mut letters = self.letters.lock().unwrap();
            letters.retain(|number, _| !out.contains(number));
            letters.extend(put.clone());
            Ok(())
        }
        fn read(&mut self, number: u64) -> io::Result<Letter> {
            if let Some(kind) = *self.unread.lock().unwrap() {
                return Err(kind.into());
            }
            self.letters.lock().unwrap().get(&number).cloned().ok_or(io::ErrorKind::NotFound.into())
        }
    }

    fn letter(class: Class, text: &str) -> Letter {
        Letter { class, topic: "t".into(), text: text.into() }
    }

    fn texts(outbox: &mut Outbox, class: Class) -> Vec<String> {
        outbox.read(class, 0, 1000, usize::MAX, Instant::now()).into_iter().map(|(_, letter)| letter.text).collect()
    }

    #[test]
    fn the_oldest_telemetry_is_dropped_first_and_then_the_oldest_of_all() {
        let (mut outbox, now) = (Outbox::in_memory(4, 1000), Instant::now());
        let mix = [(Class::Event, "e1"), (Class::Telemetry, "t1"), (Class::Event, "e2"), (Class::Telemetry, "t2"), (Class::Answer, "a1"), (Class::Event, "e3")];
        outbox.change(&[], mix.map(|(class, text)| letter(class, text)).into(), &BTreeSet::new(), now);
        assert_eq!((texts(&mut outbox, Class::Telemetry), outbox.figures().dropped), (vec![], 2));
        outbox.change(&[], vec![letter(Class::Telemetry, "t3")], &BTreeSet::new(), now);
        assert_eq!(outbox.figures(), Figures { waiting: 4, dropped: 3, errors: 0 });
        outbox.change(&[], vec![letter(Class::Event, "e4")], &BTreeSet::new(), now);
        assert_eq!((texts(&mut outbox, Class::Event), texts(&mut outbox, Class::Answer)), (vec!["e2".into(), "e3".into(), "e4".into()], vec!["a1".into()]));
        outbox.change(&[], vec![letter(Class::Report, &"x".repeat(2000))], &BTreeSet::new(), now);
        assert_eq!(outbox.figures().waiting, 1, "a letter over the limit stands alone");
    }

    #[test]
    fn a_disk_that_gives_nothing_back_for_a_moment_costs_no_message_and_no_order() {
        let (shelf, now) = (Shelf::default(), Instant::now());
        let mut outbox = Outbox::with_table(Box::new(shelf.clone()), 100, 10_000).unwrap();
        outbox.change(&[], vec![letter(Class::Event, "1"), letter(Class::Event, "2")], &BTreeSet::new(), now);
        *shelf.unread.lock().unwrap() = Some(io::ErrorKind::Other);
        assert_eq!(outbox.read(Class::Event, 0, 10, 1000, now), vec![]);
        *shelf.unread.lock().unwrap() = None;
        assert_eq!((outbox.unread(now), outbox.unread(now + REST)), (Some(now + REST), None));
        assert_eq!(outbox.read(Class::Event, 0, 10, 1000, now), vec![], "it is left alone for a second");
        let read: Vec<_> = outbox.read(Class::Event, 0, 10, 1000, now + REST).into_iter().map(|(_, letter)| letter.text).collect();
        assert_eq!((read, outbox.figures()), (vec!["1".to_owned(), "2".to_owned()], Figures { waiting: 2, dropped: 0, errors: 1 }));
        *shelf.unread.lock().unwrap() = Some(io::ErrorKind::InvalidData);
        assert_eq!(outbox.read(Class::Event, 0, 1, 1000, now + REST), vec![]);
        assert_eq!(outbox.figures(), Figures { waiting: 1, dropped: 1, errors: 2 }, "what is damaged holds nothing up for ever");
    }

    #[test]
    fn a_full_disk_loses_nothing_and_agrees_again_when_there_is_room() {
        let (shelf, now) = (Shelf::default(), Instant::now());
        let mut outbox = Outbox::with_table(Box::new(shelf.clone()), 100, 10_000).unwrap();
        outbox.change(&[], vec![letter(Class::Event, "1"), letter(Class::Event, "2")], &BTreeSet::new(), now);
        assert_eq!((shelf.letters.lock().unwrap().len(), outbox.owes()), (2, None));
        *shelf.full.lock().unwrap() = true;
        outbox.change(&[1], vec![letter(Class::Event, "3")], &BTreeSet::new(), now);
        assert_eq!((texts(&mut outbox, Class::Event), outbox.owes().is_some()), (vec!["2".into(), "3".into()], true));
        *shelf.full.lock().unwrap() = false;
        outbox.change(&[2], vec![], &BTreeSet::new(), now);
        assert_eq!(shelf.letters.lock().unwrap().len(), 2, "a disk that took nothing is left alone for a second");
        outbox.change(&[], vec![], &BTreeSet::new(), now + REST);
        let kept: Vec<_> = shelf.letters.lock().unwrap().values().map(|letter| letter.text.clone()).collect();
        assert_eq!((kept, outbox.owes(), outbox.figures()), (vec!["3".to_owned()], None, Figures { waiting: 1, dropped: 0, errors: 1 }));
        let mut again = Outbox::with_table(Box::new(shelf), 100, 10_000).unwrap();
        again.change(&[], vec![letter(Class::Event, "4")], &BTreeSet::new(), now);
        assert_eq!(texts(&mut again, Class::Event), ["3", "4"]);
    }

    #[test]
    fn a_letter_that_is_dropped_on_its_way_counts_only_when_it_comes_back() {
        let (mut outbox, now) = (Outbox::in_memory(3, 1000), Instant::now());
        let letters = |texts: &[&str]| texts.iter().map(|text| letter(Class::Event, text)).collect::<Vec<_>>();
        outbox.change(&[], letters(&["1", "2", "3"]), &BTreeSet::new(), now);
        outbox.change(&[], letters(&["4", "5"]), &[1, 2].into(), now);
        assert_eq!(outbox.figures(), Figures { waiting: 3, dropped: 0, errors: 0 }, "nobody knows yet");
        outbox.change(&[1], vec![], &[2].into(), now);
        assert_eq!(outbox.figures().dropped, 0, "the first arrived");
        outbox.change(&[], letters(&["6"]), &BTreeSet::new(), now);
        assert_eq!((texts(&mut outbox, Class::Event), outbox.figures().dropped), (vec!["4".into(), "5".into(), "6".into()], 2), "2 came back, and 3 had to go");
    }
}
