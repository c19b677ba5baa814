//! The templates that come with Footplate, for `include: template` (`ci-language.md` §5).

macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        &[$((
            concat!($name, ".gitlab-ci.yml"),
            include_str!(concat!("../templates/", $name, ".gitlab-ci.yml")),
        )),*]
    };
}

/// Name and text of each, sorted by name.
pub const TEMPLATES: &[(&str, &str)] = templates![
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
#[must_use]
pub fn template(name: &str) -> Option<&'static str> {
    let found = TEMPLATES.iter().find(|(known, _)| *known == name)?;
    Some(found.1)
}
