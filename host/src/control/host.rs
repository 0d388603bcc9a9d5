//! What the sidecar itself tells people about a target.

use std::time::Duration;

use super::Turn;
use super::alerts::Sight;
use super::target::TargetControl;
use crate::model::{
    Evidence, Knob, Origin, PolicyName, PoolSize, Proposal, Setting, Severity, Subject,
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
        let own = self.budget_exceeded().into_iter().chain(self.writer.news(turn.now));
        let holding: Vec<Proposal> = self.stand_downs().chain(own).collect();
        let host = PolicyName::host();
        for one in self.alerts.observe(&host, &holding, Sight::of(1), turn.now) {
            self.record_move(one, Origin::Host, &host, turn, batch);
        }
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
            Some(size_set_by_a_person(setting, current, scope.base, scope.wanted))
        })
    }
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
