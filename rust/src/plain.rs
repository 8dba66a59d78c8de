//! Removes terminal control from text.
//!
//! - ANSI escape sequences are dropped: colours, cursor movements, titles and links (the text of a link stays).
//! - After `\r`, the rest of a line replaces what was written before; `\b` removes one character.
//! - One line is held back, at most [`LINE`] bytes of it, and the position in a sequence where the data ended.
//!
//! A sequence that never ends would swallow the rest of the text, so each kind has a maximum length, and one that
//! contains text ends with its line.

/// The last bytes of a line that can still be overwritten; those before them stay.
const LINE: usize = 64 * 1024;
/// The most bytes of the parameters of a control sequence.
const PARAMETERS: usize = 128;
/// The most bytes between the introduction of a sequence, or its parameters, and its last byte.
const INTERMEDIATES: usize = 16;
/// The most bytes of text in a sequence: titles, addresses of links.
const TEXT: usize = 4096;

const ESCAPE: u8 = 0x1B;
const BELL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;
/// The most continuation bytes of a UTF-8 character.
const CONTINUATIONS: usize = 3;

/// The position in a sequence where the data so far ended, with the number of bytes in that part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and intermediate bytes.
    Between(usize),
    /// After `ESC [`.
    Parameters(usize),
    /// After parameters and intermediate bytes.
    AfterParameters(usize),
    /// In the text of a sequence.
    String(usize),
    /// In the text of a sequence, after ESC: a backslash would end it.
    StringEscape,
}

/// Makes a streamed text plain.
#[derive(Debug, Default)]
pub struct Plain {
    state: State,
    line: Vec<u8>,
    /// Whether the last character was `\r`, so that the next overwrites the line.
    returned: bool,
    /// Whether the beginning of this line has been output.
    begun: bool,
}

impl Plain {
    /// Takes the next part of the text; adds to `out` what is final.
    pub fn feed(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let mut rest = data;
        while let Some((&byte, after)) = rest.split_first() {
            if self.state == State::Text {
                let run = rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len());
                if run > 0 {
                    let (text, after) = rest.split_at(run);
                    self.write(text, out);
                    rest = after;
                } else {
                    self.control(byte, out);
                    rest = after;
                }
            } else if self.follow(byte) {
                rest = after;
            }
        }
    }

    /// Adds what was held back of the last line; more text continues that line.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.line.is_empty() {
            self.begun = true;
            out.append(&mut self.line);
        }
    }

    /// The number of bytes that [`Self::finish`] will add.
    #[must_use]
    pub fn held(&self) -> usize {
        self.line.len()
    }

    /// Writes text without special characters.
    fn write(&mut self, text: &[u8], out: &mut Vec<u8>) {
        self.overwrite(out);
        let mut rest = text;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(LINE - self.line.len()));
            self.line.extend_from_slice(now);
            rest = later;
            if self.line.len() == LINE {
                self.finish(out);
            }
        }
    }

    /// Discards the line if it is overwritten, except for what has been output.
    fn overwrite(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.returned) {
            self.line.clear();
            if std::mem::take(&mut self.begun) {
                out.push(b'\n');
            }
        }
    }

    fn control(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'\n' => {
                out.append(&mut self.line);
                out.push(b'\n');
                (self.returned, self.begun) = (false, false);
            }
            b'\r' => self.returned = true,
            BACKSPACE => {
                self.overwrite(out);
                self.take_back();
            }
            _ => self.state = State::Escape,
        }
    }

    /// Removes the last character of the line.
    fn take_back(&mut self) {
        for _ in 0..CONTINUATIONS {
            if self.line.last().is_some_and(|byte| byte & 0xC0 == 0x80) {
                self.line.pop();
            }
        }
        self.line.pop();
    }

    /// Continues a sequence; returns whether the byte belongs to it, or else the sequence has ended.
    fn follow(&mut self, byte: u8) -> bool {
        let (next, is_part) = match (self.state, byte) {
            (State::Escape, b'[') => (State::Parameters(0), true),
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => (State::String(0), true),
            (State::Escape, 0x20..=0x2F) => (State::Between(1), true),
            (State::Between(count), 0x20..=0x2F) if count < INTERMEDIATES => {
                (State::Between(count + 1), true)
            }
            (State::Parameters(count), 0x30..=0x3F) if count < PARAMETERS => {
                (State::Parameters(count + 1), true)
            }
            (State::Parameters(_), 0x20..=0x2F) => (State::AfterParameters(1), true),
            (State::AfterParameters(count), 0x20..=0x2F) if count < INTERMEDIATES => {
                (State::AfterParameters(count + 1), true)
            }
            (State::Escape | State::Between(_), 0x30..=0x7E)
            | (State::Parameters(_) | State::AfterParameters(_), 0x40..=0x7E)
            | (State::String(_), BELL)
            | (State::StringEscape, b'\\') => (State::Text, true),
            (State::String(_), ESCAPE) => (State::StringEscape, true),
            (State::String(count), _) if count < TEXT && byte != b'\n' => (State::String(count + 1), true),
            // It was the beginning of the next sequence.
            (State::StringEscape, _) => (State::Escape, false),
            _ => (State::Text, false),
        };
        self.state = next;
        is_part
    }
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | BACKSPACE | ESCAPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &[u8], chunk: usize) -> Vec<u8> {
        let (mut plain, mut out) = (Plain::default(), Vec::new());
        for part in text.chunks(chunk) {
            plain.feed(part, &mut out);
        }
        plain.finish(&mut out);
        out
    }

    #[test]
    fn what_only_a_terminal_understands_is_left_out() {
        let cases: [(&[u8], &[u8]); 14] = [
            (b"\x1b[31mred\x1b[0m and \x1b[1;38;5;12mblue\x1b[m\n", b"red and blue\n"),
            (b"\x1b]0;title\x07text\n", b"text\n"),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n", b"link\n"),
            (b"\x1b(B\x1b=\x1b7text", b"text"),
            (b"10%\r50%\r100%\n", b"100%\n"),
            (b"dos\r\nlines\r\n", b"dos\nlines\n"),
            (b"bar\r\x1b[Kdone\r", b"done"),
            (b"N\x08Na\x08am\x08me\n", b"Name\n"),
            ("\u{e9}\u{20ac}\u{8}x\n".as_bytes(), "\u{e9}x\n".as_bytes()),
            (b"\x08\x08a\n", b"a\n"),
            // One that does not end takes its line at most.
            (b"\x1b]0;never ends\nnext\n", b"\nnext\n"),
            (b"\x1b[12\nnext", b"\nnext"),
            (b"\x1b]0;a\x1b[1mb\n", b"b\n"),
            (b"\xff\xfe\x80\x1b", b"\xff\xfe\x80"),
        ];
        for (text, expected) in cases {
            for chunk in [1, 2, 3, 1000] {
                assert_eq!(plain(text, chunk), expected, "{}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let (mut plain, mut out) = (Plain::default(), Vec::new());
        plain.feed(&vec![b'x'; 3 * LINE + 5], &mut out);
        assert_eq!((out.len(), plain.held()), (3 * LINE, 5));
        plain.feed(b"\rover\n", &mut out);
        assert!(out.ends_with(b"x\nover\n"));
        let text = [b"\x1b]".as_slice(), &vec![b'y'; TEXT + 3]].concat();
        out.clear();
        plain.feed(&text, &mut out);
        plain.finish(&mut out);
        assert_eq!(out, b"yyy");
    }
}
