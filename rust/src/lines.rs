//! Counting and finding line ends.

/// Returns how many `\n` bytes `data` holds.
#[must_use]
pub fn count_newlines(data: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', data).count() as u64
}

/// Returns how many lines data with `newlines` newlines has, given its last byte (`None` if it is empty).
#[must_use]
pub fn line_count(newlines: u64, last: Option<u8>) -> u64 {
    newlines + u64::from(last.is_some_and(|byte| byte != b'\n'))
}

/// Returns the offset just past the `nth` newline of `data` (`nth` counts from 1), or `None` if there are fewer.
#[must_use]
pub fn after_newline(data: &[u8], nth: u64) -> Option<usize> {
    let index = usize::try_from(nth.checked_sub(1)?).ok()?;
    memchr::memchr_iter(b'\n', data).nth(index).map(|at| at + 1)
}

/// JSON's white space (RFC 8259, section 2).
#[must_use]
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_newlines_and_the_unterminated_rest() {
        assert_eq!(count_newlines(b"a\nb\r\n\n"), 3);
        assert_eq!(line_count(0, None), 0);
        assert_eq!(line_count(0, Some(b'x')), 1);
        assert_eq!(line_count(2, Some(b'\n')), 2);
    }

    #[test]
    fn finds_the_offset_past_a_newline() {
        assert_eq!(after_newline(b"a\nbc\nd", 1), Some(2));
        assert_eq!(after_newline(b"a\nbc\nd", 2), Some(5));
        assert_eq!(after_newline(b"a\nbc\nd", 3), None);
        assert_eq!(after_newline(b"a\n", 0), None);
    }
}
