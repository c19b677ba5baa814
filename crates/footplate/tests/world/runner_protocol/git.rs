//! Sources for a job by its token (`runner-protocol.md §2.7`, `§2.9`).

use footplate_testkit::{BOTH, Outcome, TestServer};
use tokio::process::Command;

async fn git(folder: &std::path::Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_fetches_as_runners_do_and_no_longer_than_it_runs() {
    for engine in BOTH {
        let server = TestServer::on(engine).await;
        let project = server.project("p", &[("README.md", "one")]).await;
        server.commit(project, &[("second", "x")]).await;
        server
            .commit(
                project,
                &[(
                    ".gitlab-ci.yml",
                    "a: {script: [x], variables: {GIT_DEPTH: '1'}}",
                )],
            )
            .await;
        server.settle().await;
        let client = footplate_testkit::Client::anonymous(&server.url);
        let refs = "/root/p.git/info/refs?service=git-upload-pack";
        let stranger = client
            .send(client.request(reqwest::Method::GET, refs))
            .await;
        assert_eq!(stranger.status, 401);
        let challenge = stranger.header("www-authenticate");
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
        let mut runner = server.runner(&[]).await;
        runner.take().await.unwrap();
        let info = runner.job("a").payload["git_info"].clone();
        assert_eq!(info["depth"], 1);
        let url = info["repo_url"].as_str().unwrap();
        let sha = info["sha"].as_str().unwrap();
        let refspecs: Vec<&str> = info["refspecs"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|it| it.as_str())
            .collect();
        assert_eq!(refspecs.len(), 2);
        let folder = server.folder();
        let (_, listed) = git(&folder, &["ls-remote", url]).await;
        let own = refspecs[0].split(':').nth(1).unwrap();
        assert!(
            listed.contains(&format!("{sha}\t{own}\n")),
            "{own}: {listed}"
        );
        git(&folder, &["init", "-q"]).await;
        git(&folder, &["remote", "add", "origin", url]).await;
        let fetch = [
            &["fetch", "origin", "--no-recurse-submodules"] as &[&str],
            &refspecs,
            &["--depth", "1", "--prune", "--quiet"],
        ]
        .concat();
        let (fetched, said) = git(&folder, &fetch).await;
        assert!(fetched, "{said}");
        let (_, count) = git(&folder, &["rev-list", "--count", sha]).await;
        assert_eq!(count.trim(), "1", "shallow");
        let (pushed, _) = git(
            &folder,
            &["push", "origin", &format!("{sha}:refs/heads/other")],
        )
        .await;
        assert!(!pushed, "a job only reads");
        runner.finish("a", Outcome::Success).await.expect(200);
        let (late, said) = git(&folder, &["ls-remote", "origin"]).await;
        assert!(!late, "{said}");
    }
}
