//! What was decided of a whole pipeline.

use serde::{Deserialize, Serialize};
use serde_json::{Map as JsonMap, Value as Json, json};

use super::{
    Why,
    shown::{place, shown},
};
use crate::diagnostic::{Diagnostic, SourceFile};

/// Everything that was decided when a pipeline was made: kept with it as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PipelineWhy {
    /// Files by number.
    pub files: Vec<SourceFile>,
    /// The workflow's decision; `None` = there is no workflow.
    pub workflow: Option<Why>,
    /// Jobs that are in the pipeline, in order.
    pub jobs: indexmap::IndexMap<String, Why>,
    /// Jobs that are not.
    pub absent: indexmap::IndexMap<String, Why>,
    /// Faults of the configuration with their places, as [`Diagnostic::shown`] has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Json>,
}

impl PipelineWhy {
    /// Of a configuration that makes no pipeline.
    pub fn of_faults(errors: &[Diagnostic], files: &[SourceFile]) -> Self {
        Self {
            files: files.to_vec(),
            diagnostics: errors.iter().map(|error| error.shown(files)).collect(),
            ..Self::default()
        }
    }

    /// As it is shown: file names in place of numbers, and how each file was included. Values of CI variables only with `secrets`.
    pub fn shown(&self, secrets: bool) -> Json {
        let list = |list: &indexmap::IndexMap<String, Why>| {
            list.iter()
                .map(|(name, why)| (name.clone(), shown(why, &self.files, secrets)))
                .collect::<JsonMap<String, Json>>()
        };
        let files: Vec<Json> = self
            .files
            .iter()
            .map(|file| {
                let mut json = json!({"name": file.name});
                if let Some(project) = &file.project {
                    json["project"] = json!(project);
                }
                if let Some(at) = file.included_at {
                    json["included_at"] = place(at.file, at.line, &self.files);
                }
                json
            })
            .collect();
        json!({
            "files": files,
            "workflow": self.workflow.as_ref().map(|why| shown(why, &self.files, secrets)),
            "jobs": list(&self.jobs),
            "absent": list(&self.absent),
            "diagnostics": self.diagnostics,
        })
    }

    /// One job as it is shown, with `"in_pipeline"`; `None` = the configuration has no such job.
    pub fn shown_job(&self, name: &str, secrets: bool) -> Option<Json> {
        let (why, present) = match self.jobs.get(name) {
            Some(why) => (why, true),
            None => (self.absent.get(name)?, false),
        };
        let mut json = json!({"job": name, "in_pipeline": present});
        if let (Some(json), Json::Object(facts)) =
            (json.as_object_mut(), shown(why, &self.files, secrets))
        {
            json.extend(facts);
        }
        Some(json)
    }
}
