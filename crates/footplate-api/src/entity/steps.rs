//! What a runner executes for a job: steps, hooks, and the command that makes a release (`runner-protocol.md §2.5`).

use footplate_app::definition::Definition;
use serde_json::{Value as Json, json};

use super::assignment::lines;

/// Steps in the order of execution; none where the job has `run`, which the runner reads instead.
pub(super) fn steps(definition: &Definition, timeout: i64) -> Vec<Json> {
    if !definition.keyword("run").is_null() {
        return Vec::new();
    }
    let step = |name: &str, script: Vec<String>, when: &str, allow_failure: bool| json!({"name": name, "script": script, "timeout": timeout, "when": when, "allow_failure": allow_failure});
    let mut script = lines(definition.keyword("before_script"));
    script.extend(lines(definition.keyword("script")));
    let mut steps = vec![step("script", script, "on_success", false)];
    let release = definition.keyword("release");
    if !release.is_null() {
        steps.push(step("release", vec![publish(release)], "on_success", false));
    }
    let after = lines(definition.keyword("after_script"));
    if !after.is_empty() {
        steps.push(step("after_script", after, "always", true));
    }
    steps
}

/// Scripts around the fetching of sources.
pub(super) fn hooks(definition: &Definition) -> Vec<Json> {
    let hooks = definition.keyword("hooks");
    ["pre_get_sources_script", "post_get_sources_script"]
        .into_iter()
        .filter(|name| !hooks[*name].is_null())
        .map(|name| json!({"name": name, "script": lines(&hooks[name])}))
        .collect()
}

/// By `glab` where the job's image has it, else by the older `release-cli`.
fn publish(release: &Json) -> String {
    let (glab, cli) = (glab(release), release_cli(release));
    format!(
        "if command -v glab >/dev/null 2>&1; then\n  \
           export GITLAB_HOST=\"$CI_SERVER_URL\"\n  \
           glab auth login --job-token \"$CI_JOB_TOKEN\" --hostname \"$CI_SERVER_FQDN\" --api-protocol \"$CI_SERVER_PROTOCOL\"\n  \
           {glab}\n\
         else\n  \
           {cli}\n\
         fi\n"
    )
}

fn links(release: &Json) -> &[Json] {
    release["assets"]["links"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

/// JSON as one word of the shell.
fn word(value: &Json) -> String {
    Json::from(value.to_string()).to_string()
}

fn glab(release: &Json) -> String {
    let text = |name: &str| release[name].as_str().filter(|text| !text.is_empty());
    let tag = text("tag_name").unwrap_or("$CI_COMMIT_TAG");
    let mut command = format!("glab release create -R \"$CI_PROJECT_PATH\" \"{tag}\"");
    if !links(release).is_empty() {
        command += &format!(" --assets-links {}", word(&release["assets"]["links"]));
    }
    let milestones = lines(&release["milestones"]);
    if !milestones.is_empty() {
        command += &format!(" --milestone \"{}\"", milestones.join(","));
    }
    for (flag, value) in [
        ("name", text("name")),
        ("experimental-notes-text-or-file", text("description")),
        ("ref", Some(text("ref").unwrap_or("$CI_COMMIT_SHA"))),
        ("tag-message", text("tag_message")),
        ("released-at", text("released_at")),
    ] {
        if let Some(value) = value {
            command += &format!(" --{flag} \"{value}\"");
        }
    }
    command + " --no-update --no-close-milestone"
}

fn release_cli(release: &Json) -> String {
    let mut command = "release-cli create".to_owned();
    for name in [
        "name",
        "description",
        "tag_name",
        "tag_message",
        "ref",
        "released_at",
    ] {
        if let Some(value) = release[name].as_str() {
            command += &format!(" --{} \"{value}\"", name.replace('_', "-"));
        }
    }
    for milestone in lines(&release["milestones"]) {
        command += &format!(" --milestone \"{milestone}\"");
    }
    for link in links(release) {
        command += &format!(" --assets-link {}", word(link));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_names_what_it_has() {
        let release = json!({
            "tag_name": "v1", "description": "First", "milestones": ["m1", "m2"],
            "assets": {"links": [{"name": "x", "url": "https://x"}]},
        });
        assert_eq!(
            release_cli(&release),
            r#"release-cli create --description "First" --tag-name "v1" --milestone "m1" --milestone "m2" --assets-link "{\"name\":\"x\",\"url\":\"https://x\"}""#
        );
        assert_eq!(
            glab(&release),
            r#"glab release create -R "$CI_PROJECT_PATH" "v1" --assets-links "[{\"name\":\"x\",\"url\":\"https://x\"}]" --milestone "m1,m2" --experimental-notes-text-or-file "First" --ref "$CI_COMMIT_SHA" --no-update --no-close-milestone"#
        );
    }
}
