//! From text to jobs in memory, against the events of the same texts; all in time of the processor.

use std::collections::HashMap;

use footplate_ci::{
    Answer, Compiler, Context, Outcome, Request, Source, Step,
    variables::Variable,
    yaml::{Limits, Map},
};
use footplate_model::PipelineSource;

use crate::{
    Result, configurations,
    options::Options,
    processor::timed,
    report::{Better, Report, median},
};

/// Predefined variables beside those that rules look at; the application gives as many.
const PREDEFINED: usize = 80;

/// Reads every event of a text; how many there were.
pub(crate) fn events(text: &str) -> Result<usize> {
    let mut bytes = text.as_bytes();
    let mut parser = libyaml_safer::Parser::new();
    parser.set_input_string(&mut bytes);
    let mut count = 0;
    loop {
        let event = parser.parse()?;
        count += 1;
        if matches!(event.data, libyaml_safer::EventData::StreamEnd) {
            return Ok(count);
        }
    }
}

fn context() -> Context {
    let variable = |key: &str, value: &str| Variable {
        key: key.to_owned(),
        value: value.to_owned(),
        ..Variable::default()
    };
    let mut predefined = vec![
        variable("CI_COMMIT_BRANCH", "main"),
        variable("CI_PIPELINE_SOURCE", "push"),
    ];
    predefined.extend((0..PREDEFINED).map(|number| {
        variable(
            &format!("CI_PREDEFINED_FACT_{number}"),
            &format!("https://git.example.com/root/bench/{number}"),
        )
    }));
    Context {
        source: PipelineSource::Push,
        ref_name: "main".to_owned(),
        tag: false,
        project: Some("root/bench".to_owned()),
        overriding: Vec::new(),
        later: footplate_ci::Later::default(),
        predefined,
    }
}

/// Compiles; files are told as the application tells them, when they are asked for. How many jobs there are.
fn pipeline(text: &str, answers: &HashMap<Request, Answer>) -> Result<usize> {
    let mut compiler = Compiler::new(Source {
        text: text.to_owned(),
        inputs: Map::default(),
        context: Some(context()),
        variables: Vec::new(),
        has_project: true,
        child: false,
        limits: Limits::default(),
    });
    loop {
        match compiler.step() {
            Step::Needs(requests) => {
                for request in requests {
                    let answer = answers.get(&request).cloned();
                    compiler.answer(request, answer.unwrap_or(Answer::Unknown));
                }
            }
            Step::Done(compiled) => {
                let evaluated = compiled.evaluated.ok_or("nothing was evaluated")?;
                return match evaluated.outcome {
                    Outcome::Created => Ok(evaluated.jobs.len()),
                    other => Err(format!("{other:?}").into()),
                };
            }
            Step::Failed { errors, .. } => return Err(format!("{errors:?}").into()),
        }
    }
}

fn expect_jobs(found: usize, jobs: usize) -> Result<()> {
    if found == jobs {
        return Ok(());
    }
    Err(format!("the configuration makes {found} jobs, not {jobs}").into())
}

pub(crate) fn measure(options: &Options, report: &mut Report) -> Result<()> {
    eprintln!("compilation");
    one_file(options, report)?;
    many_files(options, report)
}

fn one_file(options: &Options, report: &mut Report) -> Result<()> {
    let none = HashMap::new();
    let (small, large) = (configurations::single(500), configurations::single(2000));
    expect_jobs(pipeline(&small, &none)?, 500)?;
    expect_jobs(pipeline(&large, &none)?, 2000)?;
    let mut times = Vec::new();
    let mut growth = Vec::new();
    for _ in 0..options.rounds * 4 {
        let compiled = timed(|| pipeline(&small, &none))?;
        times.push((compiled, timed(|| events(&small))?));
        growth.push(timed(|| pipeline(&large, &none))? / compiled);
    }
    row(
        report,
        "500 jobs compiled ÷ raw YAML events",
        &times,
        (15.0, 8.0),
    );
    report.rounds(
        "2,000 jobs compiled ÷ 500 jobs",
        growth,
        Better::Lower,
        (4.4, 4.4),
        "",
    );
    Ok(())
}

fn many_files(options: &Options, report: &mut Report) -> Result<()> {
    let many = configurations::many();
    expect_jobs(pipeline(&many.root, &many.answers)?, 500)?;
    let mut times = Vec::new();
    for _ in 0..options.rounds * 4 {
        times.push((
            timed(|| pipeline(&many.root, &many.answers))?,
            timed(|| many.texts().into_iter().map(events).sum())?,
        ));
    }
    row(
        report,
        "500 jobs of 25 files compiled ÷ raw YAML events",
        &times,
        (8.0, 8.0),
    );
    Ok(())
}

/// A figure from pairs of seconds, and what else there is to say.
pub(crate) fn row(report: &mut Report, work: &str, times: &[(f64, f64)], limits: (f64, f64)) {
    let milliseconds = |of: fn(&(f64, f64)) -> f64| median(times.iter().map(of).collect()) * 1000.0;
    let detail = format!(
        "{:.1} ms against {:.1} ms",
        milliseconds(|pair| pair.0),
        milliseconds(|pair| pair.1)
    );
    let ratios = times.iter().map(|(ours, theirs)| ours / theirs).collect();
    report.rounds(work, ratios, Better::Lower, limits, &detail);
}
