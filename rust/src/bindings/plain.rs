use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::plain;

/// Makes a text plain while it streams by.
#[pyclass(module = "maxstage._core")]
pub struct Plain {
    inner: plain::Plain,
}

#[pymethods]
impl Plain {
    #[new]
    fn new() -> Self {
        Self { inner: plain::Plain::default() }
    }

    /// Take in the next part; return what is certain.
    #[pyo3(signature = (data, /))]
    fn feed<'py>(&mut self, py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
        let mut out = Vec::new();
        self.inner.feed(data, &mut out);
        PyBytes::new(py, &out)
    }

    /// Return what is held back of the last line.
    fn finish<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut out = Vec::new();
        self.inner.finish(&mut out);
        PyBytes::new(py, &out)
    }
}
