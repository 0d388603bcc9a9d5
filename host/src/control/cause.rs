//! What a size in force tells of who set it.
//!
//! The console says what is in force and never who set it, and PgBouncer logs no `SET`. What can be
//! known: a new process loads its file, and so does a `RELOAD`, which undoes every `SET` at once; what a
//! file says, where it can be read. Rejected: a mark of our own, set by `SET` in some harmless key, whose
//! loss would prove a `RELOAD`: it would be a change of the operator's settings that nobody asked for.

use super::scope::ScopeControl;
use crate::model::{Mode, PoolSize};

/// How a process came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    /// From nothing: all clients had to connect again.
    Cold,
    /// With `-R`: it took over the clients of the one before.
    Online,
}

/// What has happened to a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// A new process loaded the file.
    Restarted(Restart),
    /// The same process loaded the file.
    Reloaded,
    /// A person's `SET`.
    Set,
    /// One of the last two; the console cannot tell which.
    SetOrReloaded,
    /// What another sidecar, which acted before, took for a person's.
    Inherited,
}

impl Cause {
    /// Says what happened, as the beginning of a sentence.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Restarted(Restart::Cold) => "PgBouncer was restarted",
            Self::Restarted(Restart::Online) => {
                "PgBouncer was restarted online (-R, its clients stayed)"
            }
            Self::Reloaded => "somebody reloaded PgBouncer (RELOAD or SIGHUP)",
            Self::Set => "somebody changed it on the admin console (SET)",
            Self::SetOrReloaded => {
                "somebody changed it, on the admin console (SET) or in the file with a RELOAD"
            }
            Self::Inherited => "somebody changed it while another sidecar acted here",
        }
    }
}

/// What else is known at the moment at which a size is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs {
    pub mode: Mode,
    /// What the file says now, where the sidecar can read it.
    pub file: Option<PoolSize>,
    /// Whether the process is a new one.
    pub restart: Option<Restart>,
    /// Whether another size of the sidecar's fell back to its file's value in this very poll.
    pub reloaded: bool,
}

/// What a size in force means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drift {
    /// As it should be.
    None,
    /// The file's value is back: apply the wanted one again.
    Lost(Cause),
    /// The file has another value, and it was loaded: start from it.
    NewFile(Cause),
    /// Any value where the sidecar does not act, or the file's in place of one that it found and never
    /// changed: it is what there is to start from.
    NotOurs,
    /// A person's value.
    Foreign(Cause),
}

/// Reads the signs.
pub(super) fn recognise(scope: &ScopeControl, current: PoolSize, signs: Signs) -> Drift {
    // Where the file can be read and says something else, this value is not from it.
    let of_file = signs.file.map(|file| file == current);
    let loaded = match (signs.restart, signs.reloaded) {
        (Some(restart), _) => Some(Cause::Restarted(restart)),
        (None, true) => Some(Cause::Reloaded),
        (None, false) => None,
    };
    // One that was a person's already when this sidecar came may be all that it has ever seen.
    let stays = scope.stood_down.is_some() && scope.respected == Some(current);
    if stays && signs.mode == Mode::Enforce && loaded.is_none() && of_file != Some(true) {
        return Drift::Foreign(scope.theirs.unwrap_or(Cause::SetOrReloaded));
    }
    if current == scope.wanted.unwrap_or(scope.base) {
        return Drift::None;
    }
    let file_is_back = current == scope.file_size();
    if signs.mode != Mode::Enforce || (file_is_back && scope.wanted.is_none()) {
        return Drift::NotOurs;
    }
    match (loaded, of_file) {
        (Some(cause), _) if file_is_back => Drift::Lost(cause),
        (Some(cause), _) => Drift::NewFile(cause),
        (None, Some(false)) => Drift::Foreign(Cause::Set),
        (None, _) if file_is_back => Drift::Lost(Cause::Reloaded),
        (None, Some(true)) => Drift::NewFile(Cause::Reloaded),
        (None, None) => Drift::Foreign(Cause::SetOrReloaded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLD: Cause = Cause::Restarted(Restart::Cold);
    const ONLINE: Cause = Cause::Restarted(Restart::Online);
    const NOTHING: Signs =
        Signs { mode: Mode::Enforce, file: None, restart: None, reloaded: false };

    fn size(size: u32) -> PoolSize {
        PoolSize::new(size).expect("above zero")
    }

    fn restarted(restart: Restart) -> Signs {
        Signs { restart: Some(restart), ..NOTHING }
    }

    #[test]
    fn before_its_first_change_any_other_size_is_somebody_elses() {
        let scope = ScopeControl::first_seen(size(5));
        assert_eq!(recognise(&scope, size(5), NOTHING), Drift::None);
        let theirs = Drift::Foreign(Cause::SetOrReloaded);
        assert_eq!(recognise(&scope, size(7), NOTHING), theirs);
        assert_eq!(recognise(&scope, size(7), restarted(Restart::Cold)), Drift::NewFile(COLD));
    }

    #[test]
    fn the_size_in_force_and_the_process_tell_what_happened() {
        let mut scope = ScopeControl::first_seen(size(5));
        scope.wanted = Some(size(12));
        let observed = Signs { mode: Mode::Observe, ..NOTHING };
        let reloaded = Signs { reloaded: true, ..NOTHING };
        for (current, signs, drift) in [
            (12, NOTHING, Drift::None),
            (5, NOTHING, Drift::Lost(Cause::Reloaded)),
            (5, restarted(Restart::Cold), Drift::Lost(COLD)),
            (5, restarted(Restart::Online), Drift::Lost(ONLINE)),
            (9, NOTHING, Drift::Foreign(Cause::SetOrReloaded)),
            (9, restarted(Restart::Cold), Drift::NewFile(COLD)),
            (9, restarted(Restart::Online), Drift::NewFile(ONLINE)),
            (9, reloaded, Drift::NewFile(Cause::Reloaded)),
            (9, observed, Drift::NotOurs),
        ] {
            assert_eq!(recognise(&scope, size(current), signs), drift, "{current} {signs:?}");
        }
    }

    #[test]
    fn a_file_that_can_be_read_tells_a_set_from_an_edit() {
        let mut scope = ScopeControl::first_seen(size(5));
        scope.wanted = Some(size(12));
        let file = |file| Signs { file: Some(size(file)), ..NOTHING };
        assert_eq!(recognise(&scope, size(9), file(9)), Drift::NewFile(Cause::Reloaded));
        assert_eq!(recognise(&scope, size(8), file(9)), Drift::Foreign(Cause::Set));
        assert_eq!(recognise(&scope, size(5), file(5)), Drift::Lost(Cause::Reloaded));
        assert_eq!(recognise(&scope, size(9), file(5)), Drift::Foreign(Cause::Set));
    }

    #[test]
    fn a_size_that_was_found_is_not_the_files() {
        let file = Signs { file: Some(size(20)), ..NOTHING };
        let mut scope = ScopeControl::first_seen(size(40));
        scope.learn(file.file);
        assert_eq!(recognise(&scope, size(40), file), Drift::None, "it starts from there");
        assert_eq!(recognise(&scope, size(20), file), Drift::NotOurs, "or from the file's");
        assert_eq!(recognise(&scope, size(33), file), Drift::Foreign(Cause::Set));
        scope.wanted = Some(size(45));
        assert_eq!(recognise(&scope, size(20), file), Drift::Lost(Cause::Reloaded));
    }

    #[test]
    fn a_size_that_is_respected_is_a_persons_as_long_as_it_stays() {
        let mut scope = ScopeControl::first_seen(size(33));
        scope.respect(size(33), Cause::Inherited, crate::model::Timestamp::from_millis(1));
        let file = |file| Signs { file: Some(size(file)), ..NOTHING };
        assert_eq!(recognise(&scope, size(33), NOTHING), Drift::Foreign(Cause::Inherited));
        assert_eq!(recognise(&scope, size(33), file(20)), Drift::Foreign(Cause::Inherited));
        assert_eq!(recognise(&scope, size(33), file(33)), Drift::None, "it is in the file now");
        assert_eq!(recognise(&scope, size(33), restarted(Restart::Cold)), Drift::None);
    }
}
