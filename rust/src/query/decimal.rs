//! Numbers of any size, compared exactly however they are written.

use std::cmp::Ordering;

/// Exponents are taken for no more than this: beyond, numbers of the same digits are equal.
const MOST_EXPONENT: i64 = 1_000_000_000_000_000_000;
/// Digits that such an exponent has.
const MOST_DIGITS: usize = 18;

/// A number as `0.DIGITS` times a power of ten; the first and the last digit are not 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    power: i64,
    digits: Vec<u8>,
}

impl Decimal {
    /// The number that a JSON number is.
    #[must_use]
    pub fn new(number: &[u8]) -> Self {
        let (negative, rest) = match number.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, number),
        };
        let (mantissa, exponent) = match memchr::memchr2(b'e', b'E', rest) {
            // It was found there.
            Some(at) => (&rest[..at], exponent(&rest[at + 1..])),
            None => (rest, 0),
        };
        let point = memchr::memchr(b'.', mantissa);
        let mut digits: Vec<u8> = mantissa.iter().copied().filter(|byte| *byte != b'.').collect();
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros);
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Self::default();
        }
        let before = i64::try_from(point.unwrap_or(mantissa.len())).unwrap_or(MOST_EXPONENT);
        let power = exponent + before - i64::try_from(zeros).unwrap_or(MOST_EXPONENT);
        Self { negative, power, digits }
    }

    /// Adds bytes to `out` whose order is that of the numbers, and which are equal where they are.
    pub fn push_key(&self, out: &mut Vec<u8>) {
        if self.digits.is_empty() {
            return out.push(1);
        }
        let start = out.len();
        out.push(2);
        // In the order of signed numbers.
        out.extend((self.power.cast_unsigned() ^ 1 << 63).to_be_bytes());
        out.extend_from_slice(&self.digits);
        out.push(0);
        if self.negative {
            for byte in out.iter_mut().skip(start) {
                *byte = !*byte;
            }
            if let Some(first) = out.get_mut(start) {
                *first = 0;
            }
        }
    }
}

fn exponent(text: &[u8]) -> i64 {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let digits = digits.get(zeros..).unwrap_or_default();
    if digits.len() > MOST_DIGITS {
        return sign * MOST_EXPONENT;
    }
    sign * digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |one: &Self| match (one.digits.is_empty(), one.negative) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => -1,
        };
        let size = || (self.power, &self.digits).cmp(&(other.power, &other.digits));
        sign(self).cmp(&sign(other)).then_with(|| if self.negative { size().reverse() } else { size() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_order_however_they_are_written() {
        let order = [
            "-1e400",
            "-12",
            "-1.5",
            "-1e-400",
            "0",
            "1e-400",
            "0.1",
            "0.11",
            "1",
            "9",
            "10",
            "9007199254740993",
            "9007199254740994",
            "1e399",
            "1e400",
            "1e99999999999999999999",
        ];
        for (i, a) in order.iter().enumerate() {
            for (j, b) in order.iter().enumerate() {
                let (a, b) = (Decimal::new(a.as_bytes()), Decimal::new(b.as_bytes()));
                assert_eq!(a.cmp(&b), i.cmp(&j));
                let (mut first, mut second) = (Vec::new(), Vec::new());
                a.push_key(&mut first);
                b.push_key(&mut second);
                assert_eq!(first.cmp(&second), i.cmp(&j), "{a:?} {b:?}");
            }
        }
        for (a, b) in [("1", "1.0"), ("1e2", "100"), ("-0", "0.00e5"), ("120E-1", "12"), ("0.001", "1e-3")] {
            assert_eq!(Decimal::new(a.as_bytes()), Decimal::new(b.as_bytes()), "{a} {b}");
        }
    }
}
