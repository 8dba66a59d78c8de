//! The hot paths of maxstage.
//!
//! Every module but `bindings` is plain Rust without Python, one per verb, and has a twin with the
//! same behaviour in `python/maxstage/_pure/`. Only `bindings` deals with Python: it converts
//! arguments, releases the GIL for the data path, and turns errors into exceptions.
//!
//! **What a line is**, here and in the twin: the bytes up to and including a `\n` (0x0A). A `\r` before
//! it belongs to the line. An unterminated rest at the end of the data is a line, too.

pub mod capture;
pub mod codec;
pub mod copy;
pub mod copy_offload;
pub mod detect;
pub mod error;
pub mod fd;
pub mod json;
pub mod lines;
pub mod observe;
pub mod place;
pub mod plain;
pub mod publish;
pub mod query;
pub mod read;
pub mod redact;
pub mod summary;
pub mod truncate;
pub mod truncator;

mod bindings;

// Its unwraps are those of tests; clippy allows them only inside test functions.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;

/// The compiled module, `maxstage._core`.
#[pyo3::pymodule]
mod _core {
    use pyo3::exceptions::PyRuntimeWarning;
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::bindings::capture::{Capture, Event, StreamLimits};
    #[pymodule_export]
    use crate::bindings::copy::Writer;
    #[pymodule_export]
    use crate::bindings::detect::content_type;
    #[pymodule_export]
    use crate::bindings::fd::sync_file_system;
    #[pymodule_export]
    use crate::bindings::lines::{count_newlines, crc32};
    #[pymodule_export]
    use crate::bindings::place::rename_new;
    #[pymodule_export]
    use crate::bindings::plain::Plain;
    #[pymodule_export]
    use crate::bindings::publish::{claim, rename};
    #[pymodule_export]
    use crate::bindings::query::{Elements, Scan};
    #[pymodule_export]
    use crate::bindings::read::Reader;
    #[pymodule_export]
    use crate::bindings::redact::{RedactionRules, Redactor};
    #[pymodule_export]
    use crate::bindings::truncate::{Truncated, Truncator, truncate, truncate_ends};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        if cfg!(debug_assertions) {
            let warning = c"this is a debug build of maxstage._core: many times slower; build with --release";
            PyErr::warn(module.py(), &module.py().get_type::<PyRuntimeWarning>(), warning, 1)?;
        }
        // Compared with the Python package's own version by `_backend.py`: a stale extension is refused.
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
