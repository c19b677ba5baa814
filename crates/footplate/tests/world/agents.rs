//! Agents for Kubernetes and which of them a job may use (`rest-api.md §4.8`).

use footplate_testkit::{BOTH, Client, TestServer};
use serde_json::{Value, json};

const CONFIG: &str = "
deploy: {script: [ship], environment: review/one}
plain: {script: [make]}
";

const ACCESS: &str = "
ci_access:
  projects:
    - id: Top/App
      environments: [staging, review/*]
      default_namespace: ns
    - id: nowhere/at-all
  groups:
    - id: top
      protected_branches_only: true
";

fn ids(answer: &Value) -> Vec<i64> {
    let list = answer["allowed_agents"].as_array().unwrap();
    list.iter().map(|one| one["id"].as_i64().unwrap()).collect()
}

async fn project(server: &TestServer, group: &Value, path: &str) -> i64 {
    let body = json!({"path": path, "namespace_id": group["id"]});
    let made = server.root.post("/projects", body).await.expect(201).json();
    made["id"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_sees_the_agents_it_may_use() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let root = &server.root;
        let top = root
            .post("/groups", json!({"name": "Top", "path": "top"}))
            .await
            .expect(201)
            .json();
        let infra = project(&server, &top, "infra").await;
        let app = project(&server, &top, "app").await;
        server.commit(infra, &[("README.md", "agents")]).await;
        let agents = format!("/projects/{infra}/cluster_agents");
        let mut made = Vec::new();
        for name in ["prod", "idle"] {
            let agent = root.post(&agents, json!({"name": name})).await.expect(201);
            made.push(agent.json()["id"].as_i64().unwrap());
        }
        server
            .commit(infra, &[(".gitlab/agents/prod/config.yaml", ACCESS)])
            .await;
        server.commit(app, &[(".gitlab-ci.yml", CONFIG)]).await;
        let mut runner = server.runner(&[]).await;
        runner.take_all().await;
        let asked = |name: &str| {
            let own = Client::anonymous(&server.url).with_job_token(&runner.job(name).token);
            async move { own.get("/job/allowed_agents").await.expect(200).json() }
        };
        let deploy = asked("deploy").await;
        assert_eq!(ids(&deploy), [made[0]], "{engine:?}");
        let first = &deploy["allowed_agents"][0];
        let expected = json!({"environments": ["staging", "review/*"], "default_namespace": "ns"});
        assert_eq!(first["configuration"], expected);
        assert_eq!(first["config_project"]["path_with_namespace"], "top/infra");
        assert_eq!(deploy["project"]["groups"], json!([{"id": top["id"]}]));
        assert_eq!(deploy["environment"]["slug"].as_str().unwrap().len(), 17);
        assert_eq!(
            deploy["user"]["roles_in_project"],
            json!(["guest", "reporter", "developer", "maintainer", "owner"])
        );
        // Without environment the project's entry does not count; the group's does, on a protected branch.
        let plain = asked("plain").await;
        assert_eq!(ids(&plain), [made[0]]);
        let through_group = &plain["allowed_agents"][0]["configuration"];
        assert_eq!(*through_group, json!({"protected_branches_only": true}));
        assert_eq!(plain.get("environment"), None);
        // A file that is not YAML changes nothing.
        let update = json!({"branch": "main", "commit_message": "broken", "actions": [
            {"action": "update", "file_path": ".gitlab/agents/prod/config.yaml", "content": "a: [b"}
        ]});
        let commits = format!("/projects/{infra}/repository/commits");
        root.post(&commits, update.clone()).await.expect(201);
        assert_eq!(ids(&asked("plain").await), [made[0]]);
        let mut emptied = update;
        emptied["actions"][0]["content"] = json!("ci_access: {}");
        root.post(&commits, emptied).await.expect(201);
        assert_eq!(ids(&asked("plain").await), [0_i64; 0]);
        let other = root.get("/job/allowed_agents").await.expect(404);
        assert_eq!(other.json(), json!({"message": "404 Job Not Found"}));
        let nobody = Client::anonymous(&server.url);
        nobody.get("/job/allowed_agents").await.expect(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_and_their_tokens() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let id = server.project("infra", &[]).await;
        let root = &server.root;
        let agents = format!("/projects/{id}/cluster_agents");
        for name in ["", "Upper", "-a", "a-", &"a".repeat(64)] {
            let refused = root.post(&agents, json!({"name": name})).await.expect(400);
            assert!(refused.json()["message"]["name"].is_array(), "{name}");
        }
        root.post(&agents, json!({})).await.expect(400);
        let agent = root
            .post(&agents, json!({"name": "prod-1"}))
            .await
            .expect(201)
            .json();
        let taken = root.post(&agents, json!({"name": "prod-1"})).await;
        assert_eq!(
            taken.expect(400).json(),
            json!({"message": {"name": ["has already been taken"]}})
        );
        assert_eq!(agent["config_project"]["id"], id);
        let one = format!("{agents}/{}", agent["id"]);
        assert_eq!(root.get(&one).await.expect(200).json(), agent);
        let tokens = format!("{one}/tokens");
        let token = root
            .post(&tokens, json!({"name": "first", "description": "d"}))
            .await
            .expect(201)
            .json();
        assert!(token["token"].as_str().unwrap().starts_with("glagent-"));
        root.post(&tokens, json!({"name": "second"}))
            .await
            .expect(201);
        root.post(&tokens, json!({"name": "third"}))
            .await
            .expect(400);
        let listed = root.get(&tokens).await.expect(200);
        assert_eq!(listed.header("x-total"), "2");
        assert_eq!(listed.json()[1].get("token"), None);
        let single = format!("{tokens}/{}", token["id"]);
        let shown = root.get(&single).await.expect(200).json();
        assert_eq!(shown["last_used_at"], Value::Null);
        root.delete(&single).await.expect(204);
        root.get(&single).await.expect(404);
        root.delete(&one).await.expect(204);
        root.get(&one).await.expect(404);
        assert_eq!(root.get(&agents).await.expect(200).json(), json!([]));
    }
}
