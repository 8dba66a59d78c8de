use std::ffi::OsString;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{Names, Packing, borrow, detached};
use crate::copy;
use crate::detect::ContentType;

/// Writes one item to a file descriptor.
#[pyclass(module = "maxstage._core")]
pub struct Writer {
    pub(super) inner: copy::Writer,
    pub(super) fd: i32,
    pub(super) name: OsString,
}

#[pymethods]
impl Writer {
    #[new]
    #[pyo3(signature = (fd, name, /, *, codec = Packing(None), sync = false), text_signature = "(fd, name, /, *, codec='none', sync=False)")]
    fn new(fd: i32, name: OsString, codec: Packing, sync: bool) -> Self {
        Self { inner: copy::Writer::new(codec.0, sync), fd, name }
    }

    /// Write `data`.
    #[pyo3(signature = (data, /))]
    fn write(&mut self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        let Self { inner, fd, name } = self;
        let out = borrow(*fd, name)?;
        detached(py, Names { target: name, ..Names::default() }, |check| inner.write(out, data, check))
    }

    /// Copy from a descriptor until its end or `limit` bytes; true at the end.
    // The name was converted to the system's encoding for this call.
    #[allow(clippy::needless_pass_by_value)]
    #[pyo3(signature = (source, limit, name, /))]
    fn copy_from(&mut self, py: Python<'_>, source: i32, limit: u64, name: OsString) -> PyResult<bool> {
        let (out, from) = (borrow(self.fd, &self.name)?, borrow(source, &name)?);
        let (inner, target) = (&mut self.inner, self.name.as_os_str());
        detached(py, Names { source: &name, target }, |check| inner.copy_from(out, from, limit, check))
    }

    /// Write what is pending; nothing may be written after it.
    fn finish(&mut self, py: Python<'_>) -> PyResult<()> {
        let Self { inner, fd, name } = self;
        let out = borrow(*fd, name)?;
        detached(py, Names { target: name, ..Names::default() }, |check| inner.finish(out, check))
    }

    #[getter]
    fn byte_size(&self) -> u64 {
        self.inner.seen().byte_size()
    }

    #[getter]
    fn stored_size(&self) -> u64 {
        self.inner.stored_size()
    }

    #[getter]
    fn line_count(&self) -> u64 {
        self.inner.seen().line_count()
    }

    #[getter]
    fn crc32(&self) -> u32 {
        self.inner.seen().crc32()
    }

    #[getter]
    fn prefix<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.seen().prefix())
    }

    #[getter]
    fn line_index(&self) -> (u64, Vec<u64>) {
        let index = self.inner.seen().line_index();
        (index.block, index.counts.clone())
    }

    #[getter]
    fn content_type(&self) -> ContentType {
        self.inner.seen().content_type()
    }
}
