//! One `RELOAD` that reads the file it should, proves it, and changes nothing but sizes of ours.
//!
//! Up to 1.24 a `RELOAD` answers success whatever became of it, so a harmless key tells: it is set to
//! another value before, and only a file that was read puts it back. The same key stays marked while
//! overrides are in force: where the mark is gone, somebody else has reloaded.

use super::Sent;
use super::compare::{Ours, differences};
use super::overrides::Sizes;
use super::site::Site;
use crate::console::{ConfigRow, ConsoleError, InForce, Session, read_config, read_in_force};
use crate::ini::Ini;
use crate::model::{Obstacle, ScopeKey};

/// The key that is marked: it matters for an online restart only, and 62 ms matter there to nobody.
pub(super) const MARK_KEY: &str = "suspend_timeout";

/// Gives the marked value for what the file says of the key.
pub(super) fn mark(ini: &Ini, now: &InForce) -> Option<String> {
    let row = now.config.get(MARK_KEY)?;
    let written = ini.settings.get(MARK_KEY).map(|value| value.text.as_str());
    let file: f64 = written.or(row.default.as_deref())?.parse().ok()?;
    // Six digits are shown.
    Some(if file < 100.0 { file + 0.0625 } else { file + 1.0 }.to_string())
}

/// Says whether the mark is in force.
pub(super) fn is_marked(now: &InForce, mark: &str) -> bool {
    let value = now.value(MARK_KEY).and_then(|value| value.parse::<f64>().ok());
    let mark = mark.parse::<f64>().ok();
    value.zip(mark).is_some_and(|(value, mark)| (value - mark).abs() < 1e-3)
}

/// What a `RELOAD` is to read, and what is to be in force after it.
pub(super) struct Order<'a> {
    pub site: &'a Site<'a>,
    pub ini: &'a Ini,
    /// As it was before.
    pub before: &'a InForce,
    /// The file that PgBouncer is to read, as it names it.
    pub conffile: &'a str,
    /// Sizes of the default scope that are put back afterwards, and overrides.
    pub sizes: &'a Sizes,
}

/// What came of a `RELOAD`.
pub(super) enum Reloaded {
    /// The file was read; this is in force now.
    Read(Box<InForce>),
    /// PgBouncer cannot read the file; all is as before.
    Unread(Obstacle),
    /// More has changed than should; what could be put back was.
    Broken(Obstacle),
    /// Somebody has set something since it was decided to reload; nothing was sent.
    Overtaken(Obstacle),
}

/// Reloads, puts back what a `SET` had set, and looks at everything.
pub(super) async fn reload(
    session: &mut Session,
    order: &Order<'_>,
    sent: &mut Sent,
) -> Result<Reloaded, ConsoleError> {
    let before = order.before;
    // A file was written meanwhile, and a `SET` of that moment would be lost without a word.
    if let Some(key) = overtaken(session, before).await? {
        let reason = format!("{key} was set while a RELOAD was prepared; nothing was sent");
        return Ok(Reloaded::Overtaken(Obstacle::new(reason, "nothing: it is tried again")));
    }
    let has_peers = has_peers(session, before.version).await?;
    let old = before.value("conffile").unwrap_or_default().to_owned();
    let mark = mark(order.ini, before).unwrap_or_else(|| "10.0625".to_owned());
    if !is_marked(before, &mark) {
        sent.run(session, &format!("SET {MARK_KEY} = '{mark}'")).await?;
    }
    if old != order.conffile {
        sent.run(session, &command(order.conffile)).await?;
    }
    // From 1.25 on a failure is told; it is looked at as a silent one is.
    match sent.run(session, "RELOAD").await {
        Ok(()) | Err(ConsoleError::Command { .. }) => {}
        Err(error) => return Err(error),
    }
    set_again(session, order, sent).await?;
    let after = read_in_force(session).await?;
    if is_marked(&after, &mark) {
        put_back(session, order, &old, &after, sent).await?;
        if has_peers {
            bring_peers_back(session, order, &mark, sent).await?;
        }
        return Ok(unread(order.conffile));
    }
    let sizes = order.sizes.iter().map(|(setting, size)| (setting.clone(), vec![*size])).collect();
    let moved = differences(order.ini, &after, &Ours { sizes, ..Ours::default() });
    if !moved.is_empty() {
        return broken(session, order, &old, &after, &moved, sent).await;
    }
    if order.conffile != order.site.main {
        sent.run(session, &format!("SET {MARK_KEY} = '{mark}'")).await?;
    }
    Ok(Reloaded::Read(Box::new(after)))
}

/// Gives a setting that has another value by now.
async fn overtaken(
    session: &mut Session,
    before: &InForce,
) -> Result<Option<String>, ConsoleError> {
    let now = read_config(session).await?;
    let is_another = |(key, row): &(&String, &ConfigRow)| {
        now.get(*key).is_some_and(|now| now.value != row.value)
    };
    Ok(before.config.iter().find(is_another).map(|(key, _)| key.clone()))
}

fn command(path: &str) -> String {
    Site::command(path).unwrap_or_default()
}

/// Sets sizes of the default scope again, which a `RELOAD` takes.
async fn set_again(
    session: &mut Session,
    order: &Order<'_>,
    sent: &mut Sent,
) -> Result<(), ConsoleError> {
    for (setting, size) in order.sizes.iter().filter(|(s, _)| s.scope == ScopeKey::Default) {
        sent.run(session, &format!("SET {} = {size}", setting.knob.default_key())).await?;
    }
    Ok(())
}

/// Says whether PgBouncer has peers, which it can since 1.19.
async fn has_peers(session: &mut Session, version: u32) -> Result<bool, ConsoleError> {
    const PEERS_SINCE: u32 = 11_900;
    Ok(version >= PEERS_SINCE && session.run("SHOW PEERS").await?.rows().next().is_some())
}

/// Reads the file of before once more: a `RELOAD` that reads none drops all peers, and no `SET` brings
/// them back.
async fn bring_peers_back(
    session: &mut Session,
    order: &Order<'_>,
    mark: &str,
    sent: &mut Sent,
) -> Result<(), ConsoleError> {
    match sent.run(session, "RELOAD").await {
        // It cannot be read either: nothing more can be done for them here.
        Ok(()) | Err(ConsoleError::Command { .. }) => {}
        Err(error) => return Err(error),
    }
    set_again(session, order, sent).await?;
    if is_marked(order.before, mark) {
        sent.run(session, &format!("SET {MARK_KEY} = '{mark}'")).await?;
    }
    Ok(())
}

/// Says that the file was not read, so that nothing else has changed.
fn unread(path: &str) -> Reloaded {
    Reloaded::Unread(Obstacle::new(
        format!("PgBouncer did not read {path} at a RELOAD"),
        "make the file visible to PgBouncer under that path and readable for its user, or set \
         override.path_in_pgbouncer; PgBouncer's log says what it could not read",
    ))
}

/// A file was read in part: what is left out has its default now, which nobody wants.
async fn broken(
    session: &mut Session,
    order: &Order<'_>,
    old: &str,
    after: &InForce,
    moved: &[String],
    sent: &mut Sent,
) -> Result<Reloaded, ConsoleError> {
    let reason = format!("a RELOAD changed more than it should: {}", moved.join("; "));
    tracing::error!(reason, "what could be put back is put back; Poolwarden reloads no more");
    put_back(session, order, old, after, sent).await?;
    let remedy = "see PgBouncer's log, correct the file and RELOAD; Poolwarden tries again after the \
                  file has changed";
    Ok(Reloaded::Broken(Obstacle::new(reason, remedy)))
}

/// Sets every key to what it was, the path of the file among them.
async fn put_back(
    session: &mut Session,
    order: &Order<'_>,
    old: &str,
    after: &InForce,
    sent: &mut Sent,
) -> Result<(), ConsoleError> {
    if after.value("conffile") != Some(old) {
        sent.run(session, &command(old)).await?;
    }
    for (key, row) in &order.before.config {
        let moved = after.config.get(key).is_some_and(|now| now.value != row.value);
        let Some(value) = row.value.as_deref().filter(|_| moved && row.changeable) else {
            continue;
        };
        if key == "conffile" {
            continue;
        }
        let quoted = value.replace('\'', "''");
        // Some values are secrets.
        let shown = format!("SET {key} = (as before)");
        match sent.run_as(session, &format!("SET {key} = '{quoted}'"), shown).await {
            Ok(()) => {}
            Err(ConsoleError::Command { .. }) => {
                tracing::error!(key, "a setting cannot be put back");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
