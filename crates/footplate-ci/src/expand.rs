//! `parallel` expanded: instances with their variables, and needs and dependencies on their names (`ci-yaml.md §14`).

use std::{collections::HashMap, sync::Arc};

use footplate_model::Need;
use serde_json::Value as Json;

use crate::{
    job::Job,
    keywords::{needs::WrittenNeed, parallel::Parallel, variables::YamlVariable},
};

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

    /// A need by expanded names; `row` are the matrix values of the job that needs.
    fn need(&self, need: &WrittenNeed, row: &[(String, String)]) -> Vec<Need> {
        let job = fill(&need.job, row);
        let names = match &need.matrix {
            // A matrix counts for a job that has `parallel`; any other is meant as it is.
            Some(rows) if self.0.contains_key(job.as_str()) => {
                let fill_row = |cells: &Vec<(String, String)>| {
                    let cells = cells.iter();
                    cells
                        .map(|(key, value)| (fill(key, row), fill(value, row)))
                        .collect()
                };
                let parallel = Parallel::Matrix(rows.iter().map(fill_row).collect());
                (0..rows.len())
                    .map(|index| parallel.name(&job, index))
                    .collect()
            }
            Some(_) | None => self.expand(&job),
        };
        names.into_iter().map(|name| make(need, name)).collect()
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

/// `$[[ matrix.NAME ]]` by the values of the needing job.
fn fill(value: &str, row: &[(String, String)]) -> String {
    if !value.contains("$[[") {
        return value.to_owned();
    }
    row.iter().fold(value.to_owned(), |text, (key, own)| {
        text.replace(&format!("$[[ matrix.{key} ]]"), own)
            .replace(&format!("$[[matrix.{key}]]"), own)
    })
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
pub fn expand(jobs: &[Arc<Job>]) -> Vec<Arc<Instance>> {
    let names = Names::of(jobs);
    let mut list = Vec::with_capacity(jobs.len());
    for job in jobs {
        let total = job.parallel.as_ref().map_or(1, Parallel::len);
        list.extend((0..total).map(|index| Arc::new(instance(job, index, total, &names))));
    }
    list
}

fn instance(job: &Arc<Job>, index: usize, total: usize, names: &Names<'_>) -> Instance {
    let row: &[(String, String)] = match &job.parallel {
        Some(Parallel::Matrix(rows)) => &rows[index],
        Some(Parallel::Number(_)) | None => &[],
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
    Instance {
        name: job.parallel.as_ref().map_or_else(
            || job.name.clone(),
            |parallel| parallel.name(&job.name, index),
        ),
        number: job.parallel.as_ref().map(|_| (index + 1, total)),
        needs: needs.map(|needs| {
            let jobs = needs.jobs.iter();
            jobs.flat_map(|need| names.need(need, row)).collect()
        }),
        cross: needs.map(|needs| needs.cross.clone()).unwrap_or_default(),
        dependencies: job
            .dependencies
            .as_ref()
            .map(|list| list.iter().flat_map(|name| names.expand(name)).collect()),
        variables,
        job: Arc::clone(job),
    }
}
