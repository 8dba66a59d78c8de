//! Renaming without ever replacing: a file gets a name only if nothing has it.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

/// Gives the file `old` in the folder `from` the name `new` in the folder `to`, unless something has that name.
///
/// A file system that can't rename this way gets a second link, and loses the first; one without links is asked
/// whether the name is free, and then renames.
///
/// # Errors
/// [`Errno::EXIST`] if something has the name; else what the system says.
pub fn rename_new(from: BorrowedFd<'_>, old: &CStr, to: BorrowedFd<'_>, new: &CStr) -> Result<(), Errno> {
    match rustix::fs::renameat_with(from, old, to, new, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => by_link(from, old, to, new),
        renamed => renamed,
    }
}

/// As [`rename_new`], where the system can't do it in one step. Between the two steps the file has both names.
fn by_link(from: BorrowedFd<'_>, old: &CStr, to: BorrowedFd<'_>, new: &CStr) -> Result<(), Errno> {
    match rustix::fs::linkat(from, old, to, new, AtFlags::empty()) {
        Ok(()) => rustix::fs::unlinkat(from, old, AtFlags::empty()),
        Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP | Errno::MLINK) => {
            match rustix::fs::statat(to, new, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => rustix::fs::renameat(from, old, to, new),
                Err(errno) => Err(errno),
                Ok(_) => Err(Errno::EXIST),
            }
        }
        failed => failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_name_that_is_taken_stays() {
        let folder = std::env::temp_dir().join(format!("maxstage-place-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let dir = std::fs::File::open(&folder).unwrap();
        for rename in [rename_new, by_link] {
            std::fs::write(folder.join("a"), "a").unwrap();
            std::fs::write(folder.join("b"), "b").unwrap();
            assert_eq!(rename(dir.as_fd(), c"a", dir.as_fd(), c"b"), Err(Errno::EXIST));
            assert_eq!(rename(dir.as_fd(), c"gone", dir.as_fd(), c"c"), Err(Errno::NOENT));
            rename(dir.as_fd(), c"a", dir.as_fd(), c"c").unwrap();
            assert_eq!(std::fs::read(folder.join("c")).unwrap(), b"a");
            assert_eq!(std::fs::read(folder.join("b")).unwrap(), b"b");
            assert!(!folder.join("a").exists());
            std::fs::remove_file(folder.join("c")).unwrap();
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
