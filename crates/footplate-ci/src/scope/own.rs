//! What is predefined of a job itself and of its environment.

use std::borrow::Cow;

use footplate_model::{environment_slug, environment_tier, group_name, slugify};
use serde_json::Value as Json;

use crate::expand::Instance;

/// How the names of variables begin that are predefined for a job or its environment.
const OWN: [&str; 3] = ["CI_JOB_", "CI_NODE_", "CI_ENVIRONMENT_"];

/// A predefined variable of one job.
pub(super) type Own<'p> = (&'static str, Cow<'p, str>);

/// Whether a name may be one of these.
pub(super) fn is_own(name: &str) -> bool {
    OWN.iter().any(|own| name.starts_with(own))
}

/// What is known of a job by itself.
pub(super) fn of_job(instance: &Instance) -> Vec<Own<'_>> {
    let (name, job) = (instance.name.as_str(), &instance.job);
    let mut own: Vec<Own<'_>> = vec![
        ("CI_JOB_NAME", name.into()),
        ("CI_JOB_NAME_SLUG", slugify(name).into()),
        ("CI_JOB_GROUP_NAME", group_name(name).into()),
        ("CI_JOB_STAGE", job.stage.as_str().into()),
    ];
    if matches!(job.when, "manual" | "delayed") {
        own.push(("CI_JOB_MANUAL", "true".into()));
    }
    if let Some((number, _)) = instance.number {
        own.push(("CI_NODE_INDEX", number.to_string().into()));
    }
    let total = instance.number.map_or(1, |(_, total)| total);
    own.push(("CI_NODE_TOTAL", total.to_string().into()));
    own
}

/// What is known of an environment before it exists: its name is expanded, its address as it is written.
pub(super) fn of_environment<'p>(instance: &'p Instance, name: &str) -> Vec<Own<'p>> {
    let written = instance.job.keywords.get("environment");
    let written = written.unwrap_or(&Json::Null);
    let text = |key: &str| written[key].as_str();
    let tier = text("deployment_tier").unwrap_or_else(|| environment_tier(name));
    let action = text("action").unwrap_or("start");
    let mut own: Vec<Own<'p>> = vec![
        ("CI_ENVIRONMENT_NAME", name.to_owned().into()),
        ("CI_ENVIRONMENT_SLUG", environment_slug(name).into()),
        ("CI_ENVIRONMENT_ACTION", action.into()),
        ("CI_ENVIRONMENT_TIER", tier.to_owned().into()),
    ];
    own.extend(text("url").map(|url| ("CI_ENVIRONMENT_URL", url.into())));
    own
}
