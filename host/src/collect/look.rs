//! One look at single sessions: PgBouncer's clients and servers, joined with PostgreSQL's backends.
//!
//! Three answers are three moments, so only what they agree on is believed: client and server must
//! name each other, and a backend whose state changed after PgBouncer was asked says nothing of the
//! client that held it then.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::config::Target;
use crate::console::{ClientRow, ConsoleError, Cost, ServerRow, read_clients};
use crate::database::{Backend, read_backends};
use crate::model::{
    ClientGroup, Databases, Holder, Look, PoolKey, SessionKey, SessionState, is_own_application,
};
use crate::report::chain;

/// Most holders that a look lists.
pub const HOLDERS_MAX: usize = 1_000;
/// Most groups that a look lists.
pub const GROUPS_MAX: usize = 1_000;
/// Longest text taken from a client, in bytes: it names itself.
const TEXT_BYTES: usize = 128;

/// A look with what it cost.
#[derive(Debug)]
pub struct Looked {
    /// What was seen.
    pub look: Look,
    /// What it cost PgBouncer, by command.
    pub costs: Vec<Cost>,
}

/// Looks at the sessions of a target; without PostgreSQL's word their states are unknown.
///
/// # Errors
/// When the console cannot be reached or refuses.
pub async fn look(
    target: &Target,
    databases: &Databases,
    clock: &Clock,
) -> Result<Looked, ConsoleError> {
    let seen = read_clients(&target.console).await?;
    let (at, start) = (clock.now(), Instant::now());
    let pairs = pairs(&seen.clients, &seen.servers);
    let mut backends = Vec::new();
    if let Some(database) = &target.database
        && !pairs.is_empty()
    {
        let pids: Vec<u32> = pairs.iter().map(|(_, server)| server.backend_pid).collect();
        match read_backends(database, &pids).await {
            Ok(seen) => backends = seen,
            Err(error) => {
                let (target, problem) = (target.name.as_str(), chain(&error));
                tracing::warn!(target, problem, "PostgreSQL cannot be asked about sessions");
            }
        }
    }
    let since = start.elapsed();
    let mut look = join(&seen.clients, &pairs, &backends, databases, since);
    look.at = at;
    Ok(Looked { look, costs: seen.costs })
}

type Pair<'a> = (&'a ClientRow, &'a ServerRow);

/// Finds the clients that hold a server: both rows must name each other.
fn pairs<'a>(clients: &'a [ClientRow], servers: &'a [ServerRow]) -> Vec<Pair<'a>> {
    let by_ptr: HashMap<&str, &ServerRow> =
        servers.iter().map(|server| (server.ptr.as_str(), server)).collect();
    let pair = |client: &'a ClientRow| {
        let server = by_ptr.get(client.link.as_str()).copied()?;
        (!client.link.is_empty() && server.link == client.ptr).then_some((client, server))
    };
    clients.iter().filter_map(pair).collect()
}

fn join(
    clients: &[ClientRow],
    pairs: &[Pair<'_>],
    backends: &[Backend],
    databases: &Databases,
    since: Duration,
) -> Look {
    let by_pid: HashMap<u32, &Backend> =
        backends.iter().map(|backend| (backend.pid, backend)).collect();
    let mut holders: Vec<Arc<Holder>> = pairs
        .iter()
        .map(|(client, server)| {
            let backend = by_pid.get(&server.backend_pid).copied();
            let backend = backend.filter(|backend| is_same(server, backend));
            Arc::new(holder(client, server, backend, since))
        })
        .collect();
    holders.sort_by_cached_key(|holder| (Reverse(holder.held()), holder.session.client.clone()));
    let mut groups = groups(clients, pairs, databases);
    let truncated = holders.len() > HOLDERS_MAX || groups.len() > GROUPS_MAX;
    holders.truncate(HOLDERS_MAX);
    groups.truncate(GROUPS_MAX);
    Look { truncated, holders, groups, ..Look::default() }
}

/// Says whether a backend can be that of a server connection: over TCP both know the same port, and
/// one over a socket is nobody's who came over TCP. A process id alone may be another PgBouncer's
/// invention, or that of a second PostgreSQL server.
fn is_same(server: &ServerRow, backend: &Backend) -> bool {
    match backend.client_port {
        Some(port) => port == server.local_port,
        None => server.over_socket,
    }
}

fn holder(
    client: &ClientRow,
    server: &ServerRow,
    backend: Option<&Backend>,
    since: Duration,
) -> Holder {
    // What changed after PgBouncer was asked may be another client's doing already.
    let backend = backend.filter(|backend| backend.state_age >= since);
    let state = match backend {
        Some(backend) => backend.state,
        // PgBouncer counts the time of a query that runs, and none between two queries.
        None if !client.wait.is_zero() => SessionState::Running,
        None => SessionState::Unknown,
    };
    let age = |of: fn(&Backend) -> Duration| backend.map_or(Duration::ZERO, of);
    Holder {
        session: SessionKey {
            pool: PoolKey::new(&server.database, &server.user),
            client: client.id.map_or_else(|| client.ptr.clone(), |id| id.to_string()),
            application: cut(&client.application),
            address: place(client),
            backend_pid: server.backend_pid,
            state,
            identity: backend
                .filter(|backend| backend.state != SessionState::Unknown)
                .map(|backend| backend.identity),
        },
        connected: client.connected,
        request_age: client.request_age,
        state_age: if state == SessionState::Unknown {
            Duration::ZERO
        } else {
            age(|backend| backend.state_age)
        },
        transaction_age: age(|backend| backend.transaction_age),
        statement_age: age(|backend| backend.statement_age),
    }
}

fn place(client: &ClientRow) -> String {
    match (client.address.as_str(), client.port) {
        (address, 0) => cut(address),
        (address, port) if address.contains(':') => format!("[{}]:{port}", cut(address)),
        (address, port) => format!("{}:{port}", cut(address)),
    }
}

type GroupKey<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Counts clients by pool, application and address. PgBouncer shows the user that a client logged in
/// as, and a pool has the user that its database forces.
fn groups(
    clients: &[ClientRow],
    pairs: &[Pair<'_>],
    databases: &Databases,
) -> Vec<Arc<ClientGroup>> {
    let held: HashMap<&str, &ServerRow> =
        pairs.iter().map(|(client, server)| (client.ptr.as_str(), *server)).collect();
    let mut counts: BTreeMap<GroupKey<'_>, (u32, u32, Duration)> = BTreeMap::new();
    for client in clients.iter().filter(|client| !is_own_application(&client.application)) {
        let forced = databases.get(client.database.as_str());
        let forced = forced.and_then(|row| row.force_user.as_deref());
        let server = held.get(client.ptr.as_str());
        let user = server.map_or(forced.unwrap_or(&client.user), |server| server.user.as_str());
        let key = (client.database.as_str(), user, client.application.as_str(), &*client.address);
        let (clients, holding, oldest) = counts.entry(key).or_default();
        *clients += 1;
        *holding += u32::from(server.is_some());
        *oldest = client.connected.max(*oldest);
    }
    let group = |(key, count): (GroupKey<'_>, (u32, u32, Duration))| {
        let ((database, user, application, address), (clients, holding, oldest)) = (key, count);
        Arc::new(ClientGroup {
            pool: PoolKey::new(database, user),
            application: cut(application),
            address: cut(address),
            clients,
            holding,
            oldest,
        })
    };
    let mut groups: Vec<_> = counts.into_iter().map(group).collect();
    groups.sort_by_key(|group| Reverse(group.clients));
    groups
}

/// Cuts a text of a client's own making, and takes out what could fool a terminal or a log.
fn cut(text: &str) -> String {
    let text = text.get(..text.floor_char_boundary(TEXT_BYTES)).unwrap_or(text);
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests;
