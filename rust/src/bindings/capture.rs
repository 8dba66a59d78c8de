use std::collections::BTreeMap;
use std::ffi::OsStr;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::copy::Writer;
use super::redact::{RedactionRules, redactor};
use super::truncate::Truncated;
use super::{Names, borrow, detached};
use crate::capture::{self, Masks, Stream};
use crate::copy;
use crate::truncate::{Limit, Strategy};

/// What errors call what is captured.
const OUTPUT: &str = "<output of the command>";

/// What may be held of one stream.
#[pyclass(module = "maxstage._core", frozen)]
pub struct StreamLimits {
    limit: Limit,
    keep_above: Option<u64>,
    plain: bool,
}

#[pymethods]
impl StreamLimits {
    #[new]
    #[pyo3(signature = (strategy, max_bytes, max_lines, keep_above, /, *, plain = false))]
    fn new(
        strategy: Strategy,
        max_bytes: usize,
        max_lines: u64,
        keep_above: Option<u64>,
        plain: bool,
    ) -> Self {
        Self { limit: Limit { strategy, max_bytes, max_lines }, keep_above, plain }
    }
}

/// Why `Capture.pump` came back.
#[pyclass(module = "maxstage._core", eq, eq_int, hash, frozen, rename_all = "SCREAMING_SNAKE_CASE")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// Both streams are at their end.
    End,
    /// stdout must be kept whole.
    KeepStdout,
    /// stderr must be kept whole.
    KeepStderr,
    /// The process has ended.
    Exited,
    /// The time is over.
    Timeout,
    /// Something came that is followed live.
    Data,
}

impl From<capture::Event> for Event {
    fn from(event: capture::Event) -> Self {
        match event {
            capture::Event::End => Self::End,
            capture::Event::Keep(0) => Self::KeepStdout,
            capture::Event::Keep(_) => Self::KeepStderr,
            capture::Event::Exited => Self::Exited,
            capture::Event::Timeout => Self::Timeout,
            capture::Event::Data => Self::Data,
        }
    }
}

/// Captures the output of one process.
#[pyclass(module = "maxstage._core")]
pub struct Capture {
    inner: capture::Capture,
    fds: [i32; 2],
    exit_fd: i32,
    writers: [Option<Py<Writer>>; 2],
}

#[pymethods]
impl Capture {
    #[new]
    #[pyo3(signature = (stdout, stderr, exit_fd, stdout_limits, stderr_limits, max_combined, /, *, live = 0))]
    fn new(
        stdout: i32,
        stderr: i32,
        exit_fd: i32,
        stdout_limits: &StreamLimits,
        stderr_limits: &StreamLimits,
        max_combined: u64,
        live: u64,
    ) -> PyResult<Self> {
        let both = [stdout_limits, stderr_limits];
        let streams = both.map(|limits| {
            let mut stream = Stream::new(limits.limit, limits.keep_above);
            if limits.plain {
                stream.make_plain();
            }
            stream
        });
        let limits = both.map(|limits| limits.limit.max_bytes as u64);
        let mut inner = capture::Capture::new(streams, limits, max_combined, live);
        let mut fds = [stdout, stderr];
        if stderr < 0 {
            inner.close(1);
            // Never read: the stream is closed. It only has to be a descriptor.
            fds = [stdout, stdout];
        }
        crate::fd::widen_pipe(borrow(stdout, OsStr::new(OUTPUT))?);
        Ok(Self { inner, fds, exit_fd, writers: [None, None] })
    }

    /// Mask secrets in what is read from now on.
    #[pyo3(signature = (literals, rules, /, *, everywhere))]
    fn mask(
        &mut self,
        literals: Vec<Vec<u8>>,
        rules: Option<&RedactionRules>,
        everywhere: bool,
    ) -> PyResult<()> {
        let (of_all, of_shown) = if everywhere { (rules, None) } else { (None, rules) };
        for (stream, literals) in [literals.clone(), literals].into_iter().enumerate() {
            // Made plain, a text may have secrets that it had not before.
            let shown = if self.inner.streams[stream].is_plain() {
                Some(redactor(literals.clone(), rules)?)
            } else {
                of_shown.map(|rules| redactor(Vec::new(), Some(rules))).transpose()?
            };
            let is_needed = !literals.is_empty() || of_all.is_some();
            let everywhere = is_needed.then(|| redactor(literals, of_all)).transpose()?;
            let masks = Masks { everywhere, shown };
            self.inner.mask(stream, masks);
        }
        Ok(())
    }

    /// Note that no more is read; what was held back comes with the next `pump`.
    fn close(&mut self) {
        for stream in 0..self.inner.streams.len() {
            self.inner.close(stream);
        }
    }

    /// Read until something happens, at most `timeout_ms` milliseconds; tell what.
    #[pyo3(signature = (timeout_ms, /))]
    fn pump(&mut self, py: Python<'_>, timeout_ms: u64) -> PyResult<Event> {
        let fds = [borrow(self.fds[0], OsStr::new(OUTPUT))?, borrow(self.fds[1], OsStr::new(OUTPUT))?];
        let exit = if self.exit_fd < 0 { None } else { Some(borrow(self.exit_fd, OsStr::new(OUTPUT))?) };
        let mut first = self.writers[0].as_ref().map(|writer| writer.borrow_mut(py));
        let mut second = self.writers[1].as_ref().map(|writer| writer.borrow_mut(py));
        let name = [&first, &second]
            .into_iter()
            .flatten()
            .map(|writer| writer.name.clone())
            .next()
            .unwrap_or_default();
        let mut writers = [None, None];
        for (slot, writer) in writers.iter_mut().zip([&mut first, &mut second]) {
            if let Some(writer) = writer {
                let file = borrow(writer.fd, &writer.name)?;
                *slot = Some((&mut writer.inner, file));
            }
        }
        let inner = &mut self.inner;
        let names = Names { source: OsStr::new(OUTPUT), target: &name };
        let event = detached(py, names, |check| inner.pump(fds, exit, &mut writers, timeout_ms, check))?;
        Ok(event.into())
    }

    /// Give a stream a writer: it gets all of it from the first byte.
    #[pyo3(signature = (stream, writer, /))]
    fn keep(&mut self, py: Python<'_>, stream: usize, writer: Py<Writer>) -> PyResult<()> {
        self.check(stream)?;
        {
            let mut writer = writer.borrow_mut(py);
            let (file, name) = (borrow(writer.fd, &writer.name)?, writer.name.clone());
            let (inner, target): (_, &mut copy::Writer) = (&mut self.inner, &mut writer.inner);
            let names = Names { target: &name, ..Names::default() };
            detached(py, names, |check| inner.keep(stream, target, file, check))?;
        }
        if let Some(slot) = self.writers.get_mut(stream) {
            *slot = Some(writer);
        }
        Ok(())
    }

    /// Note that a stream won't be kept whole.
    #[pyo3(signature = (stream, /))]
    fn never_keep(&mut self, stream: usize) -> PyResult<()> {
        self.check(stream)?;
        self.inner.never_keep(stream);
        if let Some(slot) = self.writers.get_mut(stream) {
            *slot = None;
        }
        Ok(())
    }

    /// The text of a stream so far, cut to `max_bytes`.
    #[pyo3(signature = (stream, max_bytes, hint = None, /))]
    fn render(&self, stream: usize, max_bytes: usize, hint: Option<&str>) -> PyResult<Truncated> {
        Ok(Truncated { inner: self.stream(stream)?.render(max_bytes, hint) })
    }

    /// How much of a stream was masked, by name.
    #[pyo3(signature = (stream, /, *, kept = false))]
    fn redacted(&self, stream: usize, kept: bool) -> PyResult<BTreeMap<&str, u64>> {
        Ok(self.stream(stream)?.redacted(kept))
    }

    /// Bytes of a stream so far, as they came.
    #[pyo3(signature = (stream, /))]
    fn size(&self, stream: usize) -> PyResult<u64> {
        Ok(self.stream(stream)?.size())
    }

    /// The bytes of a stream that have come since the last call, as they are shown.
    #[pyo3(signature = (stream, /))]
    fn take<'py>(&mut self, py: Python<'py>, stream: usize) -> PyResult<Bound<'py, PyBytes>> {
        self.check(stream)?;
        let taken = self.inner.streams.get_mut(stream).map(Stream::take_begun).unwrap_or_default();
        Ok(PyBytes::new(py, &taken))
    }

    /// The first bytes of a stream, from `start` to before `end`, as far as they have come and are kept.
    #[pyo3(signature = (stream, start, end, /))]
    fn head<'py>(
        &self,
        py: Python<'py>,
        stream: usize,
        start: usize,
        end: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let head = self.stream(stream)?.head();
        let end = end.min(head.len());
        // Nothing where `start` has not come yet.
        Ok(PyBytes::new(py, &head[start.min(end)..end]))
    }
}

impl Capture {
    fn stream(&self, stream: usize) -> PyResult<&Stream> {
        self.inner.streams.get(stream).ok_or_else(|| PyValueError::new_err("a stream is 0 or 1"))
    }

    fn check(&self, stream: usize) -> PyResult<()> {
        self.stream(stream).map(|_| ())
    }
}
