//! How a policy that shadows another compares with it.

use serde::Serialize;
use utoipa::ToSchema;

use super::About;
use crate::control::{Difference, ShadowView, View};
use crate::model::PolicyName;

/// A twin beside the policy that it shadows.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Shadow<'a> {
    /// The policy that it is compared with.
    of: &'a str,
    /// Proposals that both made alike, of all that either made, 0 to 1; null before the first.
    agreement_rate: Option<f64>,
    /// The same for each target.
    targets: Vec<ShadowTarget<'a>>,
}

/// The comparison on one target.
#[derive(Debug, Serialize, ToSchema)]
struct ShadowTarget<'a> {
    target: &'a str,
    /// When counting began, milliseconds since 1970: the start, or the last change of one of the two.
    since_ms: u64,
    /// Evaluations in which both answered.
    rounds: u64,
    /// Of these, the ones in which both proposed nothing.
    silent_rounds: u64,
    /// Proposals that either made, counted in each evaluation.
    compared: u64,
    /// Of these, the ones that both made alike.
    agreed: u64,
    agreement_rate: Option<f64>,
    /// The newest differences, newest last.
    differences: Vec<ShadowDifference<'a>>,
}

/// A proposal that one made and the other did not, or made otherwise.
#[derive(Debug, Serialize, ToSchema)]
struct ShadowDifference<'a> {
    at_ms: u64,
    /// Name of the alert or recommendation; `resize` for a size.
    name: &'a str,
    #[serde(flatten)]
    about: About<'a>,
    /// Size, severity or action that the twin says; null when it says nothing of it.
    shadow: Option<&'a str>,
    /// The same of the policy that it shadows.
    shadowed: Option<&'a str>,
}

impl<'a> Shadow<'a> {
    /// Gathers what every target tells of a twin.
    pub fn new(policy: &PolicyName, of: &'a PolicyName, view: &'a View) -> Self {
        let twins: Vec<(&str, &ShadowView)> = view
            .targets
            .iter()
            .flat_map(|target| target.shadows.iter().map(|twin| (target.name.as_str(), twin)))
            .filter(|(_, twin)| twin.policy == *policy)
            .collect();
        let sum = |number: fn(&ShadowView) -> u64| twins.iter().map(|(_, twin)| number(twin)).sum();
        Self {
            of: of.as_str(),
            agreement_rate: rate(sum(|twin| twin.agreed), sum(|twin| twin.compared)),
            targets: twins.iter().map(|(target, twin)| ShadowTarget::new(target, twin)).collect(),
        }
    }
}

impl<'a> ShadowTarget<'a> {
    fn new(target: &'a str, twin: &'a ShadowView) -> Self {
        Self {
            target,
            since_ms: twin.since.as_millis(),
            rounds: twin.rounds,
            silent_rounds: twin.silent,
            compared: twin.compared,
            agreed: twin.agreed,
            agreement_rate: rate(twin.agreed, twin.compared),
            differences: twin.differences.iter().map(Into::into).collect(),
        }
    }
}

impl<'a> From<&'a Difference> for ShadowDifference<'a> {
    fn from(difference: &'a Difference) -> Self {
        Self {
            at_ms: difference.at.as_millis(),
            name: &difference.name,
            about: (&difference.subject).into(),
            shadow: difference.shadow.as_deref(),
            shadowed: difference.shadowed.as_deref(),
        }
    }
}

/// Gives a part of a whole; counts beyond 2³² are as good as that many.
fn rate(part: u64, whole: u64) -> Option<f64> {
    let float = |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    (whole > 0).then(|| float(part) / float(whole))
}
