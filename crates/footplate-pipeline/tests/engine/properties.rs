//! Any graph and any events: a step never panics, what it leaves is at rest, and a finished pipeline has only finished jobs.

use footplate_model::{FailureReason, SchedulingType, Status, When};
use footplate_pipeline::{Effect, Event, Input, JobKey, JobState, Snapshot, composite, step};
use proptest::prelude::*;

use crate::harness::{Play, USER};

const STAGES: [&str; 3] = ["build", "test", "deploy"];

fn pipelines() -> impl Strategy<Value = Play> {
    prop::collection::vec(
        (
            0..3_usize,
            0..5_usize,
            any::<bool>(),
            prop::option::of(prop::collection::vec(any::<prop::sample::Index>(), 0..3)),
            0..3_i64,
            any::<bool>(),
        ),
        1..8,
    )
    .prop_map(|rows| {
        let mut text: Vec<(usize, String)> = rows
            .iter()
            .enumerate()
            .map(|(n, row)| (row.0, format!("j{n}:{}", STAGES[row.0])))
            .collect();
        text.sort_by_key(|(stage, _)| *stage);
        let mut play = Play::new(
            &text
                .iter()
                .map(|(_, job)| job.as_str())
                .collect::<Vec<_>>()
                .join("; "),
        );
        for (index, (_, when, allow, needs, retry, graceful)) in rows.into_iter().enumerate() {
            let names: Vec<String> = play.snapshot.jobs[..index]
                .iter()
                .map(|job| job.name.clone())
                .collect();
            let job = &mut play.snapshot.jobs[index];
            job.when = [
                When::OnSuccess,
                When::OnFailure,
                When::Always,
                When::Manual,
                When::Delayed,
            ][when];
            job.start_in = (job.when == When::Delayed).then_some(60);
            job.allow_failure = allow;
            job.graceful_cancel = graceful;
            job.retry.max = retry;
            job.retry.when = vec!["always".to_owned()];
            if let Some(picks) = needs {
                job.scheduling = SchedulingType::Dag;
                job.needs = if names.is_empty() {
                    Vec::new()
                } else {
                    picks.iter().map(|pick| pick.get(&names).clone()).collect()
                };
            }
        }
        play
    })
}

impl std::fmt::Debug for Play {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.snapshot.fmt(f)
    }
}

/// What a claim loads: the pipeline, one job and its stage.
fn narrowed(whole: &Snapshot, key: JobKey) -> Snapshot {
    let jobs: Vec<_> = whole.job(key).cloned().into_iter().collect();
    let stages = whole.stages.iter();
    Snapshot {
        pipeline: whole.pipeline.clone(),
        stages: stages
            .filter(|stage| jobs.iter().any(|job| job.stage == stage.position))
            .cloned()
            .collect(),
        jobs,
    }
}

/// What a job waits for as one status: its needs, or every job of all earlier stages looked at once more. Slow and obvious.
fn previous(snapshot: &Snapshot, job: &JobState) -> Status {
    let dag = job.scheduling == SchedulingType::Dag;
    let before = snapshot.latest().filter(|other| {
        if dag {
            job.needs.contains(&other.name)
        } else {
            other.stage < job.stage
        }
    });
    let inputs = before.map(|other| Input {
        status: other.status,
        allow_failure: other.allow_failure,
    });
    composite(inputs, dag).unwrap_or(Status::Success)
}

proptest! {
    #[test]
    fn the_first_pass_moves_exactly_the_jobs_that_wait_for_nothing(mut play in pipelines()) {
        play.send(Event::Process).unwrap();
        for job in play.snapshot.latest() {
            let before = previous(&play.snapshot, job);
            prop_assert_eq!(job.status != Status::Created, before.is_completed(), "{} after {}", job.name, before);
        }
    }

    #[test]
    fn every_step_is_legal_and_comes_to_rest(mut play in pipelines(), events in prop::collection::vec((0..11_usize, any::<prop::sample::Index>()), 0..40)) {
        play.send(Event::Process).unwrap();
        for (kind, pick) in events {
            play.now = play.now.plus(std::time::Duration::from_secs(61));
            let job = pick.get(&play.snapshot.jobs).key;
            let event = match kind {
                0 => Event::Run(job),
                1 => Event::Succeed(job),
                2 => Event::Drop { job, reason: FailureReason::ScriptFailure, exit_code: Some(1) },
                3 => Event::Cancel { job, force: false },
                4 => Event::CancelPipeline,
                5 => Event::Play { job, user: USER },
                6 => Event::Retry { job, user: USER },
                7 => Event::RetryPipeline { user: USER },
                8 => Event::Timer(job),
                9 => Event::Unschedule(job),
                _ => Event::Requeue(job),
            };
            let before = play.snapshot.clone();
            if play.send(event).is_err() {
                prop_assert_eq!(&before, &play.snapshot, "a refused event changes nothing");
            }
            prop_assert_eq!(step(&play.snapshot, Event::Process, play.now), Ok(Vec::new()), "at rest");
            for waiting in play.snapshot.latest().filter(|job| job.status == Status::Pending) {
                let run = Event::Run(waiting.key);
                // A pass over the whole also marks old attempts as seen, which nothing ever asks for.
                let whole = step(&play.snapshot, run.clone(), play.now).map(|effects| {
                    let old = |effect: &Effect| matches!(effect, Effect::UpdateJob(job) if job.retried);
                    effects.into_iter().filter(|effect| !old(effect)).collect()
                });
                prop_assert_eq!(
                    whole,
                    step(&narrowed(&play.snapshot, waiting.key), run, play.now),
                    "what begins to run looks at nothing but its stage and its pipeline"
                );
            }
            for job in play.snapshot.latest().filter(|job| job.status == Status::Created) {
                prop_assert!(!previous(&play.snapshot, job).is_completed(), "{} waits for nothing", job.name);
            }
            if matches!(play.snapshot.pipeline.status, Status::Success | Status::Failed | Status::Canceled) {
                prop_assert!(play.snapshot.latest().all(|job| !job.status.is_executing() && job.status != Status::Pending));
                prop_assert!(play.snapshot.pipeline.finished_at.is_some());
            }
            let mut names: Vec<&str> = play.snapshot.latest().map(|job| job.name.as_str()).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            prop_assert_eq!(names.len(), count, "one latest attempt a name");
        }
    }
}
