//! Files of /proc and /sys: text whose length the kernel does not say beforehand.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Room for the longest of the files that are read again and again (/proc/net/netstat), bytes.
const ROOM: usize = 8192;

/// The content of a file. One read takes what there is, and a second one finds the end; [`std::fs::read_to_string`] begins with
/// 32 bytes and doubles, because the file says that its length is 0.
///
/// Errors: open(2), read(2); it is no UTF-8.
pub(super) fn read(path: impl AsRef<Path>) -> io::Result<String> {
    // One copy of the code for all kinds of paths.
    fn read_of(path: &Path) -> io::Result<String> {
        let mut text = String::with_capacity(ROOM);
        // A file that is taken from is not asked for its length.
        File::open(path)?.take(u64::MAX).read_to_string(&mut text)?;
        Ok(text)
    }
    read_of(path.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_file_is_read_however_long_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("text");
        for length in [0, 1, ROOM - 1, ROOM, ROOM + 1, 5 * ROOM] {
            let text = "x".repeat(length);
            std::fs::write(&file, &text).unwrap();
            assert!(read(&file).unwrap() == text, "{length}");
        }
        assert!(read("/proc/self/status").unwrap().contains("\nThreads:"));
        assert_eq!(read(dir.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
