//! The flags that describe a pipeline.

use clap::Args;
use footplate_ci::{Context, lint::Described};
use footplate_model::PipelineSource;
use serde_json::{Map, Value as Json};

/// A pipeline as flags describe it.
#[derive(Debug, Clone, Args)]
pub(crate) struct PipelineFlags {
    /// Branch or tag [default: main].
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,
    /// The ref is a tag.
    #[arg(long)]
    tag: bool,
    /// Where the pipeline comes from [default: push].
    #[arg(long, value_name = "SOURCE", value_parser = source)]
    source: Option<PipelineSource>,
    /// A project variable.
    #[arg(long = "variable", value_name = "K=V", value_parser = pair)]
    variables: Vec<(String, String)>,
    /// A path that the push changed; without any, the changes are not known.
    #[arg(long = "changed", value_name = "PATH")]
    pub(super) changed: Vec<String>,
    /// A path that exists beside those in the folder.
    #[arg(long = "exists", value_name = "PATH")]
    pub(super) exists: Vec<String>,
    /// An input of the configuration.
    #[arg(long = "input", value_name = "K=V", value_parser = pair)]
    inputs: Vec<(String, String)>,
    /// Full path of the project [default: group/project].
    #[arg(long, value_name = "PATH")]
    project: Option<String>,
    /// It is for a child pipeline.
    #[arg(long)]
    pub(super) child: bool,
}

fn source(word: &str) -> Result<PipelineSource, String> {
    // Those that a pipeline here can have; the others, which only GitLab has, are understood too.
    const KNOWN: [&str; 8] = [
        "push",
        "web",
        "api",
        "schedule",
        "trigger",
        "merge_request_event",
        "parent_pipeline",
        "pipeline",
    ];
    PipelineSource::parse(word).ok_or_else(|| format!("one of {}", KNOWN.join(", ")))
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "KEY=VALUE".to_owned())
}

impl PipelineFlags {
    /// The pipeline that is meant; `None` without any flag about one.
    pub(super) fn context(&self) -> Option<Context> {
        let asked = self.git_ref.is_some()
            || self.tag
            || self.source.is_some()
            || !self.variables.is_empty()
            || !self.changed.is_empty()
            || !self.exists.is_empty()
            || self.project.is_some()
            || self.child;
        asked.then(|| self.described())
    }

    /// The pipeline, with what no flag says as it usually is.
    pub(crate) fn described(&self) -> Context {
        let project = self.project.as_deref().unwrap_or("group/project");
        Described {
            ref_name: self.git_ref.clone().unwrap_or_else(|| "main".to_owned()),
            tag: self.tag,
            source: self.source.unwrap_or(PipelineSource::Push),
            project: Some(project.to_owned()),
            variables: self.variables.clone(),
        }
        .context()
    }

    /// Full path of the project, where a flag says it.
    pub(crate) fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    /// The inputs, each as YAML would read its value: a number, boolean or list, else text.
    pub(super) fn inputs(&self) -> Map<String, Json> {
        self.inputs
            .iter()
            .map(|(key, value)| (key.clone(), input(value)))
            .collect()
    }

    /// What was written for an input.
    pub(super) fn input_text(&self, key: &str) -> &str {
        let given = self.inputs.iter().rev().find(|(known, _)| known == key);
        given.map_or("", |(_, text)| text)
    }
}

fn input(text: &str) -> Json {
    match serde_json::from_str::<Json>(text) {
        Ok(value @ (Json::Bool(_) | Json::Number(_) | Json::Array(_))) => value,
        Ok(_) | Err(_) => Json::from(text),
    }
}
