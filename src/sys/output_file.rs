//! Files that results go to: drafts that become a whole file by rename, pipes that nobody may read, and directories that
//! two runs may not share.
//!
//! Not here: what a file is called and what is said when it cannot be written (`cli/files.rs`).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;

use super::clock::{self, Clock};
use crate::model::time::Stamp;

/// How long the end of a run waits for a reader of a FIFO to come.
pub const READER_WAIT: Duration = Duration::from_secs(2);
/// How long it waits for a reader that takes nothing.
pub const STALL_WAIT: Duration = Duration::from_secs(5);
/// How often it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// The file that says who writes into a directory.
const CLAIM: &str = ".sockbench.lock";
/// Longest text of a claim that is read: others may have written it.
const CLAIM_BYTES: u64 = 1024;
/// Names or claims that are tried before it is an error.
const TRIES: u32 = 100;

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// nothing, or a file or link that a rename replaces
    Replaceable,
    /// a directory, or a name that can only be one
    Directory,
    /// a pipe or a character device, or a descriptor of this process: opened and written, never replaced
    Stream,
    /// a socket
    Socket,
    /// a block device
    BlockDevice,
}

/// What `path` names. Links are followed to tell what is behind them, and replaced when they are written.
///
/// Errors: it cannot be looked at; that nothing is there is none.
pub fn read_place(path: &Path) -> io::Result<Place> {
    use std::os::unix::ffi::OsStrExt as _;
    if path.as_os_str().as_bytes().ends_with(b"/") {
        return Ok(Place::Directory);
    }
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.file_name().is_some() => return Ok(Place::Replaceable),
        Err(e) => return Err(e),
        Ok(_) => {}
    }
    // A link to nothing, or in a circle, is replaced as any other.
    let Ok(behind) = fs::metadata(path) else { return Ok(Place::Replaceable) };
    let kind = behind.file_type();
    Ok(match () {
        () if kind.is_dir() => Place::Directory,
        () if kind.is_fifo() || kind.is_char_device() => Place::Stream,
        () if kind.is_socket() => Place::Socket,
        () if kind.is_block_device() => Place::BlockDevice,
        // /dev/stdout and /dev/fd/1 are links to a file that is open already.
        () if is_below(path, "/dev") || is_below(path, "/proc") => Place::Stream,
        () => Place::Replaceable,
    })
}

fn is_below(path: &Path, dir: &str) -> bool {
    fs::canonicalize(parent(path)).is_ok_and(|parent| parent.starts_with(dir))
}

/// The directory of a file.
pub fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// A file that is being written beside its target. Dropped before [`Draft::keep`], it leaves nothing.
///
/// Its name cannot be guessed and it is made by O_EXCL and O_NOFOLLOW, so that nobody can put a link in its place; no
/// reader of the target sees half of it.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: PathBuf,
    target: PathBuf,
}

impl Draft {
    /// Errors: the directory of `target` takes no new file.
    pub fn begin(target: &Path) -> io::Result<Self> {
        let mut made = Err(io::Error::from(io::ErrorKind::AlreadyExists));
        for _ in 0..TRIES {
            // The keys of a RandomState are from the system's random numbers.
            let path = parent(target).join(format!(".sockbench-{:016x}", RandomState::new().hash_one(target)));
            made = OpenOptions::new()
                .write(true)
                .create_new(true)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&path)
                .map(|file| (file, path));
            if !matches!(&made, Err(e) if e.kind() == io::ErrorKind::AlreadyExists) {
                break;
            }
        }
        made.map(|(file, path)| Self { file, path, target: target.to_owned() })
    }

    /// Puts it in the place of its target. Errors: rename(2); then nothing is left of it.
    pub fn keep(self) -> io::Result<()> {
        fs::rename(&self.path, &self.target)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Nothing has this name after it was kept.
        let _ = fs::remove_file(&self.path);
    }
}

/// Why a pipe or a device did not take everything.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// nobody has opened the other end of a FIFO
    #[error("no reader opened this FIFO within {} s", READER_WAIT.as_secs())]
    NoReader,
    /// a reader that takes nothing
    #[error("its reader took nothing for {} s", STALL_WAIT.as_secs())]
    Stalled,
    /// open(2) or write(2)
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Writes to a [`Place::Stream`] and never waits for ever. A reader that has ended is no error.
pub fn write_stream(path: &Path, bytes: &[u8]) -> Result<(), StreamError> {
    let clock = Clock::start();
    let mut file = loop {
        // Appending leaves what a shell has put into the file behind /dev/stdout.
        match OpenOptions::new().append(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path) {
            Ok(file) => break file,
            // fifo(7): non-blocking, for writing, without a reader.
            Err(e) if e.raw_os_error() != Some(libc::ENXIO) => return Err(e.into()),
            Err(_) if clock.now().since(Stamp::ZERO) >= READER_WAIT => return Err(StreamError::NoReader),
            Err(_) => clock::sleep(LOOK_AGAIN),
        }
    };
    let (mut rest, mut progress) = (bytes, clock.now());
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            Ok(n) => (rest, progress) = (&rest[n..], clock.now()),
            Err(e) => match e.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::BrokenPipe => return Ok(()),
                io::ErrorKind::WouldBlock if clock.now().since(progress) >= STALL_WAIT => return Err(StreamError::Stalled),
                io::ErrorKind::WouldBlock => clock::sleep(LOOK_AGAIN),
                _ => return Err(e.into()),
            },
        }
    }
    Ok(())
}

/// Adds to a file, which is made where there is none; a FIFO without a reader is an error at once.
pub fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?.write_all(bytes)
}

/// A directory that only this process writes results into, until this is dropped or the process ends (flock(2)).
#[derive(Debug)]
pub struct Claim {
    // Its lock is the claim.
    _file: File,
    path: PathBuf,
}

/// Why a directory could not be claimed.
#[derive(Debug)]
pub enum ClaimError {
    /// what its holder says of itself; empty where it has not said anything yet
    Held(String),
    /// no claim can be made there
    Io(io::Error),
}

impl From<io::Error> for ClaimError {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

impl Claim {
    /// `who` is what the message of another run says.
    ///
    /// Errors: another process has it, and nothing was touched; or the directory takes no file.
    pub fn take(dir: &Path, who: &str) -> Result<Self, ClaimError> {
        let path = dir.join(CLAIM);
        for _ in 0..TRIES {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&path)?;
            if !file.metadata()?.is_file() {
                return Err(io::Error::other(format!("{CLAIM} is not a file")).into());
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut said = Vec::new();
                    file.take(CLAIM_BYTES).read_to_end(&mut said)?;
                    return Err(ClaimError::Held(String::from_utf8_lossy(&said).trim().to_owned()));
                }
                // A file system without locks: no claim is better than no run.
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(e)) => return Err(e.into()),
            }
            // The last holder may have removed the file between our open and our lock.
            let ours = file.metadata()?;
            if fs::symlink_metadata(&path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
                file.set_len(0)?;
                file.write_all(who.as_bytes())?;
                return Ok(Self { _file: file, path });
            }
        }
        Err(io::Error::from(io::ErrorKind::ResourceBusy).into())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // While the lock is still held: what is removed is our own.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_draft_is_whole_or_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("run.json");
        let mut draft = Draft::begin(&target).unwrap();
        draft.write_all(b"half").unwrap();
        drop(draft);
        assert!(names(dir.path()).is_empty());
        let mut draft = Draft::begin(&target).unwrap();
        draft.write_all(b"whole").unwrap();
        assert!(!target.exists());
        draft.keep().unwrap();
        assert_eq!((fs::read(&target).unwrap().as_slice(), names(dir.path()).len()), (b"whole".as_slice(), 1));
    }

    #[test]
    fn a_link_is_replaced_and_what_is_behind_it_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (precious, link) = (dir.path().join("precious"), dir.path().join("link"));
        fs::write(&precious, "mine").unwrap();
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        let mut draft = Draft::begin(&link).unwrap();
        draft.write_all(b"result").unwrap();
        draft.keep().unwrap();
        assert_eq!(fs::read_to_string(&precious).unwrap(), "mine");
        assert_eq!(fs::read_to_string(&link).unwrap(), "result");
        // Nor does a claim follow one.
        std::os::unix::fs::symlink(&precious, dir.path().join(CLAIM)).unwrap();
        assert!(matches!(Claim::take(dir.path(), "us"), Err(ClaimError::Io(_))));
        assert_eq!(fs::read_to_string(&precious).unwrap(), "mine");
    }

    #[test]
    fn a_directory_has_one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Claim::take(dir.path(), "the first").unwrap();
        assert!(matches!(Claim::take(dir.path(), "the second"), Err(ClaimError::Held(who)) if who == "the first"));
        drop(first);
        assert!(names(dir.path()).is_empty());
        // What a killed process leaves is not locked.
        fs::write(dir.path().join(CLAIM), "a process that was killed, with a long name").unwrap();
        let _third = Claim::take(dir.path(), "us").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(CLAIM)).unwrap(), "us");
    }

    #[test]
    fn what_a_path_names() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("nothing", at("dangling")).unwrap();
        fs::write(at("file"), "").unwrap();
        for (path, place) in [
            (at("new"), Place::Replaceable),
            (at("file"), Place::Replaceable),
            (at("dangling"), Place::Replaceable),
            (at("."), Place::Directory),
            (at("new/"), Place::Directory),
            (at("fifo"), Place::Stream),
            (at("socket"), Place::Socket),
            ("/dev/full".into(), Place::Stream),
            ("/dev/stdout".into(), Place::Stream),
        ] {
            assert_eq!(read_place(&path).unwrap(), place, "{}", path.display());
        }
        assert!(read_place(&at(&"n".repeat(300))).is_err() && read_place(&at("file/below")).is_err());
        assert!(read_place(Path::new("")).is_err());
    }

    #[test]
    fn a_reader_that_stays_away_ends_the_wait() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(write_stream(&fifo, b"x"), Err(StreamError::NoReader)));
        // Longer than a pipe holds, so that the writer has to wait for the reader.
        let long = vec![b'x'; 300_000];
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || fs::read(fifo).unwrap().len()
        });
        write_stream(&fifo, &long).unwrap();
        assert_eq!(reader.join().unwrap(), long.len());
        // One that leaves early is no error.
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || File::open(fifo).map(drop).unwrap()
        });
        write_stream(&fifo, &long).unwrap();
        reader.join().unwrap();
    }
}
