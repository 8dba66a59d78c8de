//! Looking through records: which match, how many, their values.
//!
//! A record is a line of JSON, or a line of text. Only lines that can match are parsed (a literal is looked for first, in
//! whole blocks), all of each of them is checked, and only the fields that were asked for are kept, as the places where
//! they lie.
//!
//! **JSON** is RFC 8259's, with two liberties: bytes above 0x7F in strings are taken as they come, and half of a surrogate
//! pair, which only an escape can name, is taken as UTF-8 would encode it. Of equal keys the last one wins. Nothing
//! recurses with the data, so that any nesting is taken.

pub mod blocks;
pub mod decimal;
pub mod elements;
mod fields;
pub mod groups;
pub mod kinds;
pub mod like;
pub mod look;
pub mod plan;
pub mod scan;
pub mod shapes;
pub mod test;
pub mod value;
pub mod walk;
