//! What the data path is measured against: the least that must be done, with no Python and no safety.
//!
//! - `limit stage OUT < PIPE`: read a pipe, count its newlines, take the same CRC-32, write a file.
//! - `limit retrieve FILE > PIPE`: splice a file into a pipe, and take its CRC-32.
//!
//! `benches/run.py` builds and runs it.

use std::fs::File;
use std::io::{self, Read, Write};

/// One read: as in the data path itself.
const CHUNK: usize = 256 * 1024;
/// What a pipe is widened to.
const PIPE: usize = 1024 * 1024;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["stage", out] => stage(out),
        ["retrieve", file] => retrieve(file),
        _ => Err(io::Error::other("usage: limit stage OUT | limit retrieve FILE")),
    }
}

fn stage(out: &str) -> io::Result<()> {
    let mut source = io::stdin().lock();
    // A refusal leaves a slower pipe.
    let _ = rustix::pipe::fcntl_setpipe_size(&source, PIPE);
    let mut out = File::create(out)?;
    let (mut buffer, mut newlines, mut crc) = (vec![0; CHUNK], 0, crc32fast::Hasher::new());
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        newlines += memchr::memchr_iter(b'\n', &buffer[..count]).count();
        crc.update(&buffer[..count]);
        out.write_all(&buffer[..count])?;
    }
    println!("{newlines} {:08x}", crc.finalize());
    Ok(())
}

fn retrieve(file: &str) -> io::Result<()> {
    let (file, out) = (File::open(file)?, io::stdout());
    let _ = rustix::pipe::fcntl_setpipe_size(&out, PIPE);
    let (mut buffer, mut at, mut crc) = (vec![0; CHUNK], 0, crc32fast::Hasher::new());
    loop {
        let count = rustix::io::pread(&file, &mut buffer, at)?;
        if count == 0 {
            break;
        }
        crc.update(&buffer[..count]);
        let (mut offset, end) = (at, at + count as u64);
        while offset < end {
            let flags = rustix::pipe::SpliceFlags::empty();
            let left = usize::try_from(end - offset).map_err(io::Error::other)?;
            rustix::pipe::splice(&file, Some(&mut offset), &out, None, left, flags)?;
        }
        at = end;
    }
    eprintln!("{:08x}", crc.finalize());
    Ok(())
}
