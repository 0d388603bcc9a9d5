//! What the sidecar itself tells people about a target.

use std::time::Duration;

use super::Turn;
use super::alerts::Sight;
use super::target::TargetControl;
use crate::model::{
    Evidence, Knob, Mode, Obstacle, Origin, PolicyName, PoolSize, Proposal, Setting, Severity,
    Subject,
};
use crate::record::Batch;

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

impl TargetControl {
    /// Tells of everything that the sidecar itself has to tell, and that what it no longer tells is
    /// over. All of it at once, because what is left out counts as over.
    pub fn tell(&mut self, turn: &mut Turn<'_>, batch: &mut Batch) {
        let holding: Vec<Proposal> = self.stand_downs().chain(self.blocked()).collect();
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

    /// Tells of sizes that a person has set.
    fn stand_downs(&self) -> impl Iterator<Item = Proposal> {
        self.scopes.iter().filter_map(|(setting, scope)| {
            let current = scope.stood_down.and(self.size_of(setting))?;
            Some(size_set_by_a_person(setting, current, scope.base, scope.wanted))
        })
    }
}

/// Tells why sizes that should be acted on are only recommended.
fn sizes_out_of_reach(problems: &[Obstacle]) -> Proposal {
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let summary = format!("sizes are only recommended: {}", problems.join("; "));
    let name = "sizes-out-of-reach";
    let mut alert = host_alert(name, Subject::Target, Severity::Warning, summary, Vec::new());
    if let Proposal::Alert { runbook, .. } = &mut alert {
        "docs/runbooks/sizes-out-of-reach.md".clone_into(runbook);
    }
    alert
}

fn size_set_by_a_person(
    setting: &Setting,
    current: PoolSize,
    base: PoolSize,
    wanted: Option<PoolSize>,
) -> Proposal {
    let ours = wanted.unwrap_or(base);
    let mut evidence = vec![number("size_in_force", current), number("size_of_file", base)];
    evidence.extend(wanted.map(|size| number("size_wanted", size)));
    let name = match setting.knob {
        Knob::PoolSize => "size-set-by-a-person",
        Knob::MinPoolSize => "min-size-set-by-a-person",
        Knob::ReservePoolSize => "reserve-set-by-a-person",
    };
    let words = setting.words();
    let summary = format!(
        "somebody set {words} to {current}; Poolwarden leaves it alone until it is {ours} again, or \
         the file's {base}: setting {words} to {base} hands it back"
    );
    let subject = Subject::Scope(setting.scope.clone());
    let mut alert = host_alert(name, subject, Severity::Info, summary, evidence);
    if let Proposal::Alert { runbook, .. } = &mut alert {
        "docs/runbooks/size-set-by-a-person.md".clone_into(runbook);
    }
    alert
}
