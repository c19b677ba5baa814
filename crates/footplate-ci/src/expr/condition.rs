//! A condition: an expression with everything that does not depend on variables, made once for all rules that are written alike.

use std::sync::Arc;

use regex::Regex;

use super::{Evaluation, Expr, ExprError, Operator, eval::evaluate};
use crate::patterns;

/// An expression as it is written, and read.
#[derive(Debug, Clone)]
pub struct Condition {
    text: Arc<str>,
    expr: Expr,
    fixed: Fixed,
}

/// What does not depend on variables.
#[derive(Debug, Clone, Default)]
pub(super) struct Fixed {
    /// Texts of its atoms, in order.
    pub(super) atoms: Vec<Arc<str>>,
    /// Its patterns, compiled.
    pub(super) patterns: Vec<(Arc<str>, Regex)>,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// [`ExprError`].
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        let expr = Expr::parse(text)?;
        let mut fixed = Fixed::of(&expr);
        fixed.compile(&expr);
        Ok(Self {
            text: text.into(),
            expr,
            fixed,
        })
    }

    /// As it is written.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Evaluates with the values of variables, as [`Expr::evaluate`] does.
    pub fn evaluate<T: Into<Arc<str>>>(&self, variable: impl Fn(&str) -> Option<T>) -> Evaluation {
        evaluate(&self.expr, &self.fixed, &|name| {
            variable(name).map(Into::into)
        })
    }
}

impl Fixed {
    /// Texts of atoms; patterns are compiled when they are needed.
    pub(super) fn of(expr: &Expr) -> Self {
        let mut fixed = Self::default();
        fixed.name(expr);
        fixed
    }

    /// Atoms are comparisons, variables and inputs; they are not looked for inside each other.
    fn name(&mut self, expr: &Expr) {
        match expr {
            Expr::Binary(Operator::And | Operator::Or, left, right) => {
                self.name(left);
                self.name(right);
            }
            Expr::Text(_) | Expr::Null | Expr::Pattern(_) => {}
            Expr::Variable(_) | Expr::Input(_) | Expr::Binary(..) => {
                self.atoms.push(expr.to_string().into());
            }
        }
    }

    fn compile(&mut self, expr: &Expr) {
        match expr {
            Expr::Binary(_, left, right) => {
                self.compile(left);
                self.compile(right);
            }
            Expr::Pattern(text) => {
                let pattern = patterns::parse(text).ok();
                self.patterns
                    .extend(pattern.map(|pattern| (Arc::clone(text), pattern)));
            }
            Expr::Variable(_) | Expr::Text(_) | Expr::Input(_) | Expr::Null => {}
        }
    }

    /// How many atoms a part of the expression has.
    pub(super) fn count(expr: &Expr) -> usize {
        match expr {
            Expr::Binary(Operator::And | Operator::Or, left, right) => {
                Self::count(left) + Self::count(right)
            }
            Expr::Text(_) | Expr::Null | Expr::Pattern(_) => 0,
            Expr::Variable(_) | Expr::Input(_) | Expr::Binary(..) => 1,
        }
    }
}
