//! GitLab's own cases of pipeline processing: compiled and moved by the two pure crates, without a database
//! (`conformance/pipeline-states`).

#[path = "../../footplate-ci/tests/conformance/harness.rs"]
mod harness;

use std::fs;

use footplate_app::definition::Definition;
use footplate_ci::{
    Answer, Chosen, Compiler, Context, Source, Step,
    yaml::{Limits, Map, Node, load},
};
use footplate_model::{
    FailureReason, JobId, OnJobFailure, PipelineSource, SchedulingType, Status, Timestamp, UserId,
    When,
};
use footplate_pipeline::{Event, JobKey, JobState, PipelineState, Snapshot, StageState, step};
use harness::{Verdicts, folder, to_json};
use serde_json::Value as Json;

struct World {
    snapshot: Snapshot,
    stages: Vec<String>,
    now: Timestamp,
}

impl World {
    fn new(config: &str) -> Result<Self, String> {
        let context = Context {
            ref_name: "main".to_owned(),
            tag: false,
            source: PipelineSource::Push,
            project: Some("group/project".to_owned()),
            predefined: Vec::new(),
            overriding: Vec::new(),
            later: footplate_ci::Later::default(),
        };
        let mut compiler = Compiler::new(Source {
            text: config.to_owned(),
            inputs: Map::default(),
            context: Some(context),
            variables: Vec::new(),
            has_project: true,
            child: false,
            limits: Limits::default(),
        });
        let compiled = loop {
            match compiler.step() {
                Step::Done(compiled) => break compiled,
                Step::Failed { errors, .. } => return Err(format!("does not compile: {errors:?}")),
                Step::Needs(requests) => {
                    for request in requests {
                        compiler.answer(request, Answer::Unknown);
                    }
                }
            }
        };
        let evaluated = compiled.evaluated.ok_or("not evaluated")?;
        let on_job_failure = evaluated
            .auto_cancel
            .as_ref()
            .and_then(|setting| setting["on_job_failure"].as_str())
            .and_then(OnJobFailure::parse)
            .unwrap_or(OnJobFailure::None);
        let stages = compiled.config.stages;
        let mut jobs: Vec<JobState> = Vec::new();
        for chosen in &evaluated.jobs {
            jobs.push(job_state(chosen, &stages)?);
        }
        jobs.sort_by_key(|job| job.stage);
        for (index, job) in jobs.iter_mut().enumerate() {
            job.key = JobKey::Stored(JobId(
                i64::try_from(index).map_err(|error| error.to_string())? + 1,
            ));
        }
        let mut positions: Vec<i64> = jobs.iter().map(|job| job.stage).collect();
        positions.dedup();
        let snapshot = Snapshot {
            pipeline: PipelineState {
                status: Status::Created,
                started_at: None,
                finished_at: None,
                duration: None,
                on_job_failure,
                has_upstream: false,
            },
            stages: positions
                .into_iter()
                .map(|position| StageState {
                    position,
                    status: Status::Created,
                })
                .collect(),
            jobs,
        };
        Ok(Self {
            snapshot,
            stages,
            now: Timestamp::from_seconds(1_700_000_000),
        })
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        let effects = step(&self.snapshot, event, self.now).map_err(|error| error.to_string())?;
        effects
            .iter()
            .for_each(|effect| self.snapshot.apply(effect));
        // What the database does: new attempts get the next ids.
        let mut next =
            i64::try_from(self.snapshot.jobs.len()).map_err(|error| error.to_string())? * 1000;
        for job in &mut self.snapshot.jobs {
            if let JobKey::New(_) = job.key {
                next += 1;
                job.key = JobKey::Stored(JobId(next));
            }
        }
        Ok(())
    }

    fn rest(&mut self) -> Result<(), String> {
        for _ in 0..100 {
            let before = self.snapshot.clone();
            self.happen(Event::Process)?;
            if before == self.snapshot {
                return Ok(());
            }
        }
        Err("never comes to rest".to_owned())
    }

    fn key(&self, name: &str) -> Result<JobKey, String> {
        self.snapshot
            .latest()
            .find(|job| job.name == name)
            .map(|job| job.key)
            .ok_or_else(|| format!("no job {name}"))
    }

    fn transition(&mut self, event: &str, jobs: &[String]) -> Result<(), String> {
        let user = UserId(1);
        if jobs.is_empty() {
            return match event {
                "retry" => self.happen(Event::RetryPipeline { user }),
                other => Err(format!("unknown event of a pipeline: {other}")),
            };
        }
        for name in jobs {
            let job = self.key(name)?;
            match event {
                "success" => self.happen(Event::Succeed(job)),
                "drop" => self.happen(Event::Drop {
                    job,
                    reason: FailureReason::UnknownFailure,
                    exit_code: None,
                }),
                "run" => self.happen(Event::Run(job)),
                "cancel" => self.happen(Event::Cancel { job, force: false }),
                "enqueue" | "play" => self.happen(Event::Play { job, user }),
                "retry" => self.happen(Event::Retry { job, user }),
                other => Err(format!("unknown event {other}")),
            }?;
        }
        Ok(())
    }

    fn compare(&self, expect: &Json, at: &str) -> Result<(), String> {
        let stages: serde_json::Map<String, Json> = self
            .snapshot
            .stages
            .iter()
            .filter_map(|stage| {
                Some((
                    self.stages
                        .get(usize::try_from(stage.position).ok()?)?
                        .clone(),
                    Json::from(stage.status.as_str()),
                ))
            })
            .collect();
        let jobs: serde_json::Map<String, Json> = self
            .snapshot
            .latest()
            .map(|job| (job.name.clone(), Json::from(job.status.as_str())))
            .collect();
        let sorted = |map: &serde_json::Map<String, Json>| {
            map.iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect::<std::collections::BTreeSet<_>>()
        };
        let wanted = |name: &str| expect[name].as_object().map(&sorted).unwrap_or_default();
        if expect["pipeline"] != self.snapshot.pipeline.status.as_str() {
            return Err(format!(
                "{at}: pipeline is {}, not {}",
                self.snapshot.pipeline.status, expect["pipeline"]
            ));
        }
        for (name, got) in [("stages", sorted(&stages)), ("jobs", sorted(&jobs))] {
            if got != wanted(name) {
                return Err(format!("{at}: {name} are {got:?}, not {:?}", wanted(name)));
            }
        }
        Ok(())
    }
}

fn job_state(chosen: &Chosen, stages: &[String]) -> Result<JobState, String> {
    let definition = Definition::of(chosen, &[]).map_err(|error| error.to_string())?;
    let stage = stages
        .iter()
        .position(|stage| *stage == chosen.instance.job.stage)
        .ok_or("no stage")?;
    Ok(JobState {
        key: JobKey::New(0),
        kind: chosen.instance.job.kind,
        name: chosen.instance.name.clone(),
        stage: i64::try_from(stage).map_err(|error| error.to_string())?,
        status: Status::Created,
        when: When::parse(chosen.when).ok_or("unknown when")?,
        start_in: None,
        allow_failure: chosen.allow_failure,
        allow_failure_exit_codes: definition.engine.exit_codes,
        scheduling: if chosen.needs.is_some() {
            SchedulingType::Dag
        } else {
            SchedulingType::Stage
        },
        needs: chosen
            .needs
            .iter()
            .flatten()
            .map(|need| need.name.clone())
            .collect(),
        retried: false,
        processed: false,
        enqueue_immediately: false,
        retry: definition.engine.retry,
        exit_code: None,
        failure_reason: None,
        resource_group: None,
        interruptible: false,
        graceful_cancel: false,
        strategy: definition.engine.strategy,
        has_downstream: false,
        user: Some(UserId(1)),
        queued_at: None,
        started_at: None,
        finished_at: None,
        scheduled_at: None,
    })
}

fn names(value: &Json) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect()
}

fn play(text: &str) -> Result<(), String> {
    let node: Node =
        load(text.as_bytes(), 0, Limits::default()).map_err(|error| error.to_string())?;
    let case = to_json(&node);
    // JSON is YAML, so the configuration of the case is compiled as it stands there.
    let mut world = World::new(&case["config"].to_string())?;
    world.rest()?;
    world.compare(&case["init"]["expect"], "init")?;
    for (index, transition) in case["transitions"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let event = transition["event"].as_str().unwrap_or_default();
        let at = format!("{index} {event}");
        world
            .transition(event, &names(&transition["jobs"]))
            .map_err(|error| format!("{at}: {error}"))?;
        world.rest()?;
        world.compare(&transition["expect"], &at)?;
    }
    Ok(())
}

#[test]
fn pipeline_states() {
    let Some(folder) = folder("pipeline-states") else {
        return;
    };
    let mut verdicts = Verdicts::default();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "yml") {
            let text = fs::read_to_string(&path).unwrap();
            verdicts.add(entry.file_name().to_string_lossy(), play(&text).err());
        }
    }
    verdicts.judge("pipeline-states");
}
