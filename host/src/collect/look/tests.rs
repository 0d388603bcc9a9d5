//! What three lists that do not fit together quite become.

use super::*;
use crate::model::{BackendIdentity, DatabaseRow};

fn client(ptr: &str, link: &str, application: &str) -> ClientRow {
    ClientRow {
        database: "app".into(),
        user: "web".into(),
        state: "active".into(),
        address: "10.0.0.9".into(),
        port: 4711,
        connected: Duration::from_secs(600),
        request_age: Duration::from_secs(60),
        ptr: ptr.into(),
        link: link.into(),
        application: application.into(),
        ..ClientRow::default()
    }
}

fn server(ptr: &str, link: &str, pid: u32) -> ServerRow {
    ServerRow {
        database: "app".into(),
        user: "web".into(),
        over_socket: false,
        local_port: 5,
        ptr: ptr.into(),
        link: link.into(),
        backend_pid: pid,
    }
}

fn backend(pid: u32, state: SessionState, state_age: u64) -> Backend {
    Backend {
        pid,
        client_port: Some(5),
        state,
        identity: BackendIdentity { backend_start_us: 1, state_change_us: 2 },
        state_age: Duration::from_secs(state_age),
        transaction_age: Duration::from_secs(state_age),
        statement_age: Duration::from_secs(state_age),
    }
}

fn joined(clients: &[ClientRow], servers: &[ServerRow], backends: &[Backend]) -> Look {
    let since = Duration::from_millis(500);
    join(clients, &pairs(clients, servers), backends, &Databases::new(), since)
}

#[test]
fn a_leak_is_named_from_application_to_backend() {
    let clients = [client("c1", "s1", "shop")];
    let backends = [backend(77, SessionState::IdleInTransaction, 58)];
    let look = joined(&clients, &[server("s1", "c1", 77)], &backends);
    let [holder] = look.holders.as_slice() else { panic!("{look:?}") };
    let session = &holder.session;
    assert_eq!(session.pool, PoolKey::new("app", "web"));
    assert_eq!((session.client.as_str(), session.application.as_str()), ("c1", "shop"));
    assert_eq!((session.address.as_str(), session.backend_pid), ("10.0.0.9:4711", 77));
    assert_eq!(session.state, SessionState::IdleInTransaction);
    assert!(session.identity.is_some());
    assert_eq!(holder.state_age, Duration::from_secs(58));
    assert!(!look.truncated);
}

#[test]
fn rows_that_do_not_name_each_other_are_not_believed() {
    let clients = [client("c1", "s1", "shop"), client("c2", "", "shop")];
    // Between the two answers the server went to somebody else.
    let look = joined(&clients, &[server("s1", "c2", 77), server("s2", "", 78)], &[]);
    assert_eq!(look.holders, []);
    assert_eq!(look.groups.len(), 1);
    assert_eq!((look.groups[0].clients, look.groups[0].holding), (2, 0));
}

#[test]
fn a_backend_of_another_port_or_of_a_later_moment_is_not_the_clients() {
    let clients = [client("c1", "s1", "shop")];
    let servers = [server("s1", "c1", 77)];
    let elsewhere =
        Backend { client_port: Some(6), ..backend(77, SessionState::IdleInTransaction, 58) };
    let later = backend(77, SessionState::IdleInTransaction, 0);
    for backend in [elsewhere, later] {
        let look = joined(&clients, &servers, &[backend]);
        assert_eq!(look.holders[0].session.state, SessionState::Unknown);
        assert_eq!(look.holders[0].session.identity, None);
    }
}

#[test]
fn without_postgresql_a_query_that_runs_is_told_from_silence() {
    let mut running = client("c1", "s1", "shop");
    running.wait = Duration::from_millis(2_800);
    let clients = [running, client("c2", "s2", "shop")];
    let look = joined(&clients, &[server("s1", "c1", 7), server("s2", "c2", 8)], &[]);
    let state = |client: &str| {
        let holder = look.holders.iter().find(|holder| holder.session.client == client);
        holder.expect("it holds a server").session.state
    };
    assert_eq!((state("c1"), state("c2")), (SessionState::Running, SessionState::Unknown));
}

#[test]
fn a_thousand_is_enough_and_the_longest_come_first() {
    let count = HOLDERS_MAX + 1;
    let name = |kind: &str, at: usize| format!("{kind}{at}");
    let clients: Vec<_> = (0..count)
        .map(|at| ClientRow {
            request_age: Duration::from_secs(u64::try_from(at).expect("small")),
            ..client(&name("c", at), &name("s", at), &name("app", at))
        })
        .collect();
    let servers: Vec<_> = (0..count).map(|at| server(&name("s", at), &name("c", at), 9)).collect();
    let look = joined(&clients, &servers, &[]);
    assert!(look.truncated);
    assert_eq!((look.holders.len(), look.groups.len()), (HOLDERS_MAX, GROUPS_MAX));
    assert_eq!(look.holders[0].session.client, "c1000");
}

#[test]
fn a_group_belongs_to_the_pool_of_the_forced_user() {
    let row = DatabaseRow {
        name: "app".into(),
        database: "app".into(),
        host: None,
        port: None,
        force_user: Some("owner".into()),
        pool_size: None,
        min_pool_size: None,
        reserve_pool: None,
        pool_mode: None,
        max_connections: None,
        current_connections: None,
        paused: false,
        disabled: false,
    };
    let databases = Databases::from([("app".into(), row)]);
    let clients = [client("c1", "", "shop"), client("c2", "", "shop"), client("c3", "", "jobs")];
    let groups = groups(&clients, &[], &databases);
    assert_eq!(groups[0].pool, PoolKey::new("app", "owner"));
    assert_eq!((groups[0].clients, groups.len()), (2, 2));
}

#[test]
fn what_a_client_calls_itself_cannot_fool_a_terminal() {
    assert_eq!(cut("shop\u{1b}[2J\n"), "shop[2J");
    assert_eq!(cut(&"x".repeat(500)).len(), TEXT_BYTES);
}
