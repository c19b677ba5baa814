//! What a new pipeline brings is there as it was given, in order, however many rows one statement takes.

use footplate_model::{
    FailureReason, Job, JobId, JobKind, Need, OnJobFailure, OnNewCommit, Pipeline, PipelineId,
    PipelineSource, ProjectId, SchedulingType, Status, Timestamp, UserId, When,
};
use footplate_store::{
    Error, Row, Tx, jobs, new_jobs, pipelines,
    queue::{self, Offer},
    sql, testing,
};

use crate::pipeline_lists::project;

/// More than fit into whole statements of eight, and some left over.
const JOBS: i64 = 19;
/// The same for statements of sixteen.
const DEFINITIONS: usize = 35;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub fn pipeline(id: PipelineId, project: ProjectId) -> Pipeline {
    Pipeline {
        id,
        iid: id.0,
        project_id: project,
        ref_name: "main".to_owned(),
        tag: false,
        sha: "a".to_owned(),
        before_sha: "b".to_owned(),
        source: PipelineSource::Push,
        user_id: None,
        status: Status::Created,
        protected: true,
        name: None,
        yaml_errors: None,
        failure_reason: None,
        on_job_failure: OnJobFailure::None,
        on_new_commit: OnNewCommit::Conservative,
        source_job_id: None,
        parent_id: None,
        depth: 0,
        auto_canceled_by: None,
        committed_at: None,
        created_at: at(1),
        updated_at: at(1),
        started_at: None,
        finished_at: None,
        duration: None,
        lock_version: 0,
    }
}

/// The first job differs from the rest in everything that a new job can have.
pub fn job(number: i64, project: ProjectId) -> Job {
    let first = number == 0;
    let text = |text: &str| first.then(|| text.to_owned());
    Job {
        id: JobId(0),
        kind: if first {
            JobKind::Bridge
        } else {
            JobKind::Build
        },
        project_id: project,
        pipeline_id: PipelineId(0),
        name: format!("job {number}"),
        stage: format!("stage {}", number / 8),
        stage_idx: number / 8,
        status: if first {
            Status::Failed
        } else {
            Status::Pending
        },
        when: if first { When::Always } else { When::OnSuccess },
        allow_failure: first,
        scheduling_type: if first {
            SchedulingType::Dag
        } else {
            SchedulingType::Stage
        },
        needs: if first {
            vec![Need {
                name: "other".to_owned(),
                artifacts: true,
                optional: false,
            }]
        } else {
            Vec::new()
        },
        ref_name: "main".to_owned(),
        tag: true,
        protected: true,
        user_id: Some(UserId(5)),
        tag_list: text("linux").into_iter().collect(),
        definition_id: 0,
        start_in: first.then_some(60),
        environment: text("production"),
        resource_group: text("one at a time"),
        interruptible: first,
        retried: false,
        processed: first,
        enqueue_immediately: false,
        exit_code: None,
        failure_reason: first.then_some(FailureReason::EnvironmentCreationFailure),
        coverage: None,
        coverage_regex: text("[0-9]+"),
        created_at: at(1),
        updated_at: at(2),
        queued_at: (!first).then_some(at(2)),
        started_at: None,
        finished_at: first.then_some(at(3)),
        scheduled_at: first.then_some(at(4)),
        erased_at: None,
        erased_by: None,
        runner_id: None,
        runner_manager_id: None,
        timeout: None,
        timeout_source: None,
        acked_at: None,
        graceful_cancel: false,
        debug: false,
        has_trace: false,
        trace_size: None,
        trace_resends: 0,
        artifacts: Vec::new(),
        artifacts_expire_at: None,
        artifacts_access: if first { 30 } else { 0 },
        downstream_pipeline_id: None,
        bridge_errors: None,
        target_url: None,
        description: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_new_pipeline_are_stored_as_they_are_in_their_order() {
    for fresh in testing::both().await.unwrap() {
        let (wanted, stored) = fresh
            .db
            .write(async |tx: &mut Tx<'_>| {
                let project = project(tx).await?;
                let id = pipelines::reserve(tx).await?;
                pipelines::insert(tx, &pipeline(id, project), None).await?;
                let definition = new_jobs::insert_definitions(tx, id, &["{}"]).await?[0];
                let list: Vec<Job> = (0..JOBS).map(|number| job(number, project)).collect();
                let new: Vec<(&Job, i64)> = list.iter().map(|job| (job, definition)).collect();
                let ids = new_jobs::insert_jobs(tx, id, &new).await?;
                let wanted: Vec<Job> = list
                    .into_iter()
                    .zip(&ids)
                    .map(|(job, known)| Job {
                        id: *known,
                        pipeline_id: id,
                        definition_id: definition,
                        ..job
                    })
                    .collect();
                // The bridge is not among the script jobs that are counted.
                let page = jobs::list_of_project(tx, project, None, None, 100, 0).await?;
                assert_eq!(page.len(), wanted.len() - 1);
                Ok::<_, Error>((wanted, jobs::list_of_pipeline(tx, id).await?))
            })
            .await
            .unwrap();
        assert!(wanted.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert_eq!(wanted, stored);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_get_ids_in_their_order() {
    for fresh in testing::both().await.unwrap() {
        fresh
            .db
            .write(async |tx: &mut Tx<'_>| {
                let project = project(tx).await?;
                let id = pipelines::reserve(tx).await?;
                pipelines::insert(tx, &pipeline(id, project), None).await?;
                let texts: Vec<String> = (0..DEFINITIONS).map(|text| text.to_string()).collect();
                let list: Vec<&str> = texts.iter().map(String::as_str).collect();
                let ids = new_jobs::insert_definitions(tx, id, &list).await?;
                assert_eq!(ids.len(), DEFINITIONS);
                for (definition, text) in ids.into_iter().zip(texts) {
                    let found = jobs::find_definition(tx, definition).await?;
                    assert_eq!(found, Some(text));
                }
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_are_found_job_by_job() {
    for fresh in testing::both().await.unwrap() {
        fresh
            .db
            .write(async |tx: &mut Tx<'_>| {
                let project = project(tx).await?;
                let id = pipelines::reserve(tx).await?;
                pipelines::insert(tx, &pipeline(id, project), None).await?;
                let definition = new_jobs::insert_definitions(tx, id, &["{}"]).await?[0];
                let list: Vec<Job> = (0..JOBS).map(|number| job(number, project)).collect();
                let new: Vec<(&Job, i64)> = list.iter().map(|job| (job, definition)).collect();
                let ids = new_jobs::insert_jobs(tx, id, &new).await?;
                let offer = Offer {
                    project_id: project,
                    pipeline_id: id,
                    tags_key: "[\"linux\"]".to_owned(),
                    protected: true,
                    instance_runners: false,
                    group_runners: true,
                };
                queue::insert(tx, &offer, &ids[1..], at(9)).await?;
                assert_eq!(queue::count(tx).await?, JOBS - 1);
                let stored = tx.query(sql!(
                    "SELECT project_id, pipeline_id, tags_key, protected, instance_runners, group_runners FROM job_queue WHERE job_id = $1"
                ));
                let read = |row: &Row<'_>| {
                    let mut c = row.columns();
                    Ok(Offer {
                        project_id: c.next()?,
                        pipeline_id: c.next()?,
                        tags_key: c.next()?,
                        protected: c.next()?,
                        instance_runners: c.next()?,
                        group_runners: c.next()?,
                    })
                };
                let found = stored.bind(ids[1]).one("offer", read).await?;
                assert_eq!(format!("{found:?}"), format!("{offer:?}"));
                // What is offered already stays as it is.
                queue::insert(tx, &offer, &ids[1..2], at(10)).await?;
                assert_eq!(queue::count(tx).await?, JOBS - 1);
                let (_, _, since) = queue::list_older(tx, at(9), 1).await?[0];
                assert_eq!(since, at(9));
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reserved_id_is_nobody_elses() {
    for fresh in testing::both().await.unwrap() {
        let project = fresh
            .db
            .write(async |tx: &mut Tx<'_>| project(tx).await)
            .await
            .unwrap();
        // Nothing comes of the first.
        let mut ids = Vec::new();
        for inserted in [false, true, true] {
            let id = fresh
                .db
                .write(async move |tx: &mut Tx<'_>| {
                    let id = pipelines::reserve(tx).await?;
                    if inserted {
                        let stored = pipelines::insert(tx, &pipeline(id, project), None).await?;
                        assert_eq!(stored.id, id);
                    }
                    Ok::<_, Error>(id.0)
                })
                .await
                .unwrap();
            ids.push(id);
        }
        assert_eq!(ids, [1, 2, 3]);
    }
}
