//! `needs` (`ci-yaml.md §13`).

use serde_json::{Value as Json, json};

use super::parallel::matrix_of;
use crate::{
    check::{Check, given, text},
    yaml::{Map, Node, Value},
};

const MAX_CROSS: usize = 5;

/// A need as it was written: a job, perhaps some of its matrix instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenNeed {
    /// Name of the job, before `parallel` is expanded.
    pub job: String,
    /// Its artifacts are wanted.
    pub artifacts: bool,
    /// It may be absent.
    pub optional: bool,
    /// Rows of the matrix that are meant.
    pub matrix: Option<Vec<Vec<(String, String)>>>,
}

/// What `needs` says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Needs {
    /// Jobs of this pipeline.
    pub jobs: Vec<WrittenNeed>,
    /// Artifacts of other pipelines, as JSON.
    pub cross: Vec<Json>,
    /// The project whose pipeline a status bridge mirrors.
    pub bridge: Option<String>,
}

/// Reads `needs`.
pub fn needs(check: &mut Check, at: &str, node: &Node) -> Option<Needs> {
    let items = match &node.value {
        Value::Seq(items) => items.as_slice(),
        Value::Map(map) => {
            if given(map, "parallel")
                .is_some_and(|parallel| matches!(parallel.value, Value::Int(_)))
            {
                check.error(
                    node.span,
                    format!("{at} config cannot use \"parallel: <number>\"."),
                );
                return None;
            }
            std::slice::from_ref(node)
        }
        _ => {
            check.error(
                node.span,
                format!("{at} config can only be a hash or an array"),
            );
            return None;
        }
    };
    let mut needs = Needs::default();
    for item in items {
        match (&item.value, item.as_str()) {
            (_, Some(name)) => needs.jobs.push(WrittenNeed {
                job: name.to_owned(),
                artifacts: true,
                optional: false,
                matrix: None,
            }),
            (Value::Map(map), None) => need(check, &format!("{at}:need"), item, map, &mut needs),
            (Value::Seq(inner), None) => {
                // A referenced list stands nested in the list.
                for item in inner.iter() {
                    match (item.as_str(), item.as_map()) {
                        (Some(name), _) => needs.jobs.push(WrittenNeed {
                            job: name.to_owned(),
                            artifacts: true,
                            optional: false,
                            matrix: None,
                        }),
                        (None, Some(map)) => {
                            need(check, &format!("{at}:need"), item, map, &mut needs);
                        }
                        (None, None) => {
                            check.error(item.span, format!("{at}:need has an unsupported type"));
                        }
                    }
                }
            }
            _ => check.error(item.span, format!("{at}:need has an unsupported type")),
        }
    }
    if needs.cross.len() > MAX_CROSS {
        check.error(
            node.span,
            format!("{at} config must be less than or equal to {MAX_CROSS}"),
        );
    }
    Some(needs)
}

fn need(check: &mut Check, at: &str, node: &Node, map: &Map, needs: &mut Needs) {
    let flag = |check: &mut Check, key: &str, default: bool| match given(map, key) {
        None => default,
        Some(value) => check.boolean(at, key, value).unwrap_or(default),
    };
    let field = |key: &str| given(map, key).map(text);
    if given(map, "pipeline").is_some() && given(map, "job").is_none() {
        check.unknown_keys(at, map, &["pipeline"]);
        if needs.bridge.is_some() {
            check.error(
                node.span,
                format!(
                    "{} config should contain at most one bridge need",
                    at.trim_end_matches(":needs:need")
                ),
            );
        }
        needs.bridge = field("pipeline");
    } else if given(map, "pipeline").is_some() {
        check.unknown_keys(at, map, &["pipeline", "job", "artifacts"]);
        let artifacts = flag(check, "artifacts", true);
        needs.cross.push(
            json!({"pipeline": field("pipeline"), "job": field("job"), "artifacts": artifacts}),
        );
    } else if given(map, "project").is_some() {
        check.unknown_keys(at, map, &["project", "ref", "job", "artifacts", "parallel"]);
        for key in ["job", "ref"] {
            if given(map, key).is_none() {
                check.error(node.span, format!("{at} {key} should be a string"));
            }
        }
        let artifacts = flag(check, "artifacts", true);
        needs.cross.push(json!({"project": field("project"), "ref": field("ref"), "job": field("job"), "artifacts": artifacts}));
    } else {
        check.unknown_keys(at, map, &["job", "artifacts", "optional", "parallel"]);
        let job = match given(map, "job") {
            Some(job) if job.as_str() != Some("") => check.string(at, "job", job),
            _ => {
                check.error(node.span, format!("{at} job can't be blank"));
                None
            }
        };
        let (artifacts, optional) = (
            flag(check, "artifacts", true),
            flag(check, "optional", false),
        );
        let matrix = match given(map, "parallel") {
            None => None,
            Some(parallel) => match parallel.as_map() {
                Some(inner) => matrix_of(check, &format!("{at}:parallel"), parallel, inner),
                None => {
                    check.error(
                        parallel.span,
                        format!(
                            "{} config cannot use \"parallel: <number>\".",
                            at.trim_end_matches(":need")
                        ),
                    );
                    None
                }
            },
        };
        needs.jobs.extend(job.map(|job| WrittenNeed {
            job,
            artifacts,
            optional,
            matrix,
        }));
    }
}
