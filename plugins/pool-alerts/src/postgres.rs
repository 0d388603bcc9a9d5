//! What is known of the PostgreSQL behind the target, for alerts whose cause may lie there.

use poolwarden_policy::{Alert, DatabaseServer, Window};

/// Says in a sentence what the sidecar itself sees of PostgreSQL; empty where it may not look.
pub(crate) fn word(window: &Window) -> String {
    match window.database_server() {
        None => String::new(),
        Some(server) if !server.reachable => {
            " PostgreSQL does not answer the sidecar either.".to_owned()
        }
        Some(server) => {
            let (used, usable) = (server.connections, usable(server));
            let full = if used >= usable { ": it is full" } else { "" };
            format!(" PostgreSQL has {used} of {usable} connections in use{full}.")
        }
    }
}

/// Adds the numbers that [`word`] rests on.
pub(crate) fn with_connections(alert: Alert, window: &Window) -> Alert {
    match window.database_server() {
        Some(server) if server.reachable => alert
            .evidence("database-connections", server.connections)
            .evidence("database-connections-usable", usable(server)),
        Some(_) => alert.evidence("database-reachable", 0),
        None => alert,
    }
}

/// Returns the connections that ordinary users can take.
pub(crate) fn usable(server: &DatabaseServer) -> u32 {
    server.max_connections.saturating_sub(server.reserved_connections)
}
