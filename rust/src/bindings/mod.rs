//! The border to Python: one file for each pure module.

pub mod lines;
