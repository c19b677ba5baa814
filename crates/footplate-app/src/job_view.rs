//! Jobs with everything that is shown with them, in a constant number of statements.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use footplate_git::{Commit, Sha};
use footplate_model::{
    Job, Pipeline, PipelineId, Project, ProjectId, Runner, RunnerId, RunnerManager,
    RunnerManagerId, Timestamp, User, UserId,
};
use footplate_store::{Tx, id_list, pipelines, runners};

use crate::{
    App, Error, Result,
    memory::{Moment, projects_of, users_of},
};

/// Commits that are kept in memory.
const COMMITS: usize = 4096;

/// A job with what stands around it.
#[derive(Debug, Clone)]
pub struct JobView {
    /// The job.
    pub job: Job,
    /// Its project.
    pub project: Arc<Project>,
    /// Its pipeline.
    pub pipeline: Arc<Pipeline>,
    /// Who triggered it.
    pub user: Option<Arc<User>>,
    /// The commit; `None` when it is gone.
    pub commit: Option<Arc<Commit>>,
    /// Who runs it.
    pub runner: Option<Arc<Runner>>,
    /// On which machine.
    pub manager: Option<Arc<RunnerManager>>,
    /// The downstream pipeline of a bridge with the path of its project.
    pub downstream: Option<(Arc<Pipeline>, String)>,
    /// When this was looked up; running durations end here.
    pub now: Timestamp,
}

/// Ids as the JSON list that statements take, each once.
fn list<T: Copy + Eq + std::hash::Hash>(
    ids: impl Iterator<Item = T>,
    number: impl Fn(T) -> i64,
) -> Option<String> {
    let ids: HashSet<T> = ids.collect();
    if ids.is_empty() {
        return None;
    }
    Some(id_list(ids.into_iter().map(number)))
}

#[derive(Default)]
struct Related {
    pipelines: HashMap<PipelineId, Arc<Pipeline>>,
    users: HashMap<UserId, Arc<User>>,
    runners: HashMap<RunnerId, Arc<Runner>>,
    managers: HashMap<RunnerManagerId, Arc<RunnerManager>>,
    projects: HashMap<ProjectId, Arc<Project>>,
}

impl Related {
    async fn load(tx: &mut Tx<'_>, app: &App, jobs: &[Job]) -> Result<Self> {
        let mut related = Self::default();
        let of_jobs = jobs
            .iter()
            .flat_map(|job| [Some(job.pipeline_id), job.downstream_pipeline_id]);
        if let Some(ids) = list(of_jobs.flatten(), |id: PipelineId| id.0) {
            let found = pipelines::list_by_ids(tx, &ids).await?;
            related.pipelines = found
                .into_iter()
                .map(|row| (row.id, Arc::new(row)))
                .collect();
        }
        let of_jobs: BTreeSet<UserId> = jobs.iter().filter_map(|job| job.user_id).collect();
        related.users = users_of(tx, app, of_jobs).await?;
        if let Some(ids) = list(jobs.iter().filter_map(|job| job.runner_id), |id| id.0) {
            let found = runners::list_by_ids(tx, &ids).await?;
            related.runners = found
                .into_iter()
                .map(|row| (row.id, Arc::new(row)))
                .collect();
        }
        if let Some(ids) = list(jobs.iter().filter_map(|job| job.runner_manager_id), |id| {
            id.0
        }) {
            let found = runners::list_managers_by_ids(tx, &ids).await?;
            related.managers = found
                .into_iter()
                .map(|row| (row.id, Arc::new(row)))
                .collect();
        }
        let of_pipelines = related.pipelines.values();
        let of_pipelines: BTreeSet<ProjectId> = of_pipelines.map(|one| one.project_id).collect();
        related.projects = projects_of(tx, app, of_pipelines).await?;
        Ok(related)
    }
}

impl App {
    /// Adds to jobs what is shown with them, in their order. A job whose pipeline went away meanwhile is left out.
    ///
    /// # Errors
    /// Failures of database and git.
    pub async fn job_views(&self, jobs: Vec<Job>) -> Result<Vec<JobView>> {
        let jobs = Arc::new(jobs);
        let (of, app, moment) = (jobs.clone(), self.clone(), self.moment());
        let related = self
            .db()
            .read(async move |tx: &mut Tx<'_>| Related::load(tx, &app, &of).await)
            .await?;
        self.assemble(&jobs, related, moment).await
    }

    /// One job with what is shown with it, all of one state: `find` looks for it.
    ///
    /// # Errors
    /// Those of `find`; failures of database and git.
    pub(crate) async fn job_view_of<F>(&self, find: F) -> Result<JobView>
    where
        F: for<'x, 'y> AsyncFn(&'x mut Tx<'y>) -> Result<Job> + Send + Sync + 'static,
    {
        let (app, moment) = (self.clone(), self.moment());
        let (job, related) = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let job = find(tx).await?;
                let related = Related::load(tx, &app, std::slice::from_ref(&job)).await?;
                Ok::<_, Error>((job, related))
            })
            .await?;
        let mut views = self.assemble(&[job], related, moment).await?;
        views.pop().ok_or(Error::RECORD_NOT_FOUND)
    }

    async fn assemble(
        &self,
        jobs: &[Job],
        related: Related,
        moment: Moment,
    ) -> Result<Vec<JobView>> {
        self.keep(moment, |kept| {
            kept.keep_users(&related.users);
            kept.keep_projects(&related.projects);
        });
        let commits = self.commits_of(&related, jobs).await?;
        let now = self.now();
        let views = jobs.iter().filter_map(|job| {
            let pipeline = related.pipelines.get(&job.pipeline_id)?.clone();
            let downstream = job.downstream_pipeline_id.and_then(|id| {
                let pipeline = related.pipelines.get(&id)?;
                let project = related.projects.get(&pipeline.project_id)?;
                Some((pipeline.clone(), project.full_path.clone()))
            });
            Some(JobView {
                project: related.projects.get(&job.project_id)?.clone(),
                user: job.user_id.and_then(|id| related.users.get(&id).cloned()),
                commit: commits
                    .get(&(job.project_id, pipeline.sha.clone()))
                    .cloned(),
                runner: job
                    .runner_id
                    .and_then(|id| related.runners.get(&id).cloned()),
                manager: job
                    .runner_manager_id
                    .and_then(|id| related.managers.get(&id).cloned()),
                pipeline,
                downstream,
                job: job.clone(),
                now,
            })
        });
        Ok(views.collect())
    }

    /// One job with what is shown with it.
    ///
    /// # Errors
    /// 404 when it went away meanwhile.
    pub async fn job_view(&self, job: Job) -> Result<JobView> {
        self.job_views(vec![job])
            .await?
            .pop()
            .ok_or(Error::RECORD_NOT_FOUND)
    }

    async fn commits_of(
        &self,
        related: &Related,
        jobs: &[Job],
    ) -> Result<HashMap<(ProjectId, String), Arc<Commit>>> {
        let mut found = HashMap::new();
        let mut missing: HashMap<ProjectId, HashSet<String>> = HashMap::new();
        for job in jobs {
            let Some(pipeline) = related.pipelines.get(&job.pipeline_id) else {
                continue;
            };
            let key = (job.project_id, pipeline.sha.clone());
            match self.known_commit(&key) {
                Some(commit) => {
                    found.insert(key, commit);
                }
                None => {
                    missing.entry(key.0).or_default().insert(key.1);
                }
            }
        }
        for (project, shas) in missing {
            let shas: Vec<Sha> = shas.iter().filter_map(|sha| Sha::parse(sha).ok()).collect();
            let commits = match self.repository(project).commits_by_id(&shas).await {
                Ok(commits) => commits,
                Err(footplate_git::Error::NoRepository(_)) => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            for commit in commits {
                let key = (project, commit.id.to_string());
                found.insert(key.clone(), self.remember_commit(key, commit));
            }
        }
        Ok(found)
    }
}

/// Commits never change, so those that were read stay.
#[derive(Default)]
pub(crate) struct CommitCache(std::sync::Mutex<HashMap<(ProjectId, String), Arc<Commit>>>);

impl CommitCache {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(ProjectId, String), Arc<Commit>>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl App {
    /// A commit of a project, from memory where it was read before.
    pub(crate) async fn commit_of_project(
        &self,
        project: ProjectId,
        sha: &Sha,
    ) -> Result<Option<Arc<Commit>>> {
        let key = (project, sha.to_string());
        if let Some(commit) = self.known_commit(&key) {
            return Ok(Some(commit));
        }
        let found = self.repository(project).commit(sha).await?;
        Ok(found.map(|commit| self.remember_commit(key, commit)))
    }

    fn known_commit(&self, key: &(ProjectId, String)) -> Option<Arc<Commit>> {
        self.commit_cache().lock().get(key).cloned()
    }

    fn remember_commit(&self, key: (ProjectId, String), commit: Commit) -> Arc<Commit> {
        let mut known = self.commit_cache().lock();
        if known.len() >= COMMITS {
            known.clear();
        }
        let commit = Arc::new(commit);
        known.insert(key, Arc::clone(&commit));
        commit
    }
}
