//! What the database knows for the variables of jobs. What is encrypted stays so until it is needed.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use footplate_model::{GivenVariable, Job, JobId, Pipeline, PipelineId, Project, ProjectId};
use footplate_store::{
    Keys, Tx,
    environments::{self, Environment},
    id_list,
    job_variables::{self, OfJob},
    jobs, pipelines,
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

/// What is stored for one job.
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

/// The material of one job, still encrypted.
pub(crate) struct Sealed {
    environment: Option<Environment>,
    pipeline: PipelineFacts,
    around: Arc<Around>,
    protected: Protected,
    given: Option<Vec<u8>>,
    dotenv: Vec<OfJob>,
    own: Vec<OfJob>,
}

impl Sealed {
    /// Decrypts it.
    pub(crate) fn open(self, keys: &Keys) -> Result<Material> {
        let open = |list: &[OfJob]| list.iter().map(|one| one.open(keys)).collect();
        let dotenv: Result<_, footplate_store::Error> = open(&self.dotenv);
        let own: Result<_, footplate_store::Error> = open(&self.own);
        Ok(Material {
            environment: self.environment,
            pipeline: self.pipeline,
            dotenv: dotenv?,
            secrets: self.around.secrets(self.protected),
            given: open_given(self.given.as_deref(), keys)?,
            own: own?,
        })
    }
}

/// Variables given with pipelines and jobs, or made by jobs, as they are stored.
#[derive(Default)]
pub(crate) struct Stored {
    given: HashMap<PipelineId, Vec<u8>>,
    of_jobs: HashMap<JobId, Vec<OfJob>>,
}

impl Stored {
    /// Adds what was given with a pipeline.
    pub(crate) fn give(&mut self, pipeline: PipelineId, variables: Option<Vec<u8>>) {
        let variables = variables.map(|variables| (pipeline, variables));
        self.given.extend(variables);
    }

    /// Reads the variables of jobs, if there are any.
    pub(crate) async fn read_jobs(
        &mut self,
        tx: &mut Tx<'_>,
        jobs: impl Iterator<Item = JobId>,
    ) -> Result<()> {
        let ids: BTreeSet<i64> = jobs.map(|id| id.0).collect();
        if !ids.is_empty() {
            for variable in job_variables::list_of_jobs(tx, &id_list(ids)).await? {
                self.of_jobs.entry(variable.job).or_default().push(variable);
            }
        }
        Ok(())
    }

    fn of_job(&self, job: JobId, dotenv: bool) -> impl Iterator<Item = OfJob> {
        let all = self.of_jobs.get(&job).into_iter().flatten();
        all.filter(move |one| one.dotenv == dotenv).cloned()
    }

    /// The material of one of the jobs. What stands around its project is added to what of it is known.
    pub(crate) async fn material(
        &self,
        tx: &mut Tx<'_>,
        keys: &Keys,
        of: &Subject<'_>,
        around: &mut HashMap<ProjectId, Arc<Around>>,
    ) -> Result<Sealed> {
        let (project, pipeline) = (of.project, of.pipeline);
        let around = match around.entry(project.id) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(new) => {
                Arc::clone(new.insert(Arc::new(Around::read(tx, keys, project).await?)))
            }
        };
        let environment = match &of.job.environment {
            Some(name) => environments::find_by_name(tx, project.id, name).await?,
            None => None,
        };
        Ok(Sealed {
            environment,
            pipeline: pipeline_facts(tx, pipeline).await?,
            around,
            protected: of.protected,
            given: self.given.get(&pipeline.id).cloned(),
            dotenv: of
                .dotenv_from
                .iter()
                .flat_map(|job| self.of_job(*job, true))
                .collect(),
            own: self.of_job(of.job.id, false).collect(),
        })
    }
}

/// The material of one job.
pub(crate) async fn material(tx: &mut Tx<'_>, keys: &Keys, of: &Subject<'_>) -> Result<Material> {
    let mut stored = Stored::default();
    stored.give(
        of.pipeline.id,
        pipelines::find_variables(tx, of.pipeline.id).await?,
    );
    let jobs = of.dotenv_from.iter().chain([&of.job.id]).copied();
    stored.read_jobs(tx, jobs).await?;
    let sealed = stored.material(tx, keys, of, &mut HashMap::new()).await?;
    sealed.open(keys)
}

fn open_given(sealed: Option<&[u8]>, keys: &Keys) -> Result<Vec<GivenVariable>> {
    match sealed {
        Some(sealed) => serde_json::from_str(&keys.decrypt(sealed)?).map_err(Error::internal),
        None => Ok(Vec::new()),
    }
}

/// Variables given with a pipeline.
pub(crate) async fn pipeline_variables(
    tx: &mut Tx<'_>,
    keys: &Keys,
    pipeline: PipelineId,
) -> Result<Vec<GivenVariable>> {
    let sealed = pipelines::find_variables(tx, pipeline).await?;
    open_given(sealed.as_deref(), keys)
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
