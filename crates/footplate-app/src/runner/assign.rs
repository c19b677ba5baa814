//! A runner asks for work (`runner-protocol.md §2`, `§3`).

use std::collections::BTreeSet;

use footplate_model::{
    FailureReason, Job, JobId, PipelineId, Project, Runner, RunnerAccessLevel, RunnerId,
    RunnerManager, RunnerManagerId, RunnerType, Status, TimeoutSource, Timestamp,
};
use footplate_pipeline::Event;
use footplate_store::{
    Topic, Tx, jobs, projects,
    queue::{self, Running, Wanted},
    runners, users,
};
use serde_json::{Map, Value as Json};

use super::{Assignment, dependencies::artifact_sources, runner_of};
use crate::{
    App, Error, Result,
    definition::Definition,
    movement::{Loaded, happen_to, key, load},
    secrets::{JOB_TOKEN_PREFIX, random_token},
};

/// Candidates that one request looks at.
const CANDIDATES: i64 = 45;
/// How often one request reads them, when others were faster with all it had read.
const LOOKS: usize = 4;
/// Contact of a polling runner is written at most this often, in seconds.
const CONTACT_SECONDS: u64 = 30;

/// What a runner says of itself (`runner-protocol.md §1.5`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunnerInfo {
    /// Name.
    pub name: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Revision.
    pub revision: Option<String>,
    /// Operating system.
    pub platform: Option<String>,
    /// Processor.
    pub architecture: Option<String>,
    /// Executor.
    pub executor: Option<String>,
    /// Address of the caller.
    pub ip_address: Option<String>,
    /// Features.
    pub features: Map<String, Json>,
    /// Labels.
    pub labels: Map<String, Json>,
}

/// A request for work.
#[derive(Debug, Clone)]
pub struct JobRequest {
    /// Runner token.
    pub token: String,
    /// The machine.
    pub system_id: Option<String>,
    /// The queue token of the last answer.
    pub last_update: Option<String>,
    /// What the runner says of itself.
    pub info: RunnerInfo,
}

/// The answer to a request for work.
#[derive(Debug)]
pub enum Offered {
    /// A job; it runs from now on.
    Job(Box<Assignment>),
    /// Nothing; the queue token to come back with.
    Nothing(String),
}

/// A machine of a runner as it shows itself.
pub(super) fn manager(
    runner: RunnerId,
    system_id: Option<&str>,
    info: &RunnerInfo,
    now: Timestamp,
) -> Result<RunnerManager> {
    let system_id = system_id.unwrap_or("<legacy>");
    if system_id.chars().count() > 64 {
        return Err(Error::Parameter(
            "system_id is too long (maximum is 64 characters)".to_owned(),
        ));
    }
    let cut = |text: &Option<String>| text.as_ref().map(|text| text.chars().take(255).collect());
    Ok(RunnerManager {
        id: RunnerManagerId(0),
        runner_id: runner,
        system_id: system_id.to_owned(),
        name: cut(&info.name),
        version: cut(&info.version),
        revision: cut(&info.revision),
        platform: cut(&info.platform),
        architecture: cut(&info.architecture),
        executor: cut(&info.executor),
        ip_address: cut(&info.ip_address),
        features: Json::Object(info.features.clone()).to_string(),
        labels: Json::Object(info.labels.clone()).to_string(),
        created_at: now,
        contacted_at: Some(now),
    })
}

impl App {
    /// Gives a runner a job, or holds the request until there is one (`runner-protocol.md §2.3`).
    ///
    /// # Errors
    /// 403 for a token that is not valid any more.
    pub async fn request_job(&self, request: JobRequest) -> Result<Offered> {
        let mut woken = self.db().subscribe(Topic::Queue);
        let (runner, manager) = self.greet(&request).await?;
        let token = self.queue_token(runner.id);
        if runner.paused {
            return Ok(Offered::Nothing(token));
        }
        if let Some(job) = self.search(&runner, manager, &request.info).await? {
            return Ok(Offered::Job(Box::new(job)));
        }
        if request.last_update.as_deref() != Some(token.as_str()) || self.settings().hold.is_zero()
        {
            return Ok(Offered::Nothing(token));
        }
        let end = tokio::time::Instant::now() + self.settings().hold;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(end) => {
                    return Ok(Offered::Nothing(self.queue_token(runner.id)));
                }
                () = woken.woken() => {}
            }
            let token = self.queue_token(runner.id);
            let turn = self.searches().acquire().await;
            if let Some(job) = self.search(&runner, manager, &request.info).await? {
                return Ok(Offered::Job(Box::new(job)));
            }
            drop(turn);
            if tokio::time::Instant::now() >= end {
                return Ok(Offered::Nothing(token));
            }
        }
    }

    /// Finds the runner and writes down that it was here.
    async fn greet(&self, request: &JobRequest) -> Result<(Runner, RunnerManagerId)> {
        let now = self.now();
        let (token, system) = (
            request.token.clone(),
            request
                .system_id
                .clone()
                .unwrap_or_else(|| "<legacy>".to_owned()),
        );
        let info = request.info.clone();
        let (runner, known) = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let runner = runner_of(tx, &token, now).await?;
                let known = runners::find_manager(tx, runner.id, &system).await?;
                Ok::<_, Error>((runner, known))
            })
            .await?;
        let seen = manager(runner.id, request.system_id.as_deref(), &info, now)?;
        if let Some(known) = &known {
            let fresh = |at: Option<Timestamp>| {
                at.is_some_and(|at| now.since(at).as_secs() < CONTACT_SECONDS)
            };
            let same = known.version == seen.version.clone().or(known.version.clone())
                && known.features == seen.features;
            if same && fresh(known.contacted_at) && fresh(runner.contacted_at) && runner.polled {
                return Ok((runner, known.id));
            }
        }
        let id = runner.id;
        let stored = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                runners::touch(tx, id, true, now).await?;
                runners::upsert_manager(tx, &seen, now).await
            })
            .await?;
        Ok((runner, stored.id))
    }

    async fn search(
        &self,
        runner: &Runner,
        manager: RunnerManagerId,
        info: &RunnerInfo,
    ) -> Result<Option<Assignment>> {
        let mut tried = Vec::new();
        for _ in 0..LOOKS {
            let asker = runner.clone();
            let found = self
                .db()
                .read(async move |tx: &mut Tx<'_>| candidates(tx, &asker).await)
                .await?;
            if found == tried {
                // Nothing, or only what this runner cannot take.
                break;
            }
            if let Some(taken) = self.try_all(runner, manager, info, &found).await? {
                return Ok(Some(taken));
            }
            // Others were faster with some of them; what is offered now may be more.
            tried = found;
        }
        Ok(None)
    }

    /// Tries candidates in turn: first those that no other request of this process is claiming.
    async fn try_all(
        &self,
        runner: &Runner,
        manager: RunnerManagerId,
        info: &RunnerInfo,
        candidates: &[(JobId, PipelineId)],
    ) -> Result<Option<Assignment>> {
        let mut busy = Vec::new();
        for (job, pipeline) in self.free_first(candidates) {
            let Some(_reserved) = self.reserve(job, pipeline) else {
                busy.push((job, pipeline));
                continue;
            };
            if let Some(taken) = self.try_one(runner, manager, info, job, pipeline).await? {
                return Ok(Some(taken));
            }
        }
        for (job, pipeline) in busy {
            if self.left_over(job).await?
                && let Some(taken) = self.try_one(runner, manager, info, job, pipeline).await?
            {
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }

    /// Claims a job and builds what its runner is told; a job whose payload cannot be built fails.
    async fn try_one(
        &self,
        runner: &Runner,
        manager: RunnerManagerId,
        info: &RunnerInfo,
        job: JobId,
        pipeline: PipelineId,
    ) -> Result<Option<Assignment>> {
        let Some(claimed) = self.claim(runner, manager, info, job, pipeline).await? else {
            return Ok(None);
        };
        match self.assignment(runner, claimed).await {
            Ok(assignment) => Ok(Some(assignment)),
            Err(error) => {
                tracing::error!(%error, %job, "the payload of a job could not be built");
                let event = Event::Drop {
                    job: key(job),
                    reason: FailureReason::DataIntegrityFailure,
                    exit_code: None,
                };
                self.move_pipeline(pipeline, event).await?;
                Ok(None)
            }
        }
    }

    /// Waits until the request that has a job reserved is through with it; whether the job still waits then, because that runner
    /// could not take it.
    async fn left_over(&self, job: JobId) -> Result<bool> {
        loop {
            let through = self.claimed().notified();
            if !self.claiming().contains_key(&job) {
                break;
            }
            through.await;
        }
        Ok(self
            .db()
            .read(async move |tx: &mut Tx<'_>| queue::find(tx, job).await)
            .await?
            .is_some())
    }

    /// Candidates in the order in which this process tries them: requests that look at the same time do not queue up behind one
    /// pipeline's lock.
    fn free_first(&self, candidates: &[(JobId, PipelineId)]) -> Vec<(JobId, PipelineId)> {
        let claiming = self.claiming();
        let (busy, mut free): (Vec<_>, Vec<_>) = candidates
            .iter()
            .copied()
            .partition(|(_, pipeline)| claiming.values().any(|known| known == pipeline));
        free.extend(busy);
        free
    }

    /// Keeps other requests of this process away from a job while it is claimed; `None` when one has it already. The claim itself
    /// is decided by the database.
    fn reserve(&self, job: JobId, pipeline: PipelineId) -> Option<Reserved> {
        let mut claiming = self.claiming();
        if claiming.contains_key(&job) {
            return None;
        }
        claiming.insert(job, pipeline);
        Some(Reserved {
            app: self.clone(),
            job,
        })
    }

    /// Takes one job, if it is still there, and lets it run. One pipeline, one transaction.
    async fn claim(
        &self,
        runner: &Runner,
        manager: RunnerManagerId,
        info: &RunnerInfo,
        id: JobId,
        pipeline: PipelineId,
    ) -> Result<Option<Claimed>> {
        let (now, keys, runner, features) = (
            self.now(),
            self.keys().clone(),
            runner.clone(),
            info.features.clone(),
        );
        let token = random_token(JOB_TOKEN_PREFIX);
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let Some(loaded) = load(tx, pipeline).await? else {
                    return Ok(None);
                };
                let Some(job) = loaded
                    .job(id)
                    .filter(|job| job.status == Status::Pending)
                    .cloned()
                else {
                    return Ok(None);
                };
                let text = jobs::find_definition(tx, job.definition_id)
                    .await?
                    .unwrap_or_default();
                let definition = Definition::parse(&text)?;
                if !demanded(&definition)
                    .iter()
                    .all(|name| features.get(*name).is_some_and(|on| on == true))
                {
                    return Ok(None);
                }
                let Some(project) = projects::find(tx, job.project_id).await? else {
                    return Ok(None);
                };
                if let Some(reason) = refusal(tx, &loaded, &job, &definition, &project, now).await?
                {
                    let event = Event::Drop {
                        job: key(id),
                        reason,
                        exit_code: None,
                    };
                    happen_to(tx, &loaded, event, now).await?;
                    return Ok(None);
                }
                if !queue::delete(tx, id).await? {
                    return Ok(None);
                }
                happen_to(tx, &loaded, Event::Run(key(id)), now)
                    .await?
                    .done()?;
                let (timeout, source) = timeout(&definition, &project, &runner);
                let assigned = Job {
                    status: Status::Running,
                    started_at: Some(now),
                    runner_id: Some(runner.id),
                    runner_manager_id: Some(manager),
                    timeout: Some(timeout),
                    timeout_source: Some(source),
                    graceful_cancel: features
                        .get("cancel_gracefully")
                        .is_some_and(|on| on == true),
                    ..job
                };
                jobs::set_assignment(tx, &assigned).await?;
                let running = Running {
                    job_id: id,
                    project_id: project.id,
                    runner_id: runner.id,
                    acked: false,
                    started_at: now,
                    seen_at: now,
                    timeout,
                };
                let shared = runner.runner_type == RunnerType::Instance;
                queue::insert_running(tx, &keys, &running, shared, &token).await?;
                Ok::<_, Error>(Some(Claimed {
                    pipeline: loaded.pipeline,
                    jobs: loaded.jobs,
                    job: assigned,
                    definition,
                    project,
                    token: token.clone(),
                }))
            })
            .await
    }
}

/// A job that one request of this process tries to claim.
struct Reserved {
    app: App,
    job: JobId,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.app.claiming().remove(&self.job);
        self.app.claimed().notify_waiters();
    }
}

/// A job that was taken.
#[derive(Clone)]
pub(super) struct Claimed {
    pub(super) pipeline: footplate_model::Pipeline,
    pub(super) jobs: Vec<Job>,
    pub(super) job: Job,
    pub(super) definition: Definition,
    pub(super) project: Project,
    pub(super) token: String,
}

/// Jobs that a runner may take, in the order in which it is offered them.
async fn candidates(tx: &mut Tx<'_>, runner: &Runner) -> Result<Vec<(JobId, PipelineId)>> {
    let own: BTreeSet<&str> = runner.tag_list.iter().map(String::as_str).collect();
    let mut sets = Vec::new();
    for set in queue::list_tag_sets(tx).await? {
        let tags: Vec<String> = serde_json::from_str(&set).map_err(Error::internal)?;
        let untagged = tags.is_empty() && !runner.run_untagged;
        if !untagged && tags.iter().all(|tag| own.contains(tag.as_str())) {
            sets.push(set);
        }
    }
    if sets.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = Wanted {
        tag_sets: Json::from(sets).to_string(),
        protected_only: runner.access_level == RunnerAccessLevel::RefProtected,
        limit: CANDIDATES,
    };
    Ok(match (runner.runner_type, runner.group_id) {
        (RunnerType::Instance, _) => queue::list_for_instance(tx, &wanted).await?,
        (RunnerType::Group, Some(group)) => queue::list_for_group(tx, group, &wanted).await?,
        (RunnerType::Group, None) => Vec::new(),
        (RunnerType::Project, _) => queue::list_for_project_runner(tx, runner.id, &wanted).await?,
    })
}

/// Features that a job asks for (`runner-protocol.md §3.4`).
fn demanded(definition: &Definition) -> Vec<&'static str> {
    let artifacts = definition.keyword("artifacts");
    let exit_codes =
        definition.engine.exit_codes.is_some() || !definition.engine.retry.exit_codes.is_empty();
    let fallback = definition
        .keyword("cache")
        .as_array()
        .is_some_and(|caches| {
            caches.iter().any(|cache| {
                cache["fallback_keys"]
                    .as_array()
                    .is_some_and(|keys| !keys.is_empty())
            })
        });
    [
        ("upload_multiple_artifacts", !artifacts["reports"].is_null()),
        ("artifacts_exclude", !artifacts["exclude"].is_null()),
        (
            "multi_build_steps",
            !definition.keyword("release").is_null(),
        ),
        ("return_exit_code", exit_codes),
        ("fallback_cache_keys", fallback),
        (
            "native_steps_integration",
            !definition.keyword("run").is_null(),
        ),
    ]
    .into_iter()
    .filter_map(|(name, asked)| asked.then_some(name))
    .collect()
}

/// Why a job fails instead of running (`runner-protocol.md §3.3`).
async fn refusal(
    tx: &mut Tx<'_>,
    loaded: &Loaded,
    job: &Job,
    definition: &Definition,
    project: &Project,
    now: Timestamp,
) -> Result<Option<FailureReason>> {
    if project.deleting {
        return Ok(Some(FailureReason::ProjectDeleted));
    }
    if project.settings.builds_access_level == footplate_model::policy::BuildsAccess::Disabled {
        return Ok(Some(FailureReason::BuildsDisabled));
    }
    let user = match job.user_id {
        Some(user) => users::find(tx, user).await?,
        None => None,
    };
    if !user.is_some_and(|user| user.is_active()) {
        return Ok(Some(FailureReason::UserBlocked));
    }
    for source in artifact_sources(&loaded.jobs, job, definition) {
        let expired = source.artifacts_expire_at.is_some_and(|end| end <= now)
            && !footplate_store::artifacts::is_locked(tx, source.id).await?;
        let had = source
            .artifacts
            .iter()
            .any(|artifact| artifact.file_type == "archive");
        if source.status.is_completed() && (source.erased_at.is_some() || (had && expired)) {
            return Ok(Some(FailureReason::MissingDependencyFailure));
        }
    }
    Ok(None)
}

/// `runner-protocol.md §3.5`
fn timeout(definition: &Definition, project: &Project, runner: &Runner) -> (i64, TimeoutSource) {
    let written = definition.keyword("timeout");
    let own = written
        .as_i64()
        .or_else(|| written.as_str().and_then(crate::create_pipeline::seconds));
    let (seconds, source) = match own {
        Some(seconds) => (seconds, TimeoutSource::Job),
        None => (project.settings.build_timeout, TimeoutSource::Project),
    };
    match runner.maximum_timeout {
        Some(most) if most < seconds => (most, TimeoutSource::Runner),
        Some(_) | None => (seconds, source),
    }
}
