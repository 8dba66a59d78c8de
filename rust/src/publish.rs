//! The first and the last step of writing an item, each a handful of system calls in one go: otherwise many threads
//! staging small items would spend their time passing Python's GIL around.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

/// An error and the file that it is about.
pub type Failure = (io::Error, OsString);

/// Reserves an id: creates `claim` exclusively, locks it, and creates `part`. `None` if `claim` or one of `holders`
/// exists.
///
/// # Errors
/// The system's error and the file that it is about; then neither file is left.
pub fn claim(
    claim: &OsStr,
    part: &OsStr,
    holders: &[OsString],
) -> Result<Option<(OwnedFd, OwnedFd)>, Failure> {
    let of = |name: &OsStr| {
        let name = name.to_owned();
        move |errno: Errno| (errno.into(), name)
    };
    let lock = match create(claim) {
        Err(Errno::EXIST) => return Ok(None),
        made => made.map_err(of(claim))?,
    };
    let taken = rustix::fs::flock(&lock, FlockOperation::LockExclusive)
        .map_err(of(claim))
        // Check after the exclusive creation: an id in use moves from one of these names to the next, in this order.
        .and_then(|()| {
            if holders.iter().any(exists) { Ok(None) } else { create(part).map(Some).map_err(of(part)) }
        });
    match taken {
        Ok(Some(data)) => Ok(Some((lock, data))),
        failed => {
            // The claim is ours. If it can't be removed, a sweep will do so, since its lock ends with this process.
            let _ = rustix::fs::unlink(claim);
            failed.map(|_| None)
        }
    }
}

/// Returns whether anything has this name.
fn exists(name: &OsString) -> bool {
    rustix::fs::lstat(name).is_ok()
}

fn create(name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDWR;
    rustix::fs::open(name, flags, Mode::RUSR | Mode::WUSR)
}

/// Renames each pair, in order.
///
/// # Errors
/// The system's error for the first file that it can't rename, and its name.
pub fn rename(pairs: &[(OsString, OsString)]) -> Result<(), Failure> {
    pairs
        .iter()
        .try_for_each(|(from, to)| rustix::fs::rename(from, to).map_err(|errno| (errno.into(), from.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_once() {
        let folder = std::env::temp_dir().join(format!("maxstage-claim-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let name = |name: &str| folder.join(name).into_os_string();
        let holders = [name("meta")];
        let first = claim(&name("claim"), &name("part"), &holders).unwrap();
        assert!(first.is_some());
        assert!(claim(&name("claim"), &name("part"), &holders).unwrap().is_none());
        rename(&[(name("part"), name("data")), (name("claim"), name("meta"))]).unwrap();
        assert!(claim(&name("claim"), &name("part"), &holders).unwrap().is_none());
        assert!(!exists(&name("claim")));
        assert_eq!(rename(&[(name("gone"), name("x"))]).unwrap_err().1, name("gone"));
        assert!(claim(&name("no/claim"), &name("part"), &[]).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
