//! Rules that the worked examples do not show.

use footplate_model::{FailureReason, OnJobFailure, Status};
use footplate_pipeline::{Effect, Event, EventRecord, Illegal, replay};

use crate::harness::{Play, USER};

#[test]
fn e23_a_final_failure_cancels_the_rest_before_processing() {
    let mut play = Play::new("b1:build; b2:build; lint:build allow_failure; t:test");
    play.snapshot.pipeline.on_job_failure = OnJobFailure::All;
    play.event("process", &[]);
    play.event("run", &["b1", "b2", "lint"]);
    play.event("fail", &["lint"]);
    assert_eq!(
        play.jobs(),
        "b1 running, b2 running, lint failed, t created"
    );
    play.event("fail", &["b2"]);
    assert_eq!(
        play.state(),
        "b1 canceled, b2 failed, lint failed, t canceled | failed canceled | failed"
    );
}

#[test]
fn e23_a_failure_that_is_retried_cancels_nothing() {
    let mut play = Play::new("b1:build; b2:build retry=1; t:test");
    play.snapshot.pipeline.on_job_failure = OnJobFailure::All;
    play.event("process", &[]);
    play.event("run", &["b1", "b2"]);
    play.event("fail", &["b2"]);
    assert_eq!(
        play.state(),
        "b1 running, b2 pending, t created | running created | running"
    );
    play.event("fail", &["b2"]);
    assert_eq!(
        play.state(),
        "b1 canceled, b2 failed, t canceled | failed canceled | failed"
    );
}

#[test]
fn retry_two_makes_three_attempts() {
    let mut play = Play::new("b:build retry=2");
    play.event("process", &[]);
    for _ in 0..2 {
        play.event("fail", &["b"]);
        assert_eq!(play.state(), "b pending | pending | running");
    }
    play.event("fail", &["b"]);
    assert_eq!(play.state(), "b failed | failed | failed");
    assert_eq!(play.snapshot.jobs.len(), 3);
}

#[test]
fn retry_listens_to_reasons_and_exit_codes() {
    let attempts = |reason: FailureReason, exit_code: Option<i64>, when: &[&str], codes: &[i64]| {
        let mut play = Play::new("b:build");
        play.snapshot.jobs[0].retry.max = 1;
        play.snapshot.jobs[0].retry.when = when.iter().map(|word| (*word).to_owned()).collect();
        play.snapshot.jobs[0].retry.exit_codes = codes.to_vec();
        play.event("process", &[]);
        play.event("run", &["b"]);
        let job = play.key("b");
        play.send(Event::Drop {
            job,
            reason,
            exit_code,
        })
        .unwrap();
        play.snapshot.jobs.len()
    };
    assert_eq!(
        attempts(
            FailureReason::ScriptFailure,
            Some(1),
            &["script_failure"],
            &[]
        ),
        2
    );
    assert_eq!(
        attempts(
            FailureReason::ScriptFailure,
            Some(1),
            &["runner_system_failure"],
            &[]
        ),
        1
    );
    assert_eq!(
        attempts(FailureReason::ScriptFailure, Some(137), &[], &[137]),
        2
    );
    assert_eq!(
        attempts(FailureReason::ScriptFailure, Some(1), &[], &[137]),
        1
    );
    assert_eq!(
        attempts(
            FailureReason::NoUpdatesRunning,
            None,
            &["stuck_or_timeout_failure"],
            &[]
        ),
        2
    );
    assert_eq!(
        attempts(
            FailureReason::ServerTimeoutRunning,
            None,
            &["job_execution_timeout"],
            &[]
        ),
        2
    );
    assert_eq!(
        attempts(
            FailureReason::MissingDependencyFailure,
            None,
            &["always"],
            &[]
        ),
        1
    );
    assert_eq!(attempts(FailureReason::SchedulerFailure, None, &[], &[]), 2);
}

#[test]
fn exit_codes_decide_whether_a_failure_is_allowed() {
    let run = |code: i64| {
        let mut play = Play::new("b:build; t:test");
        play.snapshot.jobs[0].allow_failure_exit_codes = Some(vec![42]);
        play.event("process", &[]);
        play.event("run", &["b"]);
        let job = play.key("b");
        play.send(Event::Drop {
            job,
            reason: FailureReason::ScriptFailure,
            exit_code: Some(code),
        })
        .unwrap();
        (play.latest("b").allow_failure, play.latest("t").status)
    };
    assert_eq!(run(42), (true, Status::Pending));
    assert_eq!(run(1), (false, Status::Skipped));
}

#[test]
fn a_graceful_runner_ends_a_canceled_job_itself() {
    let mut play = Play::new("b:build graceful; c:build; t:test");
    play.event("process", &[]);
    play.event("run", &["b", "c"]);
    play.event("cancel-pipeline", &[]);
    assert_eq!(
        play.state(),
        "b canceling, c canceled, t canceled | canceling canceled | canceling"
    );
    play.event("succeed", &["b"]);
    assert_eq!(
        play.state(),
        "b canceled, c canceled, t canceled | canceled canceled | canceled"
    );
}

#[test]
fn force_ends_what_is_canceling_and_finished_jobs_stay() {
    let mut play = Play::new("b:build graceful");
    play.event("process", &[]);
    play.event("run", &["b"]);
    play.event("cancel", &["b"]);
    let job = play.key("b");
    play.send(Event::Cancel { job, force: true }).unwrap();
    assert_eq!(play.latest("b").status, Status::Canceled);
    play.event("cancel", &["b"]);
    assert_eq!(play.latest("b").status, Status::Canceled);
}

#[test]
fn manual_jobs_are_canceled_only_by_themselves() {
    let mut play = Play::new("b:build; m:build manual");
    play.event("process", &[]);
    play.event("cancel-pipeline", &[]);
    assert_eq!(play.jobs(), "b canceled, m manual");
    play.event("cancel", &["m"]);
    assert_eq!(play.jobs(), "b canceled, m canceled");
}

#[test]
fn unscheduling_blocks_and_lateness_drops() {
    let mut play = Play::new("t:test delayed; d:deploy");
    play.event("process", &[]);
    let job = play.key("t");
    assert_eq!(
        play.send(Event::Timer(job)),
        Err(Illegal::Transition {
            event: "start by its timer",
            from: Status::Scheduled
        })
    );
    play.send(Event::Unschedule(job)).unwrap();
    assert_eq!(
        play.state(),
        "t manual, d created | manual created | manual"
    );

    let mut play = Play::new("t:test delayed; d:deploy");
    play.event("process", &[]);
    play.now = play.now.plus(std::time::Duration::from_secs(2 * 3600));
    let job = play.key("t");
    play.send(Event::Timer(job)).unwrap();
    assert_eq!(
        play.latest("t").failure_reason,
        Some(FailureReason::StaleSchedule)
    );
}

#[test]
fn what_is_not_retryable_or_playable_says_so() {
    let mut play = Play::new("b:build; m:build manual");
    play.event("process", &[]);
    let (b, m) = (play.key("b"), play.key("m"));
    assert_eq!(
        play.send(Event::Retry { job: b, user: USER }),
        Err(Illegal::NotRetryable(Status::Pending))
    );
    assert_eq!(
        play.send(Event::Play { job: b, user: USER }),
        Err(Illegal::NotPlayable(Status::Pending))
    );
    assert_eq!(
        play.send(Event::Retry { job: m, user: USER }),
        Err(Illegal::NotRetryable(Status::Manual))
    );
    play.event("succeed", &["b"]);
    assert_eq!(
        play.send(Event::Play { job: b, user: USER }),
        Err(Illegal::NotPlayable(Status::Success))
    );
    play.event("retry", &["b"]);
    assert_eq!(
        play.send(Event::Retry { job: b, user: USER }),
        Err(Illegal::NotRetryable(Status::Success)),
        "the old attempt"
    );
}

#[test]
fn a_retried_manual_job_starts_at_once() {
    let mut play = Play::new("m:build manual");
    play.event("process", &[]);
    play.event("play", &["m"]);
    play.event("fail", &["m"]);
    play.event("retry", &["m"]);
    assert_eq!(play.jobs(), "m pending");
}

#[test]
fn a_job_that_nobody_heard_of_again_goes_back() {
    let mut play = Play::new("b:build");
    play.event("process", &[]);
    play.event("run", &["b"]);
    let job = play.key("b");
    play.send(Event::Requeue(job)).unwrap();
    assert_eq!(play.latest("b").status, Status::Pending);
    assert_eq!(play.latest("b").started_at, None);
    assert!(
        play.outside.contains(&Effect::Offer(job)) && play.outside.contains(&Effect::JobEnded(job))
    );
}

#[test]
fn duration_is_the_union_of_intervals() {
    let mut play = Play::new("a:build; b:build; c:test");
    let wait = |play: &mut Play, seconds| {
        play.now = play.now.plus(std::time::Duration::from_secs(seconds));
    };
    play.event("process", &[]);
    play.event("run", &["a", "b"]);
    wait(&mut play, 9);
    play.event("succeed", &["a"]);
    wait(&mut play, 9);
    play.event("succeed", &["b"]);
    wait(&mut play, 100);
    play.event("run", &["c"]);
    wait(&mut play, 4);
    play.event("succeed", &["c"]);
    assert_eq!(play.snapshot.pipeline.duration, Some(25));
    assert!(
        play.snapshot.pipeline.started_at.is_some() && play.snapshot.pipeline.finished_at.is_some()
    );
}

#[test]
fn resources_are_asked_for_and_let_go() {
    let mut play = Play::new("d:deploy group=prod");
    play.grants = false;
    play.event("process", &[]);
    let job = play.key("d");
    assert_eq!(
        play.state(),
        "d waiting_for_resource | waiting_for_resource | waiting_for_resource"
    );
    assert_eq!(play.outside, [Effect::RequestResource(job)]);
    play.send(Event::ResourceGranted(job)).unwrap();
    assert_eq!(play.state(), "d pending | pending | pending");
    play.event("succeed", &["d"]);
    assert!(play.outside.contains(&Effect::ReleaseResource(job)));
}

#[test]
fn the_log_replays_to_the_same_rows() {
    let mut play = Play::new("b:build; t:test retry=1; d:deploy manual");
    let begin = play.snapshot.clone();
    let mut log = Vec::new();
    let script: [fn(&Play) -> Event; 5] = [
        |_| Event::Process,
        |play| Event::Run(play.key("b")),
        |play| Event::Succeed(play.key("b")),
        |play| Event::Run(play.key("t")),
        |play| Event::Succeed(play.key("t")),
    ];
    for make in script {
        let event = make(&play);
        log.push(EventRecord {
            at: play.now,
            event: event.clone(),
        });
        play.send(event).unwrap();
    }
    let text = serde_json::to_string(&log).unwrap();
    let read: Vec<EventRecord> = serde_json::from_str(&text).unwrap();
    assert_eq!(replay(begin, &read), play.snapshot);
}
