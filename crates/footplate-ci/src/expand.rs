//! `parallel` expanded: instances with their variables, and needs and dependencies on their names (`ci-yaml.md §14`).

use std::collections::HashMap;

use footplate_model::Need;
use serde_json::Value as Json;

use crate::{
    job::Job,
    keywords::{needs::WrittenNeed, parallel::Parallel, variables::YamlVariable},
};

/// One job of the final list.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The job that it was made from; its `needs`, `dependencies` and variables are replaced by those here.
    pub job: Job,
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

/// Expanded names of each job.
pub struct Names(HashMap<String, Vec<String>>);

impl Names {
    /// Of all jobs.
    pub fn of(jobs: &[Job]) -> Self {
        Self(
            jobs.iter()
                .map(|job| {
                    let names = match &job.parallel {
                        None => vec![job.name.clone()],
                        Some(parallel) => (0..parallel.len())
                            .map(|index| parallel.name(&job.name, index))
                            .collect(),
                    };
                    (job.name.clone(), names)
                })
                .collect(),
        )
    }

    fn expand(&self, name: &str) -> Vec<String> {
        self.0
            .get(name)
            .cloned()
            .unwrap_or_else(|| vec![name.to_owned()])
    }

    /// Needs by expanded names; `row` are the matrix values of the job that needs.
    pub fn needs(&self, written: &[WrittenNeed], row: &[(String, String)]) -> Vec<Need> {
        let make = |need: &WrittenNeed, name: String| Need {
            name,
            artifacts: need.artifacts,
            optional: need.optional,
        };
        written
            .iter()
            .flat_map(|need| match &need.matrix {
                None => self
                    .expand(&need.job)
                    .into_iter()
                    .map(|name| make(need, name))
                    .collect::<Vec<_>>(),
                Some(rows) => {
                    let filled = rows
                        .iter()
                        .map(|cells| {
                            cells
                                .iter()
                                .map(|(key, value)| (key.clone(), fill(value, row)))
                                .collect()
                        })
                        .collect();
                    let parallel = Parallel::Matrix(filled);
                    (0..rows.len())
                        .map(|index| make(need, parallel.name(&need.job, index)))
                        .collect()
                }
            })
            .collect()
    }
}

/// `$[[ matrix.NAME ]]` by the values of the needing job.
fn fill(value: &str, row: &[(String, String)]) -> String {
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
pub fn expand(jobs: &[Job]) -> Vec<Instance> {
    let names = Names::of(jobs);
    let mut list = Vec::new();
    for job in jobs {
        let total = job.parallel.as_ref().map_or(1, Parallel::len);
        for index in 0..total {
            list.push(instance(job, index, total, &names));
        }
    }
    list
}

fn instance(job: &Job, index: usize, total: usize, names: &Names) -> Instance {
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
    Instance {
        name: job.parallel.as_ref().map_or_else(
            || job.name.clone(),
            |parallel| parallel.name(&job.name, index),
        ),
        number: job.parallel.as_ref().map(|_| (index + 1, total)),
        needs: job
            .needs
            .as_ref()
            .map(|needs| names.needs(&needs.jobs, row)),
        cross: job
            .needs
            .as_ref()
            .map(|needs| needs.cross.clone())
            .unwrap_or_default(),
        dependencies: job
            .dependencies
            .as_ref()
            .map(|list| list.iter().flat_map(|name| names.expand(name)).collect()),
        variables,
        job: job.clone(),
    }
}
