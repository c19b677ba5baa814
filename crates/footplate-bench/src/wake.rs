//! How soon one of many held requests hears of a job.

use std::{
    collections::HashSet,
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};

use crate::{
    Result,
    claim::ask,
    http::{Connection, request},
    options::Options,
    program::{Place, Running},
    report::{Better, Report},
};

/// Requests that wait.
const WAITING: usize = 1000;
/// Jobs that come, one after the other.
const COMING: usize = 50;

pub(crate) fn measure(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    eprintln!("wake-up of held requests");
    let program = Running::program(options, place, 60)?;
    let made = program
        .api("POST", "/projects", &json!({"path": "waking"}))?
        .expect(201)?
        .json()?;
    let project = made["id"].as_i64().ok_or("no id")?;
    let tagged = "go: {script: [date], tags: [waking], parallel: 50, when: manual}";
    let commit = json!({"branch": "main", "commit_message": "m", "actions": [
        {"action": "create", "file_path": ".gitlab-ci.yml", "content": tagged}]});
    let path = format!("/projects/{project}/repository/commits");
    program.api("POST", &path, &commit)?.expect(201)?;
    let body = json!({"runner_type": "instance_type", "run_untagged": false, "tag_list": "waking"});
    let runner = program
        .api("POST", "/user/runners", &body)?
        .expect(201)?
        .json()?;
    let token = runner["token"].as_str().ok_or("no token")?.to_owned();
    let (sender, taken) = mpsc::channel();
    for number in 0..WAITING {
        hold(&program.host, &token, number, sender.clone())?;
    }
    drop(sender);
    std::thread::sleep(Duration::from_secs(2));
    let path = format!("/projects/{project}/jobs?per_page=100");
    let list = program
        .api("GET", &path, &Json::Null)?
        .expect(200)?
        .json()?;
    let jobs: Vec<i64> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|job| job["id"].as_i64())
        .collect();
    let mut times = Vec::new();
    let mut seen = HashSet::new();
    for job in jobs.into_iter().take(COMING) {
        // From before it is played: what playing takes is counted, too.
        let began = Instant::now();
        let path = format!("/projects/{project}/jobs/{job}/play");
        program.api("POST", &path, &Json::Null)?.expect(200)?;
        let (id, at) = taken.recv_timeout(Duration::from_secs(20))??;
        if !seen.insert(id) {
            return Err(format!("job {id} was handed out twice").into());
        }
        times.push(at.saturating_duration_since(began).as_secs_f64() * 1000.0);
        std::thread::sleep(Duration::from_millis(20));
    }
    times.sort_by(f64::total_cmp);
    let worst = times
        .get(times.len() * 99 / 100)
        .copied()
        .ok_or("no job came")?;
    let detail = format!("median {:.1} ms", times[times.len() / 2]);
    report.add(
        "wake-up of a held request, p99, ms",
        worst,
        Better::Lower,
        (50.0, 25.0),
        detail,
    );
    Ok(())
}

/// One runner machine that waits, and says when it was given a job.
fn hold(
    host: &str,
    token: &str,
    number: usize,
    taken: mpsc::Sender<Result<(i64, Instant)>>,
) -> Result<()> {
    let mut connection = Connection::open(host)?;
    let mut body: Json = serde_json::from_slice(&ask(token, &format!("s_wait{number}")))?;
    let headers = [("content-type", "application/json")];
    let path = "/api/v4/jobs/request";
    let first = connection
        .call("POST", path, &headers, body.to_string().as_bytes())?
        .expect(204)?;
    body["last_update"] = Json::from(
        first
            .header("x-gitlab-last-update")
            .ok_or("no queue token")?,
    );
    let bytes = request(host, "POST", path, &headers, body.to_string().as_bytes());
    std::thread::Builder::new()
        .stack_size(128 << 10)
        .spawn(move || {
            let answer = connection.send(&bytes).and_then(|()| connection.receive());
            let at = Instant::now();
            let said = match answer {
                Ok(answer) if answer.status == 201 => answer
                    .json()
                    .and_then(|job| job["id"].as_i64().ok_or_else(|| "no id".into()))
                    .map(|id| (id, at)),
                // The server ends while others still wait.
                Ok(_) | Err(_) => return,
            };
            let _ = taken.send(said);
        })?;
    Ok(())
}
