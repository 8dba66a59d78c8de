//! The bindings to Python: one file for each Rust module, and what they share.

pub mod capture;
pub mod codec;
pub mod copy;
pub mod detect;
pub mod fd;
pub mod lines;
pub mod place;
pub mod plain;
pub mod publish;
pub mod query;
pub mod read;
pub mod redact;
pub mod truncate;

use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;

use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use rustix::io::Errno;

use crate::error::{Check, Error, Result};

use codec::Packing;

pyo3::import_exception!(maxstage.errors, Corrupt);

/// What errors call the two ends of a copy: file names, which need not be UTF-8.
#[derive(Clone, Copy)]
struct Names<'a> {
    source: &'a OsStr,
    target: &'a OsStr,
}

impl Default for Names<'_> {
    fn default() -> Self {
        Self { source: OsStr::new(""), target: OsStr::new("") }
    }
}

/// Runs a part of the data path with the GIL released; signal handlers run at every check.
fn detached<T: Send>(
    py: Python<'_>,
    names: Names<'_>,
    run: impl FnOnce(Check<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    let mut raised = None;
    let result = py.detach(|| {
        run(&mut || {
            Python::attach(run_signal_handlers).map_err(|error| {
                raised = Some(error);
                Error::Stopped
            })
        })
    });
    result.map_err(|error| match error {
        Error::Read(error) => os_error(&error, names.source),
        Error::Write(error) => os_error(&error, names.target),
        Error::Damaged(what) => Corrupt::new_err(what),
        Error::Stopped => raised.unwrap_or_else(|| PyRuntimeError::new_err("stopped")),
    })
}

fn run_signal_handlers(py: Python<'_>) -> PyResult<()> {
    py.check_signals()
}

/// Creates an `OSError` with errno and file name: Python picks the subclass by errno.
fn os_error(error: &io::Error, name: &OsStr) -> PyErr {
    match error.raw_os_error() {
        None => PyOSError::new_err(error.to_string()),
        Some(code) => Python::attach(|py| {
            let text = py
                .import("os")
                .and_then(|os| os.call_method1("strerror", (code,)))
                .and_then(|text| text.extract::<String>())
                .unwrap_or_else(|_| error.to_string());
            PyOSError::new_err((code, text, name.to_owned()))
        }),
    }
}

/// Borrows a descriptor that the Python caller owns; `name` is what errors call it.
fn borrow<'fd>(fd: i32, name: &OsStr) -> PyResult<BorrowedFd<'fd>> {
    if fd < 0 {
        // The kernel would return the same error, but borrowing -1 is undefined behavior.
        return Err(os_error(&Errno::BADF.into(), name));
    }
    // SAFETY: it is not -1, and the caller keeps it open for the length of the call, as the stub demands.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}
