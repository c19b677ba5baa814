//! The templates that come with the server (`include: template`).

macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        &[$((concat!($name, ".gitlab-ci.yml"), include_str!(concat!("../../templates/", $name, ".gitlab-ci.yml")))),*]
    };
}

/// Name and text, sorted by name.
const TEMPLATES: &[(&str, &str)] = templates![
    "Bash",
    "C++",
    "Docker",
    "Getting-Started",
    "Go",
    "Gradle",
    "Maven",
    "Nodejs",
    "PHP",
    "Python",
    "Ruby",
    "Rust",
];

/// The text of a template by its full name, such as `Rust.gitlab-ci.yml`.
pub fn builtin_template(name: &str) -> Option<&'static str> {
    let at = TEMPLATES
        .binary_search_by(|(known, _)| (*known).cmp(name))
        .ok()?;
    TEMPLATES.get(at).map(|(_, text)| *text)
}

/// All names, sorted.
pub fn builtin_template_names() -> impl Iterator<Item = &'static str> {
    TEMPLATES.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_found_by_its_name() {
        assert!(TEMPLATES.is_sorted_by(|a, b| a.0 < b.0));
        for name in builtin_template_names() {
            assert!(
                builtin_template(name).is_some_and(|text| text.contains("script:")),
                "{name}"
            );
        }
        assert_eq!(builtin_template("Rust"), None);
        assert_eq!(builtin_template("../Rust.gitlab-ci.yml"), None);
    }
}
