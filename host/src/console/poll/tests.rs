//! What each version's columns become; the columns are those that the versions were seen to send.

use super::*;

const POOLS_1_16: &str = "database user cl_active cl_waiting cl_cancel_req sv_active sv_idle \
    sv_used sv_tested sv_login maxwait maxwait_us pool_mode";
const POOLS_1_18: &str = "database user cl_active cl_waiting cl_active_cancel_req \
    cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested \
    sv_login maxwait maxwait_us pool_mode";
const DATABASES_1_18: &str = "name host port database force_user pool_size min_pool_size \
    reserve_pool pool_mode max_connections current_connections paused disabled";
const DATABASES_1_25: &str = "name host port database force_user pool_size min_pool_size \
    reserve_pool_size server_lifetime pool_mode load_balance_hosts max_connections \
    current_connections max_client_connections current_client_connections paused disabled";

fn pools(columns: &str, rows: &[&str]) -> Result<Vec<PoolRow>, ConsoleError> {
    decode(&Table::made("SHOW POOLS", columns, rows), "database", pool_row)
}

#[test]
fn versions_compare_as_numbers() {
    assert_eq!(version_number("PgBouncer 1.18.0"), 11800);
    assert_eq!(version_number("PgBouncer 1.25.2"), 12502);
    assert_eq!(version_number("1.24.0rc1"), 12400);
    assert_eq!(version_number("something else"), 0);
}

#[test]
fn the_consoles_own_pool_is_left_out() {
    let console = "pgbouncer pgbouncer 1 0 0 0 0 0 0 0 0 0 0 0 0 statement";
    let app = "app web 3 2 0 0 3 0 0 1 0 0 0 1 500000 transaction";
    let rows = pools(POOLS_1_18, &[console, app]).expect("both rows are fine");
    let [row] = rows.as_slice() else { panic!("{rows:?} is not the one pool") };
    assert_eq!(row.key, PoolKey::new("app", "web"));
    assert_eq!(row.maxwait, Duration::from_millis(1_500));
    assert_eq!((row.cl_waiting, row.sv_active, row.servers()), (2, 3, 4));
}

#[test]
fn columns_that_a_version_lacks_are_absent_and_not_zero() {
    let rows = pools(POOLS_1_16, &["app web 3 2 1 3 1 0 0 0 0 900 transaction"]);
    let row = &rows.expect("an old row is fine")[0];
    assert_eq!(row.cl_active_cancel_req, Some(1), "under its old name");
    assert_eq!((row.cl_waiting_cancel_req, row.sv_being_canceled), (None, None));
    assert_eq!(row.maxwait, Duration::from_micros(900));
}

#[test]
fn an_essential_column_that_is_missing_is_named() {
    let error = pools("database user cl_active", &["app web 3"]).expect_err("too little");
    let text = error.to_string();
    assert!(text.contains("SHOW POOLS") && text.contains("\"maxwait\""), "{text}");
}

#[test]
fn a_value_that_is_no_number_is_named() {
    let row = "app web three 2 1 3 1 0 0 0 0 900 transaction";
    let text = pools(POOLS_1_16, &[row]).expect_err("not a number").to_string();
    assert!(text.contains("\"three\"") && text.contains("cl_active"), "{text}");
}

#[test]
fn the_reserve_is_found_under_both_of_its_names() {
    let old = "app 127.0.0.1 5432 app - 20 5 3 - 0 7 0 0";
    let new = "app 127.0.0.1 5432 app - 20 5 3 - - - 0 7 0 0 1 0";
    for (columns, row) in [(DATABASES_1_18, old), (DATABASES_1_25, new)] {
        let table = Table::made("SHOW DATABASES", columns, &[row]);
        let app = &databases_of(&table).expect("the row is fine")["app"];
        assert_eq!((app.pool_size, app.reserve_pool), (Some(20), Some(3)));
        assert_eq!(app.force_user, None, "NULL is nobody");
        assert_eq!(app.paused, columns == DATABASES_1_25);
    }
}

#[test]
fn settings_are_read_and_others_ignored() {
    let rows = [
        "default_pool_size 20 20 yes",
        "query_wait_timeout 120 120 yes",
        "listen_port 6432 6432 no",
        "max_client_conn 500 100 yes",
    ];
    let table = Table::made("SHOW CONFIG", "key value default changeable", &rows);
    let server = server_of(&table).expect("the rows are fine");
    assert_eq!((server.default_pool_size, server.max_client_conn), (Some(20), Some(500)));
    assert_eq!(server.query_wait_timeout, Some(Duration::from_secs(120)));
    assert_eq!(server.reserve_pool_size, None);
}

#[test]
fn a_users_own_size_is_read_and_its_echo_is_not_believed() {
    let rows = ["a 7 - transaction", "b 7 2 -", "c - 2 -", "d 9 3 -"];
    let table = Table::made("SHOW USERS", "name pool_size reserve_pool_size pool_mode", &rows);
    let server = |version| {
        let mut server = Server::default();
        note_users(&mut server, &users_of(&table, version));
        server
    };
    let names = |map: &BTreeMap<Arc<str>, u32>| map.keys().cloned().collect::<Vec<_>>();
    let mut old = server(12502);
    assert_eq!(names(&old.user_sizes), [Arc::from("a"), Arc::from("d")]);
    assert_eq!(names(&old.user_reserves), [Arc::from("b"), Arc::from("d")]);
    let new = server(12600);
    assert_eq!(names(&new.user_sizes), [Arc::from("a"), Arc::from("b"), Arc::from("d")]);
    assert_eq!(names(&new.user_reserves), [Arc::from("b"), Arc::from("c"), Arc::from("d")]);
    assert_eq!(new.echoes, []);
    // The file says that the second one has a size of its own, and the third one no reserve.
    let own = Setting::size_of(ScopeKey::User("b".into()));
    old.believe(|setting| *setting == own);
    assert_eq!(old.user_sizes, new.user_sizes);
    assert_eq!(names(&old.user_reserves), [Arc::from("b"), Arc::from("d")]);
}

#[test]
fn an_odd_optional_number_does_not_take_the_target_down() {
    let row = "app 127.0.0.1 5432 app - -1 5 3 - 0 7 0 0";
    let table = Table::made("SHOW DATABASES", DATABASES_1_18, &[row]);
    assert_eq!(databases_of(&table).expect("the rest is fine")["app"].pool_size, None);
}

#[test]
fn settings_that_could_hold_a_secret_or_a_path_stay_out() {
    let rows = [
        "server_idle_timeout 600 600 yes",
        "pool_mode transaction session yes",
        "auth_file /etc/pgbouncer/userlist.txt - yes",
        "auth_query SELECT_1 - yes",
        "admin_users root - yes",
    ];
    let table = Table::made("SHOW CONFIG", "key value default changeable", &rows);
    let settings = settings_of(&table);
    let read: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(read, [("pool_mode", "transaction"), ("server_idle_timeout", "600")]);
}
