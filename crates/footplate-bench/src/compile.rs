//! From text to pipeline, against the events of the same text.

use std::{fmt::Write as _, hint::black_box, time::Instant};

use footplate_ci::{
    Answer, Compiler, Context, Outcome, Source, Step,
    variables::Variable,
    yaml::{Limits, Map},
};
use footplate_model::PipelineSource;

use crate::{
    Result,
    options::Options,
    report::{Better, Report, median},
};

/// A configuration of so many jobs, as they are written.
fn configuration(jobs: usize) -> String {
    let mut text = String::from(
        "stages: [build, test, deploy]\nvariables:\n  LEVEL: \"2\"\n  TARGET: release\ndefault:\n  tags: [linux]\n.base:\n  retry: 1\n  before_script:\n    - ./prepare\n",
    );
    for number in 0..jobs {
        let stage = ["build", "test", "deploy"][number % 3];
        // Short, so that 2,000 of them stay below GitLab's limit for one file.
        let _ = write!(
            text,
            "job {number}:\n  extends: .base\n  stage: {stage}\n  script:\n    - make part{number}\n  rules:\n    - if: $CI_COMMIT_BRANCH == \"main\" && $LEVEL != \"1\"\n"
        );
        if number % 3 == 1 {
            let _ = write!(text, "  needs:\n    - job {}\n", number - 1);
        }
    }
    text
}

fn events(text: &str) -> Result<usize> {
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

fn pipeline(text: &str) -> Result<usize> {
    let variable = |key: &str, value: &str| Variable {
        key: key.to_owned(),
        value: value.to_owned(),
        ..Variable::default()
    };
    let context = Context {
        source: PipelineSource::Push,
        ref_name: "main".to_owned(),
        tag: false,
        project: Some("root/bench".to_owned()),
        overriding: Vec::new(),
        later: footplate_ci::Later::default(),
        predefined: vec![
            variable("CI_COMMIT_BRANCH", "main"),
            variable("CI_PIPELINE_SOURCE", "push"),
        ],
    };
    let mut compiler = Compiler::new(Source {
        text: text.to_owned(),
        inputs: Map::default(),
        context: Some(context),
        variables: Vec::new(),
        has_project: true,
        child: false,
        limits: Limits::default(),
    });
    loop {
        match compiler.step() {
            Step::Needs(requests) => {
                for request in requests {
                    compiler.answer(request, Answer::Unknown);
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

fn timed(mut work: impl FnMut() -> Result<usize>) -> Result<f64> {
    let began = Instant::now();
    black_box(work()?);
    Ok(began.elapsed().as_secs_f64())
}

pub(crate) fn measure(options: &Options, report: &mut Report) -> Result<()> {
    eprintln!("compilation");
    let (small, large) = (configuration(500), configuration(2000));
    if pipeline(&small)? != 500 {
        return Err("the configuration does not make 500 jobs".into());
    }
    let (mut ratios, mut growth, mut ours, mut theirs) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds * 4 {
        let compiled = timed(|| pipeline(&small))?;
        let raw = timed(|| events(&small))?;
        ratios.push(compiled / raw);
        growth.push(timed(|| pipeline(&large))? / compiled);
        ours.push(compiled * 1000.0);
        theirs.push(raw * 1000.0);
    }
    let detail = format!("{:.1} ms against {:.1} ms", median(ours), median(theirs));
    report.add(
        "500 jobs compiled ÷ raw YAML events",
        median(ratios),
        Better::Lower,
        (15.0, 8.0),
        detail,
    );
    report.add(
        "2,000 jobs ÷ 500 jobs",
        median(growth),
        Better::Lower,
        (4.4, 4.4),
        String::new(),
    );
    Ok(())
}
