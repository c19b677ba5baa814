//! The root of a configuration: where the project's setting says that it is (`ci-yaml.md §1`).

use footplate_ci::{inputs_from_json, yaml};
use footplate_git::Sha;
use footplate_model::Project;
use serde_json::{Map, Value as Json, json};

use super::memory::Stored;
use crate::{App, Result};

/// What a configuration begins with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RootText {
    /// A text.
    Own(String),
    /// A file of another project or of the web: the only include of an otherwise empty text, as GitLab has it, so that
    /// its own local includes are looked for where it comes from.
    Elsewhere(Map<String, Json>),
}

impl RootText {
    /// The text to compile, and the inputs of its root; a file elsewhere is the one that takes them.
    pub(crate) fn with_inputs(self, inputs: &Map<String, Json>) -> (String, yaml::Map) {
        match self {
            Self::Own(text) => (text, inputs_from_json(inputs)),
            Self::Elsewhere(mut include) => {
                if !inputs.is_empty() {
                    include.insert("inputs".to_owned(), Json::Object(inputs.clone()));
                }
                // The compiler reads JSON as YAML.
                (
                    json!({"include": [include]}).to_string(),
                    yaml::Map::default(),
                )
            }
        }
    }
}

impl App {
    /// The configuration of a project at a commit; `None` when there is no such file.
    pub(crate) async fn config_text(
        &self,
        project: &Project,
        sha: &Sha,
    ) -> Result<Option<RootText>> {
        let path = project.config_path();
        let stored = self.stored_file(project.id, sha, path).await?;
        if let Some(Stored::Text(text)) = stored {
            return Ok(Some(RootText::Own(text.to_string())));
        }
        Ok(elsewhere(path).map(RootText::Elsewhere))
    }
}

/// `path@group/project[:ref]` or a URL as an include.
fn elsewhere(path: &str) -> Option<Map<String, Json>> {
    let include = if path.starts_with("http://") || path.starts_with("https://") {
        json!({"remote": path})
    } else {
        let (file, project) = path.split_once('@')?;
        let is_yaml = file.len() > 3 && (file.ends_with("yml") || file.ends_with("yaml"));
        if !is_yaml || project.is_empty() {
            return None;
        }
        match project.split_once(':') {
            Some((project, git_ref)) if !git_ref.is_empty() => {
                json!({"project": project, "file": file, "ref": git_ref})
            }
            Some((project, _)) => json!({"project": project, "file": file}),
            None => json!({"project": project, "file": file}),
        }
    };
    match include {
        Json::Object(include) => Some(include),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_has_three_forms() {
        for plain in [
            ".gitlab-ci.yml",
            "a/b@c.yml",
            "x.txt@g/p",
            "a.yml@",
            "yml@g/p",
        ] {
            assert_eq!(elsewhere(plain), None, "{plain}");
        }
        for (path, include) in [
            ("a.yml@g/p", json!({"project": "g/p", "file": "a.yml"})),
            (
                "b/a.yaml@g/s/p:v1",
                json!({"project": "g/s/p", "file": "b/a.yaml", "ref": "v1"}),
            ),
            ("a.yml@g/p:", json!({"project": "g/p", "file": "a.yml"})),
            ("https://x/a.yml", json!({"remote": "https://x/a.yml"})),
        ] {
            assert_eq!(elsewhere(path).map(Json::Object), Some(include), "{path}");
        }
    }

    #[test]
    fn a_file_elsewhere_takes_the_inputs() {
        let Json::Object(inputs) = json!({"n": 1}) else {
            return;
        };
        let root = RootText::Elsewhere(elsewhere("a.yml@g/p").unwrap_or_default());
        let (text, own) = root.with_inputs(&inputs);
        assert_eq!(
            text,
            r#"{"include":[{"project":"g/p","file":"a.yml","inputs":{"n":1}}]}"#
        );
        assert!(own.is_empty());
        let (_, own) = RootText::Own("a: 1".to_owned()).with_inputs(&inputs);
        assert_eq!(own.len(), 1);
    }
}
