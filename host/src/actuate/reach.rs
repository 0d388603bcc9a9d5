//! Which sizes can be acted on: what version, login, file layout and a first look allow.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::overrides::in_file;
use crate::config::{Override, TlsReload};
use crate::console::InForce;
use crate::ini::{ANY, Ini};
use crate::model::{Knob, Means, Obstacle, Reach, Reachable, ScopeKey, Setting};

/// Version from which on `SET` reaches databases that exist already (pgbouncer#634).
const SET_REACHES: u32 = 11_600;
/// Version from which on a `RELOAD` keeps TLS connections to PostgreSQL (pgbouncer#1157).
const RELOAD_KEEPS_TLS: u32 = 12_400;
/// Versions from which on a user has sizes of its own.
const USER_SIZE: u32 = 12_300;
const USER_RESERVE: u32 = 12_400;

/// What a `RELOAD` would do to TLS connections, if that is not allowed.
pub(super) fn tls_obstacle(config: &Override, now: &InForce) -> Option<Obstacle> {
    let mode = now.value("server_tls_sslmode").unwrap_or("disable");
    let recycles = now.version < RELOAD_KEEPS_TLS && mode != "disable";
    (recycles && config.tls_reload == TlsReload::Refuse).then(|| {
        Obstacle::new(
            format!(
                "before 1.24 a RELOAD closes every server connection once it is released, because \
                 server_tls_sslmode is {mode}"
            ),
            "upgrade PgBouncer, or accept it with override.allow_tls_reload = true",
        )
    })
}

/// Makes the reach of a target of which the file could be read, or not.
///
/// `ini` is the operator's file; `reload` says what stands in the way of a `RELOAD`.
pub(super) fn reach(
    now: &InForce,
    ini: Result<&Ini, &Obstacle>,
    reload: Option<&Obstacle>,
) -> Reach {
    let mut settings = BTreeMap::new();
    let set = if now.version >= SET_REACHES {
        Ok(Means::Set)
    } else {
        Err(Obstacle::new(
            "before 1.16 a changed default does not reach databases that exist",
            "upgrade PgBouncer",
        ))
    };
    for knob in Knob::ALL {
        let setting = Setting { scope: ScopeKey::Default, knob };
        let file = ini.ok().and_then(|ini| in_file(ini, &setting));
        settings.insert(setting, Reachable { means: set.clone(), file });
    }
    let no_ini = |obstacle: &Obstacle| Reach {
        settings: settings.clone(),
        others: obstacle.clone(),
        problems: vec![obstacle.clone()],
    };
    let ini = match ini {
        Ok(ini) => ini,
        Err(obstacle) => return no_ini(obstacle),
    };
    let means = reload.map_or(Ok(Means::Override), |obstacle| Err(obstacle.clone()));
    for name in ini.databases.keys().filter(|name| &***name != ANY) {
        for knob in Knob::ALL {
            let setting = Setting { scope: ScopeKey::Database(Arc::clone(name)), knob };
            let file = in_file(ini, &setting);
            settings.insert(setting, Reachable { means: means.clone(), file });
        }
    }
    for name in ini.users.keys() {
        for knob in Knob::ALL {
            let setting = Setting { scope: ScopeKey::User(Arc::clone(name)), knob };
            let file = in_file(ini, &setting);
            let means = user(now.version, knob, file, &means);
            settings.insert(setting, Reachable { means, file });
        }
    }
    let others = Obstacle::new(
        "it has no entry of its own in PgBouncer's file, and one that is added can never be removed \
         without ending clients",
        "give it an entry in the file",
    );
    Reach { settings, others, problems: reload.cloned().into_iter().collect() }
}

/// A user's limit stays after its line is gone, so that only one with a line can be handed back.
fn user(
    version: u32,
    knob: Knob,
    file: Option<u32>,
    means: &Result<Means, Obstacle>,
) -> Result<Means, Obstacle> {
    let since = match knob {
        Knob::PoolSize => USER_SIZE,
        Knob::ReservePoolSize => USER_RESERVE,
        Knob::MinPoolSize => u32::MAX,
    };
    if version < since {
        let reason = format!("this PgBouncer has no {knob} of a user");
        let remedy =
            if since == u32::MAX { "set the database's instead" } else { "upgrade PgBouncer" };
        return Err(Obstacle::new(reason, remedy));
    }
    if file.is_none() {
        let reason = format!("the user has no {knob} in the file to go back to");
        return Err(Obstacle::new(reason, "give the user's entry one"));
    }
    means.clone()
}
