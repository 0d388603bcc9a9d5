//! Every command of `plugins/README.md` is run as it stands there, in order, beside a live sidecar.
//!
//! What the page shows below a command must come: line by line, in that order, with `…` for what
//! differs from one run to the next. Questions to the sidecar are asked again until it shows it, as
//! a reader would look again; every other command has one try.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use poolwarden_tests::process::binary;
use poolwarden_tests::{Bench, Setup};

/// How long a reader looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(180);

/// A command of the page, and what it shows.
#[derive(Debug)]
struct Shown {
    line: usize,
    command: String,
    output: Vec<String>,
}

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/README.md");
    fs::read_to_string(page).expect("the page")
}

/// Finds the commands: lines that begin with `$ `, with the text of a `<<'EOF'` below it.
fn commands(page: &str) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    let mut is_console = false;
    let mut lines = page.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            is_console = language == "console";
            continue;
        }
        let starts = line.strip_prefix("$ ");
        assert!(is_console || starts.is_none(), "line {}: a command outside ```console", at + 1);
        match starts {
            Some(command) => {
                let mut command = command.to_owned();
                if command.contains("<<'EOF'") {
                    for (_, more) in lines.by_ref() {
                        command = format!("{command}\n{more}");
                        if more == "EOF" {
                            break;
                        }
                    }
                }
                found.push(Shown { line: at + 1, command, output: Vec::new() });
            }
            None if is_console => {
                let last = found.last_mut().expect("output stands below a command");
                last.output.push(line.trim().to_owned());
            }
            None => {}
        }
    }
    found
}

/// Says whether a line is what the page shows, where `…` stands for anything.
fn fits(line: &str, shown: &str) -> bool {
    let mut rest = line.trim();
    let mut parts = shown.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    let mut open = false;
    for part in parts {
        open = true;
        if part.is_empty() {
            continue;
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        open = false;
    }
    open || rest.is_empty()
}

/// Gives the first line of the page that did not come.
fn missing<'a>(output: &str, shown: &'a [String]) -> Option<&'a String> {
    let mut lines = output.lines();
    shown.iter().find(|wanted| !lines.by_ref().any(|line| fits(line, wanted)))
}

/// The shell in which a reader types.
struct Reader {
    folder: PathBuf,
    url: String,
}

/// The folder that is kept from one run of the tests to the next.
fn cache() -> PathBuf {
    let program = binary();
    let target = program.ancestors().nth(2).expect("target/*/poolwarden").to_owned();
    target.join("tmp/plugins-page")
}

impl Reader {
    fn run(&self, command: &str) -> (bool, String) {
        let program = binary();
        let tools = program.parent().expect("a program has a folder").display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", command])
            .current_dir(&self.folder)
            .env("PATH", format!("{tools}:{path}"))
            .env("POOLWARDEN_URL", &self.url)
            // A reader builds more than once; so does whoever runs the tests.
            .env("CARGO_TARGET_DIR", cache().join("target"))
            .env("XDG_CACHE_HOME", cache())
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    fn follow(&self, shown: &Shown) -> Result<(), String> {
        let asks = ["alerts", "decisions", "pools", "explain", "policy capture"];
        let is_question =
            asks.iter().any(|ask| shown.command.starts_with(&format!("poolwarden {ask}")));
        let start = Instant::now();
        loop {
            let (is_good, output) = self.run(&shown.command);
            let missing = missing(&output, &shown.output);
            if is_good && missing.is_none() {
                return Ok(());
            }
            if !is_question || start.elapsed() > LOOK_AGAIN {
                return Err(format!(
                    "line {}: $ {}\ngave {}, without {missing:?}:\n{output}",
                    shown.line,
                    shown.command,
                    if is_good { "success" } else { "failure" }
                ));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Puts the other shipped policies where a sidecar has them.
fn add_shipped(policies: &Path) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    for entry in fs::read_dir(shipped).expect("the shipped policies") {
        let path = entry.expect("an entry").path();
        let to = policies.join(path.file_name().expect("a name"));
        let is_one = path.extension().is_some_and(|ending| ending == "wasm" || ending == "toml");
        if is_one && !to.exists() {
            fs::copy(&path, &to).expect("copied");
        }
    }
}

#[test]
fn the_page_is_read_as_a_reader_reads_it() {
    let text = "text\n```console\n$ a b\nout …\n$ cat > f <<'EOF'\n$x\nEOF\n```\n";
    let found = commands(text);
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0].command.as_str(), found[0].output.as_slice()),
        ("a b", &["out …".to_owned()][..])
    );
    assert_eq!(found[1].command, "cat > f <<'EOF'\n$x\nEOF");
    assert!(
        fits("  3 cases: 3 passed", "3 cases: … passed") && fits("abc", "a…") && fits("abc", "…")
    );
    assert!(
        !fits("3 cases: 3 failed", "3 cases: … passed") && !fits("abc", "ab") && !fits("abc", "b…")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_page_does_what_the_page_says() {
    let page = page();
    let commands = commands(&page);
    assert!(commands.len() >= 8, "the page has lost its commands: {commands:?}");
    let bench = Bench::small().await;
    let mut setup: Setup = bench.setup();
    // So few servers that clients queue from the first command to the last.
    setup.target().limit("ceiling", 5);
    "confirm_ms = 3600000\n".clone_into(&mut setup.autosize);
    setup.write();
    add_shipped(&setup.dir.join("policies"));
    let sidecar = bench.sidecar(&setup).await;
    let _load = bench.load(30).await;
    let reader = Reader { folder: setup.dir.clone(), url: sidecar.url() };
    for shown in &commands {
        let start = Instant::now();
        if let Err(problem) = tokio::task::block_in_place(|| reader.follow(shown)) {
            panic!("{problem}\n{}", bench.story().await);
        }
        println!(
            "{:>6} ms  {}",
            start.elapsed().as_millis(),
            shown.command.lines().next().unwrap_or_default()
        );
    }
    assert!(sidecar.stop().await, "it stops in time");
}
