//! Everything that a runner has to know of a job it takes (`runner-protocol.md §2.5`).

use footplate_ci::variables::{DirectOptions, Variable, expand_existing};
use footplate_git::Sha;
use footplate_model::{Job, JobId, Pipeline, Project, Runner};
use footplate_store::{Tx, queue, users};
use serde_json::Value as Json;

use super::{assign::Claimed, dependencies::artifact_sources};
use crate::{
    App, Error, Result,
    definition::Definition,
    variables::{
        facts::CommitFacts,
        job::{JobContext, expanded, job_variables_of},
        list::{JobVariable, VariableList},
    },
};

/// A job with what its runner needs.
#[derive(Debug)]
pub struct Assignment {
    /// The job.
    pub job: Job,
    /// Its project.
    pub project: Project,
    /// Its pipeline.
    pub pipeline: Pipeline,
    /// What it was compiled to.
    pub definition: Definition,
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
    pub(super) async fn assignment(&self, runner: &Runner, claimed: Claimed) -> Result<Assignment> {
        let now = self.now();
        let sha = Sha::parse(&claimed.pipeline.sha)?;
        let repository = self.repository(claimed.project.id);
        let commit = self
            .commit_of_project(claimed.project.id, &sha)
            .await?
            .ok_or_else(|| Error::internal("the commit of a pipeline is gone"))?;
        let tag_message = if claimed.pipeline.tag {
            let tag = repository.tag(&claimed.pipeline.ref_name).await?;
            tag.and_then(|tag| tag.message)
        } else {
            None
        };
        let facts = CommitFacts {
            sha: claimed.pipeline.sha.clone(),
            before_sha: claimed.pipeline.before_sha.clone(),
            message: commit.message.clone(),
            author: format!("{} <{}>", commit.author.name, commit.author.email),
            timestamp: commit.committer.iso8601(),
            tag_message,
        };
        let sources: Vec<Job> = artifact_sources(&claimed.jobs, &claimed.job, &claimed.definition)
            .into_iter()
            .cloned()
            .collect();
        let (keys, server, runner) = (
            self.keys().clone(),
            self.settings().server.clone(),
            runner.clone(),
        );
        let claimed = std::sync::Arc::new(claimed);
        let (at, ids) = (
            claimed.clone(),
            sources.iter().map(|job| job.id).collect::<Vec<_>>(),
        );
        let (list, instance_jobs, queue_size) = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let user = match at.job.user_id {
                    Some(user) => users::find(tx, user).await?,
                    None => None,
                };
                let context = JobContext {
                    server: &server,
                    project: &at.project,
                    pipeline: &at.pipeline,
                    job: &at.job,
                    definition: &at.definition,
                    user: user.as_ref(),
                    commit: &facts,
                    runner: Some(&runner),
                    token: Some(&at.token),
                };
                let list = job_variables_of(tx, &keys, &context, &ids).await?;
                let instance = runner.runner_type == footplate_model::RunnerType::Instance;
                let shared = if instance {
                    Some(queue::count_running_on_instance(tx, at.project.id).await?)
                } else {
                    None
                };
                Ok::<_, Error>((list, shared, queue::count_to_thousand(tx).await?))
            })
            .await?;
        let variables = expanded(list);
        let dependencies = sources
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
        let depth = variable(&variables, "GIT_DEPTH")
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(claimed.project.settings.ci_default_git_depth)
            .max(0);
        let cache = self.cache(&claimed, &variables, &repository, &sha).await?;
        // The thread that read may still hold its share.
        let claimed = std::sync::Arc::unwrap_or_clone(claimed);
        Ok(Assignment {
            repo_url: variable(&variables, "CI_REPOSITORY_URL")
                .unwrap_or_default()
                .to_owned(),
            refspecs: refspecs(&claimed.pipeline, depth),
            depth,
            cache,
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
            instance_jobs,
            queue_size,
            job: claimed.job,
            project: claimed.project,
            pipeline: claimed.pipeline,
            definition: claimed.definition,
            token: claimed.token,
        })
    }

    /// Cache keys: of files, with the counter of «clear caches», apart for protected refs (`runner-protocol.md §6.6`).
    async fn cache(
        &self,
        claimed: &Claimed,
        variables: &VariableList,
        repository: &footplate_git::Repository,
        sha: &Sha,
    ) -> Result<Vec<Json>> {
        let settings = &claimed.project.settings;
        let known = plain(variables);
        let mut list = Vec::new();
        let written = claimed.definition.keyword("cache");
        for cache in written.as_array().into_iter().flatten() {
            let mut cache = cache.clone();
            let suffix = |unprotect: bool| {
                let index = settings.jobs_cache_index.map(|index| format!("-{index}"));
                let scope = match (
                    settings.ci_separated_caches && !unprotect,
                    claimed.job.protected,
                ) {
                    (false, _) => "",
                    (true, true) => "-protected",
                    (true, false) => "-non_protected",
                };
                format!("{}{scope}", index.unwrap_or_default())
            };
            let suffix = suffix(cache["unprotect"].as_bool().unwrap_or(false));
            let key = match &cache["key"] {
                Json::String(text) => expand_text(text, &known),
                Json::Object(_) => {
                    let files: Vec<String> = cache["key"]["files"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(Json::as_str)
                        .map(|path| expand_text(path, &known))
                        .collect();
                    let mut hash = file_key(repository, sha, &files).await?;
                    if let Some(prefix) = cache["key"]["prefix"].as_str() {
                        hash = format!("{}-{hash}", expand_text(prefix, &known));
                    }
                    hash
                }
                _ => "default".to_owned(),
            };
            cache["key"] = Json::from(format!("{key}{suffix}"));
            if let Some(keys) = cache["fallback_keys"].as_array_mut() {
                for key in keys {
                    let text = expand_text(key.as_str().unwrap_or_default(), &known);
                    *key = Json::from(format!("{text}{suffix}"));
                }
            }
            list.push(cache);
        }
        Ok(list)
    }
}

/// The key of `cache:key:files`: the SHA-1-like digest of the last commits that touched them, `default` without any.
async fn file_key(
    repository: &footplate_git::Repository,
    sha: &Sha,
    files: &[String],
) -> Result<String> {
    use sha2::{Digest, Sha256};
    let commits: Vec<Sha> = repository
        .last_commits_for_paths(sha, files)
        .await?
        .into_iter()
        .flatten()
        .collect();
    if commits.is_empty() {
        return Ok("default".to_owned());
    }
    let joined: Vec<&str> = commits.iter().map(Sha::as_str).collect();
    let digest = Sha256::digest(joined.join("-"));
    Ok(digest
        .iter()
        .take(20)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn variable<'v>(variables: &'v VariableList, name: &str) -> Option<&'v str> {
    variables
        .0
        .iter()
        .rev()
        .find(|variable| variable.key == name)
        .map(|variable| variable.value.as_str())
}

fn plain(variables: &VariableList) -> Vec<Variable> {
    variables
        .0
        .iter()
        .map(|variable| Variable {
            key: variable.key.clone(),
            value: variable.value.clone(),
            raw: variable.raw,
            file: variable.file,
            ..Variable::default()
        })
        .collect()
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
