//! From a configuration in git to a pipeline in the database, as a client sees it: read, compiled, inserted, processed, durable.

use std::{hint::black_box, time::Instant};

use serde_json::{Value as Json, json};

use crate::{
    Result, compile, configurations,
    options::Options,
    program::{Place, Running},
    report::{Report, median},
};

/// Pipelines of one commit; the program refuses more than 60 a minute.
const AT_MOST: usize = 50;
/// Jobs of the configuration.
const JOBS: usize = 500;
/// How often the yardstick reads the text each time.
const READS: u32 = 30;

pub(crate) fn measure(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    eprintln!("creation of pipelines");
    let program = Running::program(options, place, 0)?;
    let text = configurations::single(JOBS);
    let project = project(&program, &text)?;
    let (mut times, mut spent) = (Vec::new(), Vec::new());
    for _ in 0..(options.rounds * 4).min(AT_MOST) {
        let before = program.processor()?;
        let ours = created(&program, project)?;
        spent.push((program.processor()? - before) * 1000.0);
        times.push((ours, read(&text)?));
    }
    is_whole(&program, project)?;
    let work = "500-job pipeline created ÷ raw YAML events";
    compile::row(report, work, &times, (15.0, 8.0));
    eprintln!("    {:.1} ms of the server's processor", median(spent));
    Ok(())
}

/// A project with the configuration.
fn project(program: &Running, text: &str) -> Result<i64> {
    let made = program
        .api("POST", "/projects", &json!({"path": "creating"}))?
        .expect(201)?
        .json()?;
    let project = made["id"].as_i64().ok_or("no id")?;
    let commit = json!({"branch": "main", "commit_message": "500 jobs [skip ci]", "actions": [
        {"action": "create", "file_path": ".gitlab-ci.yml", "content": text}]});
    let path = format!("/projects/{project}/repository/commits");
    program.api("POST", &path, &commit)?.expect(201)?;
    Ok(project)
}

/// Seconds until a pipeline is answered.
fn created(program: &Running, project: i64) -> Result<f64> {
    let path = format!("/projects/{project}/pipeline");
    let began = Instant::now();
    program
        .api("POST", &path, &json!({"ref": "main"}))?
        .expect(201)?;
    Ok(began.elapsed().as_secs_f64())
}

/// Seconds that the events take. They are read so often that it lasts about as long as a creation: what else the machine does
/// weighs on both alike.
fn read(text: &str) -> Result<f64> {
    let began = Instant::now();
    for _ in 0..READS {
        black_box(compile::events(text)?);
    }
    Ok(began.elapsed().as_secs_f64() / f64::from(READS))
}

/// The newest pipeline has all its jobs.
fn is_whole(program: &Running, project: i64) -> Result<()> {
    let path = format!("/projects/{project}/pipelines?per_page=1");
    let list = program.api("GET", &path, &Json::Null)?.json()?;
    let pipeline = list[0]["id"].as_i64().ok_or("no pipeline")?;
    let path = format!("/projects/{project}/pipelines/{pipeline}/jobs?per_page=1");
    let jobs = program.api("GET", &path, &Json::Null)?.expect(200)?;
    if jobs.header("x-total") == Some(&JOBS.to_string()) {
        return Ok(());
    }
    Err(format!("the pipeline does not have {JOBS} jobs: {}", jobs.headers).into())
}
