//! Holds that columns and interpreter come to the same, and that both parsers do.
//!
//! The reference is the `cel` crate as its authors mean it: its ANTLR parser, its environment, and
//! plain maps for `pool` and the others. Expressions and windows are random from a fixed seed;
//! every expression must be one that the columns take, so that nothing is compared with itself.

use std::collections::HashMap;
use std::sync::Arc;

use cel::{Context, Env, Value};
use poolwarden_policy::Window;
use poolwarden_policy::testing::{PoolRow, ScopeRow, columns, name_columns};

use crate::check::check;
use crate::column::{Column, Columns};
use crate::expression::Expression;
use crate::fast::{self, ERROR, FALSE, Numbers, TRUE};
use crate::field::{FieldId, Root};
use crate::interpret::environment;
use crate::settings::On;
use crate::types::Type;

/// Random expressions that are compared, each over every row of a window.
const EXPRESSIONS: u32 = 4_000;
/// Expressions between two new windows.
const PER_WINDOW: u32 = 50;

/// A stream of numbers that looks random and is the same for one seed (SplitMix64).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.bits() % u64::try_from(end).expect("small")).expect("small")
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn double(&mut self) -> f64 {
        match self.below(8) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::from_bits(self.bits()),
            3 => -0.0,
            _ => f64::from(u32::try_from(self.below(40)).expect("small")) / 4.0,
        }
    }

    fn count(&mut self) -> u32 {
        u32::try_from(self.below(12)).expect("small")
    }

    fn long(&mut self) -> u64 {
        if self.below(6) == 0 { self.bits() } else { u64::from(self.count()) }
    }
}

fn random_window(random: &mut Random) -> Window {
    let scopes = [ScopeRow::default_size(10), ScopeRow::database("b", random.count())];
    let rows = random.below(7);
    let pools: Vec<PoolRow> = (0..rows).map(|_| random_pool(random)).collect();
    let mut all = columns(&scopes, &pools);
    all.target.labels = vec![("role".to_owned(), random.pick(&["a", "primary"]).to_owned())];
    all.target.clients = random.count();
    if random.below(2) == 0 {
        all.database = Some(super::server());
    }
    name_columns(all, &scopes, &pools).expect("the rows belong together")
}

fn random_pool(random: &mut Random) -> PoolRow {
    let database = random.pick(&["a", "b", "orders", ""]);
    let mut row = PoolRow::serving(database, random.pick(&["app", "a"]), 10, 3);
    row.scope = u32::try_from(random.below(2)).expect("small");
    row.condition = u8::try_from(random.below(7)).expect("small");
    row.mode = u8::try_from(random.below(3)).expect("small");
    (row.cl_waiting, row.cl_active) = (random.count(), random.count());
    (row.sv_active, row.size) = (random.count(), random.count());
    (row.maxwait_us, row.waiting_for_ms) = (random.long(), random.long());
    (row.utilization, row.demand) = (random.double(), random.double());
    (row.wait_p95_us, row.busy_mean) = (random.double(), random.double());
    row
}

const INTS: [&str; 10] = [
    "pool.cl_waiting",
    "pool.waiting",
    "pool.sv_active",
    "pool.size",
    "pool.maxwait_us",
    "pool.waiting_for_ms",
    "scope.size",
    "target.clients",
    "database_server.connections",
    "window.hour",
];
const DOUBLES: [&str; 4] =
    ["pool.utilization", "pool.demand", "pool.wait_p95_us", "pool.busy_mean"];
const TEXTS: [&str; 8] = [
    "pool.database",
    "pool.user",
    "scope.name",
    "target.name",
    "target.labels.role",
    "target.labels['role']",
    "target.labels.shard",
    "'a'",
];

fn int(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        let constants = ["0", "3", "-7", "10", "9223372036854775807", "-9223372036854775808"];
        let of: &[&str] = if random.below(3) == 0 { &constants } else { &INTS };
        return random.pick(of).to_owned();
    }
    let next = depth - 1;
    match random.below(8) {
        0 => format!("-({})", int(random, next)),
        1 => format!("int({})", double(random, next)),
        2 => format!("({} ? {} : {})", test(random, next), int(random, next), int(random, next)),
        3 => int(random, 0),
        _ => {
            let sign = random.pick(&["+", "-", "*", "/", "%"]);
            format!("({} {sign} {})", int(random, next), int(random, next))
        }
    }
}

fn double(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        let of: &[&str] =
            if random.below(3) == 0 { &["0.0", "1.5", "-2.0", "1e300"] } else { &DOUBLES };
        return random.pick(of).to_owned();
    }
    let next = depth - 1;
    match random.below(7) {
        0 => format!("-({})", double(random, next)),
        1 => format!("double({})", int(random, next)),
        2 => {
            let (yes, no) = (double(random, next), double(random, next));
            format!("({} ? {yes} : {no})", test(random, next))
        }
        3 => double(random, 0),
        _ => {
            let sign = random.pick(&["+", "-", "*", "/"]);
            format!("({} {sign} {})", double(random, next), double(random, next))
        }
    }
}

fn number(random: &mut Random, depth: usize) -> String {
    if random.below(2) == 0 { int(random, depth) } else { double(random, depth) }
}

fn test(random: &mut Random, depth: usize) -> String {
    let next = depth.saturating_sub(1);
    match random.below(if depth == 0 { 6 } else { 12 }) {
        0 => random
            .pick(&["true", "false", "scope.actionable", "database_server.reachable"])
            .to_owned(),
        1 => format!(
            "{} {} {}",
            random.pick(&TEXTS),
            random.pick(&["==", "!="]),
            random.pick(&["'a'", "'orders'", "pool.database"]),
        ),
        2 => format!(
            "{}.{}({})",
            random.pick(&TEXTS[..5]),
            random.pick(&["startsWith", "endsWith", "contains"]),
            random.pick(&TEXTS),
        ),
        3 => format!("{} in [1, 2.5, 10, 3]", number(random, next)),
        4 => "pool.condition in ['wedged', 'idle'] || pool.mode != 'session'".to_owned(),
        5..=7 => {
            let sign = random.pick(&["<", "<=", ">", ">=", "==", "!="]);
            format!("{} {sign} {}", number(random, next), number(random, next))
        }
        8 => format!("!({})", test(random, next)),
        9 => format!("({}) == ({})", test(random, next), test(random, next)),
        10 => {
            let (yes, no) = (test(random, next), test(random, next));
            format!("(({}) ? ({yes}) : ({no}))", test(random, next))
        }
        _ => {
            let sign = random.pick(&["&&", "||"]);
            format!("({}) {sign} ({})", test(random, next), test(random, next))
        }
    }
}

/// Every field of every root as the interpreter's own maps, for one row.
fn reference<'a>(env: &Arc<Env>, columns: &Columns<'_>, row: usize) -> Context<'a, 'a> {
    let mut context = Context::with_env(Arc::clone(env));
    for root in Root::ALL {
        let mut map: HashMap<String, Value> = HashMap::new();
        for field in root.fields() {
            let id = root.field(field.name).expect("its own name");
            if let Some(value) = columns.get(id).and_then(|column| value(column, row)) {
                map.insert(field.name.to_owned(), value.clone());
                map.insert(field.short.to_owned(), value);
            }
        }
        context.add_variable_from_value(root.name(), map);
    }
    context
}

fn value(column: &Column, row: usize) -> Option<Value> {
    Some(match column {
        Column::Ints(cells) => Value::Int(*cells.get(row)?),
        Column::Doubles(cells) => Value::Float(*cells.get(row)?),
        Column::Bools(cells) => Value::Bool(*cells.get(row)?),
        Column::Texts(cells) => Value::from(&**cells.get(row)?),
        Column::Labels(labels) => {
            let labels: HashMap<String, Value> =
                labels.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect();
            Value::from(labels)
        }
    })
}

fn all_fields() -> impl Iterator<Item = FieldId> {
    Root::ALL.into_iter().flat_map(|root| {
        root.fields().iter().map(move |field| root.field(field.name).expect("its own name"))
    })
}

#[test]
fn columns_and_interpreter_come_to_the_same() {
    let (env, mut random) = (environment(), Random(20_261_123));
    let (mut seen, mut windows) = ([0_u32; 3], 0);
    let mut done = 0;
    while done < EXPRESSIONS {
        let window = random_window(&mut random);
        let mut columns = Columns::new(&window, On::Pool);
        columns.load(all_fields());
        windows += 1;
        for _ in 0..PER_WINDOW {
            done += 1;
            let depth = random.below(4);
            let source = test(&mut random, depth);
            let ours = Expression::parse(&source).unwrap_or_else(|e| panic!("{source}: {e:?}"));
            let (kind, _) = check(&ours).unwrap_or_else(|e| panic!("{source}: {e:?}"));
            assert_eq!(kind, Type::Bool, "{source}");
            let plain = fast::test(&ours.root).unwrap_or_else(|| panic!("{source} is not plain"));
            let found = plain.evaluate(&columns);
            let program = env.compile(&source).unwrap_or_else(|e| panic!("{source}: {e}"));
            for row in 0..columns.rows() {
                let context = reference(&env, &columns, row);
                let expected = match program.execute(&context) {
                    Ok(Value::Bool(value)) => u8::from(value),
                    Err(_) => ERROR,
                    Ok(other) => panic!("{source} gives {other:?}"),
                };
                assert_eq!(found.get(row), expected, "row {row} of {source}");
                seen[usize::from(expected)] += 1;
            }
        }
    }
    assert!(windows > 10 && seen.iter().all(|count| *count > 500), "{seen:?}");
    assert_eq!([FALSE, TRUE, ERROR], [0, 1, 2]);
}

#[test]
fn calculations_come_to_the_same_number() {
    let (env, mut random) = (environment(), Random(7));
    let mut seen = [0_u32; 2];
    for _ in 0..EXPRESSIONS / PER_WINDOW {
        let window = random_window(&mut random);
        let mut columns = Columns::new(&window, On::Pool);
        columns.load(all_fields());
        for _ in 0..PER_WINDOW {
            let depth = random.below(4);
            let source = number(&mut random, depth);
            let ours = Expression::parse(&source).unwrap_or_else(|e| panic!("{source}: {e:?}"));
            check(&ours).unwrap_or_else(|e| panic!("{source}: {e:?}"));
            let plain = fast::number(&ours.root).unwrap_or_else(|| panic!("{source}: not plain"));
            let found = plain.evaluate(&columns);
            let program = env.compile(&source).unwrap_or_else(|e| panic!("{source}: {e}"));
            for row in 0..columns.rows() {
                let expected = program.execute(&reference(&env, &columns, row)).ok();
                let same = match (&found, &expected) {
                    (Numbers::Ints(ints), Some(Value::Int(int))) => ints.get(row) == Some(int),
                    (Numbers::Doubles(doubles), Some(Value::Float(double))) => {
                        let is = |one: &f64| one == double || (one.is_nan() && double.is_nan());
                        doubles.get(row).is_some_and(is)
                    }
                    (_, None) => found.get(row).is_none(),
                    _ => false,
                };
                assert!(same, "row {row} of {source}: {found:?} and {expected:?}");
                seen[usize::from(expected.is_none())] += 1;
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 500), "{seen:?}");
}

#[test]
fn a_rule_on_scopes_reads_each_scope() {
    let window = super::usual();
    let mut scopes = Columns::new(&window, On::Scope);
    scopes.load(all_fields().filter(|field| field.root == Root::Scope));
    let named = |name| FieldId::named(name).and_then(|id| scopes.get(id).cloned());
    let kind = |row| match named("scope.kind") {
        Some(Column::Texts(cells)) => cells.get(row).cloned(),
        other => panic!("{other:?}"),
    };
    assert_eq!((kind(0).as_deref(), kind(1).as_deref()), (Some("default"), Some("database")));
}

#[test]
fn every_field_is_read_as_the_type_that_it_claims() {
    let window = super::changed(|all| all.database = Some(super::server()));
    let mut columns = Columns::new(&window, On::Pool);
    columns.load(all_fields());
    for id in all_fields() {
        let column = columns.get(id).expect("loaded");
        let (name, kind) = (id.field().name, id.field().kind());
        let fits = match column {
            Column::Ints(cells) => kind == Type::Int && cells.get(0).is_some(),
            Column::Doubles(cells) => kind == Type::Double && cells.get(0).is_some(),
            Column::Bools(cells) => kind == Type::Bool && cells.get(0).is_some(),
            Column::Texts(cells) => kind == Type::Text && cells.get(0).is_some(),
            Column::Labels(_) => kind == Type::Labels,
        };
        assert!(fits, "{}.{name}: {column:?}", id.root.name());
    }
}
