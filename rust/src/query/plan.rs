//! What is looked for, and what becomes of what is found.

use memchr::memmem::Finder;

use super::test::Test;
use super::walk::{Fields, Part};

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A JSON value.
    Json,
    /// Text, which is the field `line`.
    Line,
}

/// What becomes of the records that match.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// They are counted.
    Count,
    /// Their fields are described.
    Shapes,
    /// The kinds of their fields' values are told.
    Kinds,
    /// They are given, in the order of the data.
    Records,
    /// They are counted by the value of this field.
    Groups(usize),
    /// They are given in the order of this field.
    Sorted {
        /// The field.
        field: usize,
        /// Whether the largest comes first.
        descending: bool,
    },
}

/// What is looked for in each record, and what is wanted of it.
pub struct Plan {
    /// What a record is.
    pub kind: Kind,
    /// The fields that are looked at.
    pub fields: Fields,
    /// For lines, which of the fields is the line.
    pub line_field: Option<usize>,
    /// The filter.
    pub test: Option<Test>,
    /// Texts that a record holds, as it is written.
    pub contains: Vec<Finder<'static>>,
    /// What a record, as it is written, matches.
    pub regex: Option<regex::bytes::Regex>,
    /// A record that matches holds one of these; none: any record may match.
    pub needles: Vec<Finder<'static>>,
    /// Whether one with an escape may match without.
    pub escapes: bool,
    /// What is wanted.
    pub wanted: Wanted,
    /// What is given of a record: before each of these fields' values, a text. `None`: all of it, as it is.
    pub columns: Option<Vec<(Vec<u8>, usize)>>,
    /// Records that match and are passed over.
    pub skip: u64,
    /// Records given at most.
    pub most: u64,
    /// Whether what comes after those is counted.
    pub count_rest: bool,
    /// Whether lines are counted, so that each record's number is known.
    pub numbered: bool,
}

impl Plan {
    /// A plan that stands where one was taken out for a while.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            kind: Kind::Line,
            fields: Fields::default(),
            line_field: None,
            test: None,
            contains: Vec::new(),
            regex: None,
            needles: Vec::new(),
            escapes: false,
            wanted: Wanted::Count,
            columns: None,
            skip: 0,
            most: 0,
            count_rest: false,
            numbered: false,
        }
    }

    /// Which of `paths` is the line, for text.
    #[must_use]
    pub fn line_field_of(paths: &[Vec<Part>]) -> Option<usize> {
        paths.iter().position(|path| *path == [Part::Key(b"line".to_vec())])
    }
}
