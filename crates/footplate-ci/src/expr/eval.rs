//! What an expression is worth, and what each of its atoms was (`ci-yaml.md §10.3`).

use std::{borrow::Cow, sync::Arc};

use super::{Expr, Operator, condition::Fixed};
use crate::patterns::{self, PatternError};

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
    #[serde(with = "crate::shared")]
    pub text: Arc<str>,
    /// `true`, `false`, `null`, or text in quotes.
    pub value: Cow<'static, str>,
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
    pub fn evaluate<T: Into<Arc<str>>>(&self, variable: impl Fn(&str) -> Option<T>) -> Evaluation {
        evaluate(self, &Fixed::of(self), &|name| {
            variable(name).map(Into::into)
        })
    }
}

type Variables<'v> = &'v dyn Fn(&str) -> Option<Arc<str>>;

pub(super) fn evaluate(expr: &Expr, fixed: &Fixed, variable: Variables<'_>) -> Evaluation {
    let mut evaluator = Evaluator {
        fixed,
        variable,
        met: 0,
        atoms: Vec::with_capacity(fixed.atoms.len()),
    };
    let value = evaluator.eval(expr);
    Evaluation {
        value,
        atoms: evaluator.atoms,
    }
}

struct Evaluator<'e> {
    fixed: &'e Fixed,
    variable: Variables<'e>,
    /// Atoms that were passed, be they evaluated or not.
    met: usize,
    atoms: Vec<Atom>,
}

impl Evaluator<'_> {
    /// The whole expression, or one side of a connective that is not inside a comparison.
    fn eval(&mut self, expr: &Expr) -> Outcome {
        let Expr::Binary(operator @ (Operator::And | Operator::Or), left, right) = expr else {
            let value = self.value(expr);
            if !matches!(expr, Expr::Text(_) | Expr::Null | Expr::Pattern(_)) {
                let text = self.fixed.atoms.get(self.met).cloned();
                self.met += 1;
                self.atoms.push(Atom {
                    text: text.unwrap_or_else(|| expr.to_string().into()),
                    value: shown(&value),
                });
            }
            return value;
        };
        let left = self.eval(left);
        if decides(*operator, &left) {
            self.met += Fixed::count(right);
            return left;
        }
        self.eval(right)
    }

    /// A value without its atoms: the sides of a comparison are parts of its atom, not atoms themselves.
    fn value(&self, expr: &Expr) -> Outcome {
        match expr {
            Expr::Null => Outcome::Nil,
            Expr::Text(text) | Expr::Pattern(text) => Outcome::Text(Arc::clone(text)),
            Expr::Variable(name) => (self.variable)(name).map_or(Outcome::Nil, Outcome::Text),
            Expr::Input(name) => {
                (self.variable)(&format!("inputs.{name}")).map_or(Outcome::Nil, Outcome::Text)
            }
            Expr::Binary(operator @ (Operator::And | Operator::Or), left, right) => {
                let left = self.value(left);
                if decides(*operator, &left) {
                    left
                } else {
                    self.value(right)
                }
            }
            Expr::Binary(operator, left, right) => {
                let literal = matches!(**right, Expr::Pattern(_));
                let (one, other) = (self.value(left), self.value(right));
                Outcome::Bool(self.compare(*operator, &one, &other, literal))
            }
        }
    }

    fn compare(&self, operator: Operator, left: &Outcome, right: &Outcome, literal: bool) -> bool {
        match operator {
            Operator::Equals => left == right,
            Operator::NotEquals => left != right,
            Operator::Matches => self.found(left, right, literal),
            Operator::NotMatches => !self.found(left, right, literal),
            Operator::And | Operator::Or => false,
        }
    }

    /// A right side of the form `/…/` is a pattern, any other text is searched for the left one.
    fn found(&self, left: &Outcome, right: &Outcome, literal: bool) -> bool {
        let Outcome::Text(right) = right else {
            return false;
        };
        let mut known = self.fixed.patterns.iter();
        if let Some((_, pattern)) = known.find(|(text, _)| text == right) {
            return pattern.is_match(left.text());
        }
        match patterns::parse(right) {
            Ok(pattern) => pattern.is_match(left.text()),
            Err(PatternError::NotAPattern) if !literal => right.contains(left.text()),
            Err(_) => false,
        }
    }
}

/// The left side of a connective is its value already.
fn decides(operator: Operator, left: &Outcome) -> bool {
    left.is_falsy() == (operator == Operator::And)
}

fn shown(value: &Outcome) -> Cow<'static, str> {
    match value {
        Outcome::Nil => "null".into(),
        Outcome::Bool(true) => "true".into(),
        Outcome::Bool(false) => "false".into(),
        Outcome::Text(text) => format!("\"{text}\"").into(),
    }
}
