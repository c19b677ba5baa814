//! From a ref to a pipeline (`pipeline-processing.md §2`): permission, configuration, its first pass, and rows.

mod child;
mod context;
mod dry_run;
mod first_pass;
mod forward;
mod job_row;
mod rows;

use footplate_ci::{Compiled, Diagnostic, Outcome, PipelineWhy};
use footplate_git::{Commit, GitRef};
use footplate_model::{
    GivenVariable, Job, Pipeline, PipelineFailureReason, PipelineId, PipelineSource, Project,
    ProjectId, Timestamp, User,
};
use footplate_store::{Tx, pipelines, projects};
use serde_json::{Map, Value as Json};

pub(crate) use context::{
    ConfigVariables, author_login, compiler_variables, given, project_facts, user_facts,
};
pub(crate) use dry_run::{DryOutcome, DryRun, may_not_run};
pub(crate) use job_row::seconds;

use crate::{
    App, Error, Result,
    config_files::{Compilation, Files, Overrides, RootText},
    rules::skip_token::asks_to_skip,
};

/// Inputs of one pipeline (`ci-yaml.md §3.1`).
const MAX_INPUTS: usize = 20;
/// Sixty pipelines of one user for one commit in a minute are enough.
const RATE_LIMIT: i64 = 60;

/// What is to be created. Permission was proven by whoever fills this in.
#[derive(Debug, Clone)]
pub(crate) struct PipelineRequest {
    /// The project.
    pub(crate) project: Project,
    /// Who creates it and owns its jobs.
    pub(crate) user: User,
    /// Branch or tag.
    pub(crate) git_ref: GitRef,
    /// Its head.
    pub(crate) commit: Commit,
    /// The head before the push.
    pub(crate) before_sha: Option<String>,
    /// The ref is protected.
    pub(crate) protected: bool,
    /// Where it comes from.
    pub(crate) source: PipelineSource,
    /// Pipeline variables.
    pub(crate) variables: Vec<GivenVariable>,
    /// Pipeline inputs.
    pub(crate) inputs: Map<String, Json>,
    /// `[skip ci]` does not count.
    pub(crate) ignore_skip: bool,
    /// The push option `ci.skip`.
    pub(crate) skip: bool,
    /// A configuration with faults makes a failed pipeline.
    pub(crate) save_on_errors: bool,
    /// So that the same push never makes two.
    pub(crate) push_key: Option<String>,
    /// The bridge that starts it.
    pub(crate) upstream: Option<Upstream>,
}

/// The bridge that starts a pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    /// The bridge.
    pub(crate) bridge: Job,
    /// Its pipeline.
    pub(crate) pipeline: Pipeline,
    /// For a child: the configuration in place of the project's file.
    pub(crate) config: Option<String>,
}

/// What a pipeline is called before it is stored. Nothing else gets these numbers, also when no pipeline comes of it.
#[derive(Debug, Clone, Copy)]
struct Reserved {
    id: PipelineId,
    iid: i64,
}

/// What came of a request.
#[derive(Debug)]
pub struct Creation {
    /// The pipeline, also one that failed because of its configuration.
    pub pipeline: Option<Pipeline>,
    /// GitLab's messages.
    pub errors: Vec<String>,
    /// Messages that do not stop it.
    pub warnings: Vec<String>,
    /// The reason behind the errors.
    pub reason: Option<PipelineFailureReason>,
}

impl Creation {
    fn refused(errors: Vec<String>, reason: Option<PipelineFailureReason>) -> Self {
        Self {
            pipeline: None,
            errors,
            warnings: Vec::new(),
            reason,
        }
    }
}

impl App {
    /// Creates a pipeline and lets it begin.
    pub(crate) async fn create(&self, request: PipelineRequest) -> Result<Creation> {
        if let Some(existing) = self.pipeline_of_push(&request).await? {
            return Ok(Creation {
                pipeline: Some(existing),
                errors: Vec::new(),
                warnings: Vec::new(),
                reason: None,
            });
        }
        if request.inputs.len() > MAX_INPUTS {
            let message = format!("Too many inputs: a pipeline takes at most {MAX_INPUTS}");
            return Ok(Creation::refused(vec![message], None));
        }
        if self.too_many(&request).await? {
            return Ok(Creation::refused(
                vec!["Too many pipelines created in the last minute. Try again later.".to_owned()],
                None,
            ));
        }
        let text = match &request.upstream {
            Some(Upstream {
                config: Some(config),
                ..
            }) => Some(RootText::Own(config.clone())),
            Some(_) | None => {
                self.config_text(&request.project, &request.commit.id)
                    .await?
            }
        };
        let Some(text) = text else {
            return Ok(Creation::refused(
                vec!["Missing CI config file".to_owned()],
                None,
            ));
        };
        if request.skip || (!request.ignore_skip && asks_to_skip(&request.commit.message)) {
            let reserved = self.reserve_numbers(request.project.id).await?;
            let (why, now) = (PipelineWhy::default(), self.now());
            let pipeline = self
                .save_bare(&request, None, &[], &why, reserved, now)
                .await?;
            return Ok(Creation {
                pipeline: Some(pipeline),
                errors: Vec::new(),
                warnings: Vec::new(),
                reason: None,
            });
        }
        self.compile_and_save(request, text).await
    }

    async fn compile_and_save(&self, request: PipelineRequest, root: RootText) -> Result<Creation> {
        let now = self.now();
        let reserved = self.reserve_numbers(request.project.id).await?;
        let variables = self.config_variables(&request, reserved.iid, now).await?;
        let (text, inputs) = root.with_inputs(&request.inputs);
        let compilation = Compilation {
            text,
            inputs,
            context: Some(variables.context(&request)),
            variables: Vec::new(),
            child: request.source == PipelineSource::ParentPipeline,
        };
        let files = Files {
            project: request.project.clone(),
            sha: Some(request.commit.id.clone()),
            before_sha: request.before_sha.clone(),
            tag: request.git_ref.is_tag(),
            source: request.source,
            parent: request
                .upstream
                .as_ref()
                .map(|upstream| upstream.pipeline.id),
            actor: crate::Actor::User(crate::UserActor {
                user: request.user.clone(),
                scopes: None,
                token: None,
            }),
            overrides: Overrides::default(),
        };
        let compiled = match self.compile(compilation, &files).await?.result {
            Ok(compiled) => compiled,
            Err(faults) => {
                // Of several faults GitLab tells a pipeline the first; the why keeps them all.
                let first = faults.messages().into_iter().take(1).collect();
                let why = faults.why();
                return self.fail(&request, first, &why, reserved, now).await;
            }
        };
        let warnings = compiled
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        let Some(evaluated) = &compiled.evaluated else {
            return Err(Error::internal("a pipeline was compiled without a context"));
        };
        match evaluated.outcome {
            Outcome::Error => {
                let errors = messages(&evaluated.errors);
                self.fail(&request, errors, &compiled.why(), reserved, now)
                    .await
            }
            Outcome::Filtered => Ok(Creation::refused(
                messages(&evaluated.errors),
                Some(PipelineFailureReason::FilteredByWorkflowRules),
            )),
            Outcome::Empty => Ok(Creation::refused(
                messages(&evaluated.errors),
                Some(PipelineFailureReason::FilteredByRules),
            )),
            Outcome::Created => {
                let pipeline = self
                    .save(request, *compiled, &variables, reserved, now)
                    .await?;
                Ok(Creation {
                    pipeline: Some(pipeline),
                    errors: Vec::new(),
                    warnings,
                    reason: None,
                })
            }
        }
    }

    async fn fail(
        &self,
        request: &PipelineRequest,
        errors: Vec<String>,
        why: &PipelineWhy,
        reserved: Reserved,
        now: Timestamp,
    ) -> Result<Creation> {
        let reason = Some(PipelineFailureReason::ConfigError);
        if !request.save_on_errors {
            return Ok(Creation::refused(errors, reason));
        }
        let pipeline = self
            .save_bare(request, reason, &errors, why, reserved, now)
            .await?;
        Ok(Creation {
            pipeline: Some(pipeline),
            errors,
            warnings: Vec::new(),
            reason,
        })
    }

    /// Its numbers, which its configuration may look at.
    async fn reserve_numbers(&self, project: ProjectId) -> Result<Reserved> {
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                Ok::<_, Error>(Reserved {
                    id: pipelines::reserve(tx).await?,
                    iid: projects::next_pipeline_iid(tx, project).await?,
                })
            })
            .await
    }

    async fn pipeline_of_push(&self, request: &PipelineRequest) -> Result<Option<Pipeline>> {
        let Some(key) = request.push_key.clone() else {
            return Ok(None);
        };
        Ok(self
            .db()
            .read(async move |tx: &mut Tx<'_>| pipelines::find_by_push_key(tx, &key).await)
            .await?)
    }

    async fn too_many(&self, request: &PipelineRequest) -> Result<bool> {
        let (project, user) = (request.project.id, request.user.id);
        let sha = request.commit.id.to_string();
        let since = self.now().minus(std::time::Duration::from_secs(60));
        let recent = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                pipelines::count_recent(tx, project, &sha, Some(user), since).await
            })
            .await?;
        Ok(recent >= RATE_LIMIT)
    }

    /// The pipeline's ref, then its rows: whoever finds its jobs can fetch it.
    async fn save(
        &self,
        request: PipelineRequest,
        compiled: Compiled,
        variables: &ConfigVariables,
        reserved: Reserved,
        now: Timestamp,
    ) -> Result<Pipeline> {
        let repository = self.repository(request.project.id);
        let (id, sha) = (reserved.id, request.commit.id.clone());
        // Git writes it while the rows are made up.
        let of_git = repository.clone();
        let written = tokio::spawn(async move { of_git.write_pipeline_ref(id, &sha).await });
        let plan = rows::Plan::new(self, request, compiled, variables, reserved, now);
        written.await.map_err(Error::internal)??;
        let saved = match plan {
            Ok(plan) => {
                let insert = async move |tx: &mut Tx<'_>| plan.insert(tx).await;
                self.db().write(insert).await
            }
            Err(error) => Err(error),
        };
        if saved.is_err()
            && let Err(error) = repository.delete_pipeline_refs(&[id]).await
        {
            tracing::warn!(%error, pipeline = %id, "the ref of a pipeline that was not stored stays");
        }
        saved
    }

    pub(crate) async fn load_pipeline_row(&self, id: PipelineId) -> Result<Pipeline> {
        self.db()
            .read(async move |tx: &mut Tx<'_>| pipelines::find(tx, id).await)
            .await?
            .ok_or(Error::RECORD_NOT_FOUND)
    }
}

fn messages(list: &[Diagnostic]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}
