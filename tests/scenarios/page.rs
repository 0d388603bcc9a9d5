//! The part of BENCHMARKS.md that the suite writes, as Markdown.

use std::fmt::Write;

use crate::judge::{Outcome, Target, judge};
use crate::record::{Run, SQUEEZED, Suite, Variant};
use crate::scenario::Scenario;
use crate::sidecar::{AUTOSIZE, CONFIG};
use crate::table::{Results, Spread, Table};

/// The name of the part in the page's markers.
pub const SECTION: &str = "scenarios";
/// Steps of a path that are shown.
const STEPS: usize = 24;

const INTRODUCTION: &str = "\
Written by `tests/scenarios.sh`. Ten stories, each with fixed pool sizes and with Poolwarden in `enforce`. Every run has a PostgreSQL,
a PgBouncer as Debian ships it (transaction pooling) and, where it is due, a sidecar of its own. Requests are drawn from a seed
before the run: all variants of a run get the same requests with the same service times at the same moments, sent by 250 clients
for each database, whether earlier ones have been answered or not; times count from the moment at which a request was due. Service times are
exponential with a mean of 100 ms spent waiting (`pg_sleep`), unless the story says otherwise. Six seconds of what the story begins
with come before it and are not measured, in every variant: no pool is new in life. Runs that go on beside one another began 8 s
apart, so that their peaks do not fall together. Beside sizes, logins and addresses
PgBouncer's file differs from its defaults in `server_login_retry = 1`, `max_client_conn` and less logging, PostgreSQL's in `jit` and
`autovacuum` (off), `work_mem` and what makes a short-lived server quick (`fsync` off).

*Client time* is from due to answered, *wait* is that without the request's own service time. *Connection-seconds* are open server
connections times time, sampled twenty times a second; *waiting* is the time in which somebody waited for a server. A cell is the median of the runs with
the least and the greatest. *Best in hindsight* is the smallest of the tried sizes whose 99th percentile of client time is within
5 % of the best, which nobody can know beforehand; each size was tried once, with the requests of the first run. Comparisons of two variants are
made run by run, between those with the same requests, and their median counts. Requests that met an error have no time.

What to keep in mind: a server connection that a static pool has opened stays open for the rest of the run, because PgBouncer closes idle ones after
10 minutes (`server_idle_timeout`), which is longer than a run; on a real day it would close some of them by itself at night. So burst, ramp and
wave also show the best static pool with that timeout squeezed like the sidecar's day, to 6 s, which is not judged. Where less was
served than was asked for, the run was cut 8 s after its load ended, and what was not answered by then counts with the time that it had waited.";

const SETTINGS: &str = "\
### The sidecar's settings

The shipped policies with their shipped settings, but for what follows, in every scenario the same; pools start with `default_pool_size = 5`.
The suite gives them before the start, and nothing tells the sidecar which scenario runs. It stands beside its PgBouncer for two
seconds before the load begins, as it does in life, since it first looks whether another one acts. In slow-database and lock-convoy
the time above the peak counts from the rise of the load until its queue is gone, above the peak or what the pool had before: servers that
rested then, and those of the calm afterwards, were not chosen for the overload.";

/// Writes the part.
pub fn section(table: &Table, stories: &[Scenario]) -> String {
    let mut out = format!("## Scenarios\n\n{INTRODUCTION}\n\n");
    if let Some(suite) = &table.suite {
        out.push_str(&machine(suite, table));
    }
    out.push_str("### What must be reached\n\n");
    out.push_str(&targets(&judge(table)));
    out.push_str(&dearer(table));
    for one in &table.scenarios {
        let about = stories.iter().find(|story| story.name == one.name);
        out.push_str(&scenario(one, about.map_or("", |story| story.about)));
    }
    let config = CONFIG.trim_end();
    write!(out, "\n{SETTINGS}\n\n```toml\n{config}\n```\n\n```toml\n{AUTOSIZE}```\n").expect(TEXT);
    out
}

/// Why writing into a text works.
const TEXT: &str = "text takes text";

fn machine(suite: &Suite, table: &Table) -> String {
    let runs = || table.scenarios.iter().flat_map(|one| one.runs.iter().chain(&one.sweep));
    let late = runs().map(|run| run.late_ms.p99).fold(0.0, f64::max);
    let rows = [
        ("date", suite.date.clone()),
        ("source", suite.source.clone()),
        ("sidecar", format!("{}, SHA-256 {:.16}…", suite.sidecar, suite.digest)),
        ("processor", suite.processor.clone()),
        ("servers", suite.servers.join(", ")),
        (
            "runs",
            format!(
                "{} ({} at a time; burst, ramp and wave count as two), first seed {}",
                runs().count(),
                suite.jobs,
                suite.seed
            ),
        ),
        ("runs that had to be begun anew", runs().map(|run| run.retried).sum::<u32>().to_string()),
        ("load before (1, 5, 15 min)", suite.load_before.clone()),
        ("how late clients sent, 99th percentile of the worst run", format!("{late:.1} ms")),
    ];
    let mut out = "| | |\n| --- | --- |\n".to_owned();
    for (name, value) in rows {
        writeln!(out, "| {name} | {value} |").expect(TEXT);
    }
    if suite.stretch < 1.0 {
        let times = suite.stretch;
        writeln!(out, "\n**Not a measurement: lengths times {times}.**").expect(TEXT);
    }
    out.push('\n');
    out
}

/// Writes the plain table of targets.
pub fn targets(all: &[Target]) -> String {
    let mut out = "| what | measured | bound | |\n| --- | --- | --- | --- |\n".to_owned();
    for Target { what, measured, bound, outcome } in all {
        let word = match outcome {
            Outcome::Reached => "reached",
            Outcome::Missed => "**missed**",
            Outcome::Unknown => "not measured",
        };
        writeln!(out, "| {what} | {measured} | {bound} | {word} |").expect(TEXT);
    }
    let count = |outcome| all.iter().filter(|target| target.outcome == outcome).count();
    let (reached, missed) = (count(Outcome::Reached), count(Outcome::Missed));
    writeln!(out, "\n{reached} reached, {missed} missed, of {}.", all.len()).expect(TEXT);
    out
}

const HEAD: [&str; 12] = [
    "variant",
    "client p50 ms",
    "p99 ms",
    "max ms",
    "wait p99 ms",
    "served/s",
    "errors",
    "unserved",
    "connection-s",
    "waiting s",
    "changes",
    "largest",
];

/// Writes one scenario's table.
pub fn scenario(one: &Results, about: &str) -> String {
    let mut out =
        format!("\n### {}\n\n{about} {} runs of each variant.\n\n", one.name, one.times());
    writeln!(out, "| {} |\n|{}", HEAD.join(" | "), " --- |".repeat(HEAD.len())).expect(TEXT);
    let best = one.best();
    for variant in one.variants() {
        let is_best = best.map(Variant::Static) == Some(variant);
        let name = if is_best { format!("{variant}, best") } else { variant.to_string() };
        writeln!(out, "| {name} | {} |", cells(one, variant).join(" | ")).expect(TEXT);
    }
    let own: Vec<&Run> = one.of(Variant::Poolwarden).collect();
    let tried = one.tried(|run| Some(run.client_ms.p99));
    if tried.len() > 1 {
        let list = tried.iter().map(|one| format!("{}: {:.0}", one.size, one.value));
        let list: Vec<String> = list.collect();
        writeln!(out, "\np99 in ms by static size, first run: {}.", list.join(", ")).expect(TEXT);
    }
    let rates = one.tried(|run| run.overload_per_s);
    if rates.len() > 1 {
        let list: Vec<String> =
            rates.iter().map(|one| format!("{}: {:.1}", one.size, one.value)).collect();
        let peak = one.peak().unwrap_or_default();
        let list = list.join(", ");
        writeln!(
            out,
            "\nServed per second in the overload, by static size: {list}; the peak is at {peak}."
        )
        .expect(TEXT);
    }
    if let Some(first) = own.first() {
        writeln!(out, "\nPoolwarden's sizes, first run: {}.", path(&first.path)).expect(TEXT);
    }
    out.push_str(&closing(one));
    out.push_str(&steady(&own));
    out.push_str(&by_database(one));
    out.push_str(&error_texts(one));
    out
}

fn cells(one: &Results, variant: Variant) -> Vec<String> {
    let get = |of: fn(&Run) -> f64| one.spread(variant, of);
    let float = |n: u64| u32::try_from(n).map_or(f64::MAX, f64::from);
    let errors = one.spread(variant, |run| float(run.error_count()));
    let unserved = one.spread(variant, |run| float(run.unserved));
    vec![
        cell(get(|run| run.client_ms.p50), 0),
        cell(get(|run| run.client_ms.p99), 0),
        cell(get(|run| run.client_ms.max), 0),
        cell(get(|run| run.wait_ms.p99), 0),
        cell(get(|run| run.throughput_per_s), 1),
        cell(errors, 0),
        cell(unserved, 0),
        cell(get(|run| run.connection_s), 0),
        cell(get(|run| run.waiting_s), 1),
        cell(get(|run| f64::from(run.changes)), 0),
        cell(get(|run| f64::from(run.largest())), 0),
    ]
}

fn cell(spread: Option<Spread>, digits: usize) -> String {
    let Some(Spread { median, least, most }) = spread else { return String::new() };
    if least == most {
        return format!("{median:.digits$}");
    }
    format!("{median:.digits$} ({least:.digits$}-{most:.digits$})")
}

fn path(path: &[(f64, u32)]) -> String {
    let steps = path.iter().take(STEPS).map(|(at, size)| format!("{size} at {at:.1} s"));
    let mut text = steps.collect::<Vec<_>>().join(", ");
    if path.len() > STEPS {
        write!(text, ", and {} more", path.len() - STEPS).expect(TEXT);
    }
    text
}

/// Says plainly what the number of changes per hour is reckoned from.
fn steady(own: &[&Run]) -> String {
    let seen: Vec<(u32, f64)> = own.iter().filter_map(|run| run.steady).collect();
    let changes: u32 = seen.iter().map(|(changes, _)| changes).sum();
    let seconds: f64 = seen.iter().map(|(_, seconds)| seconds).sum();
    if seen.is_empty() {
        return String::new();
    }
    let wall = f64::from(changes) * 3_600.0 / seconds;
    let squeezed = f64::from(changes) * SQUEEZED / seconds;
    format!(
        "\nWhile nothing changed any more there were {changes} changes of size in {seconds:.0} s: \
         extrapolated {wall:.0} in an hour by the clock, {squeezed:.1} in an hour of the squeezed time, \
         which by the factor of the sidecar's settings is {SQUEEZED:.0} s.\n"
    )
}

/// Says where Poolwarden holds more connections than the best static size, of which no target speaks.
fn dearer(table: &Table) -> String {
    let ratio = |one: &Results| {
        let best = Variant::Static(one.best()?);
        let ratio = one.ratio(Variant::Poolwarden, best, |run| run.connection_s)?;
        (ratio > 1.0).then(|| format!("{} {ratio:.2} ×", one.name))
    };
    let all: Vec<String> = table.scenarios.iter().filter_map(ratio).collect();
    if all.is_empty() {
        return String::new();
    }
    format!(
        "\nNot asked for: it holds more connection-seconds than the best size in hindsight in {}.\n",
        all.join(", ")
    )
}

/// Compares with a static pool whose idle servers PgBouncer closes as it would over a real day.
fn closing(one: &Results) -> String {
    let variant = one.variants().into_iter().find(|it| matches!(it, Variant::Closing(_)));
    let ratio = variant
        .and_then(|it| Some((it, one.ratio(Variant::Poolwarden, it, |run| run.connection_s)?)));
    ratio.map_or_else(String::new, |(variant, ratio)| {
        format!(
            "\nConnection-seconds of Poolwarden are {ratio:.2} × those of {variant} (not judged).\n"
        )
    })
}

fn by_database(one: &Results) -> String {
    let Some(first) = one.runs.first().filter(|run| run.database_ms.len() > 1) else {
        return String::new();
    };
    let mut out = "\np99 of client time by database, in ms: ".to_owned();
    let mut parts = Vec::new();
    for variant in one.variants() {
        for database in first.database_ms.keys() {
            let p99 = |run: &Run| run.database_ms.get(database).map_or(0.0, |times| times.p99);
            parts.push(format!("{variant} {database} {}", cell(one.spread(variant, p99), 0)));
        }
    }
    writeln!(out, "{}.", parts.join(", ")).expect(TEXT);
    out
}

fn error_texts(one: &Results) -> String {
    let mut out = String::new();
    for variant in one.variants() {
        let mut all = std::collections::BTreeMap::<&str, u64>::new();
        for (text, count) in one.of(variant).flat_map(|run| &run.errors) {
            *all.entry(text).or_default() += count;
        }
        for (text, count) in all {
            writeln!(out, "- {variant}: {count} × `{text}`").expect(TEXT);
        }
    }
    if out.is_empty() { out } else { format!("\nErrors, all runs together:\n\n{out}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Line;
    use crate::table::tests::run;

    #[test]
    fn a_miss_is_shown_as_a_miss() {
        let own = run("leak", Variant::Poolwarden, 0, 900.0);
        let twenty = run("leak", Variant::Static(20), 0, 400.0);
        let text = section(&Table::of([own, twenty].map(Line::Run)), &crate::scenario::all());
        let row = text.lines().find(|line| line.contains("leak: p99 against static 20"));
        let row = row.expect("the target is judged");
        assert!(row.contains("2.25") && row.contains("**missed**"), "{row}");
        assert!(text.contains("not measured"), "{text}");
    }

    #[test]
    fn a_cell_has_median_and_spread_and_the_best_is_named() {
        let of = |size, number, p99| Line::Run(run("wave", Variant::Static(size), number, p99));
        let table = Table::of([of(20, 0, 900.0), of(34, 0, 400.0), of(34, 1, 420.0)]);
        let text = scenario(&table.scenarios[0], "A story.");
        assert!(text.contains("| static 34, best | 1 | 410 (400-420) |"), "{text}");
        assert!(text.contains("| static 20 | 1 | 900 |"), "{text}");
    }

    #[test]
    fn where_it_costs_more_than_the_best_size_is_said() {
        let of = |variant, connection_s| {
            Line::Run(Run { connection_s, ..run("steady", variant, 0, 450.0) })
        };
        let text = |own| {
            let lines = [of(Variant::Static(12), 100.0), of(Variant::Poolwarden, own)];
            section(&Table::of(lines), &crate::scenario::all())
        };
        assert!(text(123.0).contains("in hindsight in steady 1.23 ×."), "{}", text(123.0));
        assert!(!text(99.0).contains("Not asked for"));
    }

    #[test]
    fn every_row_of_a_table_has_as_many_cells_as_its_head() {
        let table = Table::of([Line::Run(run("wave", Variant::Poolwarden, 0, 1.0))]);
        let text = scenario(&table.scenarios[0], "");
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert!(rows.len() == 3, "{text}");
        assert!(rows.iter().all(|row| row.matches('|').count() == HEAD.len() + 1), "{text}");
    }
}
