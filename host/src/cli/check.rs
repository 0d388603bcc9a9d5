//! `poolwarden check`: says everything that is wrong, and exits.

mod reach;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use uuid::Uuid;

use super::{ConfigArg, bad_config, failed, runtime};
use crate::actuate::{Actuator, Probe};
use crate::ask::Output;
use crate::clock::Clock;
use crate::collect::growth;
use crate::config::{Config, Target};
use crate::console::{ConsoleError, Instance, Role, Session, may_act, read_peers};
use crate::database::Observer;
use crate::evaluate::{PolicyState, Registry, Runtime};
use crate::model::{
    Claim, DatabaseSample, HoldKind, Mode, Peer, Place, PoolSize, Reach, Setting, TargetName,
};
use crate::record::peek_scopes;
use crate::report::chain;

/// So much later a difference is looked at again beside a sidecar that acts.
const ANOTHER_LOOK: Duration = Duration::from_secs(1);

/// Checks configuration, policies, console access and PostgreSQL access.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  poolwarden check --config poolwarden.toml\n  poolwarden check \
    --offline   # configuration and policies only\n  poolwarden check --probe --output json\n\nExit codes: 0 fine, 1 a check failed, 64 wrong \
    configuration"
)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArg,
    /// Leave out what needs PgBouncer and PostgreSQL.
    #[arg(long)]
    offline: bool,
    /// Also find out whether PgBouncer sees the override files, by a RELOAD that changes nothing.
    #[arg(long, conflicts_with = "offline")]
    probe: bool,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Prints each finding as it comes, or keeps all of them, and remembers whether all is well.
#[derive(Debug)]
struct Findings {
    output: Output,
    failures: u32,
    all: Vec<(&'static str, String)>,
    reaches: Vec<(TargetName, Reach)>,
}

impl Findings {
    fn new(output: Output) -> Self {
        Self { output, failures: 0, all: Vec::new(), reaches: Vec::new() }
    }

    fn add(&mut self, level: &'static str, what: &str) {
        if self.output == Output::Text {
            println!("{level:<6}  {what}");
        }
        self.all.push((level, what.to_owned()));
    }

    fn good(&mut self, what: &str) {
        self.add("ok", what);
    }

    fn note(&mut self, what: &str) {
        self.add("note", what);
    }

    fn bad(&mut self, what: &str) {
        self.failures += 1;
        self.add("FAILED", what);
    }

    /// Ends the answer: what a table or a machine wants to have whole.
    fn end(&self) {
        match self.output {
            Output::Text if self.reaches.is_empty() => {}
            Output::Text => print!("\n{}", reach::table(&self.reaches)),
            Output::Json => println!("{:#}", reach::as_json(&self.all, &self.reaches)),
        }
    }
}

impl Check {
    pub fn run(self) -> ExitCode {
        let config = match self.config.load() {
            Ok(config) => config,
            Err(error) => return bad_config(&error),
        };
        let mut findings = Findings::new(self.output);
        findings.good(&format!("configuration ({})", config.source));
        for warning in &config.warnings {
            findings.note(warning);
        }
        if let Err(error) = check_policies(&config, &mut findings) {
            return failed(&error);
        }
        if !self.offline {
            match runtime() {
                Ok(runtime) => {
                    let probe = if self.probe { Probe::Once } else { Probe::LookOnly };
                    runtime.block_on(check_targets(&config, probe, &mut findings));
                }
                Err(error) => return failed(&error),
            }
        }
        findings.end();
        if findings.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn check_policies(
    config: &Config,
    findings: &mut Findings,
) -> Result<(), crate::evaluate::RuntimeError> {
    let runtime = Arc::new(Runtime::new(None)?);
    let registry = Registry::new(runtime, config.policies.clone());
    registry.rescan(Clock::start().now());
    if let Some(problem) = registry.folder_problem() {
        findings.bad(&format!("policies: {problem}"));
        return Ok(());
    }
    let statuses = registry.statuses();
    if statuses.is_empty() {
        let dir = config.policies.dir.display();
        findings.note(&format!("policies: {dir} has none: nothing will be decided"));
    }
    for status in statuses {
        let (name, mode) = (&status.name, status.mode);
        match (&status.problem, status.state) {
            (None, PolicyState::Serving) => findings.good(&format!(
                "policy {name}: {} {}, {mode}",
                status.plugin, status.plugin_version
            )),
            (problem, _) => {
                let why = problem.as_deref().unwrap_or("does not serve");
                findings.bad(&format!("policy {name}: {why}"));
            }
        }
    }
    Ok(())
}

async fn check_targets(config: &Config, probe: Probe, findings: &mut Findings) {
    let mut servers = Vec::new();
    for target in &config.targets {
        let places = match check_watch(target).await {
            Ok((version, places)) => {
                findings.good(&format!("target {}: {version}", target.name));
                places
            }
            Err(error) => {
                findings.bad(&format!("target {}: {}", target.name, chain(&error)));
                continue;
            }
        };
        let acting = check_company(target, findings).await;
        if check_act(target, findings).await {
            let probe = match acting {
                Some(other) if probe == Probe::Once => {
                    findings.bad(&format!(
                        "target {}: nothing is probed beside the sidecar {other}, which acts on it; it \
                         finds out itself what PgBouncer sees, and says so in /v1/targets",
                        target.name
                    ));
                    Probe::LookOnly
                }
                _ => probe,
            };
            let mut reach = look(config, target, probe, findings).await;
            // What the other one was changing right then is no difference a moment later.
            if acting.is_some() && reach.as_ref().is_ok_and(|reach| !reach.problems.is_empty()) {
                tokio::time::sleep(ANOTHER_LOOK).await;
                reach = look(config, target, probe, findings).await;
            }
            check_reach(target, reach, probe, findings);
        }
        if let Some(sample) = check_database(target, findings).await {
            let places =
                places.iter().map(|(host, port)| Place { host: host.as_deref(), port: *port });
            if let Some(obstacle) = sample.place().missing_among(places) {
                findings.bad(&format!("target {}: no size grows: {obstacle}", target.name));
            }
            check_shared(target, &sample, &servers, findings);
            servers.push((target.name.clone(), sample));
        }
    }
}

/// Says which other sidecars are on the console; gives the one that acts.
async fn check_company(target: &Target, findings: &mut Findings) -> Option<Uuid> {
    let name = &target.name;
    let peers = async {
        let mut session = Session::open(&target.console, Role::Watch).await?;
        let peers = read_peers(&mut session).await;
        session.close().await;
        peers
    };
    match peers.await {
        Ok((peers, _)) => {
            let peers: BTreeSet<Peer> = peers.into_iter().collect();
            for peer in &peers {
                let does = match peer.claim {
                    Claim::Watches => "watches it",
                    Claim::Waits => "waits for its turn to act on it",
                    Claim::Acts => "acts on it; one started now would wait until it is gone",
                    Claim::Left => "is stopping",
                };
                let held = match peer.told.hold {
                    Some(HoldKind::Pause) => " (paused)",
                    Some(HoldKind::Panic) => " (its panic switch is pulled)",
                    None => "",
                };
                findings.note(&format!("target {name}: the sidecar {} {does}{held}", peer.id));
            }
            peers.iter().find(|peer| peer.claim == Claim::Acts).map(|peer| peer.id)
        }
        Err(error) => {
            findings.bad(&format!("target {name}: {}", chain(&error)));
            None
        }
    }
}

/// Looks which sizes a sidecar with this store keeps up, running or not: they are no differences.
async fn check_wanted(
    config: &Config,
    target: &Target,
    findings: &mut Findings,
) -> BTreeMap<Setting, PoolSize> {
    if target.overrides.is_none() {
        return BTreeMap::new();
    }
    match peek_scopes(&config.store.dir, &target.name).await {
        Ok(scopes) => {
            scopes.into_iter().filter_map(|scope| Some((scope.setting, scope.wanted?))).collect()
        }
        Err(error) => {
            findings.note(&format!(
                "target {}: {}; sizes that Poolwarden has set may be named as differences",
                target.name,
                chain(&error)
            ));
            BTreeMap::new()
        }
    }
}

/// Says which targets share a PostgreSQL server, and so its connections.
fn check_shared(
    target: &Target,
    sample: &DatabaseSample,
    servers: &[(TargetName, DatabaseSample)],
    findings: &mut Findings,
) {
    let name = &target.name;
    if sample.identity.is_none() {
        findings.note(&format!(
            "target {name}: PostgreSQL does not say which server it is (pg_control_system()); it \
             counts as the same as another target's if host and port are"
        ));
    }
    for (other, _) in servers.iter().filter(|(_, server)| server.is_same_server(sample)) {
        findings.note(&format!(
            "target {name}: the same PostgreSQL as of target {other}; they share its connections"
        ));
    }
}

/// Host and port of a database's PostgreSQL server.
type OwnPlace = (Option<String>, Option<u32>);

/// Logs in as every poll does; gives the version, and where the databases are.
async fn check_watch(target: &Target) -> Result<(String, Vec<OwnPlace>), ConsoleError> {
    let mut session = Session::open(&target.console, Role::Watch).await?;
    let version = session.run("SHOW VERSION").await?;
    let version = version.rows().next().and_then(|row| row.text("version")).unwrap_or("?");
    let version = version.to_owned();
    // What every poll needs; a refusal here is one there.
    for what in ["POOLS", "STATS_TOTALS", "CONFIG"] {
        session.run(&format!("SHOW {what}")).await?;
    }
    let databases = session.run("SHOW DATABASES").await?;
    let rows = databases.rows().filter(|row| row.text("name") != Some("pgbouncer"));
    let places = rows.map(|row| (row.text("host").map(str::to_owned), row.number("port")));
    let places = places.collect();
    session.close().await;
    Ok((version, places))
}

async fn check_act(target: &Target, findings: &mut Findings) -> bool {
    let name = &target.name;
    let Some(login) = &target.console.act else {
        if target.mode != Mode::Observe {
            findings.note(&format!("target {name}: no act_user, so sizes are only recommended"));
        }
        return false;
    };
    let acts = async {
        let mut session = Session::open(&target.console, Role::Act).await?;
        let may = may_act(&mut session).await;
        session.close().await;
        may
    };
    let acts = acts.await;
    match &acts {
        Ok(()) => findings.good(&format!("target {name}: {} may act", login.user)),
        Err(error) => findings.bad(&format!("target {name}: {}", chain(error))),
    }
    acts.is_ok()
}

/// Looks which sizes can be acted on.
async fn look(
    config: &Config,
    target: &Target,
    probe: Probe,
    findings: &mut Findings,
) -> Result<Reach, ConsoleError> {
    let wanted = check_wanted(config, target, findings).await;
    let mut named = target.clone();
    if probe == Probe::Once {
        // Only who has a name looks who else acts, right before anything is sent.
        named.console.instance = Some(Instance::new(Uuid::now_v7(), Claim::Watches));
    }
    Actuator::new(Arc::new(named), wanted).inspect(|| probe).await
}

/// Says which sizes can be acted on; where no override file is configured that needs no word.
fn check_reach(
    target: &Target,
    reach: Result<Reach, ConsoleError>,
    probe: Probe,
    findings: &mut Findings,
) {
    let name = &target.name;
    let reach = match reach {
        Ok(reach) => reach,
        Err(error) => return findings.bad(&format!("target {name}: {}", chain(&error))),
    };
    for problem in &reach.problems {
        findings.bad(&format!("target {name}: {problem}"));
    }
    if let Some(file) = target.overrides.as_ref().filter(|_| reach.problems.is_empty()) {
        let path = &file.path_in_pgbouncer;
        match probe {
            Probe::Once => findings.good(&format!("target {name}: PgBouncer reads {path}")),
            _ => findings.note(&format!(
                "target {name}: whether PgBouncer sees {path} is found out with --probe"
            )),
        }
    }
    findings.reaches.push((name.clone(), reach));
}

async fn check_database(target: &Target, findings: &mut Findings) -> Option<DatabaseSample> {
    let name = &target.name;
    let Some(database) = &target.database else {
        let ceiling = target.limits.ceiling;
        findings.note(&format!(
            "target {name}: PostgreSQL is not asked; no size passes the ceiling of {ceiling}"
        ));
        return None;
    };
    let mut observer = Observer::new(database.clone());
    let looked = observer.look(Clock::start().now()).await;
    observer.close().await;
    match looked {
        Ok(sample) => {
            findings.good(&format!(
                "target {name}: PostgreSQL takes {} connections, {} reserved",
                sample.max_connections, sample.reserved_connections
            ));
            Some(sample)
        }
        Err(error) => {
            let growth = growth(error.kind(), false);
            findings.bad(&format!("target {name}: {}; {growth}", chain(&error)));
            None
        }
    }
}
