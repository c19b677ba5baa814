//! Id tokens of a job: who runs where, signed for the audience that the configuration names (`ci-yaml.md §19`).

use footplate_ci::variables::{DirectOptions, SortOptions, Variable, expand, sort_and_expand};
use footplate_model::{AccessLevel, Job, Pipeline, Project, Runner, Timestamp, User};
use footplate_store::environments::Environment;
use serde_json::{Map, Value as Json, json};

use super::{
    facts::{PipelineFacts, ServerFacts},
    list::VariableList,
    predefined,
};
use crate::{
    Result, create_pipeline::project_facts, definition::Definition, signing_key::SigningKey,
};

/// Seconds that clocks may differ.
const SKEW: i64 = 5;
/// Seconds that a token of a job without a timeout is good for.
const LIFE: i64 = 300;

/// What the tokens of a job tell. Nothing of it comes from variables, which anybody may set.
pub(crate) struct Bearer<'b> {
    pub(crate) server: &'b ServerFacts,
    pub(crate) project: &'b Project,
    pub(crate) pipeline: &'b Pipeline,
    pub(crate) facts: &'b PipelineFacts,
    pub(crate) job: &'b Job,
    pub(crate) definition: &'b Definition,
    pub(crate) runner: &'b Runner,
    pub(crate) user: Option<&'b User>,
    pub(crate) level: AccessLevel,
    pub(crate) environment: Option<&'b Environment>,
    pub(crate) now: Timestamp,
}

impl Bearer<'_> {
    /// The claims of GitLab's second form of job tokens, for an audience.
    fn claims(&self, audience: Json, token_id: &str) -> Json {
        let (job, pipeline, project) = (self.job, self.pipeline, self.project);
        let facts = project_facts(project);
        let now = self.now.as_seconds();
        let kind = if pipeline.tag { "tag" } else { "branch" };
        let config = predefined::config_ref_uri(self.server, &facts, self.facts);
        let mut claims = json!({
            "namespace_id": facts.namespace_id.to_string(), "namespace_path": facts.namespace,
            "project_id": project.id.to_string(), "project_path": facts.full_path,
            "user_id": self.user.map_or_else(String::new, |user| user.id.to_string()),
            "user_login": self.user.map(|user| &user.username), "user_email": self.user.map(|user| &user.email),
            "user_access_level": level(self.level),
            "job_project_id": project.id.to_string(), "job_project_path": facts.full_path,
            "job_namespace_id": facts.namespace_id.to_string(), "job_namespace_path": facts.namespace,
            "pipeline_id": pipeline.id.to_string(), "pipeline_source": pipeline.source.as_str(), "job_id": job.id.to_string(),
            "ref": pipeline.ref_name, "ref_type": kind, "ref_path": self.facts.full_ref(), "ref_protected": job.protected.to_string(),
            "runner_id": self.runner.id.0, "runner_environment": "self-hosted", "sha": pipeline.sha,
            "project_visibility": project.visibility.as_str(), "ci_config_ref_uri": config, "ci_config_sha": pipeline.sha,
            "jti": token_id, "iat": now, "nbf": now - SKEW, "exp": now + job.timeout.unwrap_or(LIFE),
            "iss": self.server.url, "aud": audience,
            "sub": format!("project_path:{}:ref_type:{kind}:ref:{}", facts.full_path, pipeline.ref_name),
        });
        if let Some(environment) = self.environment {
            let written = self.definition.keyword("environment");
            claims["environment"] = json!(environment.name);
            claims["environment_protected"] = json!("false");
            claims["deployment_tier"] = json!(
                written["deployment_tier"]
                    .as_str()
                    .unwrap_or(&environment.tier)
            );
            claims["environment_action"] = json!(written["action"].as_str().unwrap_or("start"));
        }
        claims
    }
}

fn level(level: AccessLevel) -> Option<String> {
    (level >= AccessLevel::GUEST).then(|| match level {
        AccessLevel::DEVELOPER => "developer".to_owned(),
        AccessLevel::MAINTAINER => "maintainer".to_owned(),
        other => other.description().to_lowercase(),
    })
}

/// The tokens that a job asks for, by variable; `list` fills in the audiences.
pub(crate) fn id_tokens(
    bearer: &Bearer<'_>,
    written: &Map<String, Json>,
    list: &VariableList,
    key: &SigningKey,
) -> Result<VariableList> {
    let known: Vec<Variable> = list.0.iter().map(Variable::from).collect();
    let known = sort_and_expand(&known, SortOptions::default()).unwrap_or(known);
    let fill = |text: &str| {
        expand(text, &known, DirectOptions::default()).unwrap_or_else(|_| text.to_owned())
    };
    let mut tokens = VariableList::default();
    for (name, token) in written {
        let audience = match &token["aud"] {
            Json::String(text) => json!(fill(text)),
            Json::Array(items) => items.iter().filter_map(Json::as_str).map(fill).collect(),
            other => other.clone(),
        };
        let claims = bearer.claims(audience, &random_id());
        tokens.masked(name, &key.token(&claims)?);
    }
    Ok(tokens)
}

/// A random UUID.
fn random_id() -> String {
    let bits = (rand::random::<u128>() & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    use super::random_id;

    #[test]
    fn ids_are_random_uuids() {
        let id = random_id();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]), "{id}");
        assert_ne!(id, random_id());
    }
}
