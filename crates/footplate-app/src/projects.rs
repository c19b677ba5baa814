//! Projects, groups and members (`rest-api.md §11.2`, `§11.3`).

use footplate_model::{
    AccessLevel, Member, MemberOf, Namespace, NamespaceKind, Project, ProjectId, ProjectSettings,
    ProtectedRef, ProtectedRefId, Timestamp, User, UserId, Visibility,
};
use footplate_store::{Tx, members, namespaces, projects, protected_refs};

use crate::{
    Actor, App, Error, GroupAccess, ProjectAccess, Result,
    background::{Work, plan},
    can,
    users::{find_namespace, is_path},
};

/// A project to be made.
#[derive(Debug, Clone, Default)]
pub struct NewProject {
    /// Name; the path where absent.
    pub name: Option<String>,
    /// Last part of the path; the slug of the name where absent.
    pub path: Option<String>,
    /// Id or path of the namespace; the user's own where absent.
    pub namespace: Option<String>,
    /// Description.
    pub description: String,
    /// Who may see it.
    pub visibility: Option<Visibility>,
    /// Default branch.
    pub default_branch: Option<String>,
    /// A first commit with a README.
    pub initialize_with_readme: bool,
}

/// A group to be made.
#[derive(Debug, Clone, Default)]
pub struct NewGroup {
    /// Name.
    pub name: String,
    /// Last part of the path.
    pub path: String,
    /// The group above.
    pub parent: Option<String>,
    /// Description.
    pub description: String,
    /// Who may see it.
    pub visibility: Option<Visibility>,
}

impl App {
    /// Makes a project with an empty repository.
    ///
    /// # Errors
    /// 400 in GitLab's words; 404 for a namespace that may not be seen.
    pub async fn create_project(&self, actor: &Actor, new: NewProject) -> Result<Project> {
        let user = actor.user().cloned().ok_or(Error::UNAUTHORIZED)?;
        let name = new
            .name
            .clone()
            .or_else(|| new.path.clone())
            .unwrap_or_default();
        let path = new.path.clone().unwrap_or_else(|| path_of(&name));
        if name.trim().is_empty() {
            return Err(Error::invalid("name", "can't be blank"));
        }
        if !is_path(&path) {
            return Err(Error::invalid(
                "path",
                "can contain only letters, digits, '_', '-' and '.'. Cannot start with '-', end in '.git' or end in '.atom'.",
            ));
        }
        let (now, admin) = (self.now(), actor.is_admin());
        let wanted = new.clone();
        let owner = user.clone();
        let project = self
            .db()
            .write(async move |tx: &mut Tx<'_>| {
                let namespace =
                    namespace_for(tx, &owner, admin, wanted.namespace.as_deref(), now).await?;
                insert_project(tx, &owner, &namespace, &name, &path, &wanted, now).await
            })
            .await?;
        let branch = project
            .default_branch
            .clone()
            .unwrap_or_else(|| "main".to_owned());
        self.repositories().create(project.id, &branch).await?;
        if new.initialize_with_readme {
            self.first_commit(&project, &user, &branch).await?;
        }
        Ok(project)
    }

    async fn first_commit(&self, project: &Project, user: &User, branch: &str) -> Result<()> {
        let person = footplate_git::Person {
            name: user.name.clone(),
            email: user.email.clone(),
        };
        let files = footplate_git::CommitFiles {
            branch: branch.to_owned(),
            start: None,
            message: "Initial commit".to_owned(),
            author: person.clone(),
            committer: person,
            changes: vec![footplate_git::Change {
                path: "README.md".to_owned(),
                action: footplate_git::Action::Create(format!("# {}\n", project.name).into()),
                executable: None,
                last_commit: None,
            }],
            time: self.now(),
        };
        let update = self.repository(project.id).create_commit(&files).await?;
        self.refs_moved(project.id, user.clone(), vec![update], Vec::new(), None)
            .await?;
        Ok(())
    }

    /// Marks a project as deleted; background work removes it.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn delete_project(&self, access: &ProjectAccess<can::RemoveProject>) -> Result<()> {
        let (id, now) = (access.project_id(), self.now());
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                projects::mark_deleting(tx, id).await?;
                plan(tx, &Work::DeleteProject(id), now).await
            })
            .await
    }

    /// Writes a changed project.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn update_project(
        &self,
        access: &ProjectAccess<can::AdminProject>,
        changed: Project,
    ) -> Result<Project> {
        let (id, now) = (access.project_id(), self.now());
        if let Some(branch) = &changed.default_branch
            && access.project().default_branch.as_ref() != Some(branch)
        {
            self.repository(id).set_default_branch(branch).await?;
        }
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                projects::update(tx, &changed, now).await?;
                let settings = &changed.settings;
                footplate_store::queue::set_switches(
                    tx,
                    id,
                    settings.shared_runners_enabled,
                    settings.group_runners_enabled,
                )
                .await?;
                projects::find(tx, id)
                    .await?
                    .ok_or(Error::PROJECT_NOT_FOUND)
            })
            .await
    }

    /// A page of projects that the actor may see.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn list_projects(
        &self,
        filter: projects_filter::Filter,
        ascending: bool,
        limit: i64,
        offset: i64,
    ) -> Result<(Vec<Project>, i64)> {
        Ok(self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let rows = projects_filter::list(tx, &filter, ascending, limit, offset).await?;
                Ok::<_, footplate_store::Error>((rows, projects_filter::count(tx, &filter).await?))
            })
            .await?)
    }

    /// Makes a group; its maker owns it.
    ///
    /// # Errors
    /// 400 in GitLab's words, 403 below a group of others.
    pub async fn create_group(&self, actor: &Actor, new: NewGroup) -> Result<Namespace> {
        let user = actor.user().cloned().ok_or(Error::UNAUTHORIZED)?;
        if !is_path(&new.path) {
            return Err(Error::invalid(
                "path",
                "can contain only letters, digits, '_', '-' and '.'. Cannot start with '-' or end in '.', '.git' or '.atom'.",
            ));
        }
        if new.name.trim().is_empty() {
            return Err(Error::invalid("name", "can't be blank"));
        }
        let (now, admin) = (self.now(), actor.is_admin());
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let parent = match &new.parent {
                    Some(by) => {
                        let parent = find_namespace(tx, by)
                            .await?
                            .ok_or(Error::NotFound("404 Group Not Found"))?;
                        let level = members::group_level(tx, parent.id, user.id, now).await?;
                        if level < AccessLevel::MAINTAINER && !admin {
                            return Err(Error::FORBIDDEN);
                        }
                        Some(parent)
                    }
                    None => None,
                };
                let below = |own: &str, above: Option<&String>, between: &str| match above {
                    Some(above) => format!("{above}{between}{own}"),
                    None => own.to_owned(),
                };
                let full_path = below(
                    &new.path,
                    parent.as_ref().map(|parent| &parent.full_path),
                    "/",
                );
                if namespaces::find_by_path(tx, &full_path).await?.is_some()
                    || projects::find_by_path(tx, &full_path).await?.is_some()
                {
                    return Err(Error::refused(
                        400,
                        "Failed to save group {:path=>[\"has already been taken\"]}",
                    ));
                }
                let group = namespaces::insert(
                    tx,
                    &namespaces::NewNamespace {
                        name: new.name.clone(),
                        path: new.path.clone(),
                        full_path,
                        full_name: below(
                            &new.name,
                            parent.as_ref().map(|parent| &parent.full_name),
                            " / ",
                        ),
                        parent_id: parent.map(|parent| parent.id),
                        description: new.description.clone(),
                        visibility: new.visibility.unwrap_or(Visibility::Private),
                    },
                    now,
                )
                .await?;
                members::insert(
                    tx,
                    &owner(MemberOf::Group(group.id), user.id, AccessLevel::OWNER, now),
                )
                .await?;
                Ok(group)
            })
            .await
    }

    /// Adds a member, or changes their role where they are one.
    ///
    /// # Errors
    /// 400 for roles that do not exist, 409 for members.
    pub async fn add_member(
        &self,
        of: MemberOf,
        user: UserId,
        level: AccessLevel,
        expires_at: Option<Timestamp>,
        by: Option<UserId>,
    ) -> Result<Member> {
        if ![10, 15, 20, 30, 40, 50].contains(&level.0) {
            return Err(Error::Parameter(
                "access_level does not have a valid value".to_owned(),
            ));
        }
        self.find_user(user).await?;
        let now = self.now();
        let member = Member {
            user_id: user,
            of,
            access_level: level,
            created_at: now,
            created_by: by,
            expires_at,
        };
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                if members::find(tx, of, user).await?.is_some() {
                    return Err(Error::refused(409, "Member already exists"));
                }
                members::insert(tx, &member).await?;
                Ok(member.clone())
            })
            .await
    }

    /// Members, with those of the groups above where asked.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn list_members(&self, of: MemberOf, all: bool) -> Result<Vec<(Member, User)>> {
        let now = self.now();
        let rows = self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                if all {
                    members::list_all(tx, of, now).await
                } else {
                    members::list(tx, of).await
                }
            })
            .await?;
        let people = self
            .users_of(rows.iter().map(|member| member.user_id.0).collect())
            .await?;
        Ok(rows
            .into_iter()
            .filter_map(|member| {
                let user = people.iter().find(|user| user.id == member.user_id)?;
                Some((member, User::clone(user)))
            })
            .collect())
    }

    /// Changes a member's role.
    ///
    /// # Errors
    /// 404.
    pub async fn update_member(
        &self,
        of: MemberOf,
        user: UserId,
        level: AccessLevel,
        expires_at: Option<Timestamp>,
    ) -> Result<Member> {
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let mut member = members::find(tx, of, user)
                    .await?
                    .ok_or(Error::NOTHING_FOUND)?;
                member.access_level = level;
                member.expires_at = expires_at.or(member.expires_at);
                members::update(tx, &member).await?;
                Ok(member)
            })
            .await
    }

    /// Takes a member out.
    ///
    /// # Errors
    /// 404.
    pub async fn remove_member(&self, of: MemberOf, user: UserId) -> Result<()> {
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                if members::delete(tx, of, user).await? {
                    Ok(())
                } else {
                    Err(Error::NOTHING_FOUND)
                }
            })
            .await
    }

    /// Protections of branches or tags.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn list_protected_refs(
        &self,
        project: ProjectId,
        tag: bool,
    ) -> Result<Vec<ProtectedRef>> {
        let found = self
            .db()
            .read(async move |tx: &mut Tx<'_>| protected_refs::list(tx, project).await)
            .await?;
        Ok(found.into_iter().filter(|entry| entry.tag == tag).collect())
    }

    /// Protects a branch or tag.
    ///
    /// # Errors
    /// 409 for one that is protected.
    pub async fn protect_ref(
        &self,
        access: &ProjectAccess<can::AdminProject>,
        new: ProtectedRef,
    ) -> Result<ProtectedRef> {
        let project = access.project_id();
        let now = self.now();
        let row = ProtectedRef {
            id: ProtectedRefId(0),
            project_id: project,
            created_at: now,
            ..new
        };
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let known = protected_refs::list(tx, project).await?;
                if known
                    .iter()
                    .any(|entry| entry.tag == row.tag && entry.name == row.name)
                {
                    let kind = if row.tag {
                        "Protected tag"
                    } else {
                        "Protected branch"
                    };
                    return Err(Error::refused(
                        409,
                        format!("{kind} '{}' already exists", row.name),
                    ));
                }
                Ok(protected_refs::insert(tx, &row).await?)
            })
            .await
    }

    /// Takes the protection of a branch or tag away.
    ///
    /// # Errors
    /// 404.
    pub async fn unprotect_ref(
        &self,
        access: &ProjectAccess<can::AdminProject>,
        tag: bool,
        name: String,
    ) -> Result<()> {
        let project = access.project_id();
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                if protected_refs::delete(tx, project, tag, &name).await? {
                    Ok(())
                } else {
                    Err(Error::NOTHING_FOUND)
                }
            })
            .await
    }

    /// Groups that an actor may see.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn list_groups(
        &self,
        filter: namespaces::Filter,
        limit: i64,
        offset: i64,
    ) -> Result<(Vec<Namespace>, i64)> {
        Ok(self
            .db()
            .read(async move |tx: &mut Tx<'_>| {
                let rows = namespaces::list_visible(tx, &filter, limit, offset).await?;
                Ok::<_, footplate_store::Error>((
                    rows,
                    namespaces::count_visible(tx, &filter).await?,
                ))
            })
            .await?)
    }

    /// Removes an empty group.
    ///
    /// # Errors
    /// 400 while it has projects or groups.
    pub async fn delete_group(&self, access: &GroupAccess) -> Result<()> {
        let id = access.group.id;
        self.db()
            .write(async move |tx: &mut Tx<'_>| {
                let inside = projects::list_ids_of_namespace(tx, id).await?;
                if !inside.is_empty() || !namespaces::list_children(tx, id).await?.is_empty() {
                    return Err(Error::BadRequest(
                        "the group still has projects or groups".to_owned(),
                    ));
                }
                Ok(namespaces::delete(tx, id).await?)
            })
            .await
    }
}

/// Where the filters of project lists come from.
pub mod projects_filter {
    pub use footplate_store::projects::{Filter, count, list};
}

pub(crate) fn owner(of: MemberOf, user: UserId, level: AccessLevel, now: Timestamp) -> Member {
    Member {
        user_id: user,
        of,
        access_level: level,
        created_at: now,
        created_by: Some(user),
        expires_at: None,
    }
}

/// The path that GitLab makes of a name.
fn path_of(name: &str) -> String {
    let mut path: String = name
        .trim()
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') {
                c
            } else {
                '-'
            }
        })
        .collect();
    while path.contains("--") {
        path = path.replace("--", "-");
    }
    path.trim_matches(['-', '.']).to_owned()
}

/// The namespace that a project is made in; its maker needs Developer in a group.
pub(crate) async fn namespace_for(
    tx: &mut Tx<'_>,
    user: &User,
    admin: bool,
    wanted: Option<&str>,
    now: Timestamp,
) -> Result<Namespace> {
    let not_found = || Error::NotFound("404 Namespace Not Found");
    let Some(by) = wanted else {
        return namespaces::find(tx, user.namespace_id)
            .await?
            .ok_or_else(not_found);
    };
    let namespace = find_namespace(tx, by).await?.ok_or_else(not_found)?;
    let may = match namespace.kind {
        NamespaceKind::User(owner) => owner == user.id,
        NamespaceKind::Group => {
            members::group_level(tx, namespace.id, user.id, now).await? >= AccessLevel::DEVELOPER
        }
    };
    if !may && !admin {
        return Err(Error::invalid("namespace", "is not valid"));
    }
    Ok(namespace)
}

/// A project's row and its owner.
pub(crate) async fn insert_project(
    tx: &mut Tx<'_>,
    user: &User,
    namespace: &Namespace,
    name: &str,
    path: &str,
    new: &NewProject,
    now: Timestamp,
) -> Result<Project> {
    let full_path = format!("{}/{path}", namespace.full_path);
    let taken = projects::find_by_path(tx, &full_path).await?.is_some()
        || namespaces::find_by_path(tx, &full_path).await?.is_some();
    if taken {
        return Err(Error::Invalid(std::collections::BTreeMap::from([
            ("name".to_owned(), vec!["has already been taken".to_owned()]),
            ("path".to_owned(), vec!["has already been taken".to_owned()]),
        ])));
    }
    let project = projects::insert(
        tx,
        &Project {
            id: ProjectId(0),
            namespace_id: namespace.id,
            creator_id: Some(user.id),
            name: name.to_owned(),
            path: path.to_owned(),
            full_path,
            full_name: format!("{} / {name}", namespace.full_name),
            description: new.description.clone(),
            visibility: new.visibility.unwrap_or(Visibility::Private),
            default_branch: new.default_branch.clone(),
            archived: false,
            topics: Vec::new(),
            settings: ProjectSettings::default(),
            created_at: now,
            updated_at: now,
            last_activity_at: now,
            deleting: false,
        },
    )
    .await?;
    // The owner of a personal namespace is a member of its projects; a group's members inherit.
    if matches!(namespace.kind, NamespaceKind::User(owner) if owner == user.id) {
        members::insert(
            tx,
            &owner(
                MemberOf::Project(project.id),
                user.id,
                AccessLevel::OWNER,
                now,
            ),
        )
        .await?;
    }
    Ok(project)
}
