//! The compiler's questions answered: from git, from templates, from other projects (`ci-yaml.md §5`).

use std::sync::Arc;

use footplate_ci::{
    Answer, Compiled, Compiler, Context, Origin, Request, Source, Step, templates,
    yaml::{Limits, Map},
};
use footplate_git::Sha;
use footplate_model::{PipelineId, PipelineSource, Project, policy::Ability};
use footplate_store::Tx;

use crate::{
    Actor, App, Error, ProjectRef, Result,
    access::{find_project, standing},
};

/// A file of a configuration may be so large, in bytes.
const FILE_LIMIT: u64 = 2 << 20;
/// A generated configuration may be so large, in bytes (`pipeline-processing.md §12.2`).
const ARTIFACT_LIMIT: u64 = 5 << 20;
/// Rounds of questions; each nested include needs one.
const ROUNDS: usize = 200;

/// A text to compile.
pub(crate) struct Compilation {
    /// The root file.
    pub(crate) text: String,
    /// Its inputs.
    pub(crate) inputs: Map,
    /// The pipeline it is for.
    pub(crate) context: Context,
    /// A child pipeline's.
    pub(crate) child: bool,
}

/// Where files come from.
pub(crate) struct Files {
    /// The pipeline's project.
    pub(crate) project: Project,
    /// The pipeline's commit.
    pub(crate) sha: Sha,
    /// The head before a push.
    pub(crate) before_sha: Option<String>,
    /// The pipeline is for a tag.
    pub(crate) tag: bool,
    /// Where the pipeline comes from.
    pub(crate) source: PipelineSource,
    /// The parent of a child pipeline.
    pub(crate) parent: Option<PipelineId>,
    /// Whose permissions count in other projects.
    pub(crate) actor: Actor,
}

impl App {
    /// The project's configuration file at a commit.
    pub(crate) async fn config_text(&self, project: &Project, sha: &Sha) -> Result<Option<String>> {
        let path = project.config_path();
        let found = self
            .repository(project.id)
            .blob(sha, path, FILE_LIMIT)
            .await;
        match found {
            Ok(blob) => Ok(blob.map(|blob| String::from_utf8_lossy(&blob.data).into_owned())),
            Err(footplate_git::Error::NoRepository(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Compiles; the inner error is GitLab's messages.
    pub(crate) async fn compile(
        &self,
        compilation: Compilation,
        files: &Files,
    ) -> Result<Result<Box<Compiled>, Vec<String>>> {
        let mut compiler = Compiler::new(Source {
            text: compilation.text,
            inputs: compilation.inputs,
            context: Some(compilation.context),
            variables: Vec::new(),
            has_project: true,
            child: compilation.child,
            limits: Limits::default(),
        });
        for _ in 0..ROUNDS {
            // Pure, but long for large files: off the threads that answer requests.
            let (step, back) = tokio::task::spawn_blocking(move || {
                let step = compiler.step();
                (step, compiler)
            })
            .await
            .map_err(Error::internal)?;
            compiler = back;
            match step {
                Step::Done(compiled) => return Ok(Ok(compiled)),
                Step::Failed { errors, .. } => {
                    return Ok(Err(errors.into_iter().map(|error| error.message).collect()));
                }
                Step::Needs(requests) => {
                    let answers = requests.iter().map(|request| self.answer(request, files));
                    let answers = futures_util::future::try_join_all(answers).await?;
                    for (request, answer) in requests.into_iter().zip(answers) {
                        compiler.answer(request, answer);
                    }
                }
            }
        }
        Err(Error::internal("a configuration asks without end"))
    }

    async fn answer(&self, request: &Request, files: &Files) -> Result<Answer> {
        match request {
            Request::File { origin, path } => self.file(origin, path, files).await,
            Request::Template(name) => Ok(self.template(name).await),
            Request::Remote { url, .. } => Ok(Answer::Problem(format!(
                "Remote file `{url}` could not be fetched: include:remote is not built yet in Footplate"
            ))),
            Request::Component(name) => Ok(Answer::Problem(format!(
                "Component '{name}' - content not found: components are not built yet in Footplate"
            ))),
            Request::Artifact { job, path } => self.artifact(job, path, files).await,
            Request::Paths(origin) => match self.place(origin, files).await? {
                Ok((repository, sha)) => Ok(Answer::Paths(repository.list_paths(&sha).await?)),
                Err(message) => Ok(Answer::Problem(message)),
            },
            Request::Changes(against) => self.changes(against.as_deref(), files).await,
        }
    }

    /// A file in the artifacts of a job of the parent pipeline, for generated child pipelines.
    async fn artifact(&self, job: &str, path: &str, files: &Files) -> Result<Answer> {
        let problem = || {
            Answer::Problem(format!(
                "Job `{job}` not found in parent pipeline or does not have artifacts!"
            ))
        };
        let Some(parent) = files.parent else {
            return Ok(problem());
        };
        let name = job.to_owned();
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let jobs = footplate_store::jobs::list_of_pipeline(tx, parent).await?;
                let found = jobs
                    .into_iter()
                    .find(|job| job.name == name && !job.retried);
                Ok::<_, Error>(match found {
                    Some(job) => footplate_store::artifacts::find(tx, job.id, "archive").await?,
                    None => None,
                })
            })
            .await?;
        let Some(artifact) = found else {
            return Ok(problem());
        };
        let download = self.open_artifact(artifact).await?;
        match self.archive_file(&download, path).await {
            Ok(file) if file.size <= ARTIFACT_LIMIT => {
                use futures_util::TryStreamExt;
                let bytes = file
                    .bytes
                    .try_fold(Vec::new(), async |mut all, chunk| {
                        all.extend_from_slice(&chunk);
                        Ok(all)
                    })
                    .await
                    .map_err(Error::internal)?;
                Ok(Answer::Text(String::from_utf8_lossy(&bytes).into_owned()))
            }
            Ok(_) => Ok(Answer::Problem(format!(
                "Artifacts archive for job `{job}` is too large: max 5 MB"
            ))),
            Err(_) => Ok(Answer::Problem(format!(
                "File `{path}` is not in the artifacts of job `{job}`"
            ))),
        }
    }

    async fn file(&self, origin: &Origin, path: &str, files: &Files) -> Result<Answer> {
        let (repository, sha) = match self.place(origin, files).await? {
            Ok(place) => place,
            Err(message) => return Ok(Answer::Problem(message)),
        };
        let what = match &origin.project {
            Some(project) => format!("Project `{project}` file `{path}`"),
            None => format!("Local file `{path}`"),
        };
        Ok(
            match repository
                .blob(&sha, path.trim_start_matches('/'), FILE_LIMIT)
                .await
            {
                Ok(Some(blob)) if blob.data.iter().all(u8::is_ascii_whitespace) => {
                    Answer::Problem(format!("{what} is empty!"))
                }
                Ok(Some(blob)) => Answer::Text(String::from_utf8_lossy(&blob.data).into_owned()),
                Ok(None) | Err(footplate_git::Error::InvalidPath(_)) => {
                    Answer::Problem(format!("{what} does not exist!"))
                }
                Err(error @ footplate_git::Error::TooLarge { .. }) => {
                    Answer::Problem(format!("{what}: {error}"))
                }
                Err(error) => return Err(error.into()),
            },
        )
    }

    /// The repository and commit that an origin means; the inner error is GitLab's message.
    async fn place(
        &self,
        origin: &Origin,
        files: &Files,
    ) -> Result<Result<(footplate_git::Repository, Sha), String>> {
        let Some(path) = &origin.project else {
            return Ok(Ok((self.repository(files.project.id), files.sha.clone())));
        };
        let denied = format!(
            "Project `{path}` not found or access denied! Make sure any includes in the pipeline configuration are correctly defined."
        );
        let (by, actor, now) = (
            ProjectRef::Path(path.clone()),
            Arc::new(files.actor.clone()),
            self.now(),
        );
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let Some(project) = find_project(tx, &by).await? else {
                    return Ok(None);
                };
                let standing = standing(tx, &actor, &project, now).await?;
                let may = footplate_model::policy::allows(Ability::ReadCode, &standing);
                Ok::<_, Error>(may.then_some(project))
            })
            .await?;
        let Some(project) = found else {
            return Ok(Err(denied));
        };
        let repository = self.repository(project.id);
        let name = origin.git_ref.clone().or(project.default_branch);
        let sha = match &name {
            Some(name) => repository.resolve(name).await?,
            None => None,
        };
        Ok(sha.map(|sha| (repository, sha)).ok_or_else(|| {
            let name = name.unwrap_or_else(|| "HEAD".to_owned());
            format!("Project `{path}` reference `{name}` does not exist!")
        }))
    }

    /// A template of the folder that the administrator named, or one of ours.
    async fn template(&self, name: &str) -> Answer {
        let missing =
            || Answer::Problem(format!("Template file `{name}` is not a valid location!"));
        let plain = name
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
        if !plain || name.contains(['\0', '\\']) {
            return missing();
        }
        if let Some(folder) = &self.settings().templates
            && let Ok(text) = tokio::fs::read_to_string(folder.join(name)).await
        {
            return Answer::Text(text);
        }
        templates::template(name).map_or_else(missing, |text| Answer::Text(text.to_owned()))
    }

    /// Changed paths (`ci-yaml.md §10.3`): of a push against its old head, of a new branch and other sources not known.
    async fn changes(&self, against: Option<&str>, files: &Files) -> Result<Answer> {
        let repository = self.repository(files.project.id);
        let changed = match against {
            Some(name) => match repository.resolve(name).await? {
                Some(base) => repository.changed_paths_since(&base, &files.sha).await?,
                None => {
                    return Ok(Answer::Problem(
                        "rules:changes:compare_to is not a valid ref".to_owned(),
                    ));
                }
            },
            None => match files.before_sha.as_deref().map(Sha::parse) {
                Some(Ok(before))
                    if !before.is_zero() && files.source == PipelineSource::Push && !files.tag =>
                {
                    repository.changed_paths(&before, &files.sha).await?
                }
                Some(_) | None => None,
            },
        };
        Ok(changed.map_or(Answer::Unknown, Answer::Paths))
    }
}
