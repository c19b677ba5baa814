//! The variables that jobs get and rules see (`pipeline-processing.md §14`, `§19`), whole, in order, with their flags.
//!
//! A line is `FLAGS NAME=value`; flags: `p` public, `m` masked, `f` file, `r` raw, `-` none.

use footplate_testkit::{BOTH, Outcome, ScriptedRunner, TestServer};
use serde_json::{Value, json};

const SERVER: &str = "
p CI=true
p GITLAB_CI=true
p CI_SERVER_FQDN={fqdn}
p CI_SERVER_URL={url}
p CI_SERVER_HOST=127.0.0.1
p CI_SERVER_PORT={port}
p CI_SERVER_PROTOCOL=http
p CI_SERVER_SHELL_SSH_HOST=127.0.0.1
p CI_SERVER_SHELL_SSH_PORT=22
p CI_SERVER_NAME=GitLab
p CI_SERVER_VERSION=18.6.0
p CI_SERVER_VERSION_MAJOR=18
p CI_SERVER_VERSION_MINOR=6
p CI_SERVER_VERSION_PATCH=0
p CI_SERVER_REVISION={revision}
p GITLAB_FEATURES=
";
const PROJECT: &str = "
p CI_PROJECT_ID={project}
p CI_PROJECT_NAME=widget_1
p CI_PROJECT_TITLE=widget_1
p CI_PROJECT_DESCRIPTION=
p CI_PROJECT_TOPICS=
p CI_PROJECT_PATH=acme/tools/widget_1
p CI_PROJECT_PATH_SLUG=acme-tools-widget-1
p CI_PROJECT_NAMESPACE=acme/tools
p CI_PROJECT_NAMESPACE_SLUG=acme-tools
p CI_PROJECT_NAMESPACE_ID={group}
p CI_PROJECT_ROOT_NAMESPACE=acme
p CI_PROJECT_URL={url}/acme/tools/widget_1
p CI_PROJECT_VISIBILITY=private
p CI_PROJECT_REPOSITORY_LANGUAGES=
p CI_DEFAULT_BRANCH=main
p CI_DEFAULT_BRANCH_SLUG=main
p CI_CONFIG_PATH=.gitlab-ci.yml
p CI_API_V4_URL={url}/api/v4
p CI_API_GRAPHQL_URL={url}/api/graphql
p CI_TEMPLATE_REGISTRY_HOST=registry.gitlab.com
";
const PERSISTED: &str = "
p CI_PIPELINE_ID={pipeline}
p CI_PIPELINE_URL={url}/acme/tools/widget_1/-/pipelines/{pipeline}
p CI_JOB_ID={job}
p CI_JOB_URL={url}/acme/tools/widget_1/-/jobs/{job}
m CI_JOB_TOKEN={token}
p CI_JOB_STARTED_AT={started}
p CI_REGISTRY_USER=gitlab-ci-token
m CI_REGISTRY_PASSWORD={token}
- CI_REPOSITORY_URL=http://gitlab-ci-token:{token}@{fqdn}/acme/tools/widget_1.git
";
const RUNNER: &str = "
p CI_RUNNER_ID={runner}
p CI_RUNNER_DESCRIPTION=
p CI_RUNNER_TAGS=[\"a\", \"b\"]
";
const USER: &str = "
p GITLAB_USER_ID=1
p GITLAB_USER_EMAIL={email}
p GITLAB_USER_LOGIN=root
pr GITLAB_USER_NAME=Administrator
";

const CONFIG: &str = r#"
workflow: {name: "Ship $CI_COMMIT_REF_NAME"}
stages: [build, test, deploy]
variables:
  LAYER: yaml
  RAWED: {value: $CI_JOB_NAME, expand: false}
  CHAIN: "$DEEP/$CI_COMMIT_REF_SLUG"
  PATHS: /own
  UNKNOWN: "$NOBODY $RAWED $CERT"
build:
  stage: build
  script: [make]
  artifacts: {reports: {dotenv: build.env}}
"unit: [linux, 1/2]":
  stage: test
  script: [test]
  rules: [{if: $CI_COMMIT_TAG, when: never}, {when: on_success}]
  needs: []
matrix:
  stage: test
  needs: []
  script: [test]
  parallel: {matrix: [{OS: linux, ARCH: [x86, arm]}]}
  variables: {OS: plain, OWN: job}
  rules: [{if: $ARCH == "arm", variables: {OWN: rule}}]
deploy:
  stage: deploy
  script: [ship]
  when: manual
  environment: {name: review/$CI_COMMIT_REF_SLUG, url: "https://$CI_ENVIRONMENT_SLUG.example.com/$FROM_BUILD", deployment_tier: staging, auto_stop_in: 1 day}
"#;

/// Everything that differs from one run of the test to the next.
struct Place(Vec<(&'static str, String)>);

impl Place {
    fn fill(&self, text: &str) -> Vec<String> {
        let filled = self.0.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), value)
        });
        filled
            .lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

fn shown(payload: &Value) -> Vec<String> {
    let flag = |variable: &Value, key: &str, letter: &str| {
        if variable[key] == true {
            letter.to_owned()
        } else {
            String::new()
        }
    };
    let list = payload["variables"].as_array().unwrap();
    list.iter()
        .map(|variable| {
            let flags: String = [
                ("public", "p"),
                ("masked", "m"),
                ("file", "f"),
                ("raw", "r"),
            ]
            .iter()
            .map(|(key, letter)| flag(variable, key, letter))
            .collect();
            let flags = if flags.is_empty() { "-" } else { &flags };
            let text = |key: &str| variable[key].as_str().unwrap().to_owned();
            format!("{flags} {}={}", text("key"), text("value"))
        })
        .collect()
}

/// The list without what was compared as a whole before: server and project.
fn beyond(payload: &Value) -> Vec<String> {
    let list = shown(payload);
    let at = |name: &str| list.iter().position(|line| line.starts_with(name)).unwrap();
    let (from, to) = (at("p CI="), at("p CI_TEMPLATE_REGISTRY_HOST="));
    [&list[..from], &list[to + 1..]].concat()
}

async fn made(server: &TestServer, path: &str, body: Value) -> Value {
    server.root.post(path, body).await.expect(201).json()
}

struct World {
    server: TestServer,
    project: i64,
    runner: ScriptedRunner,
    group: i64,
}

impl World {
    async fn on(engine: footplate_testkit::Engine) -> Self {
        let server = TestServer::on(engine).await;
        let acme = made(&server, "/groups", json!({"name": "acme", "path": "acme"})).await;
        let tools = json!({"name": "tools", "path": "tools", "parent_id": acme["id"]});
        let tools = made(&server, "/groups", tools).await;
        let project = json!({"path": "widget_1", "namespace_id": tools["id"]});
        let project = made(&server, "/projects", project).await["id"]
            .as_i64()
            .unwrap();
        let secret = |key: &str, value: &str| json!({"key": key, "value": value});
        let with = |mut body: Value, key: &str, value: Value| {
            body[key] = value;
            body
        };
        let (outer, inner, own) = (
            format!("/groups/{}/variables", acme["id"]),
            format!("/groups/{}/variables", tools["id"]),
            format!("/projects/{project}/variables"),
        );
        for (at, body) in [
            ("/admin/ci/variables", secret("LAYER", "instance")),
            ("/admin/ci/variables", secret("PATHS", "$PATHS:/usr")),
            (&outer, secret("LAYER", "outer")),
            (&outer, secret("DEEP", "$LAYER")),
            (&inner, secret("LAYER", "inner")),
            (
                &inner,
                with(
                    secret("LAYER", "inner review"),
                    "environment_scope",
                    json!("review/*"),
                ),
            ),
            (
                &own,
                with(secret("ONLY_PROTECTED", "p"), "protected", json!(true)),
            ),
            (
                &own,
                with(secret("HUSH", "masked-value-1"), "masked", json!(true)),
            ),
            (
                &own,
                with(secret("CERT", "-----"), "variable_type", json!("file")),
            ),
            (&own, with(secret("LITERAL", "$DEEP"), "raw", json!(true))),
            (
                &own,
                with(
                    secret("SCOPED", "any review"),
                    "environment_scope",
                    json!("review/*"),
                ),
            ),
            (
                &own,
                with(
                    secret("SCOPED", "this one"),
                    "environment_scope",
                    json!("review/main"),
                ),
            ),
            (
                &own,
                with(
                    secret("SCOPED", "production"),
                    "environment_scope",
                    json!("production"),
                ),
            ),
        ] {
            made(&server, at, body).await;
        }
        let runner = server.runner(&["a", "b"]).await;
        Self {
            group: tools["id"].as_i64().unwrap(),
            project,
            runner,
            server,
        }
    }

    fn at(&self, rest: &str) -> String {
        format!("/projects/{}{rest}", self.project)
    }

    async fn commit(
        &self,
        branch: &str,
        from: Option<&str>,
        message: &str,
        files: &[(&str, &str)],
    ) -> Value {
        let actions: Vec<Value> = files
            .iter()
            .map(|(path, text)| json!({"action": "create", "file_path": path, "content": text}))
            .collect();
        let mut body = json!({
            "branch": branch, "commit_message": message, "actions": actions,
            "author_name": "Ada", "author_email": "ada@example.org",
        });
        if let Some(from) = from {
            body["start_branch"] = json!(from);
        }
        made(&self.server, &self.at("/repository/commits"), body).await
    }

    /// The payload of the next job.
    async fn take(&mut self, name: &str) -> Value {
        self.server.settle().await;
        assert_eq!(self.runner.take().await.as_deref(), Some(name));
        self.runner.job(name).payload.clone()
    }

    async fn place(&self, payload: &Value) -> Place {
        let job = self
            .server
            .root
            .get(&self.at(&format!("/jobs/{}", payload["id"])))
            .await
            .expect(200)
            .json();
        let pipeline = self
            .server
            .root
            .get(&self.at(&format!("/pipelines/{}", job["pipeline"]["id"])))
            .await
            .expect(200)
            .json();
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let seconds = |value: &Value| format!("{}Z", &text(value)[..19]);
        let url = self.server.url.clone();
        let fqdn = url.trim_start_matches("http://").to_owned();
        let committed = text(&job["commit"]["committed_date"]).replace(".000", "");
        let user = self.server.root.get("/user").await.expect(200).json();
        Place(vec![
            ("port", fqdn.split(':').nth(1).unwrap().to_owned()),
            ("fqdn", fqdn),
            ("url", url),
            (
                "revision",
                text(&self.server.root.get("/version").await.expect(200).json()["revision"]),
            ),
            ("project", self.project.to_string()),
            ("group", self.group.to_string()),
            ("pipeline", text(&pipeline["id"])),
            ("iid", text(&pipeline["iid"])),
            ("created", seconds(&pipeline["created_at"])),
            ("before", text(&pipeline["before_sha"])),
            ("sha", text(&pipeline["sha"])),
            ("short", text(&pipeline["sha"])[..8].to_owned()),
            ("committed", committed),
            ("job", text(&job["id"])),
            ("started", seconds(&job["started_at"])),
            ("token", text(&payload["token"])),
            ("runner", text(&job["runner"]["id"])),
            ("email", text(&user["email"])),
        ])
    }
}

const COMMIT_ON_MAIN: &str = "
p CI_PIPELINE_IID={iid}
p CI_PIPELINE_SOURCE=push
p CI_PIPELINE_CREATED_AT={created}
p CI_PIPELINE_NAME=Ship main
p CI_CONFIG_REF_URI={fqdn}/acme/tools/widget_1//.gitlab-ci.yml@refs/heads/main
p CI_COMMIT_SHA={sha}
p CI_COMMIT_SHORT_SHA={short}
p CI_COMMIT_BEFORE_SHA=0000000000000000000000000000000000000000
p CI_COMMIT_REF_NAME=main
p CI_COMMIT_REF_SLUG=main
p CI_COMMIT_BRANCH=main
pr CI_COMMIT_MESSAGE=Add $HOME
p CI_COMMIT_MESSAGE_IS_TRUNCATED=false
pr CI_COMMIT_TITLE=Add $HOME
pr CI_COMMIT_DESCRIPTION=
p CI_COMMIT_REF_PROTECTED=true
p CI_COMMIT_TIMESTAMP={committed}
pr CI_COMMIT_AUTHOR=Ada <ada@example.org>
";
const OWN: &str = "
p LAYER=yaml
pr RAWED=$CI_JOB_NAME
p CHAIN=inner/main
p PATHS=/own
p UNKNOWN=$NOBODY $RAWED $CERT
";
const SECRETS: &str = "
- LAYER=instance
- PATHS=/own:/usr
- DEEP=inner
- LAYER=outer
- LAYER=inner
f CERT=-----
m HUSH=masked-value-1
r LITERAL=$DEEP
- ONLY_PROTECTED=p
";

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_push_get_every_layer() {
    for engine in BOTH {
        let mut world = World::on(engine).await;
        world
            .commit("main", None, "Add $HOME", &[(".gitlab-ci.yml", CONFIG)])
            .await;
        let build = world.take("build").await;
        let place = world.place(&build).await;
        let job = "
p CI_JOB_NAME=build
p CI_JOB_NAME_SLUG=build
p CI_JOB_GROUP_NAME=build
p CI_JOB_STAGE=build
p CI_NODE_TOTAL=1
";
        let whole = [
            PERSISTED,
            job,
            SERVER,
            PROJECT,
            COMMIT_ON_MAIN,
            RUNNER,
            OWN,
            USER,
            SECRETS,
        ]
        .concat();
        assert_eq!(shown(&build), place.fill(&whole), "{engine:?}");

        let unit = world.take("unit: [linux, 1/2]").await;
        let named: Vec<String> = shown(&unit)
            .into_iter()
            .filter(|line| line.contains(" CI_JOB_NAME") || line.contains("GROUP_NAME"))
            .collect();
        assert_eq!(
            named,
            [
                "p CI_JOB_NAME=unit: [linux, 1/2]",
                "p CI_JOB_NAME_SLUG=unit---linux--1-2",
                "p CI_JOB_GROUP_NAME=unit"
            ]
        );

        let arm = world.take("matrix: [linux, arm]").await;
        let place = world.place(&arm).await;
        let job = "
p CI_JOB_NAME=matrix: [linux, arm]
p CI_JOB_NAME_SLUG=matrix---linux--arm
p CI_JOB_GROUP_NAME=matrix
p CI_JOB_STAGE=test
p CI_NODE_INDEX=2
p CI_NODE_TOTAL=2
";
        let own = [OWN, "\np OS=linux\np OWN=rule\np ARCH=arm\n"].concat();
        let whole = [PERSISTED, job, COMMIT_ON_MAIN, RUNNER, &own, USER, SECRETS].concat();
        assert_eq!(beyond(&arm), place.fill(&whole), "{engine:?}");
        world.server.stop().await;
    }
}

fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_gets_its_environment_its_scopes_dotenv_and_what_it_is_played_with() {
    for engine in BOTH {
        let mut world = World::on(engine).await;
        world
            .commit("main", None, "Add $HOME", &[(".gitlab-ci.yml", CONFIG)])
            .await;
        world.take("build").await;
        let dotenv = gzip("FROM_BUILD=b-$CI_COMMIT_REF_SLUG\nLAYER=dotenv\n");
        world
            .runner
            .upload("build", "dotenv", "gzip", ".env.gz", dotenv)
            .await
            .expect(201);
        world
            .runner
            .finish("build", Outcome::Success)
            .await
            .expect(200);
        for name in ["unit: [linux, 1/2]", "matrix: [linux, arm]"] {
            world.take(name).await;
            world
                .runner
                .finish(name, Outcome::Success)
                .await
                .expect(200);
        }
        world.server.settle().await;
        let list = world
            .server
            .root
            .get(&world.at("/jobs?scope[]=manual"))
            .await
            .expect(200)
            .json();
        let play = world.at(&format!("/jobs/{}/play", list[0]["id"]));
        let given = json!({"job_variables_attributes": [{"key": "LAYER", "value": "played"}, {"key": "CI_ENVIRONMENT_SLUG", "value": "mine"}]});
        world.server.root.post(&play, given).await.expect(200);
        let deploy = world.take("deploy").await;
        let place = world.place(&deploy).await;
        let job = "
p CI_JOB_NAME=deploy
p CI_JOB_NAME_SLUG=deploy
p CI_JOB_GROUP_NAME=deploy
p CI_JOB_STAGE=deploy
p CI_JOB_MANUAL=true
p CI_NODE_TOTAL=1
p CI_ENVIRONMENT_NAME=review/main
p CI_ENVIRONMENT_ACTION=start
p CI_ENVIRONMENT_TIER=staging
";
        let own = OWN.replace("inner/main", "played/main");
        let secrets = "
- FROM_BUILD=b-main
- LAYER=dotenv
- LAYER=instance
- PATHS=/own:/usr
- DEEP=played
- LAYER=outer
- LAYER=inner
- LAYER=inner review
f CERT=-----
m HUSH=masked-value-1
r LITERAL=$DEEP
- ONLY_PROTECTED=p
- SCOPED=any review
- SCOPED=this one
- LAYER=played
- CI_ENVIRONMENT_SLUG=mine
p CI_ENVIRONMENT_ID=1
p CI_ENVIRONMENT_SLUG=review-main-{hash}
p CI_ENVIRONMENT_URL=https://review-main-{hash}.example.com/b-main
";
        let slug = shown(&deploy)
            .into_iter()
            .rev()
            .find_map(|line| {
                Some(
                    line.strip_prefix("p CI_ENVIRONMENT_SLUG=review-main-")?
                        .to_owned(),
                )
            })
            .unwrap();
        let secrets = secrets.replace("{hash}", &slug);
        let whole = [PERSISTED, job, COMMIT_ON_MAIN, RUNNER, &own, USER, &secrets].concat();
        assert_eq!(beyond(&deploy), place.fill(&whole), "{engine:?}");
        world.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_has_its_message_and_an_unprotected_branch_no_secrets() {
    for engine in BOTH {
        let mut world = World::on(engine).await;
        world
            .commit("main", None, "Add $HOME", &[(".gitlab-ci.yml", CONFIG)])
            .await;
        world.server.settle().await;
        let tag = json!({"tag_name": "v1.0", "ref": "main", "message": "First\n\nand only"});
        made(&world.server, &world.at("/repository/tags"), tag).await;
        let message = format!("{}\n\nBody\n", "t".repeat(99));
        world
            .commit("work", Some("main"), &message, &[("a", "")])
            .await;
        world.server.settle().await;
        let mut seen = Vec::new();
        while let Some(name) = world.runner.take().await {
            let payload = world.runner.job(&name).payload.clone();
            if name == "build" {
                seen.push((world.place(&payload).await, payload));
            }
        }
        let (place, tag) = &seen[1];
        let commit = "
p CI_PIPELINE_IID={iid}
p CI_PIPELINE_SOURCE=push
p CI_PIPELINE_CREATED_AT={created}
p CI_PIPELINE_NAME=Ship v1.0
p CI_CONFIG_REF_URI={fqdn}/acme/tools/widget_1//.gitlab-ci.yml@refs/tags/v1.0
p CI_COMMIT_SHA={sha}
p CI_COMMIT_SHORT_SHA={short}
p CI_COMMIT_BEFORE_SHA=0000000000000000000000000000000000000000
p CI_COMMIT_REF_NAME=v1.0
p CI_COMMIT_REF_SLUG=v1-0
pr CI_COMMIT_MESSAGE=Add $HOME
p CI_COMMIT_MESSAGE_IS_TRUNCATED=false
pr CI_COMMIT_TITLE=Add $HOME
pr CI_COMMIT_DESCRIPTION=
p CI_COMMIT_REF_PROTECTED=false
p CI_COMMIT_TIMESTAMP={committed}
pr CI_COMMIT_AUTHOR=Ada <ada@example.org>
p CI_COMMIT_TAG=v1.0
pr CI_COMMIT_TAG_MESSAGE=First|and only
";
        let job = "
p CI_JOB_NAME=build
p CI_JOB_NAME_SLUG=build
p CI_JOB_GROUP_NAME=build
p CI_JOB_STAGE=build
p CI_NODE_TOTAL=1
";
        let (own, secrets) = (
            OWN.replace("/main", "/v1-0"),
            SECRETS.replace("- ONLY_PROTECTED=p\n", ""),
        );
        let whole = [PERSISTED, job, commit, RUNNER, &own, USER, &secrets].concat();
        let lines: Vec<String> = place
            .fill(&whole)
            .iter()
            .map(|line| line.replace('|', "\n\n"))
            .collect();
        assert_eq!(beyond(tag), lines, "{engine:?}");

        let (_, branch) = &seen[2];
        let told = beyond(branch);
        for line in [
            "p CI_COMMIT_BRANCH=work",
            "p CI_COMMIT_REF_PROTECTED=false",
            "p CI_COMMIT_BEFORE_SHA=0000000000000000000000000000000000000000",
            "pr CI_COMMIT_DESCRIPTION=\nBody",
        ] {
            assert!(told.iter().any(|known| known == line), "{line}: {told:?}");
        }
        assert!(
            !told
                .iter()
                .any(|line| line.contains("ONLY_PROTECTED") || line.contains("CI_COMMIT_TAG"))
        );
        world.server.stop().await;
    }
}

const PHASES: &str = r#"
include:
  - {local: never.yml, rules: [{if: $GITLAB_USER_LOGIN}, {if: $CI_PIPELINE_IID}, {if: $CI_PIPELINE_ID}, {if: $YAML}, {if: $SCOPED}]}
  - {local: early.yml, rules: [{if: $CI_PROJECT_ID && $CI_COMMIT_SHA && $CI_PIPELINE_SOURCE == "push" && $HUSH}]}
variables: {YAML: 1}
workflow:
  rules:
    - {if: $SCOPED || $CI_JOB_NAME || $CI_ENVIRONMENT_NAME, when: never}
    - {if: $GITLAB_USER_LOGIN == "root" && $CI_PIPELINE_IID == "1"}
never: {script: [x], rules: [{if: $CI_JOB_ID}, {if: $CI_PIPELINE_ID}, {if: $CI_JOB_TOKEN}, {if: $CI_REGISTRY_PASSWORD}, {if: $CI_RUNNER_ID}, {if: $SCOPED}, {if: $CI_JOB_MANUAL}]}
elsewhere: {script: [x], environment: staging, rules: [{if: $SCOPED}]}
here:
  script: [x]
  environment: {name: review/$CI_COMMIT_BRANCH, url: "https://$CI_JOB_NAME"}
  rules: [{if: $SCOPED == "this one" && $LAYER == "inner review" && $CI_ENVIRONMENT_NAME == "review/main" && $CI_ENVIRONMENT_TIER == "development" && $CI_ENVIRONMENT_URL}]
"split: [1/2]":
  script: [x]
  parallel: 2
  rules: [{if: $CI_NODE_INDEX == "2" && $CI_NODE_TOTAL == "2" && $CI_JOB_NAME_SLUG == "split---1-2--2-2" && $CI_JOB_GROUP_NAME == "split" && $CI_JOB_STAGE == "test"}]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn each_phase_sees_its_variables() {
    for engine in BOTH {
        let world = World::on(engine).await;
        let job = |name: &str| format!("{name}: {{script: [x]}}\n");
        let (never, early) = (job("included_too_early"), job("included"));
        let files = [
            (".gitlab-ci.yml", PHASES),
            ("never.yml", &*never),
            ("early.yml", &*early),
        ];
        world.commit("main", None, "phases", &files).await;
        world.server.settle().await;
        let jobs = world
            .server
            .root
            .get(&world.at("/jobs"))
            .await
            .expect(200)
            .json();
        let mut names: Vec<&str> = jobs
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["name"].as_str().unwrap())
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["here", "included", "split: [1/2] 2/2"],
            "{engine:?}"
        );
        world.server.stop().await;
    }
}

const UPSTREAM: &str = r#"
stages: [build, test]
variables: {TOLD: "$CI_PROJECT_NAME $CI_PIPELINE_ID $OPEN $CLOSED $NOBODY", KEPT: {value: $OPEN, expand: false}, TWICE: yaml}
prepare: {stage: build, script: [x], artifacts: {reports: {dotenv: e.env}}}
child: {stage: test, trigger: {include: child.yml, forward: {pipeline_variables: true}}, variables: {OWN: "$GIVEN"}}
other: {stage: test, trigger: {project: root/other}, inherit: {variables: [TOLD]}}
quiet: {stage: test, trigger: {project: root/quiet, forward: {yaml_variables: false}}, variables: {OWN: x}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn bridges_forward_what_they_know() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let config = "job: {script: [x]}";
        let up = server.project("up", &[]).await;
        let (other, quiet) = (
            server.project("other", &[(".gitlab-ci.yml", config)]).await,
            server.project("quiet", &[(".gitlab-ci.yml", config)]).await,
        );
        for (key, protected) in [("OPEN", false), ("CLOSED", true)] {
            let body = json!({"key": key, "value": key.to_lowercase(), "protected": protected});
            made(&server, &format!("/projects/{up}/variables"), body).await;
        }
        server
            .commit(up, &[(".gitlab-ci.yml", UPSTREAM), ("child.yml", config)])
            .await;
        server.settle().await;
        let mut runner = server.runner(&[]).await;
        let mut ahead = runner.take_all().await;
        ahead.dedup();
        for name in ahead {
            let ended = Outcome::Failed("script_failure");
            runner.finish(&name, ended).await.expect(200);
        }
        let given = json!({"ref": "main", "variables": [
            {"key": "GIVEN", "value": "of $OPEN"}, {"key": "TWICE", "value": "given"}, {"key": "PAPER", "value": "$OPEN", "variable_type": "file"},
        ]});
        let pipeline =
            made(&server, &format!("/projects/{up}/pipeline"), given).await["id"].clone();
        server.settle().await;
        assert_eq!(runner.take().await.as_deref(), Some("prepare"));
        runner
            .upload(
                "prepare",
                "dotenv",
                "gzip",
                ".env.gz",
                gzip("TWICE=dotenv\nBUILT=yes\n"),
            )
            .await
            .expect(201);
        runner.finish("prepare", Outcome::Success).await.expect(200);
        server.settle().await;
        let told = async |project: i64, source: &str| -> Vec<String> {
            let list = server
                .root
                .get(&format!("/projects/{project}/pipelines?source={source}"))
                .await
                .expect(200)
                .json();
            let at = format!("/projects/{project}/pipelines/{}/variables", list[0]["id"]);
            let list = server.root.get(&at).await.expect(200).json();
            let line = |variable: &Value| {
                format!(
                    "{}={}",
                    variable["key"].as_str().unwrap(),
                    variable["value"].as_str().unwrap()
                )
            };
            list.as_array().unwrap().iter().map(line).collect()
        };
        assert_eq!(
            told(up, "parent_pipeline").await,
            [
                &*format!("TOLD=up {pipeline} open closed $NOBODY"),
                "KEPT=$OPEN",
                "OWN=of $OPEN",
                "BUILT=yes",
                "GIVEN=of open",
                "TWICE=given",
                "PAPER=$OPEN",
            ],
            "{engine:?}"
        );
        let secretless = format!("TOLD=up {pipeline} open $CLOSED $NOBODY");
        assert_eq!(told(other, "pipeline").await, [secretless], "{engine:?}");
        assert_eq!(told(quiet, "pipeline").await, Vec::<String>::new());
        let mut bridges = server
            .root
            .get(&format!("/projects/{up}/pipelines/{pipeline}/bridges"))
            .await
            .expect(200)
            .json();
        let bridges = bridges.as_array_mut().unwrap();
        bridges.retain(|bridge| bridge["name"] == "other");
        let mut jobs = Vec::new();
        while let Some(name) = runner.take().await {
            jobs.push(runner.job(&name).payload.clone());
        }
        let downstream: Vec<&Value> = jobs
            .iter()
            .filter(|job| job["job_info"]["project_id"] == other)
            .collect();
        let lines = shown(downstream.last().unwrap());
        for line in [
            "p CI_PIPELINE_SOURCE=pipeline".to_owned(),
            "p CI_COMMIT_USER_LOGIN=root".to_owned(),
            "p CI_COMMIT_BEFORE_SHA=0000000000000000000000000000000000000000".to_owned(),
            format!("p CI_UPSTREAM_PIPELINE_ID={pipeline}"),
            format!("p CI_UPSTREAM_PROJECT_ID={up}"),
            format!("p CI_UPSTREAM_JOB_ID={}", bridges[0]["id"]),
        ] {
            assert!(lines.contains(&line), "{line}: {lines:?}");
        }
        server.stop().await;
    }
}

const EXTRAS: &str = r#"
job:
  script: [x]
  hooks: {pre_get_sources_script: [early]}
  after_script: [late]
  secrets: {PASSWORD: {vault: db/password@ops, token: $VAULT_TOKEN}}
  release: {tag_name: v1, description: first}
  cache:
    - {key: $CI_COMMIT_REF_SLUG, paths: [a], fallback_keys: [$CI_DEFAULT_BRANCH]}
    - {key: {files: [lock], prefix: $CI_JOB_NAME}, paths: [b], unprotect: true}
    - {key: {files: [absent]}, paths: [c]}
stepped: {run: [{name: hello, script: echo}]}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn payloads_carry_what_is_beside_variables() {
    let server = TestServer::start().await;
    let project = server.project("p", &[]).await;
    let vault = json!({"key": "VAULT_SERVER_URL", "value": "https://vault"});
    made(&server, &format!("/projects/{project}/variables"), vault).await;
    let commit = server
        .commit(project, &[(".gitlab-ci.yml", EXTRAS), ("lock", "1")])
        .await;
    server.settle().await;
    let mut runner = server.runner(&[]).await;
    // The runner of the tests has no steps, so that job waits for another.
    assert_eq!(runner.take_all().await, ["job"]);
    let payload = &runner.job("job").payload;
    let keys: Vec<&Value> = payload["cache"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cache| &cache["key"])
        .collect();
    let digest = {
        let digest = ring::digest::digest(
            &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
            commit["id"].as_str().unwrap().as_bytes(),
        );
        digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(
        keys,
        [
            "$CI_COMMIT_REF_SLUG-protected",
            &*format!("$CI_JOB_NAME-{digest}-non_protected"),
            "default-protected"
        ]
    );
    assert_eq!(
        payload["cache"][0]["fallback_keys"],
        json!(["$CI_DEFAULT_BRANCH-protected"])
    );
    assert_eq!(
        payload["hooks"],
        json!([{"name": "pre_get_sources_script", "script": ["early"]}])
    );
    assert_eq!(
        payload["secrets"]["PASSWORD"]["vault"]["server"]["url"],
        "https://vault"
    );
    assert_eq!(
        payload["secrets"]["PASSWORD"]["vault"]["server"]["auth"]["data"]["jwt"],
        "$VAULT_TOKEN"
    );
    let steps: Vec<&Value> = payload["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["name"])
        .collect();
    assert_eq!(steps, ["script", "release", "after_script"]);
    assert!(
        payload["steps"][1]["script"][0]
            .as_str()
            .unwrap()
            .contains("--tag-name \"v1\"")
    );
    assert_eq!(payload.get("run"), None);
    server.stop().await;
}

const TOKENS: &str = r#"
job:
  script: [x]
  environment: production
  id_tokens: {ONE: {aud: "https://$CI_SERVER_FQDN"}, TWO: {aud: [a, $CI_JOB_NAME]}}
  # Whoever writes variables does not write claims.
  variables: {CI_PROJECT_PATH: other/project, CI_ENVIRONMENT_NAME: other}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn id_tokens_are_signed_by_the_published_key() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as URL};
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let project = server.project("p", &[(".gitlab-ci.yml", TOKENS)]).await;
        server.settle().await;
        let mut runner = server.runner(&[]).await;
        assert_eq!(runner.take().await.as_deref(), Some("job"));
        let list = shown(&runner.job("job").payload);
        let at = |name: &str| list.iter().position(|line| line.starts_with(name)).unwrap();
        assert!(at("- CI_REPOSITORY_URL=") < at("m ONE=") && at("m TWO=") < at("p CI_JOB_NAME="));
        let raw = async |path: &str| {
            let request = server.root.request(reqwest::Method::GET, path);
            server.root.send(request).await.expect(200).json()
        };
        let about = raw("/.well-known/openid-configuration").await;
        assert_eq!(
            about["jwks_uri"],
            format!("{}/oauth/discovery/keys", server.url)
        );
        let key = raw("/oauth/discovery/keys").await["keys"][0].clone();
        let bytes = |text: &str| URL.decode(text).unwrap();
        let public = ring::signature::RsaPublicKeyComponents {
            n: bytes(key["n"].as_str().unwrap()),
            e: bytes(key["e"].as_str().unwrap()),
        };
        let read = |name: &str| -> (Value, Value) {
            let token = list[at(name)].split_once('=').unwrap().1;
            let (signed, signature) = token.rsplit_once('.').unwrap();
            public
                .verify(
                    &ring::signature::RSA_PKCS1_2048_8192_SHA256,
                    signed.as_bytes(),
                    &bytes(signature),
                )
                .unwrap();
            let (header, claims) = signed.split_once('.').unwrap();
            let json = |part: &str| serde_json::from_slice(&bytes(part)).unwrap();
            (json(header), json(claims))
        };
        let (header, claims) = read("m ONE=");
        assert_eq!(
            header,
            json!({"typ": "JWT", "alg": "RS256", "kid": key["kid"]})
        );
        let told = |name: &str| claims[name].as_str().unwrap_or_default();
        for (name, value) in [
            ("iss", &*server.url),
            ("aud", &server.url.replace("http:", "https:")),
            ("sub", "project_path:root/p:ref_type:branch:ref:main"),
            ("project_path", "root/p"),
            ("project_id", &project.to_string()),
            ("user_login", "root"),
            ("user_access_level", "owner"),
            ("ref_path", "refs/heads/main"),
            ("ref_protected", "true"),
            ("environment", "production"),
            ("deployment_tier", "production"),
            ("runner_environment", "self-hosted"),
        ] {
            assert_eq!(told(name), value, "{name}");
        }
        let seconds = |name: &str| claims[name].as_i64().unwrap();
        assert_eq!(
            (
                seconds("iat") - seconds("nbf"),
                seconds("exp") - seconds("iat")
            ),
            (5, 3600)
        );
        assert_eq!(read("m TWO=").1["aud"], json!(["a", "job"]));
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_cannot_be_made_fail_plainly() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let config = "
nowhere: {script: [x], environment: review/$NOTHING}
tiered: {script: [x], environment: {name: review/$CI_PROJECT_NAME, deployment_tier: testing}}
";
        let project = server.project("p", &[(".gitlab-ci.yml", config)]).await;
        server.settle().await;
        let jobs = server
            .root
            .get(&format!("/projects/{project}/jobs"))
            .await
            .expect(200)
            .json();
        let told = |job: &Value| {
            [
                job["name"].clone(),
                job["status"].clone(),
                job["failure_reason"].clone(),
            ]
        };
        assert_eq!(
            told(&jobs[0]),
            [json!("tiered"), json!("pending"), Value::Null]
        );
        assert_eq!(
            told(&jobs[1]),
            [
                json!("nowhere"),
                json!("failed"),
                json!("environment_creation_failure")
            ]
        );
        let mut runner = server.runner(&[]).await;
        assert_eq!(runner.take().await.as_deref(), Some("tiered"));
        let list = shown(&runner.job("tiered").payload);
        for line in [
            "p CI_ENVIRONMENT_NAME=review/p",
            "p CI_ENVIRONMENT_TIER=testing",
        ] {
            assert!(list.iter().any(|known| known == line), "{line}");
        }
        runner.finish("tiered", Outcome::Success).await.expect(200);
        assert_eq!(server.pipeline(project).await["status"], "failed");

        let circular = json!({"branch": "main", "commit_message": "x", "actions": [
            {"action": "update", "file_path": ".gitlab-ci.yml", "content": "job: {script: [x], variables: {A: $B, B: $A}}"},
        ]});
        made(
            &server,
            &format!("/projects/{project}/repository/commits"),
            circular,
        )
        .await;
        let pipeline = server.pipeline(project).await;
        let shown = server
            .root
            .get(&format!("/projects/{project}/pipelines/{}", pipeline["id"]))
            .await
            .expect(200)
            .json();
        assert_eq!(
            shown["yaml_errors"],
            r#"job: circular variable reference detected: ["A", "B"]"#
        );
        server.stop().await;
    }
}
