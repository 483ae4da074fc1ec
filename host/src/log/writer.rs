//! A thread that writes the log, so that a reader who stalls stops nobody else.
//!
//! Lines wait in a queue of bounded size. When it is full, lines are dropped and counted until half
//! of it has been written: [`Writer::take_lost`] returns how many.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// Where a line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What becomes of the program when its log cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    /// It ends.
    End,
    /// It goes on; lines are dropped and counted, and writing is tried again.
    GoOn,
}

/// Why nothing is written any more.
#[derive(Debug)]
pub(crate) enum End {
    /// The reader has closed its end of the pipe.
    Closed,
    /// Anything else: no space left, for instance.
    Failed(io::Error),
}

/// How many bytes wait at most, those being written included: what a group of a thousand members
/// logs in about half a second of its start.
const QUEUE_MAX: usize = 8 << 20;

/// How many bytes of whole lines are written at once. POSIX keeps writes of this size to a pipe in
/// one piece, so that several processes can share one.
const CHUNK: usize = 4096;

/// How much memory the queue keeps when it is empty.
const KEEP_MAX: usize = 64 << 10;

/// The pause after an error that does not end the program.
const AGAIN: Duration = Duration::from_secs(1);

/// The pause after a stream that does not block has taken what it could.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// The stack of the thread, which only writes.
const STACK: usize = 128 << 10;

/// What is written to.
pub(super) struct Streams {
    pub(super) out: Box<dyn Write + Send>,
    pub(super) err: Box<dyn Write + Send>,
}

impl Streams {
    /// Those of the process.
    pub(super) fn standard() -> Self {
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
        }
    }
}

/// The queue's end for the thread that logs.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// There is something to write, or the end has come.
    work: Condvar,
    /// Something was written, or nothing ever will be.
    progress: Condvar,
    lost: AtomicU64,
    ended: AtomicBool,
    on_error: OnError,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    /// Streams and lengths of the lines in `bytes`.
    lines: VecDeque<(Stream, usize)>,
    /// Bytes that the thread has taken and not yet written.
    taken: usize,
    /// The latest status line, if it has not been shown.
    status: Option<Status>,
    /// Lines are dropped until half of the queue is free.
    dropping: bool,
    /// The thread writes, or waits to try again.
    busy: bool,
    /// How often something was written.
    written: u64,
    /// No line comes any more.
    finishing: bool,
    /// The user has had a message that it cannot be written.
    reported: bool,
    end: Option<End>,
}

impl Writer {
    /// Starts the thread, which writes to `streams`. `on_end` is called in it when nothing can be
    /// written any more.
    ///
    /// # Errors
    ///
    /// The system's, if it has no thread to give.
    pub(super) fn start(
        mut streams: Streams,
        on_error: OnError,
        on_end: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            progress: Condvar::new(),
            lost: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            on_error,
        });
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("log".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                theirs.write_all(&mut streams);
                on_end();
            })?;
        Ok(Self { shared })
    }

    /// Queues a line, which ends in a newline; it is dropped and counted if the queue is full.
    pub(super) fn push(&self, to: Stream, line: &str) {
        let mut queue = self.shared.queue();
        let size = queue.bytes.len() + queue.taken;
        queue.dropping &= size > QUEUE_MAX / 2;
        queue.dropping |= size + line.len() > QUEUE_MAX;
        if queue.dropping {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            self.add(queue, to, line);
        }
    }

    /// Queues a line even if the queue is full.
    pub(super) fn push_last(&self, to: Stream, line: &str) {
        self.add(self.shared.queue(), to, line);
    }

    fn add(&self, mut queue: MutexGuard<'_, Queue>, to: Stream, line: &str) {
        if queue.end.is_some() {
            return;
        }
        queue.bytes.extend_from_slice(line.as_bytes());
        queue.lines.push_back((to, line.len()));
        if !queue.busy {
            self.shared.work.notify_one();
        }
    }

    /// Shows a status as the last line of the terminal when all lines are written, in place of the
    /// status shown before.
    pub(super) fn status(&self, status: Status) {
        let mut queue = self.shared.queue();
        queue.status = Some(status);
        if !queue.busy {
            self.shared.work.notify_one();
        }
    }

    /// Returns how many lines were lost since the last call, or 0 while lines are being dropped.
    pub(super) fn take_lost(&self) -> u64 {
        if self.shared.lost.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let queue = self.shared.queue();
        let full = queue.dropping && queue.bytes.len() + queue.taken > QUEUE_MAX / 2;
        if full && !queue.finishing {
            return 0;
        }
        self.shared.lost.swap(0, Ordering::Relaxed)
    }

    /// Returns `true` if nothing can be written any more.
    pub(super) fn ended(&self) -> bool {
        self.shared.ended.load(Ordering::Relaxed)
    }

    /// Announces that the next lines are the last, so that even [`take_lost`](Self::take_lost) of a
    /// full queue returns its count.
    pub(super) fn finishing(&self) {
        self.shared.queue().finishing = true;
        self.shared.work.notify_one();
    }

    /// Waits until everything is written, at most `in_all`, and at most `each` for the next piece.
    /// Returns why nothing could be written any more, if that was so.
    pub(super) fn finish(&self, each: Duration, in_all: Duration) -> Option<End> {
        self.finishing();
        let until = Instant::now() + in_all;
        let mut queue = self.shared.queue();
        let mut written = queue.written;
        let mut next_by = Instant::now() + each;
        while queue.end.is_none() && (queue.busy || !queue.lines.is_empty()) {
            let now = Instant::now();
            if queue.written != written {
                written = queue.written;
                next_by = now + each;
            }
            let left = next_by.min(until).saturating_duration_since(now);
            if left.is_zero() {
                break;
            }
            let waited = self.shared.progress.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.end.take()
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: writes until that is no use any more.
    fn write_all(&self, streams: &mut Streams) {
        let mut terminal = Terminal::default();
        let mut bytes = Vec::new();
        let mut lines = VecDeque::new();
        loop {
            let mut queue = self.queue();
            queue.busy = false;
            self.progress.notify_all();
            while queue.lines.is_empty() && queue.status.is_none() {
                if queue.finishing {
                    terminal.clear(&mut streams.err);
                }
                let waited = self.work.wait(queue);
                queue = waited.unwrap_or_else(PoisonError::into_inner);
            }
            queue.busy = true;
            bytes.clear();
            bytes.shrink_to(KEEP_MAX);
            core::mem::swap(&mut bytes, &mut queue.bytes);
            core::mem::swap(&mut lines, &mut queue.lines);
            queue.taken = bytes.len();
            let status = queue.status.take();
            drop(queue);

            if !lines.is_empty() {
                terminal.clear(&mut streams.err);
            }
            if let Err(error) = self.write_lines(streams, &bytes, &mut lines)
                && !self.goes_on_after(&mut streams.err, error, lines.len())
            {
                return;
            }
            lines.clear();
            self.queue().taken = 0;
            if let Some(status) = status {
                terminal.show(&mut streams.err, &status);
            }
        }
    }

    /// Writes all of `bytes`, and takes from `lines` those that are written.
    fn write_lines(
        &self,
        streams: &mut Streams,
        mut bytes: &[u8],
        lines: &mut VecDeque<(Stream, usize)>,
    ) -> io::Result<()> {
        while let Some((to, mut chunk)) = lines.front().copied() {
            // As many whole lines to the same place as go in one write.
            let mut count = 1;
            for (stream, len) in lines.iter().skip(1) {
                if *stream != to || chunk + len > CHUNK {
                    break;
                }
                chunk += len;
                count += 1;
            }
            let (now, later) = bytes.split_at(chunk);
            let stream = match to {
                Stream::Out => &mut streams.out,
                Stream::Err => &mut streams.err,
            };
            self.write(stream, now)?;
            bytes = later;
            lines.drain(..count);
        }
        Ok(())
    }

    fn write(&self, stream: &mut dyn Write, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match stream.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    bytes = bytes.get(count..).unwrap_or(&[]);
                    let mut queue = self.queue();
                    queue.taken = queue.taken.saturating_sub(count);
                    queue.written += 1;
                    drop(queue);
                    self.progress.notify_all();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Somebody else who has the stream has made it one that does not block.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(FULL_PAUSE),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes note of an error with which `lines` were lost. Returns `false` if it is the end.
    fn goes_on_after(&self, err: &mut dyn Write, error: io::Error, lines: usize) -> bool {
        let closed = error.kind() == ErrorKind::BrokenPipe;
        let mut queue = self.queue();
        if self.on_error == OnError::GoOn && !closed {
            self.lost.fetch_add(lines as u64, Ordering::Relaxed);
            if !core::mem::replace(&mut queue.reported, true) {
                let text = format!("the log cannot be written, {error}: it goes on without\n");
                let _ = err.write_all(text.as_bytes());
            }
            if !queue.finishing {
                let waited = self.work.wait_timeout_while(queue, AGAIN, |q| !q.finishing);
                drop(waited);
                return true;
            }
        }
        queue.bytes = Vec::new();
        queue.lines = VecDeque::new();
        queue.end = Some(if closed {
            End::Closed
        } else {
            End::Failed(error)
        });
        drop(queue);
        self.ended.store(true, Ordering::Relaxed);
        self.progress.notify_all();
        false
    }
}

/// A line of a terminal that is overwritten by the next.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) text: String,
    /// How many columns it takes: `text` may hold what switches colours.
    pub(super) columns: usize,
}

/// The terminal's last line.
#[derive(Debug, Default)]
struct Terminal {
    /// How many columns of it are in use.
    columns: usize,
}

impl Terminal {
    fn show(&mut self, err: &mut dyn Write, status: &Status) {
        // Spaces over what is left of a longer one.
        let rest = self.columns.saturating_sub(status.columns);
        draw(err, &format!("\r{}{:rest$}", status.text, ""));
        self.columns = self.columns.max(status.columns);
    }

    fn clear(&mut self, err: &mut dyn Write) {
        match core::mem::take(&mut self.columns) {
            0 => {}
            columns => draw(err, &format!("\r{:columns$}\r", "")),
        }
    }
}

fn draw(err: &mut dyn Write, text: &str) {
    // A status that cannot be shown is not missed.
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    type Step = io::Result<()>;
    type Text = Arc<Mutex<Vec<u8>>>;

    /// A stream that takes a piece each time it is let, or fails when it is set to.
    struct Gate {
        steps: Receiver<Step>,
        text: Text,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Without anybody to hold it up it takes everything.
            self.steps.recv().unwrap_or(Ok(()))?;
            self.text.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A writer, what lets it write, and what it has written to standard output.
    fn gated(on_error: OnError) -> (Writer, Sender<Step>, Text) {
        let (step, steps) = channel();
        let text = Text::default();
        let out = Gate {
            steps,
            text: Arc::clone(&text),
        };
        let streams = Streams {
            out: Box::new(out),
            err: Box::new(io::sink()),
        };
        let writer = Writer::start(streams, on_error, || {}).expect("a thread");
        (writer, step, text)
    }

    fn lines(text: &Mutex<Vec<u8>>) -> usize {
        let text = text.lock().expect("no panic");
        text.iter().filter(|byte| **byte == b'\n').count()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_stalled_reader_costs_lines_and_no_time_and_memory() {
        let (writer, step, text) = gated(OnError::End);
        let line = "x".repeat(4095) + "\n";
        let fit = QUEUE_MAX / line.len();
        for _ in 0..3 * fit {
            writer.push(Stream::Out, &line);
        }
        // Whether the thread has taken some does not matter: they count until they are written.
        assert_eq!(
            writer.take_lost(),
            0,
            "while lines are dropped nothing is reported"
        );
        assert!(writer.shared.queue().bytes.len() <= QUEUE_MAX);
        // A quarter of them is read, then more than half.
        let let_through = |count: usize| {
            for _ in 0..count {
                step.send(Ok(())).expect("it writes");
            }
            let started = Instant::now();
            while writer.shared.queue().written < count as u64 && started.elapsed() < LONG {
                thread::yield_now();
            }
        };
        let_through(fit / 4);
        writer.push(Stream::Out, &line);
        assert_eq!(writer.take_lost(), 0, "there is too little space yet");
        drop(step);
        let started = Instant::now();
        while lines(&text) < fit && started.elapsed() < LONG {
            thread::yield_now();
        }
        writer.push(Stream::Out, &line);
        let lost = writer.take_lost();
        assert!(writer.finish(LONG, LONG).is_none());
        assert_eq!(lost, 2 * fit as u64 + 1);
        assert_eq!(lines(&text) as u64 + lost, 3 * fit as u64 + 2);
    }

    #[test]
    fn the_end_waits_for_a_reader_who_reads_and_not_for_one_who_does_not() {
        let (writer, step, text) = gated(OnError::End);
        writer.push(Stream::Out, "one\n");
        let started = Instant::now();
        let soon = Duration::from_millis(20);
        assert!(writer.finish(soon, LONG).is_none());
        assert!(started.elapsed() < LONG / 2, "nobody reads");
        step.send(Ok(())).expect("it writes");
        assert!(writer.finish(LONG, LONG).is_none());
        assert_eq!(*text.lock().expect("no panic"), b"one\n");
    }

    #[test]
    fn a_closed_pipe_is_an_end_and_so_is_a_full_disk() {
        for (kind, closed) in [
            (ErrorKind::BrokenPipe, true),
            (ErrorKind::StorageFull, false),
        ] {
            let (writer, step, _) = gated(OnError::End);
            writer.push(Stream::Out, "one\n");
            step.send(Err(kind.into())).expect("it writes");
            let end = writer.finish(LONG, LONG).expect("it has failed");
            assert_eq!(matches!(end, End::Closed), closed, "{end:?}");
            assert!(writer.ended());
        }
    }

    #[test]
    fn who_outlives_a_log_counts_what_is_lost_and_writes_on() {
        let (writer, step, text) = gated(OnError::GoOn);
        writer.push(Stream::Out, "one\n");
        step.send(Err(ErrorKind::StorageFull.into()))
            .expect("it writes");
        let started = Instant::now();
        let mut lost = 0;
        while lost == 0 && started.elapsed() < LONG {
            lost = writer.take_lost();
            thread::yield_now();
        }
        assert_eq!(lost, 1);
        assert!(!writer.ended());
        writer.push(Stream::Out, "two\n");
        drop(step);
        assert!(writer.finish(LONG, LONG).is_none());
        assert_eq!(*text.lock().expect("no panic"), b"two\n");
    }
}
