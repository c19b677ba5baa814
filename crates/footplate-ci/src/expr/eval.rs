//! What an expression is worth, and what each of its atoms was (`ci-yaml.md §10.3`).

use std::sync::Arc;

use super::{Expr, Operator};
use crate::patterns;

/// A raw result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Undefined, or `null`.
    Nil,
    /// Of a comparison.
    Bool(bool),
    /// Text.
    Text(Arc<str>),
}

impl Outcome {
    /// nil and false; an empty text is true here.
    fn is_falsy(&self) -> bool {
        matches!(self, Self::Nil | Self::Bool(false))
    }

    /// The final answer: true, or text with something in it.
    pub fn is_present(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(flag) => *flag,
            Self::Text(text) => !text.trim().is_empty(),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Nil => "",
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Text(text) => text,
        }
    }
}

/// A variable or comparison of the expression, and what it was.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Atom {
    /// As it would be written.
    pub text: String,
    /// `true`, `false`, `null`, or text in quotes.
    pub value: String,
}

/// An expression's worth with its atoms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The raw result.
    pub value: Outcome,
    /// Each comparison and lone variable, in the order of the text.
    pub atoms: Vec<Atom>,
}

impl Evaluation {
    /// The final answer.
    pub fn truthful(&self) -> bool {
        self.value.is_present()
    }
}

impl Expr {
    /// Evaluates with the values of variables; undefined ones are `None`. An input is asked for as `inputs.NAME`.
    pub fn evaluate(&self, variable: impl Fn(&str) -> Option<String>) -> Evaluation {
        let mut atoms = Vec::new();
        let value = eval(self, &variable, &mut atoms);
        Evaluation { value, atoms }
    }
}

fn eval(expr: &Expr, variable: &dyn Fn(&str) -> Option<String>, atoms: &mut Vec<Atom>) -> Outcome {
    let value = match expr {
        Expr::Null => Outcome::Nil,
        Expr::Text(text) | Expr::Pattern(text) => Outcome::Text(Arc::clone(text)),
        Expr::Variable(name) => {
            variable(name).map_or(Outcome::Nil, |text| Outcome::Text(text.into()))
        }
        Expr::Input(name) => variable(&format!("inputs.{name}"))
            .map_or(Outcome::Nil, |text| Outcome::Text(text.into())),
        Expr::Binary(Operator::And, left, right) => {
            let left = eval(left, variable, atoms);
            return if left.is_falsy() {
                left
            } else {
                eval(right, variable, atoms)
            };
        }
        Expr::Binary(Operator::Or, left, right) => {
            let left = eval(left, variable, atoms);
            return if left.is_falsy() {
                eval(right, variable, atoms)
            } else {
                left
            };
        }
        Expr::Binary(operator, left, right) => {
            // The sides of a comparison are parts of its atom, not atoms themselves.
            let mut inner = Vec::new();
            let (one, other) = (
                eval(left, variable, &mut inner),
                eval(right, variable, &mut inner),
            );
            Outcome::Bool(compare(
                *operator,
                &one,
                &other,
                matches!(**right, Expr::Pattern(_)),
            ))
        }
    };
    if !matches!(expr, Expr::Text(_) | Expr::Null | Expr::Pattern(_)) {
        atoms.push(Atom {
            text: expr.to_string(),
            value: shown(&value),
        });
    }
    value
}

fn shown(value: &Outcome) -> String {
    match value {
        Outcome::Nil => "null".to_owned(),
        Outcome::Bool(flag) => flag.to_string(),
        Outcome::Text(text) => format!("\"{text}\""),
    }
}

fn compare(operator: Operator, left: &Outcome, right: &Outcome, literal: bool) -> bool {
    match operator {
        Operator::Equals => left == right,
        Operator::NotEquals => left != right,
        Operator::Matches => found(left, right, literal),
        Operator::NotMatches => !found(left, right, literal),
        Operator::And | Operator::Or => false,
    }
}

/// A right side of the form `/…/` is a pattern, any other text is searched for the left one.
fn found(left: &Outcome, right: &Outcome, literal: bool) -> bool {
    let Outcome::Text(right) = right else {
        return false;
    };
    match patterns::parse(right) {
        Ok(pattern) => pattern.is_match(left.text()),
        Err(patterns::PatternError::NotAPattern) if !literal => right.contains(left.text()),
        Err(_) => false,
    }
}
