//! A second PgBouncer in front of the bench's PostgreSQL, and clients that go through it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poolwarden::sandbox::{ConsoleRole, PgBouncer};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::setup::TargetSetup;

/// A PgBouncer with the first one's users and settings; the drop ends it.
#[derive(Debug)]
pub struct SecondPgBouncer {
    child: Child,
    port: u16,
    first_port: u16,
}

impl SecondPgBouncer {
    /// Starts it beside the first one.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn beside(first: &PgBouncer) -> Self {
        let ini = first.ini_path();
        let folder = ini.parent().expect("it is in a folder").join("second");
        fs::create_dir_all(&folder).expect("the test's folder can be made");
        let text = fs::read_to_string(&ini).expect("the first one has a file");
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = port.local_addr().expect("it has one").port();
        let line = |line: &str| match line.split('=').next().map(str::trim) {
            Some("listen_port") => format!("listen_port = {port}"),
            Some("unix_socket_dir") => format!("unix_socket_dir = {}", folder.display()),
            Some("pidfile") => format!("pidfile = {}/pgbouncer.pid", folder.display()),
            _ => line.to_owned(),
        };
        let text: Vec<String> = text.lines().map(line).collect();
        let own = folder.join("pgbouncer.ini");
        fs::write(&own, text.join("\n") + "\n").expect("the test's folder can be written");
        fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).expect("it is ours");
        // PgBouncer does not run as root; the first one's files tell as whom it runs.
        let of = fs::metadata(&ini).expect("it is there");
        for path in [&folder, &own] {
            chown(path, Some(of.uid()), Some(of.gid())).expect("it is ours");
        }
        let log = fs::File::create(folder.join("pgbouncer.log")).expect("a log file");
        let child = Command::new("/usr/sbin/pgbouncer")
            .arg(&own)
            .current_dir(&folder)
            .uid(of.uid())
            .gid(of.gid())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("PgBouncer can be run");
        Self { child, port, first_port: first.port() }
    }

    /// Watches and acts on it as [`TargetSetup::of`] does on the first one.
    #[must_use]
    pub fn target(&self, name: &str, first: &PgBouncer) -> TargetSetup {
        let mut target = TargetSetup::of(name, first);
        let (from, to) = (format!(":{}/", self.first_port), format!(":{}/", self.port));
        target.console_url = target.console_url.replace(&from, &to);
        target
    }

    /// Returns how to reach its console.
    #[must_use]
    pub fn console_options(&self, first: &PgBouncer) -> PgConnectOptions {
        first.console_options(ConsoleRole::Stats).port(self.port)
    }

    /// Starts clients that each hold a server for 50 ms at a time, and notes every error.
    #[must_use]
    pub fn load(&self, clients: u32, first: &PgBouncer) -> SecondLoad {
        SecondLoad::start(clients, &first.connect_options("app", "app").port(self.port))
    }
}

impl Drop for SecondPgBouncer {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Clients that go on until they are dropped.
#[derive(Debug)]
pub struct SecondLoad {
    errors: Arc<Mutex<Vec<String>>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl SecondLoad {
    fn start(clients: u32, options: &PgConnectOptions) -> Self {
        let errors: Arc<Mutex<Vec<String>>> = Arc::default();
        let client = |_| {
            let (options, errors) = (options.clone(), Arc::clone(&errors));
            tokio::spawn(async move {
                if let Err(error) = go_on(&options).await {
                    let mut errors = errors.lock().unwrap_or_else(PoisonError::into_inner);
                    errors.push(error.to_string());
                }
            })
        };
        let tasks = (0..clients).map(client).collect();
        Self { errors, tasks }
    }

    /// Returns what ended clients.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for SecondLoad {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

async fn go_on(options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    let mut connection = loop {
        match PgConnection::connect_with(options).await {
            Ok(connection) => break connection,
            // It may not listen yet.
            Err(sqlx::Error::Io(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => return Err(error),
        }
    };
    loop {
        sqlx::raw_sql("select pg_sleep(0.05)").execute(&mut connection).await?;
    }
}
