//! What the sidecar itself tells people about a target.

use std::time::Duration;

use super::Turn;
use super::alerts::Sight;
use super::cause::Cause;
use super::scope::{NewFile, ScopeControl};
use super::target::TargetControl;
use crate::model::{
    Evidence, Hold, HoldKind, Knob, Mode, Obstacle, Origin, PolicyName, PoolSize, Proposal,
    Setting, Severity, Subject, Timestamp,
};
use crate::record::Batch;

/// How long a new size in the operator's file is told.
const NEWS: Duration = Duration::from_secs(60);

/// Makes an alert of the sidecar's own, which fires at once and may fire again at once.
pub(super) fn host_alert(
    name: &str,
    subject: Subject,
    severity: Severity,
    summary: String,
    evidence: Vec<Evidence>,
) -> Proposal {
    Proposal::Alert {
        name: name.to_owned(),
        subject,
        severity,
        summary,
        hold: Duration::ZERO,
        cooldown: Duration::ZERO,
        labels: Vec::new(),
        runbook: format!("docs/runbooks/{name}.md"),
        evidence,
    }
}

/// Names a number of connections.
pub(super) fn number(name: &str, size: PoolSize) -> Evidence {
    Evidence { name: name.to_owned(), value: f64::from(size.get()) }
}

/// Names the runbook of an alert that shares it with others.
pub(super) fn with_runbook(mut alert: Proposal, path: &str) -> Proposal {
    if let Proposal::Alert { runbook, .. } = &mut alert {
        path.clone_into(runbook);
    }
    alert
}

impl TargetControl {
    /// Tells of everything that the sidecar itself has to tell, and that what it no longer tells is
    /// over. All of it at once, because what is left out counts as over.
    pub fn tell(&mut self, turn: &mut Turn<'_>, batch: &mut Batch) {
        let held = self.hold(turn.now).map(target_held);
        let own = self.budget_exceeded().into_iter().chain(self.writer.news(turn.now));
        let holding = self.stand_downs().chain(self.new_files(turn.now)).chain(held).chain(own);
        let holding = holding.chain(self.shrinks_held_up()).chain(self.blocked());
        let holding: Vec<Proposal> = holding.collect();
        let host = PolicyName::host();
        for one in self.alerts.observe(&host, &holding, Sight::of(1), turn.now) {
            self.record_move(one, Origin::Host, &host, turn, batch);
        }
    }

    /// Tells of what keeps the sidecar from acting where it is meant to.
    fn blocked(&self) -> Option<Proposal> {
        let problems = &self.reach.as_ref()?.problems;
        (self.mode == Mode::Enforce && !problems.is_empty()).then(|| sizes_out_of_reach(problems))
    }

    /// Tells that more could be opened than PostgreSQL can take.
    fn budget_exceeded(&self) -> Option<Proposal> {
        let account = self.account.as_ref().filter(|account| account.exceeded() > 0)?;
        let could_open = account.could_open.saturating_add(account.rest);
        let number =
            |name: &str, value: u32| Evidence { name: name.to_owned(), value: value.into() };
        let evidence = vec![
            number("capacity", account.capacity()),
            number("others", account.others_least),
            number("could_open", account.could_open),
            number("could_open_in_other_targets", account.rest),
            number("exceeded_by", account.exceeded()),
        ];
        let summary = format!(
            "pools could open {could_open} connections and others have {} open: {} more than the \
             {} that PostgreSQL can take ({} less {} reserved and {} margin)",
            account.others_least,
            account.exceeded(),
            account.capacity(),
            account.max_connections,
            account.reserved,
            account.margin,
        );
        let subject = Subject::DatabaseServer;
        Some(host_alert("budget-exceeded", subject, Severity::Warning, summary, evidence))
    }

    /// Tells of sizes that a person has set.
    fn stand_downs(&self) -> impl Iterator<Item = Proposal> {
        self.scopes.iter().filter_map(|(setting, scope)| {
            let current = scope.stood_down.and(self.size_of(setting))?;
            Some(size_set_by_a_person(setting, current, scope))
        })
    }

    /// Tells, for a while, of files that were loaded with another size.
    fn new_files(&self, now: Timestamp) -> impl Iterator<Item = Proposal> {
        self.scopes.iter().filter_map(move |(setting, scope)| {
            let news = scope.new_file.filter(|news| now.since(news.at) < NEWS)?;
            Some(file_size_changed(setting, scope.file_size(), news))
        })
    }
}

/// Tells why sizes that should be acted on are only recommended.
fn sizes_out_of_reach(problems: &[Obstacle]) -> Proposal {
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let summary = format!("sizes are only recommended: {}", problems.join("; "));
    host_alert("sizes-out-of-reach", Subject::Target, Severity::Warning, summary, Vec::new())
}

/// Tells that a person has stopped the sidecar, so that it is not forgotten.
fn target_held(hold: &Hold) -> Proposal {
    let severity = match hold.kind {
        HoldKind::Pause => Severity::Info,
        HoldKind::Panic => Severity::Warning,
    };
    let ends = match hold.until {
        Some(_) => "it ends by itself",
        None => "it ends with `poolwarden resume`",
    };
    let summary = format!("{}: nothing of {} is changed; {ends}", hold.words(), hold.target);
    let alert = host_alert("target-held", Subject::Target, severity, summary, Vec::new());
    with_runbook(alert, "docs/runbooks/target-held.md")
}

/// Tells that the operator's file has another size, which is where the sidecar starts from.
fn file_size_changed(setting: &Setting, now: PoolSize, news: NewFile) -> Proposal {
    let (what, words, before) = (news.cause.words(), setting.words(), news.before);
    let summary = format!(
        "{what}, and the file's {words} is {now} instead of {before}: Poolwarden starts from it"
    );
    let evidence = vec![number("size_of_file", now), number("size_of_file_before", before)];
    let name = match setting.knob {
        Knob::PoolSize => "file-size-changed",
        Knob::MinPoolSize => "file-min-size-changed",
        Knob::ReservePoolSize => "file-reserve-changed",
    };
    let subject = Subject::Scope(setting.scope.clone());
    with_runbook(
        host_alert(name, subject, Severity::Info, summary, evidence),
        "docs/runbooks/file-size-changed.md",
    )
}

fn size_set_by_a_person(setting: &Setting, current: PoolSize, scope: &ScopeControl) -> Proposal {
    let (file, wanted) = (scope.file_size(), scope.wanted);
    let what = scope.theirs.unwrap_or(Cause::SetOrReloaded).words();
    let ours = wanted.unwrap_or(scope.base);
    let mut evidence = vec![number("size_in_force", current), number("size_of_file", file)];
    evidence.extend(wanted.map(|size| number("size_wanted", size)));
    let name = match setting.knob {
        Knob::PoolSize => "size-set-by-a-person",
        Knob::MinPoolSize => "min-size-set-by-a-person",
        Knob::ReservePoolSize => "reserve-set-by-a-person",
    };
    let words = setting.words();
    let adopts = format!("`poolwarden resume --adopt`, from {current}");
    let ends = if file == current {
        // What the file says is not known: this sidecar has seen no other size.
        format!("somebody hands it back with {adopts}")
    } else {
        format!(
            "it is {ours} again, or the file's {file}: setting {words} to {file} hands it back, and \
             so does {adopts}"
        )
    };
    let summary = format!("{words} is {current}: {what}. Poolwarden leaves it alone until {ends}");
    let subject = Subject::Scope(setting.scope.clone());
    let alert = host_alert(name, subject, Severity::Info, summary, evidence);
    with_runbook(alert, "docs/runbooks/size-set-by-a-person.md")
}
