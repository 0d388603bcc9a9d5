//! A sidecar in this process: the same `App` that the binary starts.

use std::sync::Arc;

use poolwarden::app::App;
use poolwarden::control::{AlertView, ScopeView, TargetView, View};
use poolwarden::evaluate::PolicyStatus;
use poolwarden::history::PoolView;
use poolwarden::model::{Decision, Kind, Mode, Outcome, Status, Timestamp};
use poolwarden::record::{DecisionFilter, Store};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A running sidecar.
#[derive(Debug)]
pub struct Sidecar {
    app: App,
}

impl Sidecar {
    pub(crate) fn new(app: App) -> Self {
        Self { app }
    }

    /// Returns the value of a series of `/metrics`, by its name and labels; 0 when it is not there.
    ///
    /// # Panics
    /// When the sidecar does not answer.
    pub async fn metric(&self, series: &str) -> f64 {
        let (_, text) = self.http("GET", "/metrics", "").await;
        let mut values = text.lines().filter_map(|line| line.strip_prefix(series));
        values.find_map(|value| value.strip_prefix(' ')?.trim().parse().ok()).unwrap_or(0.0)
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

    /// Returns where HTTP is served, as the command line takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.app.address())
    }

    /// Asks over HTTP as any client does; gives status and body.
    ///
    /// # Panics
    /// When there is no whole answer.
    pub async fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.app.address()).await.expect("HTTP is served");
        stream.write_all(request.as_bytes()).await.expect("the request is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer in UTF-8");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    /// Reads JSON over HTTP.
    ///
    /// # Panics
    /// When the answer is something else.
    pub async fn json(&self, path: &str) -> Value {
        let (status, body) = self.http("GET", path, "").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("the body is JSON")
    }

    /// Returns every recorded decision, the oldest first.
    pub async fn decisions(&self) -> Vec<Decision> {
        decisions(self.store()).await
    }

    /// Returns the decisions that touched PgBouncer, the oldest first.
    pub async fn changes(&self) -> Vec<Decision> {
        changes(self.decisions().await)
    }

    /// Returns the newest change that came into force after a moment.
    pub async fn in_force_since(&self, since: Timestamp) -> Option<Decision> {
        let newest = self.changes().await.into_iter().rev();
        newest.filter(|one| one.at >= since).find(came_into_force)
    }

    /// Returns what the API shows of a policy.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn policy(&self, name: &str) -> PolicyStatus {
        let all = self.app.registry().statuses();
        all.into_iter().find(|one| one.name.as_str() == name).expect("the policy is there")
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

/// Says whether a change was read back, whatever was found of what it did.
#[must_use]
pub fn came_into_force(change: &Decision) -> bool {
    let passed = change
        .verdict
        .as_ref()
        .is_none_or(|verdict| matches!(verdict.outcome, Outcome::Approved | Outcome::Clamped));
    let after = [
        Status::Applied,
        Status::Verified,
        Status::RolledBack,
        Status::Inconclusive,
        Status::Superseded,
    ];
    passed && after.contains(&change.status)
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

/// Reads JSON of a sidecar in another process; `None` while it does not answer.
pub async fn ask_json(address: &str, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}
