//! A JSON array, or one value on many lines, as a record a line. Only where elements end is looked at: whether each is
//! right is for who reads the record.

/// Stands for an end of a line within a string, where JSON has none: as little allowed there, and on the same line.
const NO_NEWLINE: u8 = 0x0b;

const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// What is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub what: &'static str,
    /// At which byte, from 0.
    pub at: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    /// Before an element; whether it is the first.
    Before(bool),
    /// In an element; whether it is the whole value instead.
    Within(bool),
    End,
}

/// Takes a value apart that comes bit by bit.
#[derive(Debug, Default)]
pub struct Elements {
    state: State,
    at: u64,
    depth: u64,
    in_string: bool,
    escaped: bool,
}

impl Elements {
    /// Adds to `out` what `data` has of the elements, each with a newline at its end.
    ///
    /// # Errors
    /// [`Fault`]: it is no array and no value.
    pub fn feed(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        for byte in data {
            self.byte(*byte, out).map_err(|what| Fault { what, at: self.at })?;
            self.at += 1;
        }
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    /// [`Fault`]: it ends too early.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self.state {
            State::Start | State::End => Ok(()),
            State::Within(true) => {
                out.push(b'\n');
                Ok(())
            }
            _ => Err(Fault { what: "it ends within the array", at: self.at }),
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let blank = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match self.state {
            State::Start
                if blank || usize::try_from(self.at).ok().and_then(|at| BOM.get(at)) == Some(&byte) => {}
            State::Start if byte == b'[' => self.state = State::Before(true),
            State::Start => {
                self.state = State::Within(true);
                self.within(byte, true, out);
            }
            State::Before(_) | State::End if blank => {}
            State::Before(true) if byte == b']' => self.state = State::End,
            State::Before(_) if matches!(byte, b']' | b',') => return Err("an element is missing"),
            State::Before(_) => {
                self.state = State::Within(false);
                self.within(byte, false, out);
            }
            State::Within(alone) => self.within(byte, alone, out),
            State::End => return Err("something follows the end of the array"),
        }
        Ok(())
    }

    fn within(&mut self, byte: u8, alone: bool, out: &mut Vec<u8>) {
        if self.in_string {
            self.in_string = byte != b'"' || self.escaped;
            self.escaped = byte == b'\\' && !self.escaped;
            out.push(if byte == b'\n' { NO_NEWLINE } else { byte });
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b',' | b']' if self.depth == 0 && !alone => {
                self.state = if byte == b',' { State::Before(false) } else { State::End };
                return out.push(b'\n');
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        out.push(if matches!(byte, b'\n' | b'\r') { b' ' } else { byte });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Result<String, &'static str> {
        let (mut elements, mut out) = (Elements::default(), Vec::new());
        for byte in text.as_bytes() {
            elements.feed(&[*byte], &mut out).map_err(|fault| fault.what)?;
        }
        elements.finish(&mut out).map_err(|fault| fault.what)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_element_is_a_line() {
        assert_eq!(lines(" [1,\n{\"a\":[\n1]},\"],\\\"\"] \n").unwrap(), "1\n{\"a\":[ 1]}\n\"],\\\"\"\n");
        assert_eq!(lines("\u{feff}[]").unwrap(), "");
        assert_eq!(lines("{\"a\":\r\n1}\n").unwrap(), "{\"a\":  1} \n");
        assert_eq!(lines("").unwrap(), "");
        assert_eq!(lines("[\"a\nb\"]").unwrap(), "\"a\u{b}b\"\n");
    }

    #[test]
    fn what_is_no_array_is_told() {
        for (text, what) in [
            ("[1,]", "an element is missing"),
            ("[,1]", "an element is missing"),
            ("[1", "it ends within the array"),
            ("[1] 2", "something follows the end of the array"),
        ] {
            assert_eq!(lines(text), Err(what));
        }
    }
}
