//! Finds what a person means by a plugin, a policy's file or a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::{Config, PluginLimits};
use crate::evaluate::{PolicyFile, PolicyFileError};
use crate::model::{NameError, PolicyName};

/// Something that names no plugin.
#[derive(Debug, Error)]
pub enum GivenError {
    /// There is nothing at that path.
    #[error("{} is not there", .0.display())]
    Missing(PathBuf),
    /// A file of another kind.
    #[error("{}: give a plugin (.wasm), a policy's file (.toml) or a folder", .0.display())]
    Kind(PathBuf),
    /// A folder without a built plugin.
    #[error(
        "{} has no built plugin: looked for {}; build it with `poolwarden policy build {}`",
        dir.display(), list(looked), dir.display()
    )]
    NotBuilt {
        /// The folder.
        dir: PathBuf,
        /// Where a plugin would be.
        looked: Vec<PathBuf>,
    },
    /// A folder with more plugins than one.
    #[error("{} has several plugins ({}): name one", dir.display(), list(plugins))]
    Several {
        /// The folder.
        dir: PathBuf,
        /// The plugins.
        plugins: Vec<PathBuf>,
    },
    /// No folder of cases.
    #[error("there are no cases: looked for {}; say where they are with --cases", list(.0))]
    NoCases(Vec<PathBuf>),
    /// A file that cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A policy's file that is wrong.
    #[error(transparent)]
    File(#[from] PolicyFileError),
    /// A file name that no policy can have.
    #[error("a policy cannot have that file name")]
    Name(#[from] NameError),
}

fn list(paths: &[PathBuf]) -> String {
    let texts: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    texts.join(", ")
}

/// A plugin with what a policy's file says about it.
#[derive(Debug, Clone)]
pub struct Given {
    /// The plugin's file.
    pub plugin: PathBuf,
    /// Name of the policy.
    pub name: PolicyName,
    /// Its file, or what a bare plugin gets.
    pub file: PolicyFile,
    /// Folder of its source, where one was given.
    source: Option<PathBuf>,
}

impl Given {
    /// Finds the plugin that a path means.
    ///
    /// # Errors
    /// When it means none, or several.
    pub fn find(path: &Path) -> Result<Self, GivenError> {
        if !path.exists() {
            return Err(GivenError::Missing(path.to_owned()));
        }
        if path.is_dir() {
            let plugin = built_in(path)?;
            return Ok(Self { source: Some(path.to_owned()), ..Self::of_plugin(&plugin)? });
        }
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("wasm") => Self::of_plugin(path),
            Some("toml") => Self::of_file(path),
            _ => Err(GivenError::Kind(path.to_owned())),
        }
    }

    fn of_plugin(path: &Path) -> Result<Self, GivenError> {
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = PolicyFile::bare(&file_name, &default_limits());
        Ok(Self { plugin: path.to_owned(), name: name(path)?, file, source: None })
    }

    fn of_file(path: &Path) -> Result<Self, GivenError> {
        let text = fs::read_to_string(path)
            .map_err(|source| GivenError::Read { path: path.to_owned(), source })?;
        let name = name(path)?;
        let file = PolicyFile::parse(path, &text, &format!("{name}.wasm"), &default_limits())?;
        Ok(Self { plugin: path.with_file_name(&file.plugin), name, file, source: None })
    }

    /// Reads the plugin.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn bytes(&self) -> Result<Vec<u8>, GivenError> {
        let path = &self.plugin;
        fs::read(path).map_err(|source| GivenError::Read { path: path.clone(), source })
    }

    /// Finds the folder of the policy's cases.
    ///
    /// # Errors
    /// When there is none.
    pub fn cases(&self) -> Result<PathBuf, GivenError> {
        let folder = self.plugin.parent().unwrap_or(Path::new("."));
        let candidates = match &self.source {
            Some(source) => vec![source.join("cases")],
            None => {
                let own = Path::new("plugins").join(self.name.as_str()).join("cases");
                vec![folder.join("cases"), folder.join("..").join(&own), own, "cases".into()]
            }
        };
        let found = candidates.iter().find(|path| path.is_dir()).cloned();
        found.ok_or(GivenError::NoCases(candidates))
    }
}

fn name(path: &Path) -> Result<PolicyName, NameError> {
    PolicyName::new(&path.file_stem().unwrap_or_default().to_string_lossy())
}

/// Finds the plugin that is built from a folder of source, or the only one in a folder.
///
/// Of several places where a build may have put it, the one that was written last counts.
fn built_in(dir: &Path) -> Result<PathBuf, GivenError> {
    let file = format!("{}.wasm", project_name(dir));
    let policies = ["policies", "../policies", "../../policies"].map(|folder| dir.join(folder));
    let folders = [dir.to_owned(), dir.join("build"), PathBuf::from("policies")];
    let looked: Vec<PathBuf> =
        folders.iter().chain(&policies).map(|folder| folder.join(&file)).collect();
    let written = |path: &&PathBuf| fs::metadata(path).and_then(|data| data.modified()).ok();
    if let Some(newest) = looked.iter().filter(|path| path.is_file()).max_by_key(written) {
        return Ok(newest.clone());
    }
    let mut inside = plugins_in(dir)?;
    let dir = dir.to_owned();
    match (inside.pop(), inside.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(GivenError::NotBuilt { dir, looked }),
        (Some(last), false) => {
            inside.push(last);
            Err(GivenError::Several { dir, plugins: inside })
        }
    }
}

/// Gives the name that a folder's manifest has, or that of the folder.
fn project_name(dir: &Path) -> String {
    let manifests = [
        ("Cargo.toml", "/package/name"),
        ("package.json", "/name"),
        ("pyproject.toml", "/project/name"),
        ("policy.toml", "/name"),
    ];
    let told = manifests.iter().find_map(|(file, key)| {
        let text = fs::read_to_string(dir.join(file)).ok()?;
        let table = super::rows::parse(file.ends_with("json"), &text).ok()?;
        let name = serde_json::Value::Object(table).pointer(key)?.as_str()?.to_owned();
        // A package of npm may be of a scope.
        Some(name.rsplit('/').next().unwrap_or_default().to_owned())
    });
    told.unwrap_or_else(|| {
        let absolute = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        absolute.file_name().unwrap_or_default().to_string_lossy().into_owned()
    })
}

/// Says whether a folder holds policies, and not the source of one.
pub(super) fn is_folder_of_policies(dir: &Path) -> bool {
    let sources = ["Cargo.toml", "package.json", "pyproject.toml", "policy.toml", "cases", "src"];
    let has_source = || sources.iter().any(|name| dir.join(name).exists());
    let has_plugin = || plugins_in(dir).is_ok_and(|plugins| !plugins.is_empty());
    dir.is_dir() && has_plugin() && !has_source()
}

/// Lists what a policies folder holds: each policy's file, and each plugin that none of them uses.
///
/// # Errors
/// When the folder cannot be read.
pub fn policies_in(dir: &Path) -> Result<Vec<PathBuf>, GivenError> {
    let mut found = files_in(dir, "toml")?;
    let used = |plugin: &Path| {
        found.iter().any(|file| {
            file.file_stem() == plugin.file_stem()
                || Given::find(file).is_ok_and(|given| given.plugin == *plugin)
        })
    };
    let bare: Vec<PathBuf> = plugins_in(dir)?.into_iter().filter(|plugin| !used(plugin)).collect();
    found.extend(bare);
    Ok(found)
}

/// Lists the plugins of a folder.
fn plugins_in(dir: &Path) -> Result<Vec<PathBuf>, GivenError> {
    files_in(dir, "wasm")
}

/// Lists the files of a folder with an ending, hidden ones left out.
fn files_in(dir: &Path, ending: &str) -> Result<Vec<PathBuf>, GivenError> {
    let failed = |source| GivenError::Read { path: dir.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_hidden =
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.extension().is_some_and(|one| one == ending) && path.is_file() && !is_hidden {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Gives the limits that a sidecar sets when nobody says otherwise.
pub fn default_limits() -> PluginLimits {
    let env = BTreeMap::from([("POOLWARDEN_MONITORING".to_owned(), "false".to_owned())]);
    let config = Config::from_text("defaults", "", &env);
    config.expect("a configuration needs no target when nothing is watched").policies.limits
}
