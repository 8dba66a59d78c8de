use std::ffi::OsString;
use std::num::NonZeroU64;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{Names, Packing, borrow, detached};
use crate::error::Check;
use crate::observe::LineIndex;
use crate::read;

/// Reads one item from a file descriptor.
#[pyclass(module = "maxstage._core")]
pub struct Reader {
    pub(super) inner: read::Reader,
    pub(super) fd: i32,
    pub(super) name: OsString,
}

#[pymethods]
impl Reader {
    #[new]
    #[pyo3(signature = (fd, name, /, *, file_size, codec = Packing(None), line_index = None), text_signature = "(fd, name, /, *, file_size, codec='none', line_index=None)")]
    fn new(
        py: Python<'_>,
        fd: i32,
        name: OsString,
        file_size: u64,
        codec: Packing,
        line_index: Option<(u64, Vec<u64>)>,
    ) -> PyResult<Self> {
        let index = line_index.map(|(block, counts)| LineIndex::from_parts(block, counts));
        let inner = match codec {
            Packing(None) => read::Reader::plain(file_size, index.as_ref()),
            Packing(Some(codec)) => {
                let file = borrow(fd, &name)?;
                let names = Names { source: &name, ..Names::default() };
                detached(py, names, |check| {
                    read::Reader::packed(codec, file, file_size, index.as_ref(), check)
                })?
            }
        };
        Ok(Self { inner, fd, name })
    }

    #[getter]
    fn size(&self) -> u64 {
        self.inner.size()
    }

    /// Return where line `number` begins.
    #[pyo3(signature = (number, /))]
    fn line_offset(&mut self, py: Python<'_>, number: u64) -> PyResult<u64> {
        self.run(py, |inner, file, check| inner.line_offset(file, number, check))
    }

    /// Return where the last `count` lines begin.
    #[pyo3(signature = (count, /))]
    fn tail_offset(&mut self, py: Python<'_>, count: u64) -> PyResult<u64> {
        self.run(py, |inner, file, check| inner.tail_offset(file, count, check))
    }

    /// Return the bytes from `start` up to `end`.
    #[pyo3(signature = (start, end, /))]
    fn read<'py>(&mut self, py: Python<'py>, start: u64, end: u64) -> PyResult<Bound<'py, PyBytes>> {
        let data = self.run(py, |inner, file, check| {
            let mut data = Vec::new();
            inner.chunks(file, start, end, check, &mut |chunk, _| {
                data.extend_from_slice(chunk);
                Ok(true)
            })?;
            Ok(data)
        })?;
        Ok(PyBytes::new(py, &data))
    }

    /// Write the bytes from `start` up to `end` to `target`; return `crc` updated with them.
    // The name was converted to the system's encoding for this call.
    #[allow(clippy::needless_pass_by_value)]
    #[pyo3(signature = (target, start, end, name, /, *, crc = 0))]
    fn copy_to(
        &mut self,
        py: Python<'_>,
        target: i32,
        start: u64,
        end: u64,
        name: OsString,
        crc: u32,
    ) -> PyResult<u32> {
        let (file, out) = (borrow(self.fd, &self.name)?, borrow(target, &name)?);
        let (inner, source) = (&mut self.inner, self.name.as_os_str());
        detached(py, Names { source, target: &name }, |check| {
            let mut crc = crc32fast::Hasher::new_with_initial(crc);
            inner.copy_to(file, out, (start, end), &mut crc, check)?;
            Ok(crc.finalize())
        })
    }

    /// Return `crc` updated with the bytes from `start` up to `end`, and the newlines in each `block` bytes.
    #[pyo3(signature = (start, end, block, /, *, crc = 0))]
    fn measure(
        &mut self,
        py: Python<'_>,
        start: u64,
        end: u64,
        block: NonZeroU64,
        crc: u32,
    ) -> PyResult<(u32, Vec<u64>)> {
        self.run(py, |inner, file, check| {
            let mut crc = crc32fast::Hasher::new_with_initial(crc);
            let counts = inner.measure(file, (start, end), block, &mut crc, check)?;
            Ok((crc.finalize(), counts))
        })
    }
}

impl Reader {
    fn run<T: Send>(
        &mut self,
        py: Python<'_>,
        work: impl FnOnce(&mut read::Reader, std::os::fd::BorrowedFd<'_>, Check<'_>) -> crate::error::Result<T>
        + Send,
    ) -> PyResult<T> {
        let file = borrow(self.fd, &self.name)?;
        let (inner, source) = (&mut self.inner, self.name.as_os_str());
        detached(py, Names { source, ..Names::default() }, |check| work(inner, file, check))
    }
}
