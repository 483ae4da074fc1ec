//! Recordings that are longer than the memory or the file for them.

use bully::record::{Digest, Ring, Sink};
use bully::{Config, Full};
use bully_record::{Ended, FileSink, Problem, Recording, Replay, recorded};
use bully_sim::{AnyNode, Scenario, exchanges, run_built};
use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::rc::Rc;

/// Two banks of memory that can be looked at when the run is over.
#[derive(Clone)]
struct Banks(Rc<RefCell<Ring<'static>>>);

impl Banks {
    fn new(size: usize) -> Self {
        Self(Rc::new(RefCell::new(Ring::new(vec![0; size].leak()))))
    }

    /// What is in them, the older one first.
    fn bytes(&self) -> Vec<u8> {
        self.0.borrow().banks().concat()
    }
}

impl Sink for Banks {
    fn put(&mut self, byte: u8) -> Result<(), Full> {
        self.0.borrow_mut().put(byte)
    }
    fn summed(&self, sum: Digest) -> Digest {
        self.0.borrow().summed(sum)
    }
    fn commit(&mut self) {
        self.0.borrow_mut().commit();
    }
    fn is_nearly_full(&self) -> bool {
        self.0.borrow().is_nearly_full()
    }
    fn next_bank(&mut self) -> bool {
        self.0.borrow_mut().next_bank()
    }
}

fn long() -> Scenario {
    Scenario {
        members: 6,
        feign: Some(bully::FeignMode::Close),
        duration: Duration::from_secs(900),
        seed: 11,
        ..Scenario::default()
    }
}

/// Repeats all of it.
fn repeated(recording: Recording) -> Result<Ended, Problem> {
    let mut replay = Replay::new(recording)?;
    while replay.step(&mut ())?.is_some() {}
    Ok(replay.so_far())
}

#[test]
fn memory_for_a_part_of_a_run_holds_the_last_of_it_and_that_is_repeated() {
    for size in [4_096, 8_192, 20_000] {
        let all: RefCell<Vec<Banks>> = RefCell::default();
        let build = |scenario: &Scenario, capacity: usize, config: Config| {
            let banks = Banks::new(size);
            all.borrow_mut().push(banks.clone());
            let node = recorded(capacity, exchanges(scenario, capacity), config, banks, 0)?;
            Some(node as Box<dyn AnyNode>)
        };
        let scenario = long();
        let whole: Vec<_> = crate::groups::recordings(&scenario);
        run_built(&scenario, &|_, _| 0, None, &build).expect("no breach");
        for (banks, whole) in all.borrow().iter().zip(whole) {
            let bytes = banks.bytes();
            assert!(bytes.len() <= size && bytes.len() < whole.len());
            let recording = Recording::read(&bytes).expect("it is one");
            assert_eq!(recording.banks.len(), 2);
            let first = recording.banks[0].header.bank;
            assert!(first > 0, "nothing was overwritten: {first}");
            let from = recording.banks[0].header.from;
            let ended = repeated(recording).expect("it does as recorded");
            let whole = repeated(Recording::read(&whole).expect("one")).expect("too");
            // It ends where the whole one ends, and holds a good part of it.
            assert_eq!(ended.at, whole.at);
            let seconds = ended.at.since(from).as_secs();
            println!("{size} bytes: the last {seconds} s");
            assert!(seconds >= size as u64 / 400, "{size} bytes: {seconds} s");
        }
    }
}

#[test]
fn a_bank_that_is_missing_is_reported() {
    let sink = FilesOf::new(64 << 10);
    let (older, younger) = sink.files(long());
    let both = |older: &[u8], younger: &[u8]| {
        let mut older = Recording::read(older).expect("it is one");
        older
            .banks
            .extend(Recording::read(younger).expect("it is one").banks);
        repeated(older)
    };
    let whole = both(&older, &younger).expect("it goes on");
    // Each can be repeated by itself, but for the older one's end.
    let alone = repeated(Recording::read(&younger).expect("one")).expect("it does as recorded");
    assert_eq!(alone, whole);
    let short = repeated(Recording::read(&older).expect("one"));
    assert!(matches!(short, Err(Problem::CutShort(_))), "{short:?}");
    let mut younger = Recording::read(&younger).expect("one");
    younger.banks[0].header.records_before += 5;
    let mut gap = Recording::read(&older).expect("one");
    gap.banks.extend(younger.banks);
    let gap = repeated(gap);
    assert!(matches!(gap, Err(Problem::Missing(_, 5))), "{gap:?}");
}

/// A directory for the files of a recording.
struct FilesOf {
    directory: std::path::PathBuf,
    max: u64,
}

impl FilesOf {
    fn new(max: u64) -> Self {
        let name = format!("bully-banks-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("there is room");
        Self { directory, max }
    }

    /// The older and the younger file of the first member of a run, after the first change.
    fn files(&self, scenario: Scenario) -> (Vec<u8>, Vec<u8>) {
        let scenario = Scenario {
            duration: Duration::from_secs(2_400),
            ..scenario
        };
        let path = self.directory.join("member.byr");
        let first = Cell::new(true);
        let build = |scenario: &Scenario, capacity: usize, config: Config| {
            let exchanges = exchanges(scenario, capacity);
            if first.replace(false) {
                let sink = FileSink::create(&path, self.max).expect("it can be written");
                let node = recorded(capacity, exchanges, config, sink, 0)?;
                return Some(node as Box<dyn AnyNode>);
            }
            bully_sim::node(scenario, capacity, config)
        };
        run_built(&scenario, &|_, _| 0, None, &build).expect("no breach");
        let read = |name: &str| std::fs::read(self.directory.join(name)).expect("it is there");
        (read("member.byr.old"), read("member.byr"))
    }
}

impl Drop for FilesOf {
    fn drop(&mut self) {
        // What is left is in the system's directory for such things.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
