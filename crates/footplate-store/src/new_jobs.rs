//! What a new pipeline brings at once, many rows by one statement: definitions and jobs. Ids ascend in the order given, since
//! the engines number the rows of one statement as they are written.

use footplate_model::{Job, JobId, JobKind, PipelineId};

use crate::{
    Query, Result, Tx,
    jobs::{count, json},
    sql,
};

// The columns of a new job, those that all jobs of a pipeline have in common first.
macro_rules! new_job {
    () => {
        "INSERT INTO jobs (project_id, pipeline_id, ref, tag, protected, user_id, created_at, updated_at, kind, name, stage, stage_idx, status, when_, allow_failure, scheduling_type, \
         needs, tag_list, definition_id, start_in, environment, resource_group, interruptible, processed, coverage_regex, artifacts_access, queued_at, finished_at, scheduled_at, failure_reason) VALUES "
    };
}

macro_rules! one_row {
    () => {
        "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30)"
    };
}

macro_rules! eight_rows {
    () => {
        "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30),\
         ($1, $2, $3, $4, $5, $6, $7, $8, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52),\
         ($1, $2, $3, $4, $5, $6, $7, $8, $53, $54, $55, $56, $57, $58, $59, $60, $61, $62, $63, $64, $65, $66, $67, $68, $69, $70, $71, $72, $73, $74),\
         ($1, $2, $3, $4, $5, $6, $7, $8, $75, $76, $77, $78, $79, $80, $81, $82, $83, $84, $85, $86, $87, $88, $89, $90, $91, $92, $93, $94, $95, $96),\
         ($1, $2, $3, $4, $5, $6, $7, $8, $97, $98, $99, $100, $101, $102, $103, $104, $105, $106, $107, $108, $109, $110, $111, $112, $113, $114, $115, $116, $117, $118),\
         ($1, $2, $3, $4, $5, $6, $7, $8, $119, $120, $121, $122, $123, $124, $125, $126, $127, $128, $129, $130, $131, $132, $133, $134, $135, $136, $137, $138, $139, $140),\
         ($1, $2, $3, $4, $5, $6, $7, $8, $141, $142, $143, $144, $145, $146, $147, $148, $149, $150, $151, $152, $153, $154, $155, $156, $157, $158, $159, $160, $161, $162),\
         ($1, $2, $3, $4, $5, $6, $7, $8, $163, $164, $165, $166, $167, $168, $169, $170, $171, $172, $173, $174, $175, $176, $177, $178, $179, $180, $181, $182, $183, $184)"
    };
}

/// Inserts the jobs of a new pipeline in order, each with the id of its definition; their ids. They have nothing yet that only an
/// execution brings, and were all created at the same time for the same ref and user.
pub async fn insert_jobs(
    tx: &mut Tx<'_>,
    pipeline: PipelineId,
    new: &[(&Job, i64)],
) -> Result<Vec<JobId>> {
    let mut eights = new.chunks_exact(8);
    for jobs in &mut eights {
        let query = tx.query(sql!(concat!(new_job!(), eight_rows!())));
        bind_jobs(query, pipeline, jobs).execute().await?;
    }
    for job in eights.remainder() {
        let query = tx.query(sql!(concat!(new_job!(), one_row!())));
        bind_jobs(query, pipeline, std::slice::from_ref(job))
            .execute()
            .await?;
    }
    let ids: Vec<JobId> = tx
        .query(sql!(
            "SELECT id FROM jobs WHERE pipeline_id = $1 ORDER BY id"
        ))
        .bind(pipeline)
        .all(|row| row.get(0))
        .await?;
    let builds = new.iter().zip(&ids);
    let builds: Vec<JobId> = builds
        .filter(|((job, _), _)| job.kind == JobKind::Build)
        .map(|(_, id)| *id)
        .collect();
    if let Some((first, _)) = new.first() {
        count(tx, first.project_id, &builds).await?;
    }
    Ok(ids)
}

fn bind_jobs<'t, 'a>(
    mut query: Query<'t, 'a>,
    pipeline: PipelineId,
    jobs: &[(&Job, i64)],
) -> Query<'t, 'a> {
    if let Some((first, _)) = jobs.first() {
        query = query
            .bind(first.project_id)
            .bind(pipeline)
            .bind(&first.ref_name)
            .bind(first.tag)
            .bind(first.protected)
            .bind(first.user_id)
            .bind(first.created_at)
            .bind(first.updated_at);
    }
    for (job, definition) in jobs {
        query = query
            .bind(job.kind)
            .bind(&job.name)
            .bind(&job.stage)
            .bind(job.stage_idx)
            .bind(job.status)
            .bind(job.when)
            .bind(job.allow_failure)
            .bind(job.scheduling_type)
            .bind(json(&job.needs))
            .bind(json(&job.tag_list))
            .bind(*definition)
            .bind(job.start_in)
            .bind(&job.environment)
            .bind(&job.resource_group)
            .bind(job.interruptible)
            .bind(job.processed)
            .bind(&job.coverage_regex)
            .bind(job.artifacts_access)
            .bind(job.queued_at)
            .bind(job.finished_at)
            .bind(job.scheduled_at)
            .bind(job.failure_reason);
    }
    query
}

/// Keeps what the jobs of a new pipeline were compiled to; retried attempts share it. The ids.
pub async fn insert_definitions(
    tx: &mut Tx<'_>,
    pipeline: PipelineId,
    definitions: &[&str],
) -> Result<Vec<i64>> {
    let mut many = definitions.chunks_exact(16);
    for texts in &mut many {
        let query = tx.query(sql!(
            "INSERT INTO job_definitions (pipeline_id, definition) VALUES ($1, $2), ($1, $3), ($1, $4), ($1, $5), ($1, $6), ($1, $7), ($1, $8), ($1, $9), \
             ($1, $10), ($1, $11), ($1, $12), ($1, $13), ($1, $14), ($1, $15), ($1, $16), ($1, $17)"
        ));
        let query = query.bind(pipeline);
        let query = texts.iter().fold(query, |query, text| query.bind(*text));
        query.execute().await?;
    }
    for text in many.remainder() {
        tx.query(sql!(
            "INSERT INTO job_definitions (pipeline_id, definition) VALUES ($1, $2)"
        ))
        .bind(pipeline)
        .bind(*text)
        .execute()
        .await?;
    }
    tx.query(sql!(
        "SELECT id FROM job_definitions WHERE pipeline_id = $1 ORDER BY id"
    ))
    .bind(pipeline)
    .all(|row| row.get(0))
    .await
}
