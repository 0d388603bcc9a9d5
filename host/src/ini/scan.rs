//! Cuts a file into includes, section headers and pairs.
//!
//! White space means C's `isspace` at the start of a line and at the end of a value, and a comment
//! stands at the start of a line only: a `;` further on belongs to the value.

use std::sync::Arc;

use super::error::{IniError, Place};

/// One thing that a file says.
pub(super) enum Item {
    /// The name of another file.
    Include(String),
    /// A section's name.
    Section(String),
    /// Key and value.
    Pair(String, Vec<u8>),
}

/// Walks through one file.
pub(super) struct Scan<'a> {
    file: Arc<str>,
    text: &'a [u8],
    at: usize,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-*".contains(&byte)
}

impl<'a> Scan<'a> {
    pub fn new(file: &Arc<str>, text: &'a [u8]) -> Result<Self, IniError> {
        let scan = Self { file: Arc::clone(file), text, at: 0 };
        match text.iter().position(|byte| *byte == 0) {
            Some(at) => Err(IniError::Nul { place: Self { at, ..scan }.place() }),
            None => Ok(scan),
        }
    }

    /// Gives the next item with its place.
    pub fn next(&mut self) -> Result<Option<(Place, Item)>, IniError> {
        loop {
            self.skip(is_space);
            match self.peek() {
                None => return Ok(None),
                Some(b'#' | b';') => self.skip(|byte| byte != b'\n'),
                Some(_) => break,
            }
        }
        let place = self.place();
        let item = if self.is_include() {
            self.at += b"%include".len();
            self.skip(is_blank);
            Item::Include(lossy(self.rest_of_line()))
        } else if self.peek() == Some(b'[') {
            self.at += 1;
            let name = self.take(|byte| byte != b']' && byte != b'\n');
            self.expect(b']')?;
            Item::Section(lossy(name))
        } else {
            let key = lossy(self.take(is_key));
            self.skip(is_blank);
            self.expect(b'=')?;
            self.skip(is_blank);
            Item::Pair(key, self.rest_of_line().to_vec())
        };
        Ok(Some((place, item)))
    }

    fn is_include(&self) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let after = rest.strip_prefix(b"%include").and_then(|rest| rest.first());
        after.is_some_and(|byte| is_blank(*byte))
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, more: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(&more) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn skip(&mut self, more: impl Fn(u8) -> bool) {
        self.take(more);
    }

    fn rest_of_line(&mut self) -> &'a [u8] {
        let line = self.take(|byte| byte != b'\n');
        let end = line.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
        line.get(..end).unwrap_or_default()
    }

    fn expect(&mut self, byte: u8) -> Result<(), IniError> {
        if self.peek() != Some(byte) {
            return Err(IniError::Syntax { place: self.place() });
        }
        self.at += 1;
        Ok(())
    }

    fn place(&self) -> Place {
        let before = self.text.get(..self.at).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Place { file: Arc::clone(&self.file), line }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
