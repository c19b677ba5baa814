//! Why a job is there or not: which entry decided, on what values.

use serde::{Deserialize, Serialize};

use crate::compiled::Place;

/// Why one job, or the whole pipeline, is there or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The job; `None` for the pipeline (`workflow:rules`) and for included files.
    pub job: Option<String>,
    /// Whether it is there.
    pub present: bool,
    /// What decided.
    pub decision: Decision,
    /// Entries that were tried, in order; the last one decided, unless none matched.
    pub tried: Vec<Tried>,
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It has no conditions and the configuration has `workflow:rules`, or nothing is filtered.
    Unconditional,
    /// The implicit `only: [branches, tags]`.
    DefaultOnly,
    /// An entry of `rules`, `workflow:rules` or `include:rules` matched.
    RuleMatched,
    /// No entry matched.
    NoRuleMatched,
    /// `only` and `except` both let it pass.
    PoliciesPassed,
    /// `only` did not hold.
    OnlyFailed,
    /// `except` held.
    ExceptHeld,
    /// `workflow:rules` made no pipeline at all.
    WorkflowFiltered,
}

/// One entry that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Its number in the list, from 0.
    pub index: usize,
    /// Where it stands.
    pub place: Option<Place>,
    /// Whether every condition held.
    pub matched: bool,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

/// One condition of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Condition {
    /// `if`.
    If {
        /// The text.
        expression: String,
        /// Its result.
        held: bool,
        /// The variables it names.
        atoms: Vec<Atom>,
    },
    /// `changes`.
    Changes(PathMatch),
    /// `exists`.
    Exists(PathMatch),
    /// An item of `only` or `except`.
    Policy {
        /// `refs`, `variables`, `changes` or `kubernetes`.
        key: String,
        /// The item that decided, if one did.
        item: Option<String>,
        /// Whether it held.
        held: bool,
    },
}

/// The value of a variable in an expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Atom {
    /// Name.
    pub name: String,
    /// Value; `None` when it is not defined, and for masked ones.
    pub value: Option<String>,
    /// It is masked, so its value is not told.
    pub masked: bool,
}

/// How patterns met paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathMatch {
    /// Patterns, expanded.
    pub patterns: Vec<String>,
    /// Whether it held.
    pub held: bool,
    /// How many paths were looked at; `None` when they are not known (then it holds).
    pub paths: Option<usize>,
    /// The first pattern and path that met.
    pub first: Option<(String, String)>,
}
