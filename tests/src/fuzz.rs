//! What the fuzzers drive, and what must hold of everything that comes out.
//!
//! `tests/fuzz.sh` runs them for as long as one likes; `tests/tests/fuzz.rs` runs their corpora, so
//! that what they once found stays found. Answers go through a real guest and not straight into the
//! conversion: what a plugin can say is what the contract's types let through the border.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use poolwarden::config::PluginLimits;
use poolwarden::evaluate::{Fault, PolicyFile};
use poolwarden::model::{
    Evidence, Holder, HolderRow, PoolKey, Proposal, ScopeKey, SessionKey, SessionState,
    SessionsWindow, Subject, Window,
};

use crate::plugins::{Folder, fixture, limits, policy, window};

/// A guest that answers whatever it is told, and the window that it sees.
#[derive(Debug)]
pub struct Answers {
    folder: Folder,
    window: Window,
}

impl Default for Answers {
    fn default() -> Self {
        // On a busy machine a call may wait long for its turn; that is no finding.
        let deadline = Duration::from_secs(10);
        let folder = Folder::with_limits(PluginLimits { deadline, ..limits() });
        folder.put("answers-anything.wasm", fixture("answers-anything"));
        folder.scan();
        Self { folder, window: Window { sessions: Some(sessions()), ..window(5) } }
    }
}

/// A look at three clients that hold a server, each in another pool.
fn sessions() -> SessionsWindow {
    let holder = |pool: u32, key: &PoolKey| {
        let session = SessionKey {
            pool: key.clone(),
            client: pool.to_string(),
            application: "shop".to_owned(),
            address: "127.0.0.1:4711".to_owned(),
            backend_pid: 100 + pool,
            state: SessionState::IdleInTransaction,
            identity: None,
        };
        let second = Duration::from_secs(1);
        let holder = Holder {
            session,
            connected: second,
            request_age: second,
            state_age: second,
            transaction_age: second,
            statement_age: second,
        };
        HolderRow { pool, endable: pool != 1, holder: Arc::new(holder) }
    };
    let keys = window(3).pool_keys;
    SessionsWindow {
        age: Duration::ZERO,
        truncated: false,
        holders: (0..).zip(&keys).map(|(pool, key)| holder(pool, key)).collect(),
        groups: Vec::new(),
    }
}

impl Answers {
    /// Has the guest answer what the bytes spell, and checks what the host makes of it.
    ///
    /// # Panics
    /// When something comes out that no later stage could live with.
    pub fn try_one(&self, bytes: &[u8]) {
        let memory = serde_json::to_vec(bytes).expect("numbers are JSON");
        let name = policy("answers-anything");
        let memories = [(name, Arc::from(memory))].into();
        let set = self.folder.registry().serving();
        let results = set.evaluate(&crate::plugins::target(), self.window.clone(), &memories);
        let [result] = results.as_slice() else { panic!("one policy serves") };
        match &result.outcome {
            Ok(answer) => {
                assert!(answer.proposals.len() <= 8 * self.window.pool_keys.len() + 100);
                answer.proposals.iter().for_each(|one| self.check(one));
            }
            // Refused for what it is; anything else would be the fault of the way there.
            Err(Fault::Nonsense(_) | Fault::TooMuch(_) | Fault::Refused(_)) => {}
            Err(Fault::Memory { .. }) => {}
            Err(other) => panic!("the guest only speaks: {other}"),
        }
    }

    fn check(&self, proposal: &Proposal) {
        match proposal {
            Proposal::Alert { name, subject, summary, hold, cooldown, evidence, .. } => {
                let day = Duration::from_secs(86_400);
                assert!(*hold <= day && *cooldown <= day);
                self.check_subject(subject);
                check_words(name, summary, evidence);
            }
            Proposal::Recommendation { name, subject, summary, action, evidence } => {
                self.check_subject(subject);
                assert!(action.len() <= 2_048);
                check_words(name, summary, evidence);
            }
            Proposal::Resize { setting, reason, evidence, .. } => {
                self.check_scope(&setting.scope);
                check_words("resize", reason, evidence);
            }
            Proposal::EndSession { session, reason, evidence } => {
                self.check_subject(&Subject::Pool(session.pool.clone()));
                check_words("end-session", reason, evidence);
            }
        }
    }

    fn check_subject(&self, subject: &Subject) {
        match subject {
            Subject::Target | Subject::DatabaseServer => {}
            Subject::Scope(scope) => self.check_scope(scope),
            Subject::Pool(pool) => self.check_pool(pool),
        }
    }

    fn check_scope(&self, scope: &ScopeKey) {
        assert!(self.window.scope_keys.contains(scope), "{scope} is not in the window");
    }

    fn check_pool(&self, pool: &PoolKey) {
        assert!(self.window.pool_keys.contains(pool), "{pool:?} is not in the window");
    }
}

fn check_words(name: &str, text: &str, evidence: &[Evidence]) {
    assert!((1..=64).contains(&name.len()) && name.is_ascii(), "{name:?}");
    assert!(text.len() <= 2_048 && evidence.len() <= 32);
    for one in evidence {
        assert!(one.value.is_finite() && !one.name.is_empty(), "{one:?}");
    }
}

/// Reads bytes as a policy's file, and checks what comes out.
///
/// # Panics
/// When a file passes that must not, or an error says nothing.
pub fn policy_file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let path = Path::new("policies/tried.toml");
    match PolicyFile::parse(path, &text, "tried.wasm", &limits()) {
        Ok(file) => {
            assert!(!file.plugin.is_empty() && !file.plugin.contains(['/', '\\']));
            let widest = PluginLimits::widest();
            assert!(file.limits.deadline <= widest.deadline && !file.limits.deadline.is_zero());
            assert!(file.limits.memory_bytes <= widest.memory_bytes);
            assert!(file.limits.answer_bytes <= widest.answer_bytes);
            assert!(file.limits.blob_bytes <= widest.blob_bytes);
            let names = ["", "app", "naïve", "数据库"];
            let covered = names.iter().filter(|name| file.covers_database(name)).count();
            assert!(!file.covers_all_databases() || covered == names.len());
        }
        Err(error) => {
            let said = error.to_string();
            assert!(said.starts_with("policies/tried.toml: ") && !said.contains('\n'), "{said:?}");
            assert!(!error.reason.is_empty());
        }
    }
}
