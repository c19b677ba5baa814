//! Builders for snapshots, and a pipeline that is moved by events.

use footplate_model::{
    FailureReason, JobId, JobKind, OnJobFailure, SchedulingType, Status, Timestamp,
    TriggerStrategy, UserId, When,
};
use footplate_pipeline::{
    Effect, Event, Illegal, JobKey, JobState, PipelineState, RetryPolicy, Snapshot, StageState,
    step,
};

pub const USER: UserId = UserId(7);

/// A pipeline with its clock; new jobs get ids as the store would give them.
pub struct Play {
    pub snapshot: Snapshot,
    pub now: Timestamp,
    next: i64,
    /// Effects that reach beyond the pipeline, of the last event.
    pub outside: Vec<Effect>,
    /// Grants free resources at once, as the application does.
    pub grants: bool,
}

fn stage(name: &str) -> i64 {
    match name {
        "build" => 1,
        "test" => 2,
        "deploy" => 3,
        other => panic!("unknown stage {other}"),
    }
}

/// `name:stage options`, where options are a `when`, `allow_failure`, `needs=a,b`, `retry=N`, `bridge`, `depend`, `group=KEY`.
pub fn job(id: i64, text: &str) -> JobState {
    let (head, options) = text.split_once(' ').unwrap_or((text, ""));
    let (name, in_stage) = head.split_once(':').unwrap();
    let mut job = JobState {
        key: JobKey::Stored(JobId(id)),
        kind: JobKind::Build,
        name: name.to_owned(),
        stage: stage(in_stage),
        status: Status::Created,
        when: When::OnSuccess,
        start_in: None,
        allow_failure: false,
        allow_failure_exit_codes: None,
        scheduling: SchedulingType::Stage,
        needs: Vec::new(),
        retried: false,
        processed: false,
        enqueue_immediately: false,
        retry: RetryPolicy::default(),
        exit_code: None,
        failure_reason: None,
        resource_group: None,
        interruptible: false,
        graceful_cancel: false,
        strategy: None,
        has_downstream: false,
        user: None,
        queued_at: None,
        started_at: None,
        finished_at: None,
        scheduled_at: None,
    };
    for option in options.split_whitespace() {
        match option.split_once('=').unwrap_or((option, "")) {
            ("allow_failure", _) => job.allow_failure = true,
            ("graceful", _) => job.graceful_cancel = true,
            ("bridge", _) => job.kind = JobKind::Bridge,
            ("depend", _) => job.strategy = Some(TriggerStrategy::Depend),
            ("group", key) => job.resource_group = Some(key.to_owned()),
            ("retry", max) => {
                job.retry = RetryPolicy {
                    max: max.parse().unwrap(),
                    when: vec!["always".to_owned()],
                    exit_codes: Vec::new(),
                }
            }
            ("needs", names) => {
                job.scheduling = SchedulingType::Dag;
                job.needs = names
                    .split(',')
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect();
            }
            (when, _) => {
                job.when = When::parse(when).unwrap_or_else(|| panic!("unknown option {when}"));
                job.start_in = (job.when == When::Delayed).then_some(600);
            }
        }
    }
    job
}

impl Play {
    pub fn new(jobs: &str) -> Self {
        let jobs: Vec<JobState> = jobs
            .split(';')
            .zip(1..)
            .map(|(text, id)| job(id, text.trim()))
            .collect();
        let mut positions: Vec<i64> = jobs.iter().map(|job| job.stage).collect();
        positions.sort_unstable();
        positions.dedup();
        let next = jobs.len() as i64 + 1;
        let pipeline = PipelineState {
            status: Status::Created,
            started_at: None,
            finished_at: None,
            duration: None,
            on_job_failure: OnJobFailure::None,
            has_upstream: false,
        };
        let stages = positions
            .into_iter()
            .map(|position| StageState {
                position,
                status: Status::Created,
            })
            .collect();
        Self {
            snapshot: Snapshot {
                pipeline,
                stages,
                jobs,
            },
            now: Timestamp::from_seconds(1_000_000),
            next,
            outside: Vec::new(),
            grants: true,
        }
    }

    pub fn key(&self, name: &str) -> JobKey {
        self.snapshot
            .latest()
            .find(|job| job.name == name)
            .unwrap_or_else(|| panic!("no job {name}"))
            .key
    }

    pub fn latest(&self, name: &str) -> &JobState {
        self.snapshot
            .latest()
            .find(|job| job.name == name)
            .unwrap_or_else(|| panic!("no job {name}"))
    }

    pub fn send(&mut self, event: Event) -> Result<(), Illegal> {
        self.outside.clear();
        let effects = step(&self.snapshot, event, self.now)?;
        for effect in &effects {
            self.snapshot.apply(effect);
        }
        self.store_new_jobs();
        self.outside = effects
            .into_iter()
            .filter(|effect| {
                !matches!(
                    effect,
                    Effect::UpdateJob(_) | Effect::SetStage { .. } | Effect::SetPipeline(_)
                )
            })
            .collect();
        let requests: Vec<JobKey> = self
            .outside
            .iter()
            .filter_map(|effect| {
                if let Effect::RequestResource(job) = effect {
                    Some(*job)
                } else {
                    None
                }
            })
            .collect();
        if self.grants {
            for job in requests {
                self.send(Event::ResourceGranted(job))?;
            }
        }
        Ok(())
    }

    fn store_new_jobs(&mut self) {
        for job in &mut self.snapshot.jobs {
            if let JobKey::New(_) = job.key {
                job.key = JobKey::Stored(JobId(self.next));
                self.next += 1;
            }
        }
    }

    /// One event of the notation of the worked examples, by name of job.
    pub fn event(&mut self, verb: &str, names: &[&str]) {
        self.now = self.now.plus(std::time::Duration::from_secs(1));
        if names.is_empty() {
            let event = match verb {
                "process" => Event::Process,
                "retry-pipeline" => Event::RetryPipeline { user: USER },
                "cancel-pipeline" => Event::CancelPipeline,
                other => panic!("unknown event {other}"),
            };
            self.send(event).unwrap();
            return;
        }
        for name in names {
            let job = self.key(name);
            let pending = self.latest(name).status == Status::Pending;
            if pending && matches!(verb, "succeed" | "fail") {
                self.send(Event::Run(job)).unwrap();
            }
            let event = match verb {
                "run" => Event::Run(job),
                "succeed" => Event::Succeed(job),
                "fail" => Event::Drop {
                    job,
                    reason: FailureReason::ScriptFailure,
                    exit_code: Some(1),
                },
                "cancel" => Event::Cancel { job, force: false },
                "play" => Event::Play { job, user: USER },
                "retry" => Event::Retry { job, user: USER },
                "timer" => {
                    self.now = self.now.plus(std::time::Duration::from_secs(600));
                    Event::Timer(job)
                }
                other => panic!("unknown event {other}"),
            };
            self.send(event)
                .unwrap_or_else(|error| panic!("{verb} {name}: {error}"));
        }
    }

    /// `job status, …` in the order of the jobs, retried ones by their newest record.
    pub fn jobs(&self) -> String {
        let mut seen: Vec<&str> = Vec::new();
        for job in &self.snapshot.jobs {
            if !seen.contains(&job.name.as_str()) {
                seen.push(&job.name);
            }
        }
        seen.iter()
            .map(|name| format!("{name} {}", self.latest(name).status))
            .collect::<Vec<_>>()
            .join(", ")
    }

    pub fn stages(&self) -> String {
        self.snapshot
            .stages
            .iter()
            .map(|stage| stage.status.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    pub fn state(&self) -> String {
        format!(
            "{} | {} | {}",
            self.jobs(),
            self.stages(),
            self.snapshot.pipeline.status
        )
    }
}
