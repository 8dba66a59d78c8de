//! What the tests of several modules share.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::Result;

/// A file with `data`, at its beginning, that is gone when it is closed.
pub fn file_with(data: &[u8]) -> File {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("maxstage-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(data).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

/// All that is in `file`.
pub fn content(mut file: &File) -> Vec<u8> {
    let mut data = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut data).unwrap();
    data
}

/// A check that never says stop.
#[expect(clippy::unnecessary_wraps, reason = "it has the type of every check")]
pub fn go_on() -> Result<()> {
    Ok(())
}
