//! Everything that a runner has to know of a job it takes (`runner-protocol.md §2.5`).

use std::{collections::BTreeSet, sync::Arc};

use footplate_ci::variables::{DirectOptions, Variable, expand_existing};
use footplate_git::Sha;
use footplate_model::{AccessLevel, Job, JobId, Pipeline, Project, Runner};
use footplate_store::{Tx, environments, members};
use serde_json::Value as Json;

use super::{external_secrets::external_secrets, handout::Claimed, material::Told};
use crate::{
    App, Error, Result,
    definition::Definition,
    variables::{
        id_tokens::{Bearer, id_tokens},
        job::{JobContext, expanded, job_variables_of, with_tokens},
        list::{JobVariable, VariableList},
        material::pipeline_facts,
    },
};

/// A job with what its runner needs.
#[derive(Debug)]
pub struct Assignment {
    /// The job.
    pub job: Job,
    /// Its project.
    pub project: Arc<Project>,
    /// Its pipeline.
    pub pipeline: Arc<Pipeline>,
    /// What it was compiled to.
    pub definition: Arc<Definition>,
    /// Its token.
    pub token: String,
    /// Its variables, expanded.
    pub variables: Vec<JobVariable>,
    /// Whose artifacts it takes.
    pub dependencies: Vec<Dependency>,
    /// URL of the repository with the token.
    pub repo_url: String,
    /// Refspecs to fetch.
    pub refspecs: Vec<String>,
    /// Commits to fetch; 0 = all.
    pub depth: i64,
    /// Cache instructions with their final keys.
    pub cache: Vec<Json>,
    /// What the runner fetches from secret managers, by variable.
    pub secrets: Option<Json>,
    /// Image and services, with variables expanded.
    pub image: Option<Json>,
    /// Services.
    pub services: Vec<Json>,
    /// Jobs of the project that run on instance runners, at most six; `None` where that does not matter.
    pub instance_jobs: Option<i64>,
    /// Jobs that wait, at most a thousand.
    pub queue_size: i64,
}

/// Artifacts that a job takes.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// The job that made them.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// File name of the archive.
    pub filename: String,
    /// Bytes.
    pub size: i64,
}

impl App {
    /// Builds the payload of a job that was just claimed.
    pub(super) async fn assignment(&self, told: Told) -> Result<Assignment> {
        let now = self.now();
        let (runner, claimed) = (told.runner, told.claimed);
        let material = told.sealed?.open(self.keys())?;
        let commit = self.commit_of_job(&claimed).await?;
        let sha = Sha::parse(&claimed.pipeline.sha)?;
        let repository = self.repository(claimed.project.id);
        let context = JobContext {
            server: &self.settings().server,
            project: &claimed.project,
            pipeline: &claimed.pipeline,
            job: &claimed.job,
            definition: &claimed.definition,
            user: claimed.user.as_deref(),
            commit: &commit,
            runner: Some(&runner),
            token: Some(&claimed.token),
        };
        let list = job_variables_of(&context, material);
        let list = match claimed.definition.keyword("id_tokens").as_object() {
            Some(written) => {
                let tokens = self.id_tokens(&claimed, &runner, written, &list).await?;
                with_tokens(list, tokens)
            }
            None => list,
        };
        let variables = expanded(list);
        let dependencies = claimed
            .sources
            .iter()
            .filter_map(|source| {
                source.archive(now).map(|archive| Dependency {
                    id: source.id,
                    name: source.name.clone(),
                    filename: archive.filename.clone(),
                    size: archive.size,
                })
            })
            .collect();
        let depth = variables
            .last("GIT_DEPTH")
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(claimed.project.settings.ci_default_git_depth)
            .max(0);
        let cache = self.cache(&claimed, &variables, &repository, &sha).await?;
        Ok(Assignment {
            repo_url: variables
                .last("CI_REPOSITORY_URL")
                .unwrap_or_default()
                .to_owned(),
            refspecs: refspecs(&claimed.pipeline, depth),
            depth,
            cache,
            secrets: external_secrets(&claimed.definition, &variables),
            image: expand_json(claimed.definition.keyword("image"), &variables),
            services: claimed
                .definition
                .keyword("services")
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|service| expand_json(service, &variables))
                .collect(),
            variables: variables.0,
            dependencies,
            instance_jobs: claimed.instance_jobs,
            queue_size: told.queue_size,
            job: claimed.job,
            project: claimed.project,
            pipeline: claimed.pipeline,
            definition: claimed.definition,
            token: claimed.token,
        })
    }

    /// The id tokens that a job asks for.
    async fn id_tokens(
        &self,
        claimed: &Claimed,
        runner: &Runner,
        written: &serde_json::Map<String, Json>,
        list: &VariableList,
    ) -> Result<VariableList> {
        let now = self.now();
        let (project, pipeline) = (claimed.project.id, Arc::clone(&claimed.pipeline));
        let (user, name) = (claimed.job.user_id, claimed.job.environment.clone());
        let (level, facts, environment) = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let level = match user {
                    Some(id) => members::project_level(tx, project, id, now).await?,
                    None => AccessLevel::NONE,
                };
                let environment = match &name {
                    Some(name) => environments::find_by_name(tx, project, name).await?,
                    None => None,
                };
                let facts = pipeline_facts(tx, &pipeline).await?;
                Ok::<_, Error>((level, facts, environment))
            })
            .await?;
        let bearer = Bearer {
            server: &self.settings().server,
            project: &claimed.project,
            pipeline: &claimed.pipeline,
            facts: &facts,
            job: &claimed.job,
            definition: &claimed.definition,
            runner,
            user: claimed.user.as_deref(),
            level,
            environment: environment.as_ref(),
            now,
        };
        id_tokens(&bearer, written, list, &self.signing_key().await?)
    }

    /// Caches with their suffixes, and the keys that files make; the runner fills in variables (`runner-protocol.md §6.6`).
    async fn cache(
        &self,
        claimed: &Claimed,
        variables: &VariableList,
        repository: &footplate_git::Repository,
        sha: &Sha,
    ) -> Result<Vec<Json>> {
        let mut list = Vec::new();
        let written = claimed.definition.keyword("cache");
        for cache in written.as_array().into_iter().flatten() {
            let mut cache = cache.clone();
            let suffix = cache_suffix(claimed, cache["unprotect"] == true);
            let key = match &cache["key"] {
                Json::String(text) => text.clone(),
                Json::Object(_) => file_key(repository, sha, &cache["key"], variables).await?,
                _ => "default".to_owned(),
            };
            cache["key"] = Json::from(format!("{key}{suffix}"));
            for key in cache["fallback_keys"].as_array_mut().into_iter().flatten() {
                *key = Json::from(format!("{}{suffix}", key.as_str().unwrap_or_default()));
            }
            list.push(cache);
        }
        Ok(list)
    }
}

/// What keeps caches apart: the counter of «clear caches», and protected refs (`ci-yaml.md §16`).
fn cache_suffix(claimed: &Claimed, unprotect: bool) -> String {
    let settings = &claimed.project.settings;
    let index = settings.jobs_cache_index.map(|index| format!("-{index}"));
    let scope = match (
        settings.ci_separated_caches,
        claimed.job.protected && !unprotect,
    ) {
        (false, _) => "",
        (true, true) => "-protected",
        (true, false) => "-non_protected",
    };
    format!("{}{scope}", index.unwrap_or_default())
}

/// The key of `cache:key:files`: SHA-1 over the last commits that touched them, `default` without any.
async fn file_key(
    repository: &footplate_git::Repository,
    sha: &Sha,
    key: &Json,
    variables: &VariableList,
) -> Result<String> {
    let known = plain(variables);
    let files: Vec<String> = ["files", "files_commits"]
        .iter()
        .filter_map(|name| key[*name].as_array())
        .flatten()
        .filter_map(Json::as_str)
        .map(|path| expand_text(path, &known))
        .collect();
    let touched = repository.last_commits_for_paths(sha, &files).await?;
    let commits: BTreeSet<String> = touched
        .into_iter()
        .flatten()
        .map(|commit| commit.to_string())
        .collect();
    let digest = if commits.is_empty() {
        "default".to_owned()
    } else {
        let joined = Vec::from_iter(commits).join("-");
        let digest =
            ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, joined.as_bytes());
        let bytes = digest.as_ref().iter();
        bytes.map(|byte| format!("{byte:02x}")).collect()
    };
    Ok(match key["prefix"].as_str() {
        Some(prefix) if !prefix.is_empty() => format!("{prefix}-{digest}"),
        Some(_) | None => digest,
    })
}

fn plain(variables: &VariableList) -> Vec<Variable> {
    variables.0.iter().map(Variable::from).collect()
}

fn expand_text(text: &str, variables: &[Variable]) -> String {
    expand_existing(text, variables, DirectOptions::default()).unwrap_or_else(|_| text.to_owned())
}

/// Texts of an image or service with their variables; nothing where there is none.
fn expand_json(value: &Json, variables: &VariableList) -> Option<Json> {
    if value.is_null() {
        return None;
    }
    let known = plain(variables);
    let mut value = value.clone();
    for name in ["name", "alias"] {
        if let Some(text) = value[name].as_str() {
            value[name] = Json::from(expand_text(text, &known));
        }
    }
    Some(value)
}

/// `runner-protocol.md §2.7`
fn refspecs(pipeline: &Pipeline, depth: i64) -> Vec<String> {
    let own = format!("+refs/pipelines/{0}:refs/pipelines/{0}", pipeline.id);
    let name = &pipeline.ref_name;
    if depth == 0 {
        return vec![
            own,
            "+refs/heads/*:refs/remotes/origin/*".to_owned(),
            "+refs/tags/*:refs/tags/*".to_owned(),
        ];
    }
    let named = if pipeline.tag {
        format!("+refs/tags/{name}:refs/tags/{name}")
    } else {
        format!("+refs/heads/{name}:refs/remotes/origin/{name}")
    };
    vec![own, named]
}
