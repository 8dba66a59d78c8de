use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::codec::Codec;

/// How data is compressed: a codec by its name, or `none`.
#[derive(Clone, Copy)]
pub struct Packing(pub Option<Codec>);

impl FromPyObject<'_, '_> for Packing {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let name = object.extract::<String>()?;
        if name == Codec::NONE {
            return Ok(Self(None));
        }
        let codec = Codec::ALL.into_iter().find(|codec| codec.name() == name);
        codec.map(|codec| Self(Some(codec))).ok_or_else(|| {
            let names = Codec::ALL.map(Codec::name).join(", ");
            PyValueError::new_err(format!("{name:?} is not a codec; use one of: {}, {names}", Codec::NONE))
        })
    }
}
