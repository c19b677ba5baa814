//! Somebody pushes with git, again and again.

use std::path::PathBuf;

use footplate_testkit::ROOT_TOKEN;
use tokio::process::Command;

use super::Load;

/// Pushes until the ledger is closed, each commit to a branch of its own; what git reports as done is written down.
pub(super) async fn push(load: Load, folder: PathBuf) {
    let address = load.root.base().replace("http://", "");
    let url = format!("http://root:{ROOT_TOKEN}@{address}/root/p.git");
    let git = async |arguments: &[&str]| {
        Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(arguments)
            .current_dir(&folder)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .await
            .unwrap()
    };
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(".gitlab-ci.yml"), super::CONFIG).unwrap();
    git(&["init", "-q", "-b", "work"]).await;
    git(&["add", "-A"]).await;
    for number in 0.. {
        if load.ledger.is_closed() {
            return;
        }
        git(&["commit", "-q", "--allow-empty", "-m", &number.to_string()]).await;
        let sha = git(&["rev-parse", "HEAD"]).await.stdout;
        let sha = String::from_utf8(sha).unwrap().trim().to_owned();
        let target = format!("HEAD:refs/heads/pushed-{number}");
        if git(&["push", "-q", &url, &target]).await.status.success() {
            load.ledger.write(|books| books.pushed.push(sha));
        }
    }
}
