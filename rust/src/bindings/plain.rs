use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::plain;

/// Makes a streamed text plain.
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

    /// Take the next part of the text; return what is final.
    #[pyo3(signature = (data, /))]
    fn feed<'py>(&mut self, py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
        let mut out = Vec::new();
        self.inner.feed(data, &mut out);
        PyBytes::new(py, &out)
    }

    /// Return what was held back of the last line.
    fn finish<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut out = Vec::new();
        self.inner.finish(&mut out);
        PyBytes::new(py, &out)
    }
}
