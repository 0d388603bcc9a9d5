//! A plugin outside of a sidecar, for its author's tools: looked at, loaded and run like anywhere.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Component;

use super::component::{VERSION, check_import, component_bytes};
use super::load::{Plugin, load_plugin};
use super::{LoadError, Policy, PolicyFile, Runtime, Setting, settings};
use crate::config::PluginLimits;
use crate::model::{Digest, PastSpan, PolicyName, Timestamp};

/// Whether a plugin may import something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Part of the contract.
    Contract,
    /// WASI: linked with something that gives nothing away.
    Stubbed,
    /// Part of another version of the contract.
    OtherVersion,
    /// Nothing that a policy may have.
    Forbidden,
}

/// Something that a plugin imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its name, with the version.
    pub name: String,
    /// Whether it may.
    pub allowed: Allowed,
}

/// What a plugin wants and offers, without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Version of the contract that it was built for, where an import tells it.
    pub contract: Option<String>,
    /// What it imports.
    pub imports: Vec<Import>,
    /// What it exports.
    pub exports: Vec<String>,
}

impl Interface {
    /// The contract's version that this program speaks.
    pub const CONTRACT: &'static str = VERSION;

    /// Reads it from a plugin's bytes, whatever they ask for.
    ///
    /// # Errors
    /// When the bytes are no component and cannot be made one, or do not compile.
    pub fn read(runtime: &Runtime, bytes: &[u8]) -> Result<Self, LoadError> {
        let component = component_bytes(&runtime.engine, bytes)?;
        let component = Component::from_binary(&runtime.engine, &component)
            .map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        let kind = component.component_type();
        let imports: Vec<Import> = kind
            .imports(&runtime.engine)
            .map(|(name, _)| Import { name: name.to_owned(), allowed: allowed(name) })
            .collect();
        let ours = imports.iter().find(|import| import.name.starts_with(super::component::PACKAGE));
        let contract = ours.and_then(|import| import.name.split_once('@'));
        Ok(Self {
            contract: contract.map(|(_, version)| version.to_owned()),
            exports: kind.exports(&runtime.engine).map(|(name, _)| name.to_owned()).collect(),
            imports,
        })
    }
}

fn allowed(name: &str) -> Allowed {
    match check_import(name) {
        Ok(()) if name.starts_with("wasi:") => Allowed::Stubbed,
        Ok(()) => Allowed::Contract,
        Err(LoadError::Contract { .. }) => Allowed::OtherVersion,
        Err(_) => Allowed::Forbidden,
    }
}

/// A plugin that was loaded as a sidecar loads it.
pub struct Trial {
    runtime: Arc<Runtime>,
    plugin: Arc<Plugin>,
}

impl std::fmt::Debug for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trial").field("digest", &self.plugin.digest).finish_non_exhaustive()
    }
}

impl Trial {
    /// Compiles, checks and describes a plugin.
    ///
    /// # Errors
    /// As a sidecar would refuse it.
    pub fn load(
        runtime: &Arc<Runtime>,
        bytes: &[u8],
        limits: &PluginLimits,
    ) -> Result<Self, LoadError> {
        let plugin = Arc::new(load_plugin(runtime, bytes, limits)?);
        Ok(Self { runtime: Arc::clone(runtime), plugin })
    }

    /// Makes a policy of it; every check that needs no traffic happens here.
    ///
    /// # Errors
    /// When the settings do not satisfy the schema, or the dry run fails.
    pub fn policy(&self, name: PolicyName, file: PolicyFile) -> Result<Arc<Policy>, LoadError> {
        let (plugin, now) = (Arc::clone(&self.plugin), Timestamp::default());
        Policy::new(&self.runtime, name, file, plugin, now).map(Arc::new)
    }

    /// Gives the name that the plugin says it has.
    pub fn name(&self) -> &str {
        &self.plugin.name
    }

    /// Gives the version that the plugin says it has.
    pub fn version(&self) -> &str {
        &self.plugin.version
    }

    /// Gives what the plugin says it is for.
    pub fn purpose(&self) -> &str {
        &self.plugin.purpose
    }

    /// Gives the identity of its bytes.
    pub fn digest(&self) -> Digest {
        self.plugin.digest
    }

    /// Gives the least time between two evaluations; zero for whenever there is news.
    pub fn every(&self) -> Duration {
        self.plugin.every
    }

    /// Gives how much of the past it wants.
    pub fn past(&self) -> Option<PastSpan> {
        self.plugin.past
    }

    /// Gives its settings schema.
    pub fn schema(&self) -> &serde_json::Value {
        &self.plugin.schema
    }

    /// Lists its settings.
    pub fn settings(&self) -> Vec<Setting> {
        settings(&self.plugin.schema)
    }
}
