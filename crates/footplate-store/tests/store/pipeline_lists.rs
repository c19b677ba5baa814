//! Pages of pipelines hold what was asked for, whichever statement finds them.

use footplate_model::{PipelineSource, ProjectId, Timestamp};
use footplate_store::{
    Db, Result, Tx,
    pipelines::{Filter, Order, count, list},
    sql, testing,
};

/// Twelve pipelines: every fourth is a child, every third failed, one second apart.
const PIPELINES: i64 = 12;

pub async fn project(tx: &mut Tx<'_>) -> Result<ProjectId> {
    let now = Timestamp::from_seconds(0);
    let namespace: i64 = tx
        .query(sql!(
            "INSERT INTO namespaces (name, path, full_path, full_name, visibility, created_at) VALUES ('g', 'g', 'g', 'g', 'private', $1) RETURNING id"
        ))
        .bind(now)
        .one("namespace", |row| row.get(0))
        .await?;
    tx.query(sql!(
        "INSERT INTO projects (namespace_id, path, full_path, name, full_name, visibility, settings, created_at, updated_at, last_activity_at) \
         VALUES ($1, 'p', 'g/p', 'p', 'g / p', 'private', '{}', $2, $2, $2) RETURNING id"
    ))
    .bind(namespace)
    .bind(now)
    .one("project", |row| row.get(0))
    .await
}

async fn fill(tx: &mut Tx<'_>) -> Result<ProjectId> {
    let project = project(tx).await?;
    for iid in 1..=PIPELINES {
        let source = if iid % 4 == 0 {
            PipelineSource::ParentPipeline
        } else if iid % 2 == 0 {
            PipelineSource::Api
        } else {
            PipelineSource::Push
        };
        tx.query(sql!(
            "INSERT INTO pipelines (iid, project_id, ref, tag, sha, before_sha, source, status, protected, on_job_failure, on_new_commit, created_at, updated_at) \
             VALUES ($1, $2, 'main', FALSE, 'a', 'b', $3, $4, FALSE, 'none', 'conservative', $5, $5)"
        ))
        .bind(iid)
        .bind(project)
        .bind(source)
        .bind(if iid % 3 == 0 { "failed" } else { "success" })
        .bind(Timestamp::from_seconds(iid))
        .execute()
        .await?;
    }
    Ok(project)
}

/// The iids of a page by id, and how many the filter finds.
async fn page(
    db: &Db,
    filter: Filter,
    ascending: bool,
    limit: i64,
    offset: i64,
) -> (Vec<i64>, i64) {
    db.read(async move |tx: &mut Tx<'_>| {
        let project = ProjectId(1);
        let rows = list(tx, project, &filter, Order::Id, ascending, limit, offset).await?;
        let total = count(tx, project, &filter).await?;
        Ok::<_, footplate_store::Error>((rows.iter().map(|row| row.iid).collect(), total))
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_by_id_hold_what_was_asked_for() {
    for fresh in testing::both().await.unwrap() {
        let db = &fresh.db;
        db.write(async |tx: &mut Tx<'_>| fill(tx).await)
            .await
            .unwrap();
        let all = Filter::default;
        let second = Timestamp::from_seconds;
        assert_eq!(page(db, all(), false, 3, 0).await, (vec![11, 10, 9], 9));
        assert_eq!(page(db, all(), false, 3, 6).await, (vec![3, 2, 1], 9));
        assert_eq!(page(db, all(), true, 4, 2).await, (vec![3, 5, 6, 7], 9));
        assert_eq!(page(db, all(), true, 4, 9).await, (Vec::new(), 9));
        let children = Filter {
            source: Some(PipelineSource::ParentPipeline),
            ..all()
        };
        assert_eq!(page(db, children, false, 9, 0).await, (vec![12, 8, 4], 3));
        let from_api = Filter {
            source: Some(PipelineSource::Api),
            ..all()
        };
        assert_eq!(page(db, from_api, false, 9, 0).await, (vec![10, 6, 2], 3));
        let failed = Filter {
            statuses: Some("[\"failed\"]".to_owned()),
            updated_before: Some(second(9)),
            ..all()
        };
        assert_eq!(page(db, failed, true, 9, 0).await, (vec![3, 6, 9], 3));
        let changed = Filter {
            updated_after: Some(second(9)),
            created_before: Some(second(10)),
            ..all()
        };
        assert_eq!(page(db, changed, false, 9, 0).await, (vec![10, 9], 2));
        let made = Filter {
            created_after: Some(second(11)),
            ..all()
        };
        assert_eq!(page(db, made, false, 9, 0).await, (vec![11], 1));
    }
}
