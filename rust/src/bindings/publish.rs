use std::ffi::OsString;
use std::os::fd::IntoRawFd;

use pyo3::prelude::*;

use super::os_error;
use crate::publish;

/// Create a claim and the part; return their descriptors, or None if the id is taken.
// The names were converted to the system's encoding for this call.
#[allow(clippy::needless_pass_by_value)]
#[pyfunction]
#[pyo3(signature = (claim, part, holders, /))]
pub fn claim(
    py: Python<'_>,
    claim: OsString,
    part: OsString,
    holders: Vec<OsString>,
) -> PyResult<Option<(i32, i32)>> {
    let made = py.detach(|| publish::claim(&claim, &part, &holders));
    let fds = made.map_err(|(error, name)| os_error(&error, &name))?;
    Ok(fds.map(|(lock, data)| (lock.into_raw_fd(), data.into_raw_fd())))
}

/// Rename each pair, in order.
// The names were converted to the system's encoding for this call.
#[allow(clippy::needless_pass_by_value)]
#[pyfunction]
#[pyo3(signature = (pairs, /))]
pub fn rename(py: Python<'_>, pairs: Vec<(OsString, OsString)>) -> PyResult<()> {
    py.detach(|| publish::rename(&pairs)).map_err(|(error, name)| os_error(&error, &name))
}
