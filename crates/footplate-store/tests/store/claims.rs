//! A claim is written where nobody has moved the pipeline since it was read, and nowhere else.

use footplate_model::{
    Job, JobId, PipelineId, ProjectId, RunnerId, RunnerManagerId, Status, TimeoutSource, Timestamp,
};
use footplate_store::{
    Db, Error, Keys, Tx,
    claims::{self, Claim, Handed, Held, StageMove},
    jobs, new_jobs, pipeline_events, pipelines,
    queue::{self, Offer},
    sql, stages, testing, token_hash,
};

use crate::{
    new_jobs::{job, pipeline},
    pipeline_lists::project,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn keys() -> (tempfile::TempDir, Keys) {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::open(&folder.path().join("key")).unwrap();
    (folder, keys)
}

/// Some pipelines of three jobs each that wait in one stage.
async fn waiting(db: &Db, pipelines: usize) -> (ProjectId, Vec<(PipelineId, Vec<JobId>)>) {
    db.write(async move |tx: &mut Tx<'_>| {
        let project = project(tx).await?;
        let mut list = Vec::new();
        for _ in 0..pipelines {
            let id = pipelines::reserve(tx).await?;
            pipelines::insert(tx, &pipeline(id, project), None).await?;
            stages::insert(tx, id, 1, "test", Status::Pending).await?;
            let definition = new_jobs::insert_definitions(tx, id, &["{}"]).await?[0];
            let jobs: Vec<Job> = (1..=3).map(|number| job(number, project)).collect();
            let new: Vec<(&Job, i64)> = jobs.iter().map(|job| (job, definition)).collect();
            let jobs = new_jobs::insert_jobs(tx, id, &new).await?;
            let offer = Offer {
                project_id: project,
                pipeline_id: id,
                tags_key: "[]".to_owned(),
                protected: false,
                instance_runners: true,
                group_runners: true,
            };
            queue::insert(tx, &offer, &jobs, at(9)).await?;
            list.push((id, jobs));
        }
        Ok::<_, Error>((project, list))
    })
    .await
    .unwrap()
}

fn held(id: PipelineId, version: i64) -> Held {
    Held {
        id,
        version,
        status: Some(Status::Running),
        begins: true,
    }
}

fn handed(project: ProjectId, pipeline: PipelineId, job: JobId, position: i64) -> Handed {
    Handed {
        job,
        pipeline,
        project,
        runner: RunnerId(7),
        manager: RunnerManagerId(8),
        instance_runner: true,
        timeout: 60,
        timeout_source: TimeoutSource::Job,
        graceful_cancel: true,
        token: format!("token-{job}"),
        position,
        event: format!("job {job} runs"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_moved_is_left_alone_and_the_rest_is_written() {
    let (_folder, keys) = keys();
    for alone in [true, false] {
        for fresh in testing::both().await.unwrap() {
            check(&fresh.db, &keys, alone).await;
        }
    }
}

async fn check(db: &Db, keys: &Keys, alone: bool) {
    let (project, list) = waiting(db, 2).await;
    let ((mine, jobs), (theirs, others)) = (list[0].clone(), list[1].clone());
    db.write(async move |tx: &mut Tx<'_>| pipelines::lock(tx, theirs).await.map(drop))
        .await
        .unwrap();
    let (both, of_both) = (
        [held(mine, 0), held(theirs, 0)],
        [
            handed(project, mine, jobs[0], 1),
            handed(project, mine, jobs[2], 2),
            handed(project, theirs, others[0], 1),
        ],
    );
    let moves = [mine, theirs].map(|pipeline| StageMove {
        pipeline,
        position: 1,
        status: Status::Running,
    });
    let (keys, written) = (keys.clone(), of_both.clone());
    let kept = db
        .write(async move |tx: &mut Tx<'_>| {
            let claim = Claim {
                pipelines: &both,
                stages: &moves,
                jobs: &written,
            };
            claims::hand_out(tx, &keys, claim, at(20), alone).await
        })
        .await
        .unwrap();
    assert_eq!(kept, [mine]);
    db.read(async move |tx: &mut Tx<'_>| {
        for (pipeline, version, status) in
            [(mine, 1, Status::Running), (theirs, 1, Status::Created)]
        {
            let found = pipelines::find(tx, pipeline).await?.unwrap();
            let started = (pipeline == mine).then_some(at(20));
            assert_eq!(
                (found.lock_version, found.status, found.started_at),
                (version, status, started)
            );
            let stage = stages::list(tx, pipeline).await?[0].status;
            let moved = if pipeline == mine {
                Status::Running
            } else {
                Status::Pending
            };
            assert_eq!(stage, moved);
        }
        assert_eq!(queue::count(tx).await?, 4);
        for handed in &of_both {
            let found = jobs::find(tx, handed.job).await?.unwrap();
            let running = queue::find_running_by_token(tx, &token_hash(&handed.token)).await?;
            if handed.pipeline == theirs {
                assert_eq!(found.status, Status::Pending);
                assert!(running.is_none());
                continue;
            }
            assert_eq!(
                (
                    found.status,
                    found.started_at,
                    found.timeout,
                    found.graceful_cancel
                ),
                (Status::Running, Some(at(20)), Some(60), true)
            );
            assert_eq!(
                (
                    found.runner_id,
                    found.runner_manager_id,
                    found.timeout_source
                ),
                (
                    Some(RunnerId(7)),
                    Some(RunnerManagerId(8)),
                    Some(TimeoutSource::Job)
                )
            );
            let running = running.unwrap();
            assert_eq!((running.job_id, running.timeout), (handed.job, 60));
        }
        let log = pipeline_events::list(tx, mine, 0, 10).await?;
        let log: Vec<(i64, String)> = log
            .into_iter()
            .map(|one| (one.position, one.event))
            .collect();
        let runs = |job: JobId| format!("job {job} runs");
        let (first, last) = (jobs[0], jobs[2]);
        assert_eq!(log, [(1, runs(first)), (2, runs(last))]);
        assert!(pipeline_events::list(tx, theirs, 0, 10).await?.is_empty());
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_claims_that_meet_one_is_written() {
    let (_folder, keys) = keys();
    for fresh in testing::both().await.unwrap() {
        let (project, list) = waiting(&fresh.db, 4).await;
        let mut meeting = tokio::task::JoinSet::new();
        for number in 0..6 {
            let (db, keys, list) = (fresh.db.clone(), keys.clone(), list.clone());
            meeting.spawn(async move {
                db.write(async move |tx: &mut Tx<'_>| {
                    let both: Vec<Held> = list.iter().map(|(id, _)| held(*id, 0)).collect();
                    let of_both: Vec<Handed> = list
                        .iter()
                        .map(|(id, jobs)| Handed {
                            token: format!("{number}-{id}"),
                            ..handed(project, *id, jobs[number % 3], 1)
                        })
                        .collect();
                    let claim = Claim {
                        pipelines: &both,
                        stages: &[],
                        jobs: &of_both,
                    };
                    claims::hand_out(tx, &keys, claim, at(20), true).await
                })
                .await
                .unwrap()
            });
        }
        let mut won: Vec<PipelineId> = meeting.join_all().await.concat();
        won.sort_unstable();
        let all: Vec<PipelineId> = list.iter().map(|(id, _)| *id).collect();
        assert_eq!(won, all);
        let running = fresh
            .db
            .read(async |tx: &mut Tx<'_>| queue::list_running(tx).await)
            .await
            .unwrap();
        assert_eq!(running.len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_comes_after_the_last_statement() {
    for fresh in testing::both().await.unwrap() {
        for before in [false, true] {
            let after = fresh
                .db
                .write(async move |tx: &mut Tx<'_>| {
                    let add = sql!("INSERT INTO instance_settings (key, value) VALUES ($1, 'x')");
                    if before {
                        tx.query(add).bind("before").later()?;
                    }
                    let last = sql!(
                        "INSERT INTO instance_settings (key, value) VALUES ($1, 'x') RETURNING key"
                    );
                    let key = if before { "second" } else { "first" };
                    let keys: Vec<String> = tx.query(last).bind(key).last(|row| row.get(0)).await?;
                    assert_eq!(keys, [key]);
                    Ok::<_, Error>(tx.query(add).bind("after").execute().await.is_err())
                })
                .await
                .unwrap();
            assert!(after);
        }
        let keys: Vec<String> = fresh
            .db
            .read(async |tx: &mut Tx<'_>| {
                let keys = sql!("SELECT key FROM instance_settings WHERE value = 'x' ORDER BY key");
                tx.query(keys).all(|row| row.get(0)).await
            })
            .await
            .unwrap();
        assert_eq!(keys, ["before", "first", "second"]);
    }
}
