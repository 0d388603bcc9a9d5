//! A policy's folder: its language, its name, and where SDK and contract are.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::BuildError;
use crate::cli::policy::language::Language;

/// A folder with a policy in it.
#[derive(Debug)]
pub(super) struct Project {
    pub dir: PathBuf,
    pub language: Language,
    pub name: String,
    /// The file to start from, or the sources of C; relative to the folder.
    pub sources: Vec<String>,
    /// The folder with `sdk/` and `wit/v1/` in it.
    pub vendor: PathBuf,
}

impl Project {
    /// Reads a folder's manifest.
    ///
    /// # Errors
    /// When there is none, or it does not say what is needed.
    pub fn find(dir: &Path) -> Result<Self, BuildError> {
        let nothing = || BuildError::NoPolicy(dir.to_owned());
        let language = Language::of(dir).ok_or_else(nothing)?;
        let dir =
            dir.canonicalize().map_err(|source| BuildError::Read { path: dir.into(), source })?;
        let path = dir.join(language.manifest());
        let text = fs::read_to_string(&path)
            .map_err(|source| BuildError::Read { path: path.clone(), source })?;
        let wrong = |reason: String| BuildError::Manifest { path: path.clone(), reason };
        let manifest = parse(language, &text).map_err(wrong)?;
        let name = text_at(&manifest, name_key(language));
        let missing = || wrong(format!("{} is missing", name_key(language).join(".")));
        let name = name.ok_or_else(missing)?;
        // A package of npm may be of a scope.
        let name = name.rsplit('/').next().unwrap_or(name).to_owned();
        let sources = sources(language, &manifest);
        let vendor = vendor(&dir)?;
        Ok(Self { dir, language, name, sources, vendor })
    }

    /// The folder of the SDK.
    ///
    /// # Errors
    /// When it is not there.
    pub fn sdk(&self) -> Result<PathBuf, BuildError> {
        let sdk = self.vendor.join("sdk").join(self.language.folder());
        if sdk.is_dir() { Ok(sdk) } else { Err(BuildError::NoVendor(sdk)) }
    }

    /// The folder of the contract.
    pub fn wit(&self) -> PathBuf {
        self.vendor.join("wit/v1")
    }
}

fn parse(language: Language, text: &str) -> Result<Value, String> {
    if language == Language::Javascript {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
}

fn name_key(language: Language) -> &'static [&'static str] {
    match language {
        Language::Rust => &["package", "name"],
        Language::Javascript | Language::C => &["name"],
        Language::Python => &["project", "name"],
    }
}

fn text_at<'a>(manifest: &'a Value, key: &[&str]) -> Option<&'a str> {
    key.iter().try_fold(manifest, |value, part| value.get(part))?.as_str()
}

fn sources(language: Language, manifest: &Value) -> Vec<String> {
    let one = |key: &[&str], otherwise: &str| {
        vec![text_at(manifest, key).unwrap_or(otherwise).to_owned()]
    };
    match language {
        Language::Rust => Vec::new(),
        Language::Javascript => one(&["main"], "policy.js"),
        Language::Python => one(&["tool", "poolwarden", "module"], "policy"),
        Language::C => {
            let listed = manifest.get("sources").and_then(Value::as_array);
            let texts = listed.into_iter().flatten().filter_map(Value::as_str);
            let texts: Vec<String> = texts.map(str::to_owned).collect();
            if texts.is_empty() { vec!["policy.c".to_owned()] } else { texts }
        }
    }
}

/// The author's own copy, or the repository's for a policy that lives in it.
fn vendor(dir: &Path) -> Result<PathBuf, BuildError> {
    let own = dir.join("vendor");
    let around = dir.ancestors().skip(1).take(3).map(Path::to_owned);
    std::iter::once(own.clone())
        .chain(around)
        .find(|folder| folder.join("wit/v1").is_dir())
        .ok_or_else(|| BuildError::NoVendor(own.join("wit/v1")))
}
