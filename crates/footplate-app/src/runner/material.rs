//! What runners are told of the jobs that they got, gathered for all jobs of a look together.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use footplate_git::Sha;
use footplate_model::{JobId, ProjectId, Runner, RunnerType};
use footplate_store::{Tx, queue};

use super::{
    claim::Claimed,
    desk::{Answer, Asker},
    greet::Greeted,
};
use crate::{
    App, Error, Result,
    create_pipeline::author_login,
    memory::{projects_of, users_of},
    variables::{
        facts::CommitFacts,
        material::{Material, Subject, materials},
        secrets::Protected,
    },
};

/// A claimed job on its way to the one who asked.
pub(super) struct Told {
    pub(super) runner: Arc<Runner>,
    pub(super) claimed: Arc<Claimed>,
    /// An error spoils the job.
    pub(super) ready: Result<Ready>,
}

/// What the payload is built of.
pub(super) struct Ready {
    pub(super) commit: CommitFacts,
    pub(super) material: Material,
    /// Jobs of the project that run on instance runners, at most six; `None` where that does not matter.
    pub(super) instance_jobs: Option<i64>,
    /// Jobs that wait, at most a thousand.
    pub(super) queue_size: i64,
}

/// A job without what the database knows of it.
#[derive(Clone)]
struct Half {
    claimed: Arc<Claimed>,
    on_instance: bool,
    commit: CommitFacts,
    /// E-mail address of the commit's author.
    author: String,
}

/// Tells each who got a job what belongs to it.
pub(super) async fn tell(app: App, served: Vec<(Greeted, Claimed)>) {
    let mut askers: Vec<(Asker, Arc<Runner>, Arc<Claimed>)> = Vec::with_capacity(served.len());
    let mut halves = Vec::with_capacity(served.len());
    for (of, claimed) in served {
        let claimed = Arc::new(claimed);
        match app.half(&claimed, &of.runner).await {
            Ok(half) => {
                halves.push(half);
                askers.push((of.asker, of.runner, claimed));
            }
            Err(error) => hand(of.asker, of.runner, claimed, Err(error)),
        }
    }
    let mut ready: Vec<Result<Ready>> = match app.ready(halves.clone()).await {
        Ok(all) => all.into_iter().map(Ok).collect(),
        Err(_) => Vec::new(),
    };
    if ready.is_empty() {
        // One of them may be damaged: the others shall not suffer from it.
        for half in halves {
            let alone = app.ready(vec![half]).await;
            ready.push(alone.and_then(|mut one| {
                let one = one.pop();
                one.ok_or_else(|| Error::internal("a job without what belongs to it"))
            }));
        }
    }
    for ((asker, runner, claimed), ready) in askers.into_iter().zip(ready) {
        hand(asker, runner, claimed, ready);
    }
}

/// Who hung up meanwhile does not take the job; it goes back to the queue when nobody calls for it.
fn hand(asker: Asker, runner: Arc<Runner>, claimed: Arc<Claimed>, ready: Result<Ready>) {
    let told = Told {
        runner,
        claimed,
        ready,
    };
    let _ = asker.reply.send(Ok(Answer::Job(Box::new(told))));
}

impl App {
    /// What git knows of the commit of a job.
    async fn half(&self, claimed: &Arc<Claimed>, runner: &Runner) -> Result<Half> {
        let sha = Sha::parse(&claimed.pipeline.sha)?;
        let project = claimed.project.id;
        let commit = self
            .commit_of_project(project, &sha)
            .await?
            .ok_or_else(|| Error::internal("the commit of a pipeline is gone"))?;
        let tag = claimed.pipeline.tag.then_some(&*claimed.pipeline.ref_name);
        let before = &claimed.pipeline.before_sha;
        Ok(Half {
            commit: self.commit_facts(project, &commit, before, tag).await?,
            author: commit.author.email.clone(),
            on_instance: runner.runner_type == RunnerType::Instance,
            claimed: Arc::clone(claimed),
        })
    }

    /// What the database knows of several jobs, in their order.
    async fn ready(&self, halves: Vec<Half>) -> Result<Vec<Ready>> {
        if halves.is_empty() {
            return Ok(Vec::new());
        }
        let (keys, app, moment) = (self.keys().clone(), self.clone(), self.moment());
        let (known_around, known_logins) = {
            let kept = self.kept();
            let of = halves.iter();
            let around: HashMap<_, _> = of
                .clone()
                .filter_map(|half| {
                    let project = half.claimed.project.id;
                    Some((project, Arc::clone(kept.around.get(&project)?)))
                })
                .collect();
            let logins: HashMap<_, _> = of
                .filter_map(|half| {
                    let login = kept.logins.get(&half.author)?.clone();
                    Some((half.author.clone(), login))
                })
                .collect();
            (around, logins)
        };
        let (ready, around, logins, projects, users) = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let (mut around, mut logins) = (known_around.clone(), known_logins.clone());
                let sources: Vec<Vec<JobId>> = halves
                    .iter()
                    .map(|half| half.claimed.sources.iter().map(|job| job.id).collect())
                    .collect();
                let subjects: Vec<Subject<'_>> = halves
                    .iter()
                    .zip(&sources)
                    .map(|(half, sources)| Subject {
                        project: &half.claimed.project,
                        pipeline: &half.claimed.pipeline,
                        job: &half.claimed.job,
                        dotenv_from: sources,
                        protected: Protected::on(half.claimed.job.protected),
                    })
                    .collect();
                let found = materials(tx, &keys, &subjects, &mut around).await?;
                let queue_size = queue::count_to_thousand(tx).await?;
                let mut running: BTreeMap<ProjectId, i64> = BTreeMap::new();
                let mut ready = Vec::with_capacity(halves.len());
                for (half, material) in halves.iter().zip(found) {
                    let project = half.claimed.project.id;
                    if !logins.contains_key(&half.author) {
                        let login = author_login(tx, &half.author).await?;
                        logins.insert(half.author.clone(), login);
                    }
                    if half.on_instance && !running.contains_key(&project) {
                        let count = queue::count_running_on_instance(tx, project).await?;
                        running.insert(project, count);
                    }
                    ready.push(Ready {
                        commit: CommitFacts {
                            author_login: logins[&half.author].clone(),
                            ..half.commit.clone()
                        },
                        material,
                        instance_jobs: half.on_instance.then(|| running[&project]),
                        queue_size,
                    });
                }
                // The next claims find these in memory.
                let jobs = halves.iter().map(|half| &half.claimed.job);
                let projects: BTreeSet<_> = jobs.clone().map(|job| job.project_id).collect();
                let projects = projects_of(tx, &app, projects).await?;
                let users = jobs.filter_map(|job| job.user_id).collect();
                let users = users_of(tx, &app, users).await?;
                Ok::<_, Error>((ready, around, logins, projects, users))
            })
            .await?;
        self.keep(moment, |kept| {
            kept.around.extend(around);
            kept.logins.extend(logins);
            kept.keep_projects(&projects);
            kept.keep_users(&users);
        });
        Ok(ready)
    }
}
