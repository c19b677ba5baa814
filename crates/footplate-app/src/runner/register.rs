//! Registration and the life of runners (`runner-protocol.md §1`).

use footplate_model::{
    NamespaceId, ProjectId, Runner, RunnerAccessLevel, RunnerId, RunnerType, Timestamp,
};
use footplate_store::{
    Tx,
    registration_tokens::{self, Owner},
    runners, settings, token_hash,
};

use super::{RunnerInfo, greet::manager, runner_of};
use crate::{
    App, Error, Result,
    secrets::{RUNNER_TOKEN_PREFIX, random_token},
};

/// What a runner is registered with.
#[derive(Debug, Clone, Default)]
pub struct Registration {
    /// Registration token of the instance, a group or a project.
    pub token: String,
    /// Description.
    pub description: String,
    /// Note of the administrator.
    pub maintenance_note: Option<String>,
    /// Tags.
    pub tag_list: Vec<String>,
    /// Takes jobs without tags.
    pub run_untagged: bool,
    /// Not for further projects.
    pub locked: bool,
    /// Only protected refs.
    pub access_level: Option<RunnerAccessLevel>,
    /// Seconds.
    pub maximum_timeout: Option<i64>,
    /// Takes nothing.
    pub paused: bool,
}

/// A runner that was registered or verified.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Its id.
    pub id: RunnerId,
    /// Its token.
    pub token: String,
    /// End of the token.
    pub expires_at: Option<Timestamp>,
}

/// Where a runner belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunnerOwner {
    /// Everywhere.
    Instance,
    /// A group.
    Group(NamespaceId),
    /// A project.
    Project(ProjectId),
}

impl App {
    /// Legacy registration with a registration token.
    ///
    /// # Errors
    /// 403 for an unknown token, 410 where registration tokens are off, 400 for values that do not fit.
    pub async fn register_runner(&self, new: Registration) -> Result<Registered> {
        let now = self.now();
        check(&new)?;
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let off = settings::find(tx, "allow_runner_registration_token").await?;
                if off.as_deref() == Some("false") {
                    return Err(Error::refused(
                        410,
                        "410 Gone - Runner registration disallowed",
                    ));
                }
                let owner = registration_tokens::find_owner(tx, &token_hash(&new.token)).await?;
                let owner = match owner.ok_or(Error::FORBIDDEN)? {
                    Owner::Instance => RunnerOwner::Instance,
                    Owner::Group(group) => RunnerOwner::Group(group),
                    Owner::Project(project) => RunnerOwner::Project(project),
                };
                let token = random_token("glrtr-");
                let runner = insert_runner(tx, &new, owner, None, true, &token, now).await?;
                Ok(Registered {
                    id: runner.id,
                    token,
                    expires_at: None,
                })
            })
            .await
    }

    /// A runner made by a user, whose token is shown once.
    ///
    /// # Errors
    /// 400 for values that do not fit.
    pub async fn create_runner(
        &self,
        new: Registration,
        owner: RunnerOwner,
        creator: footplate_model::UserId,
    ) -> Result<Registered> {
        let now = self.now();
        check(&new)?;
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let token = random_token(RUNNER_TOKEN_PREFIX);
                let runner =
                    insert_runner(tx, &new, owner, Some(creator), false, &token, now).await?;
                Ok::<_, Error>(Registered {
                    id: runner.id,
                    token,
                    expires_at: None,
                })
            })
            .await
    }

    /// Whether a runner token is good.
    ///
    /// # Errors
    /// 403 when it is not.
    pub async fn verify_runner(
        &self,
        token: String,
        system_id: Option<String>,
        info: RunnerInfo,
    ) -> Result<Registered> {
        let now = self.now();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let runner = runner_of(tx, &token, now).await?;
                runners::touch(tx, runner.id, false, now).await?;
                runners::upsert_manager(
                    tx,
                    &manager(runner.id, system_id.as_deref(), &info, now)?,
                    now,
                )
                .await?;
                Ok(Registered {
                    id: runner.id,
                    token: token.clone(),
                    expires_at: runner.token_expires_at,
                })
            })
            .await
    }

    /// A runner takes itself out (legacy flow).
    ///
    /// # Errors
    /// 403 for an unknown token.
    pub async fn unregister_runner(&self, token: String) -> Result<()> {
        let now = self.now();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let runner = runner_of(tx, &token, now).await?;
                Ok::<_, Error>(runners::delete(tx, runner.id).await?)
            })
            .await
    }

    /// A machine takes itself out of a runner.
    ///
    /// # Errors
    /// 403 for an unknown token, 404 for an unknown machine.
    pub async fn unregister_manager(&self, token: String, system_id: String) -> Result<()> {
        let now = self.now();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let runner = runner_of(tx, &token, now).await?;
                if runners::delete_manager(tx, runner.id, &system_id).await? {
                    return Ok(());
                }
                Err(Error::NOTHING_FOUND)
            })
            .await
    }

    /// A new token for a runner that shows its old one.
    ///
    /// # Errors
    /// 403 for an unknown token.
    pub async fn reset_own_runner_token(&self, token: String) -> Result<Registered> {
        let now = self.now();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let runner = runner_of(tx, &token, now).await?;
                runners::touch(tx, runner.id, false, now).await?;
                reset_token(tx, &runner).await
            })
            .await
    }
}

/// Gives a runner a new token; the old one dies at once.
pub(crate) async fn reset_token(tx: &mut Tx<'_>, runner: &Runner) -> Result<Registered> {
    let token = random_token(if runner.legacy {
        "glrtr-"
    } else {
        RUNNER_TOKEN_PREFIX
    });
    runners::set_token(tx, runner.id, &token_hash(&token), &short_token(&token)).await?;
    Ok(Registered {
        id: runner.id,
        token,
        expires_at: runner.token_expires_at,
    })
}

/// The 9 characters behind the prefix, which name a runner in logs.
fn short_token(token: &str) -> String {
    let random = token.split_once('-').map_or(token, |(_, random)| random);
    random.chars().take(9).collect()
}

async fn insert_runner(
    tx: &mut Tx<'_>,
    new: &Registration,
    owner: RunnerOwner,
    creator: Option<footplate_model::UserId>,
    legacy: bool,
    token: &str,
    now: Timestamp,
) -> Result<Runner> {
    let (runner_type, group_id, project_id) = match owner {
        RunnerOwner::Instance => (RunnerType::Instance, None, None),
        RunnerOwner::Group(group) => (RunnerType::Group, Some(group), None),
        RunnerOwner::Project(project) => (RunnerType::Project, None, Some(project)),
    };
    let runner = Runner {
        id: RunnerId(0),
        runner_type,
        group_id,
        project_id,
        creator_id: creator,
        short_token: short_token(token),
        legacy,
        description: new.description.clone(),
        maintenance_note: new.maintenance_note.clone(),
        paused: new.paused,
        locked: new.locked,
        run_untagged: new.run_untagged,
        access_level: new.access_level.unwrap_or(RunnerAccessLevel::NotProtected),
        maximum_timeout: new.maximum_timeout.filter(|seconds| *seconds != 0),
        tag_list: new.tag_list.clone(),
        created_at: now,
        contacted_at: None,
        token_expires_at: None,
        polled: false,
    };
    let runner = runners::insert(tx, &runner, &token_hash(token)).await?;
    if let Some(project) = project_id {
        runners::assign(tx, runner.id, project).await?;
    }
    Ok(runner)
}

/// GitLab's rules for the values (`runner-protocol.md §1.4`).
pub(crate) fn check(new: &Registration) -> Result<()> {
    let mut faults = std::collections::BTreeMap::new();
    let mut add = |attribute: &str, message: &str| {
        faults.insert(attribute.to_owned(), vec![message.to_owned()]);
    };
    if new.tag_list.is_empty() && !new.run_untagged {
        add(
            "tags_list",
            "can not be empty when runner is not allowed to pick untagged jobs",
        );
    }
    if new.tag_list.len() > 50 {
        add(
            "tags_list",
            "Too many tags specified. Please limit the number of tags to 50",
        );
    }
    if new
        .maximum_timeout
        .is_some_and(|seconds| seconds != 0 && seconds < 600)
    {
        add("maximum_timeout", "needs to be at least 10 minutes");
    }
    if new.description.chars().count() > 1024 {
        add("description", "is too long (maximum is 1024 characters)");
    }
    if new
        .maintenance_note
        .as_ref()
        .is_some_and(|note| note.chars().count() > 1024)
    {
        add(
            "maintenance_note",
            "is too long (maximum is 1024 characters)",
        );
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(faults))
}
