//! What a job was compiled to, as it is stored once for all its attempts.

use footplate_ci::{Chosen, keywords::variables::YamlVariable, variables::Variable};
use footplate_model::TriggerStrategy;
use footplate_pipeline::RetryPolicy;
use serde_json::{Map, Value as Json};

use crate::{Error, Result};

/// A job as it was compiled. The engine's part comes first, so that moving a pipeline reads no more than that.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Definition {
    /// What the engine looks at.
    pub engine: EngineFacts,
    /// Everything else.
    pub job: JobFacts,
}

/// What the engine looks at beside the job's row.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct EngineFacts {
    /// `retry`.
    pub retry: RetryPolicy,
    /// `allow_failure:exit_codes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_codes: Option<Vec<i64>>,
    /// `trigger:strategy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<TriggerStrategy>,
}

/// What runners and downstream pipelines are told.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct JobFacts {
    /// Normalized keywords.
    pub keywords: Map<String, Json>,
    /// Variables of the configuration: root, workflow rule, job, job rule; later ones win.
    pub variables: Vec<DefinedVariable>,
    /// `dependencies` by expanded names; `None` = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<Vec<String>>,
    /// Needs on other pipelines and projects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cross: Vec<Json>,
    /// 1-based number and total of a `parallel` job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<(usize, usize)>,
}

/// A variable of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DefinedVariable {
    /// Name.
    pub key: String,
    /// Value as written.
    pub value: String,
    /// `expand: false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub raw: bool,
}

impl From<&YamlVariable> for DefinedVariable {
    fn from(variable: &YamlVariable) -> Self {
        Self {
            key: variable.key.clone(),
            value: variable.value.clone(),
            raw: variable.raw.unwrap_or(false),
        }
    }
}

impl From<&DefinedVariable> for Variable {
    fn from(variable: &DefinedVariable) -> Self {
        Self {
            key: variable.key.clone(),
            value: variable.value.clone(),
            raw: variable.raw,
            public: true,
            ..Self::default()
        }
    }
}

impl Definition {
    /// From a job of a compiled pipeline; `roots` are the root variables and those of the workflow's rule.
    pub fn of(chosen: &Chosen, roots: &[YamlVariable]) -> Self {
        let job = &chosen.instance.job;
        let roots = roots
            .iter()
            .filter(|variable| job.inherit_variables.lets(&variable.key));
        let variables = merged(
            roots
                .chain(&chosen.instance.variables)
                .chain(&chosen.rule_variables),
        );
        Self {
            engine: EngineFacts {
                retry: retry(job.keywords.get("retry")),
                exit_codes: chosen.exit_codes.clone(),
                strategy: job
                    .keywords
                    .get("trigger")
                    .and_then(|trigger| trigger["strategy"].as_str())
                    .and_then(TriggerStrategy::parse),
            },
            job: JobFacts {
                keywords: job.keywords.clone(),
                variables,
                dependencies: chosen.instance.dependencies.clone(),
                cross: chosen.instance.cross.clone(),
                number: chosen.instance.number,
            },
        }
    }

    /// From its stored text.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(Error::internal)
    }

    /// Its stored text.
    ///
    /// # Errors
    /// Never for what [`Definition::of`] made.
    pub fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::internal)
    }

    /// A keyword.
    pub fn keyword(&self, name: &str) -> &Json {
        self.job.keywords.get(name).unwrap_or(&Json::Null)
    }
}

/// Variables of one name are one, in the place of the first, with the value of the last.
fn merged<'v>(all: impl Iterator<Item = &'v YamlVariable>) -> Vec<DefinedVariable> {
    let mut merged = indexmap::IndexMap::new();
    for variable in all {
        merged.insert(variable.key.as_str(), DefinedVariable::from(variable));
    }
    merged.into_values().collect()
}

/// The engine's part of a stored definition.
pub(crate) fn engine_facts(text: &str) -> Result<EngineFacts> {
    #[derive(serde::Deserialize)]
    struct Part {
        engine: EngineFacts,
    }
    let part: Part = serde_json::from_str(text).map_err(Error::internal)?;
    Ok(part.engine)
}

fn retry(written: Option<&Json>) -> RetryPolicy {
    let list = |name: &str| {
        written
            .and_then(|written| written[name].as_array())
            .into_iter()
            .flatten()
    };
    let mut policy = RetryPolicy {
        max: written.map_or(0, |written| {
            written["max"].as_i64().or(written.as_i64()).unwrap_or(0)
        }),
        when: list("when")
            .filter_map(Json::as_str)
            .map(str::to_owned)
            .collect(),
        exit_codes: list("exit_codes").filter_map(Json::as_i64).collect(),
    };
    // Without conditions of its own a retry follows every failure (`pipeline-processing.md §9.1`).
    if policy.max > 0 && policy.when.is_empty() && policy.exit_codes.is_empty() {
        policy.when.push("always".to_owned());
    }
    policy
}
