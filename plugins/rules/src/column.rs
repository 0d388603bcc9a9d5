//! Reads fields as columns: one cell a row of what a rule is about, or one cell for all rows.
//!
//! Each column is read once per evaluation, whatever number of rules mentions it. Counts become
//! `i64`, which is CEL's int; a count beyond that (no real one is) becomes the largest. What is not
//! known (PostgreSQL's numbers where the sidecar may not look) is an error in every cell, as a
//! missing key is in CEL: nothing follows from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use poolwarden_policy::contract::TargetStatus;
use poolwarden_policy::{PoolName, Window};

use crate::field::{FieldId, Read, Root, SCOPE_KINDS, STATUSES};
use crate::settings::On;

/// Cells of one type; a single cell stands for every row.
#[derive(Debug, Clone)]
pub(crate) struct Cells<T> {
    pub values: Arc<[T]>,
    pub is_single: bool,
    /// Which cells are errors; as many as values.
    pub errors: Option<Arc<[bool]>>,
}

impl<T: Clone> Cells<T> {
    /// Makes a cell that stands for every row.
    pub(crate) fn single(value: T) -> Self {
        Self { values: Arc::from([value]), is_single: true, errors: None }
    }

    /// Makes a cell for each row.
    pub(crate) fn each(values: impl Into<Arc<[T]>>) -> Self {
        Self { values: values.into(), is_single: false, errors: None }
    }

    /// Says whether one cell stands for every row of both.
    pub(crate) fn is_single_with<U>(&self, other: &Cells<U>) -> bool {
        self.is_single && other.is_single
    }

    /// Returns how many cells there are to go through beside `other`.
    pub(crate) fn rows_with<U>(&self, other: &Cells<U>) -> usize {
        if self.is_single { other.values.len() } else { self.values.len() }
    }

    /// Returns the distance from one row's cell to the next one's: 0 for a single cell.
    pub(crate) fn stride(&self) -> usize {
        usize::from(!self.is_single)
    }

    /// Returns a row's value, `None` when it is an error.
    pub(crate) fn get(&self, row: usize) -> Option<&T> {
        let at = row * self.stride();
        let is_error = self.errors.as_ref().is_some_and(|errors| errors[at]);
        if is_error { None } else { self.values.get(at) }
    }
}

/// A column of any type.
#[derive(Debug, Clone)]
pub(crate) enum Column {
    Ints(Cells<i64>),
    Doubles(Cells<f64>),
    Bools(Cells<bool>),
    Texts(Cells<Arc<str>>),
    Labels(Arc<[(String, String)]>),
}

/// The columns of one window, as rules on one kind of thing see them.
#[derive(Debug)]
pub(crate) struct Columns<'w> {
    pub window: &'w Window,
    pub on: On,
    read: BTreeMap<FieldId, Column>,
    names: Option<Arc<[PoolName]>>,
}

impl<'w> Columns<'w> {
    /// Starts without any column.
    pub(crate) fn new(window: &'w Window, on: On) -> Self {
        Self { window, on, read: BTreeMap::new(), names: None }
    }

    /// Returns how many things rules of this kind are about.
    pub(crate) fn rows(&self) -> usize {
        match self.on {
            On::Pool => self.window.pools().len(),
            On::Scope => self.window.scopes().len(),
            On::Target | On::DatabaseServer => 1,
        }
    }

    /// Reads columns, unless they have been read.
    pub(crate) fn load(&mut self, fields: impl IntoIterator<Item = FieldId>) {
        for field in fields {
            if !self.read.contains_key(&field) {
                let column = self.column(field);
                self.read.insert(field, column);
            }
        }
    }

    /// Returns a column that was loaded.
    pub(crate) fn get(&self, field: FieldId) -> Option<&Column> {
        self.read.get(&field)
    }

    fn column(&mut self, field: FieldId) -> Column {
        match field.root {
            Root::Pool => self.pool(field.field().read),
            Root::Scope => self.scope(field.field().read),
            Root::Target | Root::DatabaseServer | Root::Window => self.single(field.field().read),
        }
    }

    fn pool(&mut self, read: Read) -> Column {
        let pools = &self.window.columns().pools;
        match read {
            Read::PoolCount(of) => ints(of(pools).iter().map(|count| i64::from(*count))),
            Read::PoolLong(of) => ints(of(pools).iter().map(|count| whole(*count))),
            Read::PoolFloat(of) => Column::Doubles(Cells::each(of(pools))),
            Read::PoolWord(of, words) => texts(of(pools), words),
            Read::Database => self.named(|name| &name.database),
            Read::User => self.named(|name| &name.user),
            _ => unreachable_column(),
        }
    }

    fn named(&mut self, part: impl Fn(&PoolName) -> &str) -> Column {
        let names = self
            .names
            .get_or_insert_with(|| self.window.pools().map(|pool| pool.name()).collect())
            .clone();
        let parts: Vec<Arc<str>> = names.iter().map(|name| Arc::from(part(name))).collect();
        Column::Texts(Cells::each(parts))
    }

    /// Reads a column of the scopes; a rule on pools sees the one that sizes each pool.
    fn scope(&self, read: Read) -> Column {
        let scopes = &self.window.columns().scopes;
        let of_rows: Vec<usize> = match self.on {
            On::Pool => self.window.pools().map(|pool| pool.scope_index()).collect(),
            _ => (0..scopes.kind.len()).collect(),
        };
        match read {
            Read::ScopeCount(of) => ints(of_rows.iter().map(|at| i64::from(of(scopes)[*at]))),
            Read::ScopeLong(of) => ints(of_rows.iter().map(|at| whole(of(scopes)[*at]))),
            Read::ScopeBit(of, bit) => {
                let flags: Vec<bool> =
                    of_rows.iter().map(|at| of(scopes)[*at] & bit != 0).collect();
                Column::Bools(Cells::each(flags))
            }
            Read::ScopeKind => {
                let kinds: Vec<u8> = of_rows.iter().map(|at| scopes.kind[*at]).collect();
                texts(&kinds, SCOPE_KINDS)
            }
            Read::ScopeWord(of, words) => {
                let codes: Vec<u8> = of_rows.iter().map(|at| of(scopes)[*at]).collect();
                texts(&codes, words)
            }
            Read::ScopeName => {
                let names: Vec<Arc<str>> =
                    self.window.scopes().map(|scope| Arc::from(scope.name())).collect();
                let names: Vec<Arc<str>> =
                    of_rows.iter().map(|at| Arc::clone(&names[*at])).collect();
                Column::Texts(Cells::each(names))
            }
            _ => unreachable_column(),
        }
    }

    fn single(&self, read: Read) -> Column {
        let columns = self.window.columns();
        let server = columns.database.as_ref();
        match read {
            Read::TargetText(of) => Column::Texts(Cells::single(Arc::from(of(&columns.target)))),
            Read::TargetCount(of) => int(of(&columns.target)),
            Read::Status => {
                let at = match columns.target.status {
                    TargetStatus::Up => 0,
                    TargetStatus::Paused => 1,
                    TargetStatus::Down => 2,
                };
                Column::Texts(Cells::single(Arc::from(STATUSES[at])))
            }
            Read::Labels => Column::Labels(Arc::from(columns.target.labels.as_slice())),
            Read::Total(of) => int(of(&columns.pools)),
            Read::Moment(of) => int(of(columns)),
            Read::Known => Column::Bools(Cells::single(server.is_some())),
            Read::ServerFlag(of) => Column::Bools(known(server.map(of))),
            Read::ServerCount(of) => Column::Ints(known(server.map(|server| whole(of(server))))),
            _ => unreachable_column(),
        }
    }
}

/// A field's table and its way of being read belong together; a test goes through all of them.
fn unreachable_column() -> Column {
    Column::Bools(known(None))
}

fn known<T: Clone + Default>(value: Option<T>) -> Cells<T> {
    let errors = value.is_none().then(|| Arc::from([true]));
    Cells { errors, ..Cells::single(value.unwrap_or_default()) }
}

fn int(count: u64) -> Column {
    Column::Ints(Cells::single(whole(count)))
}

fn ints(counts: impl Iterator<Item = i64>) -> Column {
    Column::Ints(Cells::each(counts.collect::<Arc<[i64]>>()))
}

fn texts(codes: &[u8], words: &[&str]) -> Column {
    let words: Vec<Arc<str>> = words.iter().map(|word| Arc::from(*word)).collect();
    let last = words.len().saturating_sub(1);
    let of_rows: Vec<Arc<str>> =
        codes.iter().map(|code| Arc::clone(&words[usize::from(*code).min(last)])).collect();
    Column::Texts(Cells::each(of_rows))
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
