use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::truncate as cut;
use crate::truncate::{Ends, Limit, Strategy};
use crate::truncator;

/// A text after truncation, whether it was cut or short enough.
#[pyclass(module = "maxstage._core", frozen)]
pub struct Truncated {
    pub(super) inner: cut::Truncated,
}

#[pymethods]
impl Truncated {
    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner.content)
    }

    #[getter]
    fn original_size(&self) -> u64 {
        self.inner.original_size
    }

    #[getter]
    fn truncated(&self) -> bool {
        self.inner.truncated
    }

    #[getter]
    fn dropped_bytes(&self) -> u64 {
        self.inner.dropped_bytes
    }

    #[getter]
    fn dropped_lines(&self) -> u64 {
        self.inner.dropped_lines
    }
}

/// Truncates a text that is streamed.
#[pyclass(module = "maxstage._core")]
pub struct Truncator {
    inner: truncator::Truncator,
}

#[pymethods]
impl Truncator {
    #[new]
    #[pyo3(signature = (strategy, max_bytes, max_lines, /))]
    fn new(strategy: Strategy, max_bytes: usize, max_lines: u64) -> Self {
        Self { inner: truncator::Truncator::new(Limit { strategy, max_bytes, max_lines }) }
    }

    /// Take in the next part of the text.
    #[pyo3(signature = (data, /))]
    fn feed(&mut self, py: Python<'_>, data: &[u8]) {
        py.detach(|| self.inner.feed(data));
    }

    /// Return the text so far, cut to `max_bytes`, which is at most the truncator's own.
    #[pyo3(signature = (max_bytes, hint = None, /))]
    fn render(&self, max_bytes: usize, hint: Option<&str>) -> Truncated {
        Truncated { inner: self.inner.render(max_bytes, hint) }
    }

    #[getter]
    fn size(&self) -> u64 {
        self.inner.size()
    }

    #[getter]
    fn is_over(&self) -> bool {
        self.inner.is_over()
    }
}

/// Truncate a text that is in memory.
#[pyfunction]
#[pyo3(signature = (data, strategy, max_bytes, max_lines, hint = None, /))]
pub fn truncate(
    py: Python<'_>,
    data: &[u8],
    strategy: Strategy,
    max_bytes: usize,
    max_lines: u64,
    hint: Option<&str>,
) -> Truncated {
    let limit = Limit { strategy, max_bytes, max_lines };
    Truncated { inner: py.detach(|| truncator::truncate(data, limit, hint)) }
}

/// Truncate a text whose two ends are known; not for `summary`.
#[pyfunction]
#[pyo3(signature = (head, tail, size, lines, strategy, max_bytes, max_lines, hint = None, /))]
#[expect(
    clippy::too_many_arguments,
    reason = "the stub names them; a Python object for them would cost more"
)]
pub fn truncate_ends(
    head: &[u8],
    tail: &[u8],
    size: u64,
    lines: u64,
    strategy: Strategy,
    max_bytes: usize,
    max_lines: u64,
    hint: Option<&str>,
) -> PyResult<Truncated> {
    let limit = Limit { strategy, max_bytes, max_lines };
    if limit.strategy == Strategy::Summary {
        return Err(PyValueError::new_err("a summary needs all of the text"));
    }
    Ok(Truncated { inner: cut::truncate_ends(Ends { head, tail, size, lines }, limit, hint) })
}

impl FromPyObject<'_, '_> for Strategy {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let name = object.extract::<String>()?;
        Self::parse(&name).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            PyValueError::new_err(format!("'{name}' is not a strategy; use one of: {}", names.join(", ")))
        })
    }
}
