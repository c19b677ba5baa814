//! From text to tokens (`ci-yaml.md §10.1`).

use std::sync::Arc;

use super::{ExprError, Operator};
use crate::patterns;

/// GitLab's limit.
const MAX_TOKENS: usize = 100;

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// `(`
    Open,
    /// `)`
    Close,
    /// `$NAME`
    Variable(Arc<str>),
    /// Text between quotes.
    Text(Arc<str>, char),
    /// A pattern with its slashes and flags.
    Pattern(Arc<str>),
    /// `$[[ inputs.NAME ]]`, in rules of inputs.
    Input(Arc<str>),
    /// `null`
    Null,
    /// A comparison or connective.
    Operator(Operator),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open => f.write_str("("),
            Self::Close => f.write_str(")"),
            Self::Variable(name) => write!(f, "${name}"),
            Self::Text(text, quote) => write!(f, "{quote}{text}{quote}"),
            Self::Pattern(text) => f.write_str(text),
            Self::Input(name) => write!(f, "$[[ inputs.{name} ]]"),
            Self::Null => f.write_str("null"),
            Self::Operator(operator) => f.write_str(operator.as_str()),
        }
    }
}

const OPERATORS: [Operator; 6] = [
    Operator::Equals,
    Operator::Matches,
    Operator::NotEquals,
    Operator::NotMatches,
    Operator::And,
    Operator::Or,
];

/// Splits a text into tokens.
///
/// # Errors
/// [`ExprError::UnknownLexeme`], [`ExprError::TooManyTokens`], [`ExprError::Pattern`].
pub fn tokens(text: &str) -> Result<Vec<Token>, ExprError> {
    read(text, false)
}

/// The same where inputs may be referred to.
///
/// # Errors
/// As [`tokens`].
pub(super) fn tokens_with_inputs(text: &str) -> Result<Vec<Token>, ExprError> {
    read(text, true)
}

fn read(text: &str, inputs: bool) -> Result<Vec<Token>, ExprError> {
    let mut rest = text.trim_start();
    let mut found = Vec::new();
    while !rest.is_empty() {
        if found.len() >= MAX_TOKENS {
            return Err(ExprError::TooManyTokens);
        }
        let read = match input(rest).filter(|_| inputs) {
            Some(read) => Some(read),
            None => token(rest)?,
        };
        let (token, used) = read.ok_or(ExprError::UnknownLexeme)?;
        found.push(token);
        rest = rest[used..].trim_start();
    }
    Ok(found)
}

/// `$[[ inputs.NAME ]]`.
fn input(text: &str) -> Option<(Token, usize)> {
    let (inside, _) = text.strip_prefix("$[[")?.split_once("]]")?;
    let name = inside.trim().strip_prefix("inputs.")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!name.is_empty() && name.chars().all(plain))
        .then(|| (Token::Input(name.into()), inside.len() + 5))
}

fn token(text: &str) -> Result<Option<(Token, usize)>, ExprError> {
    let Some(first) = text.chars().next() else {
        return Ok(None);
    };
    Ok(match first {
        '(' => Some((Token::Open, 1)),
        ')' => Some((Token::Close, 1)),
        '$' => {
            let end = text[1..]
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .map_or(text.len(), |end| end + 1);
            (end > 1).then(|| (Token::Variable(text[1..end].into()), end))
        }
        '"' | '\'' => text[1..]
            .find(first)
            .map(|end| (Token::Text(text[1..=end].into(), first), end + 2)),
        '/' => return pattern(text),
        _ if text.starts_with("null") => Some((Token::Null, 4)),
        _ => OPERATORS
            .iter()
            .find(|operator| text.starts_with(operator.as_str()))
            .map(|operator| (Token::Operator(*operator), 2)),
    })
}

/// `/…/flags`: the first slash that is not escaped ends it, at least one character stands between.
fn pattern(text: &str) -> Result<Option<(Token, usize)>, ExprError> {
    let mut escaped = false;
    let Some(end) = text.char_indices().skip(1).find_map(|(at, c)| {
        let ends = c == '/' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    }) else {
        return Ok(None);
    };
    if end == 1 {
        return Ok(None);
    }
    let flags = text[end + 1..]
        .chars()
        .take_while(|c| "ismU".contains(*c))
        .count();
    let whole = &text[..=end + flags];
    patterns::parse(whole).map_err(|_| ExprError::Pattern)?;
    Ok(Some((Token::Pattern(whole.into()), whole.len())))
}
