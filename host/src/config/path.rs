//! The place of a key in a TOML document, as `target[0].limits.ceiling`.

use std::fmt;

use toml::{Table, Value};

/// One step from a value into it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Into a table.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// The place of a key, from the top.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct KeyPath(pub Vec<Step>);

impl KeyPath {
    /// Makes the place of a key that no list stands above.
    pub fn of(keys: &[&str]) -> Self {
        Self::default().join(keys)
    }

    /// Makes the place of a key of one target.
    pub fn target(index: usize, keys: &[&str]) -> Self {
        let mut path = Self::of(&["target"]);
        path.0.push(Step::Index(index));
        path.join(keys)
    }

    /// Gives the place of a key below this one.
    pub fn join(&self, keys: &[&str]) -> Self {
        let mut steps = self.0.clone();
        steps.extend(keys.iter().map(|key| Step::Key((*key).to_owned())));
        Self(steps)
    }

    /// Gives the keys alone, as the schema knows them.
    pub fn keys<'a>(&'a self) -> Vec<&'a str> {
        let key = |step: &'a Step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        };
        self.0.iter().filter_map(key).collect()
    }

    /// Finds the value at this place.
    pub fn get<'a>(&self, table: &'a Table) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        let Step::Key(key) = first else { return None };
        rest.iter().try_fold(table.get(key)?, |value, step| match step {
            Step::Key(key) => value.as_table()?.get(key),
            Step::Index(index) => value.as_array()?.get(*index),
        })
    }

    /// Puts a value at this place, making the tables on the way.
    ///
    /// Where something else than a table stands on the way nothing is put: the validator will
    /// complain of that thing.
    pub fn set(&self, table: &mut Table, value: Value) {
        let Some((Step::Key(last), way)) = self.0.split_last() else { return };
        let mut at = table;
        let mut way = way.iter().peekable();
        while let Some(Step::Key(key)) = way.next() {
            let next = at.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
            let inner = match way.next_if(|step| matches!(step, Step::Index(_))) {
                Some(Step::Index(index)) => next.as_array_mut().and_then(|a| a.get_mut(*index)),
                _ => Some(next),
            };
            let Some(Value::Table(inner)) = inner else { return };
            at = inner;
        }
        at.insert(last.clone(), value);
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
