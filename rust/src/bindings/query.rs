use memchr::memmem::Finder;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::read::Reader;
use super::{Names, borrow, detached};
use crate::query::decimal::Decimal;
use crate::query::elements;
use crate::query::like::{Like, Piece};
use crate::query::plan::{Kind, Plan, Wanted};
use crate::query::scan;
use crate::query::shapes::Shape;
use crate::query::test::{Operator, Test};
use crate::query::walk::{Fields, Part};

/// What `maxstage.query.plan.Plan` says.
#[derive(FromPyObject)]
#[allow(clippy::struct_excessive_bools, reason = "they are the attributes of the Python class")]
struct PlanArgs<'py> {
    is_json: bool,
    fields: Vec<Bound<'py, PyTuple>>,
    test: Option<Bound<'py, PyTuple>>,
    contains: Vec<Vec<u8>>,
    regex: Option<String>,
    needles: Vec<Vec<u8>>,
    escapes: bool,
    wanted: String,
    field: usize,
    columns: Option<Vec<(Vec<u8>, usize)>>,
    skip: u64,
    most: u64,
    count_rest: bool,
    numbered: bool,
}

impl PlanArgs<'_> {
    fn plan(self) -> PyResult<Plan> {
        let paths = self.fields.iter().map(path_of).collect::<PyResult<Vec<_>>>()?;
        let finders = |texts: Vec<Vec<u8>>| texts.iter().map(|text| Finder::new(text).into_owned()).collect();
        Ok(Plan {
            kind: if self.is_json { Kind::Json } else { Kind::Line },
            line_field: Plan::line_field_of(&paths),
            fields: Fields::new(&paths),
            test: self.test.as_ref().map(test_of).transpose()?,
            contains: finders(self.contains),
            regex: self.regex.as_deref().map(regex_of).transpose()?,
            needles: finders(self.needles),
            escapes: self.escapes,
            wanted: match self.wanted.as_str() {
                "count" => Wanted::Count,
                "records" => Wanted::Records,
                "shapes" => Wanted::Shapes,
                "kinds" => Wanted::Kinds,
                "groups" => Wanted::Groups(self.field),
                "ascending" => Wanted::Sorted { field: self.field, descending: false },
                "descending" => Wanted::Sorted { field: self.field, descending: true },
                other => return Err(unknown(other)),
            },
            columns: self.columns,
            skip: self.skip,
            most: self.most,
            count_rest: self.count_rest,
            numbered: self.numbered,
        })
    }
}

fn unknown(word: &str) -> PyErr {
    PyValueError::new_err(format!("not a part of a plan: {word}"))
}

fn regex_of(text: &str) -> PyResult<regex::bytes::Regex> {
    regex::bytes::Regex::new(text).map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default().trim();
        PyValueError::new_err(last.strip_prefix("error: ").unwrap_or(last).to_owned())
    })
}

fn path_of(path: &Bound<'_, PyTuple>) -> PyResult<Vec<Part>> {
    let part = |part: Bound<'_, PyAny>| match part.extract::<usize>() {
        Ok(item) => Ok(Part::Item(item)),
        Err(_) => Ok(Part::Key(part.extract()?)),
    };
    path.iter().map(part).collect()
}

fn test_of(test: &Bound<'_, PyTuple>) -> PyResult<Test> {
    let inner = |at: usize| -> PyResult<Bound<'_, PyTuple>> { Ok(test.get_item(at)?.cast_into()?) };
    let tests =
        || -> PyResult<Vec<Test>> { inner(1)?.iter().map(|one| test_of(&one.cast_into()?)).collect() };
    let field = || test.get_item(1)?.extract::<usize>();
    match test.get_item(0)?.extract::<String>()?.as_str() {
        "and" => Ok(Test::All(tests()?)),
        "or" => Ok(Test::Any(tests()?)),
        "not" => Ok(Test::Not(Box::new(test_of(&inner(1)?)?))),
        "null" => Ok(Test::Null(field()?)),
        "like" => Ok(Test::Like(field()?, Box::new(like_of(&inner(2)?)?))),
        "cmp" => {
            let operator = match test.get_item(2)?.extract::<String>()?.as_str() {
                "=" => Operator::Equal,
                "<" => Operator::Less,
                "<=" => Operator::AtMost,
                ">" => Operator::Greater,
                ">=" => Operator::AtLeast,
                other => return Err(unknown(other)),
            };
            let number = test.get_item(4)?.extract::<Option<Vec<u8>>>()?;
            let number = number.map(|number| Decimal::new(&number));
            Ok(Test::Compare(field()?, operator, test.get_item(3)?.extract()?, number))
        }
        other => Err(unknown(other)),
    }
}

fn like_of(parts: &Bound<'_, PyTuple>) -> PyResult<Like> {
    let (mut rows, mut row) = (Vec::new(), Vec::new());
    for part in parts {
        match part.extract::<String>().as_deref() {
            Ok("*") => rows.push(std::mem::take(&mut row)),
            Ok(_) => row.push(Piece::One),
            Err(_) => row.push(Piece::Text(part.extract()?)),
        }
    }
    rows.push(row);
    Ok(Like::new(rows))
}

/// Looks through records that come bit by bit.
#[pyclass(module = "maxstage._core")]
pub struct Scan {
    inner: scan::Scan,
}

#[pymethods]
impl Scan {
    #[new]
    #[pyo3(signature = (plan, /))]
    fn new(plan: PlanArgs<'_>) -> PyResult<Self> {
        Ok(Self { inner: scan::Scan::new(plan.plan()?) })
    }

    /// Begin with other data.
    #[pyo3(signature = (offset = 0, lines = 0, /))]
    fn begin(&mut self, offset: u64, lines: u64) {
        self.inner.begin(offset, lines);
    }

    /// Look at more data.
    #[pyo3(signature = (data, /))]
    fn feed(&mut self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        let inner = &mut self.inner;
        detached(py, Names::default(), |check| inner.feed(data, check))
    }

    /// Look at the data of a reader from `start` to before `end`.
    #[pyo3(signature = (reader, start, end, /))]
    fn read(&mut self, py: Python<'_>, reader: &Reader, start: u64, end: u64) -> PyResult<()> {
        let file = borrow(reader.fd, &reader.name)?;
        let (inner, source, stored) = (&mut self.inner, reader.name.as_os_str(), &reader.inner);
        detached(py, Names { source, ..Names::default() }, |check| {
            inner.read(file, stored, (start, end), check)
        })
    }

    /// Look at a last line that nothing ends.
    fn finish(&mut self) {
        self.inner.finish();
    }

    /// Take the records given since: the number of the line of each, where it begins, and the record.
    fn take<'py>(&mut self, py: Python<'py>) -> Vec<(u64, u64, Bound<'py, PyBytes>)> {
        let mut at = 0;
        let text = std::mem::take(&mut self.inner.text);
        let given = std::mem::take(&mut self.inner.given);
        let record = |one: scan::Given| {
            // Without its newline.
            let record = text.get(at..one.text_end.saturating_sub(1)).unwrap_or_default();
            at = one.text_end;
            (one.line, one.start, PyBytes::new(py, record))
        };
        given.into_iter().map(record).collect()
    }

    /// Take the records given since: what each is sorted by, and the record.
    fn take_sorted<'py>(&mut self, py: Python<'py>) -> Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let mut at = 0;
        let text = std::mem::take(&mut self.inner.text);
        let given = std::mem::take(&mut self.inner.given);
        let record = |one: scan::Given| {
            let record = text.get(at..one.text_end.saturating_sub(1)).unwrap_or_default();
            at = one.text_end;
            (PyBytes::new(py, &one.key), PyBytes::new(py, record))
        };
        given.into_iter().map(record).collect()
    }

    /// Take the records given since, each with a newline.
    fn take_text<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.inner.given.clear();
        PyBytes::new(py, &std::mem::take(&mut self.inner.text))
    }

    /// Take what was counted by value since: kind, text and count.
    fn take_groups<'py>(&mut self, py: Python<'py>) -> Vec<(&'static str, Bound<'py, PyBytes>, u64)> {
        let groups = self.inner.take_groups().into_iter();
        groups.map(|(kind, text, count)| (kind, PyBytes::new(py, &text), count)).collect()
    }

    /// Take what was described since: of each field its names, the counts of its types, ranges, distinct values, examples.
    fn take_shapes<'py>(&mut self, py: Python<'py>) -> PyResult<(bool, Vec<Bound<'py, PyTuple>>)> {
        let shapes = self.inner.take_shapes();
        let bytes = |text: &Vec<u8>| PyBytes::new(py, text);
        let field = |(path, shape): (Vec<Option<Vec<u8>>>, &Shape)| {
            let Shape { types, numbers, texts, distinct, examples } = shape;
            let range = |range: &Option<[(Vec<u8>, Vec<u8>); 2]>| {
                range.as_ref().map(|[least, greatest]| (bytes(&least.1), bytes(&greatest.1)))
            };
            let path: Vec<_> = path.iter().flatten().map(bytes).collect();
            let examples: Vec<_> = examples.iter().map(|(_, json)| bytes(json)).collect();
            let few = distinct.few.len();
            let registers = bytes(&distinct.registers);
            (path, types.to_vec(), range(numbers), range(texts), few, registers, examples).into_pyobject(py)
        };
        let fields = shapes.described().map(field).collect::<PyResult<Vec<_>>>()?;
        Ok((shapes.more(), fields))
    }

    /// Take the kinds of values that were seen since: of each field its names, None for elements, and a bit for each kind.
    #[allow(clippy::type_complexity, reason = "it is what Python gets")]
    fn take_kinds<'py>(&mut self, py: Python<'py>) -> (bool, Vec<(Vec<Option<Bound<'py, PyBytes>>>, u32)>) {
        let kinds = self.inner.take_kinds();
        let name = |name: Option<Vec<u8>>| name.map(|name| PyBytes::new(py, &name));
        let field = |(path, bits): (Vec<_>, u32)| (path.into_iter().map(name).collect(), bits);
        (kinds.more(), kinds.described().into_iter().map(field).collect())
    }

    #[getter]
    fn group_bytes(&self) -> usize {
        self.inner.group_bytes()
    }

    #[getter]
    fn matched(&self) -> u64 {
        self.inner.matched
    }

    #[getter]
    fn bad(&self) -> u64 {
        self.inner.bad
    }

    #[getter]
    fn first_bad(&self) -> Option<u64> {
        self.inner.first_bad
    }

    #[getter]
    fn given(&self) -> u64 {
        self.inner.count
    }

    #[getter]
    fn resume(&self) -> (u64, u64) {
        self.inner.resume
    }

    #[getter]
    fn full(&self) -> bool {
        self.inner.full
    }
}

/// Takes a JSON array apart that comes bit by bit.
#[pyclass(module = "maxstage._core")]
pub struct Elements {
    inner: elements::Elements,
}

#[pymethods]
impl Elements {
    #[new]
    fn new() -> Self {
        Self { inner: elements::Elements::default() }
    }

    /// Return what `data` has of the elements, each with a newline at its end.
    #[pyo3(signature = (data, /))]
    fn feed<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::with_capacity(data.len());
        let inner = &mut self.inner;
        py.detach(|| inner.feed(data, &mut out)).map_err(fault)?;
        Ok(PyBytes::new(py, &out))
    }

    /// End it; return what was left.
    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::new();
        self.inner.finish(&mut out).map_err(fault)?;
        Ok(PyBytes::new(py, &out))
    }
}

// The type of every `map_err`.
#[allow(clippy::needless_pass_by_value)]
fn fault(fault: elements::Fault) -> PyErr {
    PyValueError::new_err(format!("{} (byte {})", fault.what, fault.at))
}
