//! A file that is none of ours, or was altered, is refused or read: nothing panics, and nothing is held that it only claims.
#![no_main]

use std::io::Write;
use std::os::fd::AsFd;

use libfuzzer_sys::fuzz_target;
use maxstage_core::codec::Codec;
use maxstage_core::read::Reader;

fuzz_target!(|data: &[u8]| {
    let path = std::env::temp_dir().join(format!("maxstage-fuzz-{}", std::process::id()));
    let mut file =
        std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(data).unwrap();
    let go_on = &mut || Ok(());
    for codec in Codec::ALL {
        let Ok(mut reader) = Reader::packed(codec, file.as_fd(), data.len() as u64, None, go_on) else { continue };
        let mut size = 0;
        let mut take = |chunk: &[u8], _: maxstage_core::error::Check<'_>| {
            size += chunk.len() as u64;
            Ok(true)
        };
        if reader.chunks(file.as_fd(), 0, u64::MAX, go_on, &mut take).is_ok() {
            assert_eq!(size, reader.size());
        }
        let _ = reader.line_offset(file.as_fd(), 3, go_on);
        let _ = reader.tail_offset(file.as_fd(), 3, go_on);
    }
});
