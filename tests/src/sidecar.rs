//! A sidecar in this process: the same `App` that the binary starts.

use std::sync::Arc;

use poolwarden::app::App;
use poolwarden::control::{AlertView, ScopeView, TargetView, View};
use poolwarden::history::PoolView;
use poolwarden::model::{Decision, Kind, Mode, Outcome, Status, Timestamp};
use poolwarden::record::{DecisionFilter, Store};

/// A running sidecar.
#[derive(Debug)]
pub struct Sidecar {
    app: App,
}

impl Sidecar {
    pub(crate) fn new(app: App) -> Self {
        Self { app }
    }

    /// Returns the address of its API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.app.address())
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        self.app.store()
    }

    /// Returns what the sidecar knows now.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.app.view().borrow().clone()
    }

    /// Returns what the sidecar knows of its first target.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn target(&self) -> TargetView {
        self.view().targets.first().expect("a target is configured").clone()
    }

    /// Returns what the sidecar knows of a target by its name.
    ///
    /// # Panics
    /// When it has none of that name.
    #[must_use]
    pub fn target_of(&self, name: &str) -> TargetView {
        let view = self.view();
        let target = view.targets.iter().find(|target| target.name.as_str() == name);
        target.expect("the target is configured").clone()
    }

    /// Returns the first target's pool of a database, once there is one.
    #[must_use]
    pub fn pool(&self, database: &str) -> Option<PoolView> {
        let target = self.target();
        let pool = target.pools.iter().find(|(key, _)| &*key.database == database);
        pool.map(|(_, pool)| pool.clone())
    }

    /// Returns the first target's default scope, once it was seen.
    #[must_use]
    pub fn scope(&self) -> Option<ScopeView> {
        self.target().scopes.first().cloned()
    }

    /// Returns the first target's firing alert of a name.
    #[must_use]
    pub fn firing(&self, name: &str) -> Option<AlertView> {
        let target = self.target();
        target.alerts.iter().find(|one| one.alert.key.name == name && one.is_firing()).cloned()
    }

    /// Returns every recorded decision, the oldest first.
    pub async fn decisions(&self) -> Vec<Decision> {
        decisions(self.store()).await
    }

    /// Returns the decisions that touched PgBouncer, the oldest first.
    pub async fn changes(&self) -> Vec<Decision> {
        changes(self.decisions().await)
    }

    /// Returns the newest change that was verified after a moment.
    pub async fn verified_since(&self, since: Timestamp) -> Option<Decision> {
        let newest = self.changes().await.into_iter().rev();
        newest.filter(|one| one.at >= since).find(|one| one.status == Status::Verified)
    }

    /// Stops it as SIGTERM does; says whether the grace period was enough.
    pub async fn stop(self) -> bool {
        self.app.stop().await
    }
}

/// Reads every decision of a store, the oldest first.
///
/// # Panics
/// When the store fails.
pub async fn decisions(store: &Store) -> Vec<Decision> {
    let mut all = Vec::new();
    let mut filter =
        DecisionFilter { limit: DecisionFilter::LIMIT_MAX, ..DecisionFilter::default() };
    loop {
        let page = store.decisions(&filter).await.expect("the store can be read");
        all.extend(page.decisions);
        filter.cursor = page.next;
        if filter.cursor.is_none() {
            all.reverse();
            return all;
        }
    }
}

/// Keeps the resizes that were to touch PgBouncer.
#[must_use]
pub fn changes(decisions: Vec<Decision>) -> Vec<Decision> {
    let acts = |one: &Decision| {
        let passed = one
            .verdict
            .as_ref()
            .is_none_or(|verdict| matches!(verdict.outcome, Outcome::Approved | Outcome::Clamped));
        one.kind() == Kind::Resize && one.mode == Mode::Enforce && passed
    };
    decisions.into_iter().filter(acts).collect()
}
