//! Lists and single jobs over HTTP.

use crate::{
    Result,
    options::Options,
    program::{Place, Running},
    report::{Better, Report},
    seed, wrk,
};

const CONNECTIONS: u32 = 32;

pub(crate) fn measure(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    eprintln!("lists and single jobs");
    let program = Running::program(options, place, 0)?;
    let list = "/api/v4/projects/1/jobs?per_page=20";
    let page = program
        .api(
            "GET",
            "/projects/1/jobs?per_page=20",
            &serde_json::Value::Null,
        )?
        .expect(200)?;
    let newest = page.json()?[0]["id"].as_i64().ok_or("no jobs")?;
    let one = format!("/api/v4/projects/1/jobs/{}", newest - 7);
    let job = program
        .api("GET", &one["/api/v4".len()..], &serde_json::Value::Null)?
        .expect(200)?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("list.json"), &page.body)?;
    std::fs::write(folder.path().join("job.json"), &job.body)?;
    let nginx = Running::nginx(folder.path())?;
    let fixed = folder.path().join("job.json").display().to_string();
    let axum = Running::yardstick(&["fixed", &fixed])?;
    let span = options.span;
    let mut lists = Vec::new();
    let mut singles = Vec::new();
    for _ in 0..options.rounds {
        lists.push((
            wrk::gets(&program.host, list, CONNECTIONS, span)?,
            wrk::gets(&nginx.host, "/list.json", CONNECTIONS, span)?,
        ));
        singles.push((
            wrk::gets(&program.host, &one, CONNECTIONS, span)?,
            wrk::gets(&axum.host, "/", CONNECTIONS, span)?,
        ));
    }
    report.pairs(
        "list of 20 jobs ÷ nginx",
        &lists,
        (0.05, 0.09),
        "requests/s",
    );
    report.pairs(
        "one job ÷ axum, fixed bytes",
        &singles,
        (0.10, 0.18),
        "requests/s",
    );
    pages(options, &program, newest, report)
}

/// Any page against the first of its list: by offset in the middle and at the end, and by cursor.
fn pages(options: &Options, program: &Running, newest: i64, report: &mut Report) -> Result<()> {
    let list = "/api/v4/projects/1/jobs?per_page=20";
    let done = "/api/v4/projects/1/jobs?per_page=20&scope[]=success";
    let two = "/api/v4/projects/1/jobs?per_page=20&scope[]=success&scope[]=failed";
    let pipelines = "/api/v4/projects/1/pipelines?per_page=20";
    let last = options.jobs / 20;
    let half = last / 2;
    let deep = keyset(newest / 2);
    for (name, first, path) in [
        (
            "page in the middle ÷ first page, time",
            list,
            format!("{list}&page={half}"),
        ),
        (
            "last page ÷ first page, time",
            list,
            format!("{list}&page={last}"),
        ),
        ("keyset page deep down ÷ first page, time", list, deep),
        ("… of one status", done, format!("{done}&page={half}")),
        ("… of two statuses", two, format!("{two}&page={half}")),
        (
            "… of pipelines",
            pipelines,
            format!("{pipelines}&page={}", half / seed::JOBS),
        ),
    ] {
        let newest = if first == pipelines {
            newest / seed::JOBS
        } else {
            newest
        };
        is_full(program, &path, newest)?;
        let mut ratios = Vec::new();
        for _ in 0..options.rounds {
            let first = wrk::gets(&program.host, first, CONNECTIONS, options.span)?;
            let deep = wrk::gets(&program.host, &path, CONNECTIONS, options.span)?;
            ratios.push(first / deep);
        }
        report.rounds(name, ratios, Better::Lower, (1.25, 1.1), "");
    }
    Ok(())
}

/// The page behind an id, as the program writes its cursors; [`is_full`] sees whether it still does.
fn keyset(id: i64) -> String {
    use base64::Engine as _;
    let cursor = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .encode(format!("{{\"id\":\"{id}\",\"_kd\":\"n\"}}"));
    format!("/api/v4/projects/1/jobs?per_page=20&pagination=keyset&cursor={cursor}")
}

/// A deep page that is empty, or not deep, would be a figure of something else.
fn is_full(program: &Running, path: &str, newest: i64) -> Result<()> {
    let page = program.api("GET", &path["/api/v4".len()..], &serde_json::Value::Null)?;
    let page = page.expect(200)?.json()?;
    let rows = page.as_array().map_or(0, Vec::len);
    let first = page[0]["id"].as_i64().unwrap_or(i64::MAX);
    if rows == 20 && first <= newest * 3 / 4 {
        return Ok(());
    }
    Err(format!("{path} has {rows} rows from id {first}: not a deep page").into())
}
