use std::convert::Infallible;

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::detect::{self, ContentType};

/// Detect `ndjson`, `json` or `text` from the first bytes of the data.
#[pyfunction]
#[pyo3(signature = (prefix, /, *, whole, lines, last_nonblank))]
pub fn content_type(prefix: &[u8], whole: bool, lines: u64, last_nonblank: Option<u8>) -> ContentType {
    detect::content_type(prefix, whole, lines, last_nonblank)
}

impl<'py> IntoPyObject<'py> for ContentType {
    type Target = PyString;
    type Output = Bound<'py, PyString>;
    type Error = Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Infallible> {
        Ok(PyString::intern(py, self.name()))
    }
}
