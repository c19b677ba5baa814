//! Checks a configuration as GitLab's lint does (`rest-api.md §9.4`): by itself, or as if a pipeline were created.

mod includes;
mod jobs;
mod stand;
mod variables;

use footplate_ci::{Compiled, Outcome, yaml};
use footplate_model::{PipelineSource, policy::Ability};
use serde_json::Map;

pub use includes::LintedFile;
pub use jobs::{Conditions, LintedJob};
use stand::Stand;

use crate::{
    Actor, App, Error, ProjectAccess, Result, Unauthorized, can,
    config_files::{Compilation, Faults, Files, Overrides, Reading, RootText},
    create_pipeline::{DryOutcome, DryRun},
};

/// GitLab shows so many warnings.
const WARNINGS: usize = 25;

/// How a configuration is checked.
#[derive(Debug, Clone, Default)]
pub struct LintRequest {
    /// The text; `None` = the project's file.
    pub content: Option<String>,
    /// Branch, tag or commit that the project's file is taken from; `None` = the default branch.
    pub content_ref: Option<String>,
    /// As if a pipeline were created.
    pub dry_run: bool,
    /// For which branch or tag; `None` = the default branch.
    pub dry_run_ref: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct LintResult {
    /// GitLab's messages.
    pub errors: Vec<String>,
    /// Messages that do not stop a pipeline.
    pub warnings: Vec<String>,
    /// The configuration after includes, `extends` and `!reference`; `None` when it did not get so far.
    pub merged_yaml: Option<String>,
    /// What was included; `None` when it did not get so far.
    pub includes: Option<Vec<LintedFile>>,
    /// Jobs of the configuration, or of the pipeline.
    pub jobs: Vec<LintedJob>,
}

impl App {
    /// Checks a text.
    ///
    /// # Errors
    /// Failures of ours; those of the configuration are in the answer.
    pub async fn lint_text(
        &self,
        access: &ProjectAccess<can::CreatePipeline>,
        request: LintRequest,
    ) -> Result<LintResult> {
        if request.dry_run {
            return self.lint_dry(access, request).await;
        }
        let project = access.project();
        let stand = match &project.default_branch {
            Some(name) => self.stand(project, name).await?,
            None => None,
        };
        let root = RootText::Own(request.content.unwrap_or_default());
        self.lint_alone(access, root, stand).await
    }

    /// Checks the project's file.
    ///
    /// # Errors
    /// 404 for an empty repository or an unknown commit, 401 for a browser's session.
    pub async fn lint_project(
        &self,
        access: &ProjectAccess<can::ReadCode>,
        request: LintRequest,
    ) -> Result<LintResult> {
        let project = access.project();
        let repository = self.repository(project.id);
        if !repository.exists().await || repository.is_empty().await? {
            return Err(Error::NotFound("404 Repository Not Found"));
        }
        // A browser's cookie comes along by itself.
        if matches!(access.actor(), Actor::User(user) if user.scopes.is_none()) {
            let reason = "This endpoint requires an API authentication".to_owned();
            return Err(Error::Unauthorized(Unauthorized::Reason(reason)));
        }
        let name = request
            .content_ref
            .clone()
            .or_else(|| project.default_branch.clone())
            .ok_or(Error::NotFound("404 Commit Not Found"))?;
        let stand = self
            .stand(project, &name)
            .await?
            .ok_or(Error::NotFound("404 Commit Not Found"))?;
        let root = self.config_text(project, &stand.commit.id).await?;
        if !request.dry_run {
            let root = root.unwrap_or(RootText::Own(String::new()));
            return self.lint_alone(access, root, Some(stand)).await;
        }
        let content = match root {
            Some(RootText::Own(content)) => Some(content),
            Some(RootText::Elsewhere(_)) | None => None,
        };
        self.lint_dry(access, LintRequest { content, ..request })
            .await
    }

    /// Without a pipeline: every job of the configuration.
    async fn lint_alone<A>(
        &self,
        access: &ProjectAccess<A>,
        root: RootText,
        stand: Option<Stand>,
    ) -> Result<LintResult> {
        let elsewhere = matches!(root, RootText::Elsewhere(_));
        let (text, inputs) = root.with_inputs(&Map::new());
        let compilation = Compilation {
            text,
            inputs,
            context: None,
            variables: self.lint_variables(access, stand.as_ref()).await?,
            child: false,
        };
        let masked = crate::config_files::masked(compilation.variables.iter());
        let sha = stand.map(|stand| stand.commit.id);
        let files = self.lint_files(access, sha);
        let reading = self.compile(compilation, &files).await?;
        let jobs = match &reading.result {
            Ok(compiled) => jobs::of_configuration(compiled),
            Err(_) => Vec::new(),
        };
        Ok(self.lint_result(&reading, &files, elsewhere, &masked, jobs))
    }

    fn lint_files<A>(&self, access: &ProjectAccess<A>, sha: Option<footplate_git::Sha>) -> Files {
        Files {
            project: access.project().clone(),
            sha,
            before_sha: None,
            tag: false,
            source: PipelineSource::Push,
            parent: None,
            actor: access.actor().clone(),
            overrides: Overrides::default(),
        }
    }

    /// As if a push to the ref had made a pipeline.
    async fn lint_dry<A>(
        &self,
        access: &ProjectAccess<A>,
        request: LintRequest,
    ) -> Result<LintResult> {
        let refused = |message: &str| {
            Ok(LintResult {
                errors: vec![message.to_owned()],
                ..LintResult::default()
            })
        };
        if !access.may(Ability::CreatePipeline) {
            return refused("Insufficient permissions to create a new pipeline");
        }
        let project = access.project();
        let name = request
            .dry_run_ref
            .or_else(|| project.default_branch.clone());
        let stand = match name {
            Some(name) => self.stand(project, &name).await?.filter(|stand| {
                // A commit is not enough for a pipeline.
                let named = stand.git_ref.as_ref();
                named.is_some_and(|named| named.short() == name || named.full() == name)
            }),
            None => None,
        };
        let Some(Stand {
            git_ref: Some(git_ref),
            commit,
        }) = stand
        else {
            return refused("Reference not found");
        };
        let elsewhere = request.content.is_none();
        let files = self.lint_files(access, Some(commit.id.clone()));
        let dry = DryRun {
            git_ref,
            commit,
            source: PipelineSource::Push,
            variables: Vec::new(),
            inputs: Map::new(),
            child: false,
            content: request.content,
            overrides: Overrides::default(),
            now: self.now(),
        };
        let (reading, context) = match self.dry_run(access, dry).await? {
            DryOutcome::Refused(message) => return refused(&message),
            DryOutcome::Read(read) => *read,
        };
        let jobs = match &reading.result {
            Ok(compiled) => jobs::of_pipeline(compiled, &context),
            Err(_) => Vec::new(),
        };
        let masked = crate::config_files::masked(context.overriding.iter());
        let mut result = self.lint_result(&reading, &files, elsewhere, &masked, jobs);
        if reading.result.is_err() {
            // A pipeline is told the first fault of its configuration alone.
            result.errors.truncate(1);
        }
        Ok(result)
    }

    fn lint_result(
        &self,
        reading: &Reading,
        files: &Files,
        elsewhere: bool,
        masked: &[String],
        jobs: Vec<LintedJob>,
    ) -> LintResult {
        let included = |list| {
            includes::of(
                list,
                reading,
                files,
                elsewhere,
                masked,
                &self.settings().server,
            )
        };
        let (errors, warnings, merged, list) = match &reading.result {
            Ok(compiled) => (
                pipeline_errors(compiled),
                &compiled.warnings,
                Some(&compiled.merged),
                &compiled.files,
            ),
            Err(
                faults @ Faults {
                    warnings,
                    merged,
                    files,
                    ..
                },
            ) => (faults.messages(), warnings, merged.as_ref(), files),
        };
        LintResult {
            errors,
            warnings: warnings
                .iter()
                .take(WARNINGS)
                .map(ToString::to_string)
                .collect(),
            merged_yaml: merged.map(merged_text),
            includes: merged.map(|_| included(list)),
            jobs,
        }
    }
}

/// Why there would be no pipeline, for a configuration without faults.
fn pipeline_errors(compiled: &Compiled) -> Vec<String> {
    match &compiled.evaluated {
        Some(evaluated) if evaluated.outcome != Outcome::Created => {
            evaluated.errors.iter().map(ToString::to_string).collect()
        }
        Some(_) | None => Vec::new(),
    }
}

/// The merged tree as GitLab writes it: the stages with the two that are always there.
fn merged_text(merged: &yaml::Node) -> String {
    use yaml::{Node, Value};
    let edge = |name: &str| Node::new(Value::Str(name.into()), merged.span);
    let (Some(map), Some(stages)) = (
        merged.as_map(),
        merged
            .as_map()
            .and_then(|map| map.get("stages"))
            .and_then(Node::as_seq)
            .filter(|stages| !stages.is_empty()),
    ) else {
        return yaml::dump(merged);
    };
    let own = stages
        .iter()
        .filter(|stage| !matches!(stage.as_str(), Some(".pre" | ".post")));
    let mut list = vec![edge(".pre")];
    list.extend(own.cloned());
    list.push(edge(".post"));
    let mut with_edges = map.clone();
    with_edges.insert(
        edge("stages"),
        Node::new(Value::Seq(list.into()), merged.span),
    );
    yaml::dump(&Node::new(Value::Map(with_edges.into()), merged.span))
}
