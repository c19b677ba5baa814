//! Lists and single jobs over HTTP.

use crate::{
    Result,
    options::Options,
    program::{Place, Running},
    report::{Better, Report, median},
    wrk,
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

/// Any page against the first: by offset in the middle and at the end, and by cursor.
fn pages(options: &Options, program: &Running, newest: i64, report: &mut Report) -> Result<()> {
    let base = "/api/v4/projects/1/jobs?per_page=20";
    let last = options.jobs / 20;
    let paths = [
        (
            "page in the middle ÷ first page, time",
            format!("{base}&page={}", last / 2),
        ),
        (
            "last page ÷ first page, time",
            format!("{base}&page={last}"),
        ),
        ("keyset page deep down ÷ first page, time", {
            let path = "/projects/1/jobs?per_page=20&pagination=keyset&order_by=id&sort=desc";
            let first = program
                .api("GET", path, &serde_json::Value::Null)?
                .expect(200)?;
            let link = first.header("link").ok_or("no next page")?.to_owned();
            let next = link.split(['<', '>']).nth(1).ok_or("no link")?;
            let path = &next[next.find("/api/v4").ok_or("no path")?..];
            deep_cursor(path, newest)
        }),
    ];
    for (name, path) in paths {
        let mut ratios = Vec::new();
        for _ in 0..options.rounds {
            let first = wrk::gets(&program.host, base, CONNECTIONS, options.span)?;
            let deep = wrk::gets(&program.host, &path, CONNECTIONS, options.span)?;
            ratios.push(first / deep);
        }
        report.add(
            name,
            median(ratios),
            Better::Lower,
            (1.25, 1.1),
            String::new(),
        );
    }
    Ok(())
}

/// The address of the next page; cursors are opaque, so the page after the first stands for all where it cannot be moved.
fn deep_cursor(path: &str, newest: i64) -> String {
    let id = (newest - 19).to_string();
    path.replace(
        &format!("id_after={id}"),
        &format!("id_after={}", newest / 2),
    )
}
