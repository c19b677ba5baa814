//! What a job was compiled to, as it is stored once for all its attempts.

use footplate_ci::{Chosen, Keywords, keywords::variables::YamlVariable, variables::Variable};
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
    ///
    /// # Errors
    /// Never for what the compiler made.
    pub fn of(chosen: &Chosen, roots: &[&YamlVariable]) -> Result<Self> {
        Self::parse(&text(chosen, roots, &EngineFacts::of(chosen))?)
    }

    /// From its stored text.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(Error::internal)
    }

    /// A keyword.
    pub fn keyword(&self, name: &str) -> &Json {
        self.job.keywords.get(name).unwrap_or(&Json::Null)
    }
}

/// A [`Definition`] that is written but never held: what the compiler made is large, and there are many jobs.
#[derive(serde::Serialize)]
struct Written<'c> {
    engine: &'c EngineFacts,
    job: WrittenJob<'c>,
}

/// [`JobFacts`] of it.
#[derive(serde::Serialize)]
struct WrittenJob<'c> {
    keywords: &'c Keywords,
    variables: Vec<WrittenVariable<'c>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dependencies: Option<&'c [String]>,
    #[serde(skip_serializing_if = "<[Json]>::is_empty")]
    cross: &'c [Json],
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<(usize, usize)>,
}

/// [`DefinedVariable`] of it.
#[derive(serde::Serialize)]
struct WrittenVariable<'c> {
    key: &'c str,
    value: &'c str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    raw: bool,
}

impl EngineFacts {
    /// From a job of a compiled pipeline.
    pub(crate) fn of(chosen: &Chosen) -> Self {
        let keywords = &chosen.instance.job.keywords;
        Self {
            retry: retry(keywords.get("retry")),
            exit_codes: chosen.exit_codes.clone(),
            strategy: keywords
                .get("trigger")
                .and_then(|trigger| trigger["strategy"].as_str())
                .and_then(TriggerStrategy::parse),
        }
    }
}

/// The text that is stored of a job of a compiled pipeline.
///
/// # Errors
/// Never for what the compiler made.
pub(crate) fn text(
    chosen: &Chosen,
    roots: &[&YamlVariable],
    engine: &EngineFacts,
) -> Result<String> {
    let (instance, job) = (&chosen.instance, &chosen.instance.job);
    let roots = roots.iter().copied();
    let variables = roots
        .filter(|variable| job.inherit_variables.lets(&variable.key))
        .chain(&instance.variables)
        .chain(&chosen.rule_variables);
    let written = Written {
        engine,
        job: WrittenJob {
            keywords: &job.keywords,
            variables: merged(variables),
            dependencies: instance.dependencies.as_deref(),
            cross: &instance.cross,
            number: instance.number,
        },
    };
    serde_json::to_string(&written).map_err(Error::internal)
}

/// Variables of one name are one, in the place of the first, with the value of the last.
fn merged<'v>(all: impl Iterator<Item = &'v YamlVariable>) -> Vec<WrittenVariable<'v>> {
    let mut merged = indexmap::IndexMap::new();
    for variable in all {
        let written = WrittenVariable {
            key: &variable.key,
            value: &variable.value,
            raw: variable.raw.unwrap_or(false),
        };
        merged.insert(variable.key.as_str(), written);
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
