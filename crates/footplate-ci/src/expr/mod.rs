//! The expression language of `rules:if`, `workflow:rules:if` and `only:variables` (`ci-yaml.md §10`).

mod condition;
mod eval;
mod lex;
mod parse;

use std::{fmt, sync::Arc};

pub use condition::Condition;
pub use eval::{Atom, Evaluation, Outcome};
pub use lex::{Token, tokens};

/// Why a text is no expression. GitLab shows all of them as `invalid expression syntax`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// Some text is no token.
    #[error("Unknown lexeme found!")]
    UnknownLexeme,
    /// More than 100 tokens.
    #[error("Too many tokens!")]
    TooManyTokens,
    /// The tokens make no expression.
    #[error("Invalid expression syntax")]
    Syntax,
    /// A pattern that RE2 refuses.
    #[error("Invalid regular expression!")]
    Pattern,
}

/// An operator of two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equals,
    /// `!=`
    NotEquals,
    /// `=~`
    Matches,
    /// `!~`
    NotMatches,
    /// `&&`
    And,
    /// `||`
    Or,
}

impl Operator {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equals => "==",
            Self::NotEquals => "!=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
            Self::And => "&&",
            Self::Or => "||",
        }
    }

    /// GitLab's name of the node.
    fn name(self) -> &'static str {
        match self {
            Self::Equals => "equals",
            Self::NotEquals => "not_equals",
            Self::Matches => "matches",
            Self::NotMatches => "not_matches",
            Self::And => "and",
            Self::Or => "or",
        }
    }

    /// Binds the tighter the larger.
    fn precedence(self) -> u8 {
        match self {
            Self::Equals | Self::NotEquals | Self::Matches | Self::NotMatches => 3,
            Self::And => 2,
            Self::Or => 1,
        }
    }
}

/// A parsed expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// `$NAME`
    Variable(Arc<str>),
    /// `"text"`
    Text(Arc<str>),
    /// `/pattern/flags`, with its slashes.
    Pattern(Arc<str>),
    /// `$[[ inputs.NAME ]]`
    Input(Arc<str>),
    /// `null`
    Null,
    /// Two sides.
    Binary(Operator, Arc<Expr>, Arc<Expr>),
}

impl Expr {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`ExprError`].
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        parse::parse(&lex::tokens(text)?)
    }

    /// Reads an expression of `spec:inputs:NAME:rules`, which may refer to other inputs.
    ///
    /// # Errors
    /// [`ExprError`].
    pub fn parse_with_inputs(text: &str) -> Result<Self, ExprError> {
        parse::parse(&lex::tokens_with_inputs(text)?)
    }

    /// The tree in GitLab's notation, `or(and(a, b), equals(c, "d"))`.
    pub fn tree(&self) -> String {
        match self {
            Self::Binary(operator, left, right) => {
                format!("{}({}, {})", operator.name(), left.tree(), right.tree())
            }
            leaf => leaf.to_string(),
        }
    }

    fn precedence(&self) -> u8 {
        match self {
            Self::Binary(operator, _, _) => operator.precedence(),
            Self::Variable(_) | Self::Text(_) | Self::Pattern(_) | Self::Input(_) | Self::Null => 4,
        }
    }
}

/// As it would be written, with brackets only where they are needed.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "${name}"),
            Self::Text(text) if text.contains('"') => write!(f, "'{text}'"),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Pattern(text) => f.write_str(text),
            Self::Input(name) => write!(f, "$[[ inputs.{name} ]]"),
            Self::Null => f.write_str("null"),
            Self::Binary(operator, left, right) => {
                let side = |f: &mut fmt::Formatter<'_>, side: &Self, least: u8| {
                    if side.precedence() < least {
                        write!(f, "({side})")
                    } else {
                        write!(f, "{side}")
                    }
                };
                side(f, left, operator.precedence())?;
                write!(f, " {} ", operator.as_str())?;
                side(f, right, operator.precedence() + 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expressions() -> impl Strategy<Value = Expr> {
        let leaf = prop_oneof![
            "[A-Za-z0-9_]{1,8}".prop_map(|name| Expr::Variable(name.into())),
            "[^\"']{0,8}".prop_map(|text| Expr::Text(text.into())),
            "[^']{0,8}".prop_map(|text| Expr::Text(text.into())),
            Just(Expr::Null),
            Just(Expr::Pattern("/^ab+c/i".into())),
        ];
        leaf.prop_recursive(5, 40, 2, |inner| {
            let operators = prop_oneof![
                Just(Operator::Equals),
                Just(Operator::NotEquals),
                Just(Operator::Matches),
                Just(Operator::NotMatches),
                Just(Operator::And),
                Just(Operator::Or)
            ];
            (operators, inner.clone(), inner).prop_map(|(operator, left, right)| {
                Expr::Binary(operator, Arc::new(left), Arc::new(right))
            })
        })
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(expr in expressions()) {
            prop_assert_eq!(Expr::parse(&expr.to_string()), Ok(expr));
        }

        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            if let Ok(expr) = Expr::parse(&text) {
                expr.evaluate(|name| (name.len() % 2 == 0).then(|| "/x/".to_owned()));
            }
        }
    }
}
