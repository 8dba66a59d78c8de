//! Data that was compressed is read back: all of it, any range, any line.
#![no_main]

use std::io::Write;
use std::os::fd::AsFd;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use maxstage_core::codec::Codec;
use maxstage_core::copy::Writer;
use maxstage_core::read::Reader;

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    zstd: bool,
    repeat: u16,
    start: u32,
    len: u32,
    line: u16,
    data: &'a [u8],
}

fuzz_target!(|case: Case<'_>| {
    let codec = if case.zstd { Codec::Zstd } else { Codec::Gzip };
    // Up to a few frames.
    let data = case.data.repeat(usize::from(case.repeat) + 1);
    let data = &data[..data.len().min(3 << 20)];
    let mut file = tempfile();
    file.flush().unwrap();
    let mut writer = Writer::new(Some(codec), false);
    let go_on = &mut || Ok(());
    writer.write(file.as_fd(), data, go_on).unwrap();
    writer.finish(file.as_fd(), go_on).unwrap();
    let index = writer.seen().line_index().clone();
    let mut reader = Reader::packed(codec, file.as_fd(), writer.stored_size(), Some(&index), go_on).unwrap();
    assert_eq!(reader.size(), data.len() as u64);
    let (start, end) = (u64::from(case.start), u64::from(case.start) + u64::from(case.len));
    let mut seen = Vec::new();
    let mut take = |chunk: &[u8], _: maxstage_core::error::Check<'_>| {
        seen.extend_from_slice(chunk);
        Ok(true)
    };
    reader.chunks(file.as_fd(), start, end, go_on, &mut take).unwrap();
    let within = |at: u64| usize::try_from(at).unwrap().min(data.len());
    assert_eq!(seen, data[within(start)..within(end)]);
    let line = u64::from(case.line) + 1;
    let expected = if line == 1 {
        0
    } else {
        let newline = data.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(usize::from(case.line) - 1);
        newline.map_or(data.len(), |(at, _)| at + 1)
    };
    assert_eq!(reader.line_offset(file.as_fd(), line, go_on).unwrap(), expected as u64);
});

fn tempfile() -> std::fs::File {
    let path = std::env::temp_dir().join(format!("maxstage-fuzz-{}", std::process::id()));
    let file = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}
