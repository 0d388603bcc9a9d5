//! `poolwarden check`: says everything that is wrong, and exits.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{ConfigArg, bad_config, failed, runtime};
use crate::clock::Clock;
use crate::config::{Config, Target};
use crate::console::{ConsoleError, Role, Session, may_act, read_peers};
use crate::database::Observer;
use crate::evaluate::{PolicyState, Registry, Runtime};
use crate::model::{Claim, DatabaseSample, Mode, Peer, TargetName};
use crate::report::chain;

/// Checks configuration, policies, console access and PostgreSQL access.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  poolwarden check --config poolwarden.toml\n  poolwarden check \
    --offline   # configuration and policies only\n\nExit codes: 0 fine, 1 a check failed, 64 wrong \
    configuration"
)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArg,
    /// Leave out what needs PgBouncer and PostgreSQL.
    #[arg(long)]
    offline: bool,
}

/// Prints each finding as it comes and remembers whether all is well.
#[derive(Debug, Default)]
struct Findings {
    failures: u32,
}

impl Findings {
    fn good(&mut self, what: &str) {
        println!("ok      {what}");
    }

    fn note(&mut self, what: &str) {
        println!("note    {what}");
    }

    fn bad(&mut self, what: &str) {
        self.failures += 1;
        println!("FAILED  {what}");
    }
}

impl Check {
    pub fn run(self) -> ExitCode {
        let config = match self.config.load() {
            Ok(config) => config,
            Err(error) => return bad_config(&error),
        };
        let mut findings = Findings::default();
        findings.good(&format!("configuration ({})", config.source));
        for warning in &config.warnings {
            findings.note(warning);
        }
        if let Err(error) = check_policies(&config, &mut findings) {
            return failed(&error);
        }
        if !self.offline {
            match runtime() {
                Ok(runtime) => runtime.block_on(check_targets(&config, &mut findings)),
                Err(error) => return failed(&error),
            }
        }
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

async fn check_targets(config: &Config, findings: &mut Findings) {
    let mut servers = Vec::new();
    for target in &config.targets {
        match check_watch(target).await {
            Ok(version) => findings.good(&format!("target {}: {version}", target.name)),
            Err(error) => {
                findings.bad(&format!("target {}: {}", target.name, chain(&error)));
                continue;
            }
        }
        check_act(target, findings).await;
        check_company(target, findings).await;
        if let Some(sample) = check_database(target, findings).await {
            check_shared(target, &sample, &servers, findings);
            servers.push((target.name.clone(), sample));
        }
    }
}

/// Says which other sidecars are on the console.
async fn check_company(target: &Target, findings: &mut Findings) {
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
            for peer in peers {
                let does = match peer.claim {
                    Claim::Watches => "watches it",
                    Claim::Waits => "waits for its turn to act on it",
                    Claim::Acts => "acts on it; one started now would wait until it is gone",
                    Claim::Left => "is stopping",
                };
                findings.note(&format!("target {name}: the sidecar {} {does}", peer.id));
            }
        }
        Err(error) => findings.bad(&format!("target {name}: {}", chain(&error))),
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

async fn check_watch(target: &Target) -> Result<String, ConsoleError> {
    let mut session = Session::open(&target.console, Role::Watch).await?;
    let version = session.run("SHOW VERSION").await?;
    let version = version.rows().next().and_then(|row| row.text("version")).unwrap_or("?");
    let version = version.to_owned();
    // What every poll needs; a refusal here is one there.
    for what in ["POOLS", "STATS_TOTALS", "DATABASES", "CONFIG"] {
        session.run(&format!("SHOW {what}")).await?;
    }
    session.close().await;
    Ok(version)
}

async fn check_act(target: &Target, findings: &mut Findings) {
    let name = &target.name;
    let Some(login) = &target.console.act else {
        if target.mode != Mode::Observe {
            findings.note(&format!("target {name}: no act_user, so sizes are only recommended"));
        }
        return;
    };
    let acts = async {
        let mut session = Session::open(&target.console, Role::Act).await?;
        let may = may_act(&mut session).await;
        session.close().await;
        may
    };
    match acts.await {
        Ok(()) => findings.good(&format!("target {name}: {} may act", login.user)),
        Err(error) => findings.bad(&format!("target {name}: {}", chain(&error))),
    }
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
            findings.bad(&format!("target {name}: {}", chain(&error)));
            None
        }
    }
}
