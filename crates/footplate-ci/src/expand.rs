//! `parallel` expanded: instances with their variables, and needs and dependencies on their names (`ci-yaml.md §14`).

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use footplate_model::Need;
use regex::{Captures, Regex};
use serde_json::Value as Json;

use crate::{
    diagnostic::Diagnostic,
    job::Job,
    keywords::{needs::WrittenNeed, parallel::Parallel, variables::YamlVariable},
};

static EXPRESSION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\$\[\[\s*matrix\.([A-Za-z0-9_-]+)\s*\]\]")
        .unwrap_or_else(|error| unreachable!("constant pattern: {error}"))
});

/// One job of the final list.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The job that it was made from, shared by all its instances; its `needs`, `dependencies` and variables are replaced by those here.
    pub job: Arc<Job>,
    /// Expanded name.
    pub name: String,
    /// 1-based number and total, for jobs with `parallel`.
    pub number: Option<(usize, usize)>,
    /// Needs in this pipeline; `None` = follows the stages.
    pub needs: Option<Vec<Need>>,
    /// Needs on other pipelines.
    pub cross: Vec<Json>,
    /// Dependencies by expanded names.
    pub dependencies: Option<Vec<String>>,
    /// Own variables with those of the matrix.
    pub variables: Vec<YamlVariable>,
}

/// Expanded names of the jobs with `parallel`.
struct Names<'c>(HashMap<&'c str, Vec<String>>);

impl<'c> Names<'c> {
    fn of(jobs: &'c [Arc<Job>]) -> Self {
        let parallel = |job: &'c Arc<Job>| {
            let parallel = job.parallel.as_ref()?;
            let names = (0..parallel.len()).map(|index| parallel.name(&job.name, index));
            Some((job.name.as_str(), names.collect()))
        };
        Self(jobs.iter().filter_map(parallel).collect())
    }

    fn expand(&self, name: &str) -> Vec<String> {
        self.0
            .get(name)
            .cloned()
            .unwrap_or_else(|| vec![name.to_owned()])
    }

    /// A need by expanded names, with the matrix values of the job that needs.
    fn need(&self, need: &WrittenNeed, values: &mut Values<'_>) -> Vec<Need> {
        let job = values.fill(&need.job);
        let names = match &need.matrix {
            // A matrix counts for a job that has `parallel`; any other is meant as it is.
            Some(rows) if self.0.contains_key(job.as_str()) => {
                let mut fill_row = |cells: &Vec<(String, String)>| {
                    let cells = cells.iter();
                    cells
                        .map(|(key, value)| (key.clone(), values.fill(value)))
                        .collect()
                };
                let parallel = Parallel::Matrix(rows.iter().map(&mut fill_row).collect());
                (0..rows.len())
                    .map(|index| parallel.name(&job, index))
                    .collect()
            }
            Some(_) | None => self.expand(&job),
        };
        names.into_iter().map(|name| make(need, name)).collect()
    }
}

/// Values of a row of the matrix, for `$[[ matrix.NAME ]]` in needs.
struct Values<'r> {
    row: &'r [(String, String)],
    /// Names that the row does not have.
    unknown: Vec<String>,
}

impl Values<'_> {
    fn fill(&mut self, text: &str) -> String {
        if !text.contains("$[[") {
            return text.to_owned();
        }
        let put = |found: &Captures<'_>| {
            let own = self.row.iter().find(|(key, _)| *key == found[1]);
            own.map_or_else(
                || {
                    self.unknown.push(found[1].to_owned());
                    found[0].to_owned()
                },
                |(_, value)| value.clone(),
            )
        };
        EXPRESSION.replace_all(text, put).into_owned()
    }

    fn fill_json(&mut self, value: &Json) -> Json {
        match value {
            Json::String(text) => self.fill(text).into(),
            Json::Array(items) => items.iter().map(|item| self.fill_json(item)).collect(),
            Json::Object(map) => map
                .iter()
                .map(|(key, value)| (key.clone(), self.fill_json(value)))
                .collect(),
            other => other.clone(),
        }
    }
}

fn make(need: &WrittenNeed, name: String) -> Need {
    Need {
        name,
        artifacts: need.artifacts,
        optional: need.optional,
    }
}

/// Needs of a rule: GitLab takes their names as they are written, also those of jobs with `parallel`.
pub fn of_rule(written: &[WrittenNeed]) -> Vec<Need> {
    written
        .iter()
        .map(|need| make(need, need.job.clone()))
        .collect()
}

fn plain(key: &str, value: impl Into<String>) -> YamlVariable {
    YamlVariable {
        key: key.to_owned(),
        value: value.into(),
        raw: None,
        description: None,
        options: None,
    }
}

/// The final list of jobs, in order.
///
/// # Errors
/// Names in `$[[ matrix.NAME ]]` that the matrix of the needing job does not have, each once for a job.
pub fn expand(jobs: &[Arc<Job>]) -> Result<Vec<Arc<Instance>>, Vec<Diagnostic>> {
    let names = Names::of(jobs);
    let mut list = Vec::with_capacity(jobs.len());
    let mut faults: Vec<Diagnostic> = Vec::new();
    for job in jobs {
        let total = job.parallel.as_ref().map_or(1, Parallel::len);
        for index in 0..total {
            let (instance, unknown) = instance(job, index, total, &names);
            list.push(Arc::new(instance));
            // Without any matrix the text stays, and is the name of no job.
            for name in unknown.iter().filter(|_| !names.0.is_empty()) {
                let job_name = &job.name;
                let fault = Diagnostic::new(
                    format!("{job_name} job: '{name}' does not exist in matrix configuration"),
                    job.span,
                );
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
        }
    }
    if faults.is_empty() {
        Ok(list)
    } else {
        Err(faults)
    }
}

fn instance(
    job: &Arc<Job>,
    index: usize,
    total: usize,
    names: &Names<'_>,
) -> (Instance, Vec<String>) {
    let row: &[(String, String)] = match &job.parallel {
        Some(Parallel::Matrix(rows)) => &rows[index],
        Some(Parallel::Number(_)) | None => &[],
    };
    let mut values = Values {
        row,
        unknown: Vec::new(),
    };
    let mut variables = job.variables.clone();
    for (key, value) in row {
        match variables.iter_mut().find(|variable| variable.key == *key) {
            Some(variable) => *variable = plain(key, value),
            None => variables.push(plain(key, value)),
        }
    }
    // A status bridge mirrors another pipeline and follows the stages of its own.
    let needs = job
        .needs
        .as_ref()
        .filter(|needs| needs.bridge.is_none() || !needs.jobs.is_empty());
    let instance = Instance {
        name: job.parallel.as_ref().map_or_else(
            || job.name.clone(),
            |parallel| parallel.name(&job.name, index),
        ),
        number: job.parallel.as_ref().map(|_| (index + 1, total)),
        needs: needs.map(|needs| {
            let mut all = Vec::with_capacity(needs.jobs.len());
            for need in &needs.jobs {
                all.extend(names.need(need, &mut values));
            }
            all
        }),
        cross: needs
            .map(|needs| {
                let cross = needs.cross.iter();
                cross.map(|need| values.fill_json(need)).collect()
            })
            .unwrap_or_default(),
        dependencies: job
            .dependencies
            .as_ref()
            .map(|list| list.iter().flat_map(|name| names.expand(name)).collect()),
        variables,
        job: Arc::clone(job),
    };
    (instance, values.unknown)
}
