//! `needs` (`ci-yaml.md §13`).

use serde_json::{Value as Json, json};

use super::parallel::matrix_of;
use crate::{
    check::{Check, flat, given},
    yaml::{Map, Node, Value},
};

const MAX_CROSS: usize = 5;

/// What an item of `needs` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeedKind {
    /// A job of this pipeline.
    Job,
    /// Artifacts of another pipeline.
    CrossDependency,
    /// A pipeline whose status is mirrored.
    Bridge,
}

impl NeedKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::CrossDependency => "cross_dependency",
            Self::Bridge => "bridge",
        }
    }
}

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

/// Reads `needs`, which may hold these kinds of items.
pub fn needs(check: &mut Check, at: &str, node: &Node, allowed: &[NeedKind]) -> Option<Needs> {
    if !shape(check, at, node) {
        return None;
    }
    let items = flat(node);
    let mut kinds = Vec::with_capacity(items.len());
    let mut needs = Needs {
        jobs: Vec::with_capacity(items.len()),
        ..Needs::default()
    };
    for item in items {
        kinds.extend(need(check, &format!("{at}:need"), item, &mut needs));
    }
    let mut foreign: Vec<&str> = Vec::new();
    for kind in kinds.iter().filter(|kind| !allowed.contains(kind)) {
        if !foreign.contains(&kind.as_str()) {
            foreign.push(kind.as_str());
        }
    }
    if !foreign.is_empty() {
        let foreign = foreign.join(", ");
        check.error(
            node.span,
            format!("{at} config uses invalid types: {foreign}"),
        );
    }
    let count = |kind| kinds.iter().filter(|found| **found == kind).count();
    if count(NeedKind::CrossDependency) > MAX_CROSS {
        check.error(
            node.span,
            format!("{at} config must be less than or equal to {MAX_CROSS}"),
        );
    }
    if count(NeedKind::Bridge) > 1 && allowed.contains(&NeedKind::Bridge) {
        let owner = at.strip_suffix(":needs").unwrap_or(at);
        check.error(
            node.span,
            format!("{owner} config should contain at most one bridge need"),
        );
    }
    Some(needs)
}

/// A mapping or a list, without `parallel: N` in it.
fn shape(check: &mut Check, at: &str, node: &Node) -> bool {
    let faults = check.faults();
    match &node.value {
        Value::Map(map) if map.is_empty() => {
            check.error(node.span, format!("{at} config can not be an empty hash"));
        }
        Value::Map(_) | Value::Seq(_) => {}
        _ => check.error(
            node.span,
            format!("{at} config can only be a hash or an array"),
        ),
    }
    let counted = |item: &&Node| {
        let parallel = item.as_map().and_then(|map| given(map, "parallel"));
        parallel.is_some_and(|node| matches!(node.value, Value::Int(_) | Value::Float(_)))
    };
    if flat(node).iter().any(counted) {
        check.error(
            node.span,
            format!("{at} config cannot use \"parallel: <number>\"."),
        );
    }
    check.sound_since(faults)
}

fn need(check: &mut Check, at: &str, node: &Node, needs: &mut Needs) -> Option<NeedKind> {
    if let Some(name) = node.as_str() {
        check.present(at, "config", node.span, Some(node));
        needs.jobs.push(WrittenNeed {
            job: name.to_owned(),
            artifacts: true,
            optional: false,
            matrix: None,
        });
        return Some(NeedKind::Job);
    }
    let kind = node.as_map().and_then(|map| Some((map, kind_of(map)?)));
    let Some((map, kind)) = kind else {
        check.verbatim(node.span, format!("{at} has an unsupported type"));
        return None;
    };
    match kind {
        NeedKind::Job => needs.jobs.extend(job_need(check, at, node, map)),
        NeedKind::CrossDependency => needs.cross.push(cross_need(check, at, node, map)),
        NeedKind::Bridge => {
            check.unknown_keys(at, map, &["pipeline"]);
            needs.bridge = check.needed_string(at, "pipeline", node.span, given(map, "pipeline"));
        }
    }
    Some(kind)
}

/// By its keys, whatever their values.
fn kind_of(map: &Map) -> Option<NeedKind> {
    let has = |key: &str| map.get(key).is_some();
    match (has("job"), has("pipeline"), has("project")) {
        (_, _, true) | (true, true, false) => Some(NeedKind::CrossDependency),
        (true, false, false) if !has("ref") => Some(NeedKind::Job),
        (false, true, false) => Some(NeedKind::Bridge),
        _ => None,
    }
}

fn flag(check: &mut Check, at: &str, map: &Map, key: &str, default: bool) -> bool {
    given(map, key)
        .and_then(|value| check.boolean(at, key, value))
        .unwrap_or(default)
}

fn job_need(check: &mut Check, at: &str, node: &Node, map: &Map) -> Option<WrittenNeed> {
    let faults = check.faults();
    check.unknown_keys(at, map, &["job", "artifacts", "optional", "parallel"]);
    let job = check.needed_string(at, "job", node.span, given(map, "job"));
    let artifacts = flag(check, at, map, "artifacts", true);
    let optional = flag(check, at, map, "optional", false);
    if !check.sound_since(faults) {
        return None;
    }
    let at = format!("{at}:parallel");
    let matrix = match given(map, "parallel") {
        None => None,
        Some(parallel) => match parallel.as_map() {
            Some(inner) => matrix_of(check, &at, parallel, inner),
            None => {
                check.verbatim(
                    parallel.span,
                    format!("{at} should be an integer or a hash"),
                );
                None
            }
        },
    };
    Some(WrittenNeed {
        job: job?,
        artifacts,
        optional,
        matrix,
    })
}

/// Artifacts of a job of another project, or of the parent or child pipeline.
fn cross_need(check: &mut Check, at: &str, node: &Node, map: &Map) -> Json {
    let fields: &[&str] = if map.get("project").is_some() {
        check.unknown_keys(at, map, &["project", "ref", "job", "artifacts", "parallel"]);
        &["project", "ref", "job"]
    } else {
        check.unknown_keys(at, map, &["pipeline", "job", "artifacts"]);
        &["pipeline", "job"]
    };
    let mut out = serde_json::Map::new();
    for field in fields {
        let value = check.needed_string(at, field, node.span, given(map, field));
        out.insert((*field).to_owned(), json!(value));
    }
    let artifacts = flag(check, at, map, "artifacts", true);
    out.insert("artifacts".to_owned(), artifacts.into());
    Json::Object(out)
}
