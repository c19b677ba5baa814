//! Why a text is no YAML, in the words of Psych.

/// Why a text is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    /// Psych's message, which GitLab shows.
    #[error("{message}")]
    Syntax {
        /// With line and column where there are some.
        message: String,
        /// Line and column, from 1.
        at: Option<(u32, u32)>,
    },
    /// A budget is spent, or an alias is inside itself.
    #[error("The parsed YAML is too big")]
    TooBig,
    /// The text alone is longer than its budget.
    #[error("The provided YAML is too big")]
    TooLong,
}

impl YamlError {
    pub(super) fn plain(message: impl Into<String>) -> Self {
        Self::Syntax {
            message: message.into(),
            at: None,
        }
    }
}

/// Psych's wording: the place is that of the context where there is one.
pub(super) fn syntax(error: &libyaml_safer::Error, text: &[u8]) -> YamlError {
    let mark = match error.kind() {
        libyaml_safer::ErrorKind::Scanner => error.context_mark().or_else(|| error.problem_mark()),
        _ => error.context_mark(),
    };
    let place = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
    let (line, column) = mark.map_or((1, 1), |mark| (place(mark.line), place(mark.column)));
    let context = error
        .context()
        .map(|context| format!(" {context}"))
        .unwrap_or_default();
    let problem = if error.problem() == "invalid UTF-8" {
        invalid_utf8(text)
    } else {
        error.problem()
    };
    YamlError::Syntax {
        message: format!("(<unknown>): {problem}{context} at line {line} column {column}"),
        at: Some((line, column)),
    }
}

/// libyaml's own words for what is wrong with the bytes.
fn invalid_utf8(text: &[u8]) -> &'static str {
    let Err(error) = std::str::from_utf8(text) else {
        return "invalid UTF-8";
    };
    let leading = text.get(error.valid_up_to()).copied().unwrap_or_default();
    match error.error_len() {
        None => "incomplete UTF-8 octet sequence",
        Some(_) if matches!(leading, 0xC2..=0xF4) => "invalid trailing UTF-8 octet",
        Some(_) => "invalid leading UTF-8 octet",
    }
}
