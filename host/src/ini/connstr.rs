//! An entry of `[databases]` or `[users]`: `key=value key='va''lue' …`.

use super::error::{IniError, Place};

/// A name's whole entry, with its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// As it is written; it may hold a password.
    raw: Vec<u8>,
    /// Unquoted, in their order.
    pairs: Vec<(String, Vec<u8>)>,
    /// Where it stands.
    pub place: Place,
}

impl std::fmt::Debug for Entry {
    /// Names the keys and no value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<_> = self.keys().collect();
        write!(f, "Entry at {} with {keys:?}", self.place)
    }
}

impl Entry {
    pub(super) fn new(raw: Vec<u8>, place: Place) -> Result<Self, IniError> {
        match pairs(&raw) {
            Some(pairs) => Ok(Self { raw, pairs, place }),
            None => Err(IniError::Entry { place }),
        }
    }

    /// Gives the text as it is written; it may hold a password.
    pub fn expose(&self) -> &[u8] {
        &self.raw
    }

    /// Gives the keys, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(key, _)| key.as_str())
    }

    /// Gives the last value of a key, which is the one that counts.
    pub fn text(&self, key: &str) -> Option<String> {
        let last = self.pairs.iter().rev().find(|(name, _)| name == key);
        last.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// Gives a number of which -1 means that nothing is set, under the first of several names.
    pub fn number(&self, keys: &[&str]) -> Option<u32> {
        // All names are one variable of PgBouncer's, so that the last of any counts.
        let last = self.pairs.iter().rev().find(|(name, _)| keys.contains(&name.as_str()));
        let value = last.map(|(_, value)| leading_int(&String::from_utf8_lossy(value)))?;
        u32::try_from(value).ok()
    }
}

/// Reads a number as C's `atoi`: what follows the digits is ignored, and no digits are 0.
pub fn leading_int(text: &str) -> i64 {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    sign * digits.get(..end).unwrap_or_default().parse::<i64>().unwrap_or(0)
}

fn pairs(text: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let (mut pairs, mut at) = (Vec::new(), 0);
    loop {
        at = skip_spaces(text, at);
        if at == text.len() {
            return Some(pairs);
        }
        let start = at;
        at = find(text, at, |byte| byte == b'=' || byte == b' ');
        let key = String::from_utf8_lossy(&text[start..at]).into_owned();
        at = skip_spaces(text, at);
        if text.get(at) != Some(&b'=') || key.is_empty() {
            return None;
        }
        let (value, end) = value(text, skip_spaces(text, at + 1))?;
        pairs.push((key, value));
        at = end;
    }
}

/// Reads a value, quoted or not; an empty one is an error.
fn value(text: &[u8], start: usize) -> Option<(Vec<u8>, usize)> {
    let (value, end) = if text.get(start) == Some(&b'\'') {
        quoted(text, start + 1)?
    } else {
        let end = find(text, start, |byte| byte == b' ');
        (text[start..end].to_vec(), end)
    };
    (!value.is_empty()).then_some((value, end))
}

fn quoted(text: &[u8], mut at: usize) -> Option<(Vec<u8>, usize)> {
    let mut value = Vec::new();
    loop {
        let byte = *text.get(at)?;
        if byte == b'\'' {
            if text.get(at + 1) != Some(&b'\'') {
                // PgBouncer goes on behind whatever byte follows the quote.
                return Some((value, text.len().min(at + 2)));
            }
            at += 1;
        }
        value.push(byte);
        at += 1;
    }
}

fn skip_spaces(text: &[u8], at: usize) -> usize {
    find(text, at, |byte| byte != b' ')
}

fn find(text: &[u8], at: usize, what: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().position(|byte| what(*byte)).map_or(text.len(), |found| at + found)
}
