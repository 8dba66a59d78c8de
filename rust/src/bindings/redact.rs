use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::redact;
use crate::redact::rules::{Row, Rules};

/// What a credential looks like.
#[pyclass(module = "maxstage._core", frozen)]
pub struct RedactionRules {
    inner: Arc<Rules>,
}

/// A row of the table: see the stub.
type Given = (String, Vec<String>, Vec<String>, bool, String, String, usize, String, bool);

#[pymethods]
impl RedactionRules {
    #[new]
    #[pyo3(signature = (rows, /))]
    fn new(rows: Vec<Given>) -> PyResult<Self> {
        let rows: Vec<Row> = rows
            .into_iter()
            .map(|(name, anchors, before, edge, lead, secret, tail, check, block)| Row {
                name,
                anchors,
                before,
                edge,
                lead,
                secret,
                tail,
                check,
                block,
            })
            .collect();
        Ok(Self { inner: Arc::new(Rules::new(&rows).map_err(PyValueError::new_err)?) })
    }
}

/// Masks secrets in a text that streams by.
#[pyclass(module = "maxstage._core")]
pub struct Redactor {
    pub(super) inner: redact::Redactor,
}

#[pymethods]
impl Redactor {
    #[new]
    #[pyo3(signature = (literals, rules = None, /))]
    fn new(literals: Vec<Vec<u8>>, rules: Option<&RedactionRules>) -> PyResult<Self> {
        Ok(Self { inner: redactor(literals, rules)? })
    }

    /// Take in the next part of the text; return what is decided.
    #[pyo3(signature = (data, /))]
    fn feed<'py>(&mut self, py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
        let decided = py.detach(|| self.inner.feed(data));
        PyBytes::new(py, &decided)
    }

    /// Return the rest: the text is at its end.
    fn finish<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let rest = py.detach(|| self.inner.finish());
        PyBytes::new(py, &rest)
    }

    /// How much was masked, by name.
    #[getter]
    fn counts(&self) -> BTreeMap<String, u64> {
        self.inner.counts().map(|(name, count)| (name.to_owned(), count)).collect()
    }
}

pub(super) fn redactor(literals: Vec<Vec<u8>>, rules: Option<&RedactionRules>) -> PyResult<redact::Redactor> {
    let rules = rules.map(|rules| Arc::clone(&rules.inner));
    redact::Redactor::new(literals, rules).map_err(PyValueError::new_err)
}
