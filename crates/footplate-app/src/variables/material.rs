//! What the database knows for the variables of jobs, read with few statements for many jobs.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use footplate_model::{GivenVariable, Job, JobId, Pipeline, PipelineId, Project, ProjectId};
use footplate_store::{
    Keys, Tx,
    environments::{self, Environment},
    id_list, job_variables, jobs, pipelines,
};

use super::{
    facts::PipelineFacts,
    secrets::{Around, Protected, Secret},
};
use crate::{Error, Result};

/// A job whose variables are wanted.
pub(crate) struct Subject<'s> {
    pub(crate) project: &'s Project,
    pub(crate) pipeline: &'s Pipeline,
    pub(crate) job: &'s Job,
    /// Jobs whose dotenv variables it takes, in order.
    pub(crate) dotenv_from: &'s [JobId],
    pub(crate) protected: Protected,
}

/// What is stored for one of them.
pub(crate) struct Material {
    pub(crate) environment: Option<Environment>,
    pub(crate) pipeline: PipelineFacts,
    pub(crate) dotenv: Vec<GivenVariable>,
    pub(crate) secrets: Vec<Secret>,
    /// Given with the pipeline.
    pub(crate) given: Vec<GivenVariable>,
    /// Given when the job was played.
    pub(crate) own: Vec<GivenVariable>,
}

/// The material of several jobs, in their order. What stands around their projects is added to what of it is known.
pub(crate) async fn materials(
    tx: &mut Tx<'_>,
    keys: &Keys,
    subjects: &[Subject<'_>],
    around: &mut HashMap<ProjectId, Arc<Around>>,
) -> Result<Vec<Material>> {
    let given = given(tx, keys, subjects.iter().map(|of| of.pipeline.id)).await?;
    let own = of_jobs(tx, keys, subjects).await?;
    let mut facts: HashMap<PipelineId, PipelineFacts> = HashMap::new();
    let mut list = Vec::with_capacity(subjects.len());
    for of in subjects {
        let (project, pipeline) = (of.project, of.pipeline);
        let around = match around.entry(project.id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Arc::new(Around::read(tx, keys, project).await?)),
        };
        let facts = match facts.entry(pipeline.id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(pipeline_facts(tx, pipeline).await?),
        };
        let environment = match &of.job.environment {
            Some(name) => environments::find_by_name(tx, project.id, name).await?,
            None => None,
        };
        let of_job =
            |job: JobId, dotenv: bool| own.get(&(job, dotenv)).cloned().unwrap_or_default();
        list.push(Material {
            environment,
            pipeline: facts.clone(),
            dotenv: of
                .dotenv_from
                .iter()
                .flat_map(|job| of_job(*job, true))
                .collect(),
            secrets: around.secrets(of.protected),
            given: given.get(&pipeline.id).cloned().unwrap_or_default(),
            own: of_job(of.job.id, false),
        });
    }
    Ok(list)
}

/// Variables given with pipelines.
async fn given(
    tx: &mut Tx<'_>,
    keys: &Keys,
    pipelines: impl Iterator<Item = PipelineId>,
) -> Result<HashMap<PipelineId, Vec<GivenVariable>>> {
    let ids: BTreeSet<i64> = pipelines.map(|id| id.0).collect();
    let mut given = HashMap::new();
    for (pipeline, sealed) in pipelines::list_variables(tx, &id_list(ids)).await? {
        let variables = serde_json::from_str(&keys.decrypt(&sealed)?).map_err(Error::internal)?;
        given.insert(pipeline, variables);
    }
    Ok(given)
}

/// Variables given with a pipeline.
pub(crate) async fn pipeline_variables(
    tx: &mut Tx<'_>,
    keys: &Keys,
    pipeline: PipelineId,
) -> Result<Vec<GivenVariable>> {
    let mut given = given(tx, keys, std::iter::once(pipeline)).await?;
    Ok(given.remove(&pipeline).unwrap_or_default())
}

/// The variables of the jobs themselves and of those that they take from, by job and by whether they come from a dotenv report.
async fn of_jobs(
    tx: &mut Tx<'_>,
    keys: &Keys,
    subjects: &[Subject<'_>],
) -> Result<HashMap<(JobId, bool), Vec<GivenVariable>>> {
    let ids: BTreeSet<i64> = subjects
        .iter()
        .flat_map(|of| of.dotenv_from.iter().chain([&of.job.id]))
        .map(|id| id.0)
        .collect();
    let mut own: HashMap<(JobId, bool), Vec<GivenVariable>> = HashMap::new();
    for found in job_variables::list_of_jobs(tx, keys, &id_list(ids)).await? {
        let of = own.entry((found.job, found.dotenv)).or_default();
        of.push(found.variable);
    }
    Ok(own)
}

/// The pipeline of a job as variables tell of it.
pub(crate) async fn pipeline_facts(tx: &mut Tx<'_>, pipeline: &Pipeline) -> Result<PipelineFacts> {
    let upstream = match pipeline.source_job_id {
        Some(id) => jobs::find(tx, id).await?,
        None => None,
    };
    Ok(PipelineFacts {
        ref_name: pipeline.ref_name.clone(),
        tag: pipeline.tag,
        protected: pipeline.protected,
        source: pipeline.source,
        created_at: pipeline.created_at,
        iid: Some(pipeline.iid),
        name: pipeline.name.clone(),
        upstream: upstream.map(|bridge| (bridge.pipeline_id.0, bridge.project_id.0, bridge.id.0)),
    })
}
