//! Override files that are not as this sidecar left them: another's, a shared one, one edited meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use poolwarden::actuate::{Actuator, Probe};
use poolwarden_tests::Version;

use super::overrides::{Stage, configured, database};

const BOTH: [Version; 2] = [Version::System, Version::Newer];

impl Stage {
    /// The same PgBouncer with a new sidecar, which has another override file.
    fn succeeded(self, file: PathBuf) -> Self {
        let target = configured(&self.bench, &format!("path = \"{}\"", file.display()));
        let actuator = Actuator::new(Arc::clone(&target), Default::default());
        Self { actuator, target, file, ..self }
    }

    /// Gives the path that PgBouncer reads.
    async fn conffile(&self) -> PathBuf {
        self.setting("conffile").await.into()
    }

    /// How often PgBouncer was told to read its files anew.
    fn reloads(&self) -> usize {
        self.bench.sandbox.pgbouncer().log().matches("RELOAD command issued").count()
    }
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[tokio::test]
async fn the_file_of_a_sidecar_that_is_gone_is_replaced() {
    for version in BOTH {
        let Some(stage) = Stage::new(version).await else { continue };
        stage.must(&[(database("app"), 3, 6), (database("shop"), 4, 5)]).await;
        let (old, own) = (stage.file.clone(), stage.file.with_file_name("next.ini"));
        let stage = stage.succeeded(own.clone());
        let watching = stage.actuator.inspect(|| Probe::Never).await.expect("PgBouncer answers");
        assert_eq!((watching.problems, own.exists()), (vec![], false), "nothing is sent");
        assert_eq!(stage.inspect().await.problems, []);
        assert_eq!(stage.conffile().await, own);
        let text = read(&own);
        assert!(text.contains(&format!("%include {}\n", stage.ini().display())), "{text}");
        assert!(!text.contains(&old.display().to_string()), "{text}");
        assert_eq!((stage.size("app").await, stage.size("shop").await), (Some(6), Some(5)));
        stage.must(&[(database("app"), 6, 3), (database("shop"), 5, 4)]).await;
        assert_eq!((stage.conffile().await, own.exists()), (stage.ini(), false));
    }
}
