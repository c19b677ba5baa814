//! Projects, groups, members and protections (`rest-api.md §11.2`, `§11.3`).

use footplate_app::{
    Actor, Error, GroupAccess, NewGroup, NewProject, can, projects_filter::Filter,
};
use footplate_model::{
    AccessLevel, GitStrategy, MemberOf, Project, ProjectId, ProtectedRef, ProtectedRefId,
    Timestamp, UserId, VariablesRole, Visibility, policy::BuildsAccess,
};
use http::StatusCode;
use serde_json::{Value as Json, json};

use crate::{
    call::Call,
    entity::project as shape,
    error::{Answer, Failure, answer, no_content},
    page::Page,
};

fn wrong(name: &str) -> Failure {
    Error::Parameter(format!("{name} does not have a valid value")).into()
}

fn visibility(call: &Call) -> Result<Option<Visibility>, Failure> {
    match call.params.text("visibility")? {
        None => Ok(None),
        Some(word) => shape::visibility(&word)
            .map(Some)
            .ok_or_else(|| wrong("visibility")),
    }
}

/// `GET /projects`
pub async fn list(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let page = Page::of(&call)?;
    let membership = call.params.boolean("membership")?.unwrap_or(false)
        || call.params.boolean("owned")?.unwrap_or(false);
    let ascending = call.params.text("sort")?.as_deref() == Some("asc");
    let keyset = call.params.text("pagination")?.as_deref() == Some("keyset");
    let bound = if ascending {
        call.params.integer("id_after")?
    } else {
        call.params.integer("id_before")?
    };
    let filter = Filter {
        search: call.params.text("search")?.unwrap_or_default(),
        admin: actor.is_admin(),
        viewer: actor.user_id(),
        membership,
        namespace: None,
        include_subgroups: false,
        beyond: bound,
    };
    let offset = if keyset { 0 } else { page.offset() };
    let (mut rows, total) = call
        .app
        .list_projects(filter, ascending, page.per_page + 1, offset)
        .await?;
    let wanted = usize::try_from(page.per_page).unwrap_or(0);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let mut response = answer(
        StatusCode::OK,
        &Json::from_iter(rows.iter().map(|row| shape::project(&call.app, row))),
    );
    if !keyset {
        page.headers(&call, &mut response, Some(total), more);
    } else if let Some(last) = rows.last().filter(|_| more) {
        crate::page::id_link(
            &call,
            &mut response,
            if ascending { "id_after" } else { "id_before" },
            page.per_page,
            last.id.0,
        );
    }
    Ok(response)
}

/// `POST /projects`
pub async fn create(call: Call) -> Answer {
    let actor = call.user().await?;
    let (name, path) = (call.params.text("name")?, call.params.text("path")?);
    if name.is_none() && path.is_none() {
        return Err(Error::Parameter(
            "name, path are missing, at least one parameter must be provided".to_owned(),
        )
        .into());
    }
    let new = NewProject {
        name,
        path,
        namespace: call.params.text("namespace_id")?,
        description: call.params.text("description")?.unwrap_or_default(),
        visibility: visibility(&call)?,
        default_branch: call.params.text("default_branch")?,
        initialize_with_readme: call
            .params
            .boolean("initialize_with_readme")?
            .unwrap_or(false),
    };
    let mut made = call.app.create_project(&actor, new).await?;
    if call
        .params
        .0
        .keys()
        .any(|key| SETTINGS.contains(&key.as_str()))
    {
        let access = call
            .app
            .authorize::<can::AdminProject>(actor, footplate_app::ProjectRef::Id(made.id))
            .await?;
        let mut changed = access.project().clone();
        settings(&call, &mut changed)?;
        made = call.app.update_project(&access, changed).await?;
    }
    Ok(answer(
        StatusCode::CREATED,
        &shape::project(&call.app, &made),
    ))
}

const SETTINGS: [&str; 19] = [
    "public_jobs",
    "public_builds",
    "shared_runners_enabled",
    "group_runners_enabled",
    "ci_config_path",
    "build_timeout",
    "build_git_strategy",
    "ci_default_git_depth",
    "ci_separated_caches",
    "keep_latest_artifact",
    "builds_access_level",
    "auto_cancel_pending_pipelines",
    "ci_forward_deployment_enabled",
    "ci_forward_deployment_rollback_allowed",
    "restrict_user_defined_variables",
    "ci_pipeline_variables_minimum_override_role",
    "jobs_enabled",
    "ci_push_repository_for_job_token_allowed",
    "topics",
];

/// Writes given settings into a project.
fn settings(call: &Call, project: &mut Project) -> Result<(), Failure> {
    let params = &call.params;
    let set = &mut project.settings;
    for (name, slot) in [
        ("public_jobs", &mut set.public_jobs),
        ("shared_runners_enabled", &mut set.shared_runners_enabled),
        ("group_runners_enabled", &mut set.group_runners_enabled),
        ("ci_separated_caches", &mut set.ci_separated_caches),
        ("keep_latest_artifact", &mut set.keep_latest_artifact),
        (
            "ci_forward_deployment_enabled",
            &mut set.ci_forward_deployment_enabled,
        ),
        (
            "ci_forward_deployment_rollback_allowed",
            &mut set.ci_forward_deployment_rollback_allowed,
        ),
        (
            "restrict_user_defined_variables",
            &mut set.restrict_user_defined_variables,
        ),
        (
            "ci_push_repository_for_job_token_allowed",
            &mut set.ci_push_repository_for_job_token_allowed,
        ),
    ] {
        if let Some(value) = params.boolean(name)? {
            *slot = value;
        }
    }
    if let Some(value) = params.boolean("public_builds")? {
        set.public_jobs = value;
    }
    if let Some(value) = params.boolean("jobs_enabled")? {
        set.builds_access_level = if value {
            BuildsAccess::Enabled
        } else {
            BuildsAccess::Disabled
        };
    }
    match params.text("builds_access_level")?.as_deref() {
        None => {}
        Some("disabled") => set.builds_access_level = BuildsAccess::Disabled,
        Some("private") => set.builds_access_level = BuildsAccess::Private,
        Some("enabled") => set.builds_access_level = BuildsAccess::Enabled,
        Some(_) => return Err(wrong("builds_access_level")),
    }
    match params.text("auto_cancel_pending_pipelines")?.as_deref() {
        None => {}
        Some("enabled") => set.auto_cancel_pending_pipelines = true,
        Some("disabled") => set.auto_cancel_pending_pipelines = false,
        Some(_) => return Err(wrong("auto_cancel_pending_pipelines")),
    }
    if let Some(path) = params.text("ci_config_path")? {
        set.ci_config_path = (!path.is_empty()).then_some(path);
    }
    if let Some(seconds) = params.integer("build_timeout")? {
        if seconds < 600 {
            return Err(Error::invalid("build_timeout", "must be at least 10 minutes").into());
        }
        set.build_timeout = seconds;
    }
    if let Some(depth) = params.integer("ci_default_git_depth")? {
        if !(0..=1000).contains(&depth) {
            return Err(
                Error::invalid("ci_default_git_depth", "must be between 0 and 1000").into(),
            );
        }
        set.ci_default_git_depth = depth;
    }
    if let Some(word) = params.text("build_git_strategy")? {
        set.build_git_strategy =
            GitStrategy::parse(&word).ok_or_else(|| wrong("build_git_strategy"))?;
    }
    if let Some(word) = params.text("ci_pipeline_variables_minimum_override_role")? {
        set.ci_pipeline_variables_minimum_override_role = VariablesRole::parse(&word)
            .ok_or_else(|| wrong("ci_pipeline_variables_minimum_override_role"))?;
    }
    if let Some(topics) = params.comma_texts("topics")? {
        project.topics = topics;
    }
    Ok(())
}

/// `GET /projects/:id`
pub async fn show(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let access = call.project::<can::ReadProject>(actor).await?;
    Ok(answer(
        StatusCode::OK,
        &shape::project(&call.app, access.project()),
    ))
}

/// `PUT /projects/:id`
pub async fn update(call: Call) -> Answer {
    let actor = call.user().await?;
    let access = call.project::<can::AdminProject>(actor).await?;
    let mut changed = access.project().clone();
    settings(&call, &mut changed)?;
    if let Some(name) = call.params.text("name")? {
        changed.name = name;
    }
    if let Some(text) = call.params.text("description")? {
        changed.description = text;
    }
    if let Some(word) = visibility(&call)? {
        changed.visibility = word;
    }
    if let Some(branch) = call.params.text("default_branch")? {
        changed.default_branch = Some(branch);
    }
    let done = call.app.update_project(&access, changed).await?;
    Ok(answer(StatusCode::OK, &shape::project(&call.app, &done)))
}

/// `DELETE /projects/:id`
pub async fn remove(call: Call) -> Answer {
    let actor = call.user().await?;
    let access = call.project::<can::RemoveProject>(actor).await?;
    call.app.delete_project(&access).await?;
    Ok(answer(
        StatusCode::ACCEPTED,
        &json!({"message": "202 Accepted"}),
    ))
}

async fn member_list(call: &Call, of: MemberOf, all: bool) -> Answer {
    let rows = call.app.list_members(of, all).await?;
    let page = Page::of(call)?;
    let total = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let (skip, take) = (
        usize::try_from(page.offset()).unwrap_or(usize::MAX),
        usize::try_from(page.per_page).unwrap_or(0),
    );
    let shown = rows
        .iter()
        .skip(skip)
        .take(take)
        .map(|(member, user)| shape::member(&call.app, member, user));
    let mut response = answer(StatusCode::OK, &Json::from_iter(shown));
    page.headers(
        call,
        &mut response,
        Some(total),
        page.offset().saturating_add(page.per_page) < total,
    );
    Ok(response)
}

/// `GET /projects/:id/members`
pub async fn members(call: Call) -> Answer {
    let actor = call.user().await?;
    let access = call.project::<can::ReadMembers>(actor).await?;
    member_list(&call, MemberOf::Project(access.project_id()), false).await
}

/// `GET /projects/:id/members/all`
pub async fn all_members(call: Call) -> Answer {
    let actor = call.user().await?;
    let access = call.project::<can::ReadMembers>(actor).await?;
    member_list(&call, MemberOf::Project(access.project_id()), true).await
}

fn level(call: &Call) -> Result<AccessLevel, Failure> {
    let level = call.params.integer("access_level")?;
    Ok(AccessLevel(level.ok_or_else(|| {
        Error::Parameter("access_level is missing".to_owned())
    })?))
}

fn expiry(call: &Call) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = call
        .params
        .text("expires_at")?
        .filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    let parsed = Timestamp::parse(&format!("{text}T00:00:00Z")).or_else(|| Timestamp::parse(&text));
    Ok(Some(
        parsed.ok_or_else(|| crate::params::invalid("expires_at"))?,
    ))
}

/// Nobody gives a higher role than their own.
fn may_give(own: AccessLevel, admin: bool, given: AccessLevel) -> Result<(), Failure> {
    if admin || given <= own {
        Ok(())
    } else {
        Err(Error::FORBIDDEN.into())
    }
}

async fn add(call: &Call, of: MemberOf, by: &Actor) -> Answer {
    let user = call
        .params
        .integer("user_id")?
        .ok_or_else(|| Error::Parameter("user_id is missing".to_owned()))?;
    let member = call
        .app
        .add_member(of, UserId(user), level(call)?, expiry(call)?, by.user_id())
        .await?;
    let user = call.app.find_user(member.user_id).await?;
    Ok(answer(
        StatusCode::CREATED,
        &shape::member(&call.app, &member, &user),
    ))
}

/// `POST /projects/:id/members`
pub async fn add_member(call: Call) -> Answer {
    let actor = call.user().await?;
    let access = call.project::<can::AdminMembers>(actor).await?;
    may_give(
        access.standing().level,
        access.standing().admin,
        level(&call)?,
    )?;
    add(
        &call,
        MemberOf::Project(access.project_id()),
        access.actor(),
    )
    .await
}

/// `PUT /projects/:id/members/:user_id`
pub async fn update_member(call: Call) -> Answer {
    let actor = call.user().await?;
    let user = UserId(call.path_id("user_id")?);
    let access = call.project::<can::AdminMembers>(actor).await?;
    may_give(
        access.standing().level,
        access.standing().admin,
        level(&call)?,
    )?;
    let of = MemberOf::Project(access.project_id());
    let member = call
        .app
        .update_member(of, user, level(&call)?, expiry(&call)?)
        .await?;
    let user = call.app.find_user(user).await?;
    Ok(answer(
        StatusCode::OK,
        &shape::member(&call.app, &member, &user),
    ))
}

/// `DELETE /projects/:id/members/:user_id`
pub async fn remove_member(call: Call) -> Answer {
    let actor = call.user().await?;
    let user = UserId(call.path_id("user_id")?);
    let access = call.project::<can::AdminMembers>(actor).await?;
    call.app
        .remove_member(MemberOf::Project(access.project_id()), user)
        .await?;
    Ok(no_content())
}

async fn protections(call: &Call, tag: bool) -> Answer {
    let actor = call.user().await?;
    let access = call.project::<can::PushCode>(actor).await?;
    let rows = call
        .app
        .list_protected_refs(access.project_id(), tag)
        .await?;
    Ok(answer(
        StatusCode::OK,
        &Json::from_iter(rows.iter().map(shape::protected)),
    ))
}

/// `GET …/protected_branches`
pub async fn protected_branches(call: Call) -> Answer {
    protections(&call, false).await
}

/// `GET …/protected_tags`
pub async fn protected_tags(call: Call) -> Answer {
    protections(&call, true).await
}

async fn protect(call: &Call, tag: bool, levels: (&str, &str)) -> Answer {
    let actor = call.user().await?;
    let name = call.params.required("name")?;
    let role = |name: &str| -> Result<AccessLevel, Failure> {
        let level = call.params.integer(name)?.unwrap_or(40);
        if [0, 30, 40, 60].contains(&level) {
            Ok(AccessLevel(level))
        } else {
            Err(wrong(name))
        }
    };
    let (push, merge) = (role(levels.0)?, role(levels.1)?);
    let access = call.project::<can::AdminProject>(actor).await?;
    let new = ProtectedRef {
        id: ProtectedRefId(0),
        project_id: ProjectId(0),
        tag,
        name,
        push_access_level: push,
        merge_access_level: merge,
        allow_force_push: call.params.boolean("allow_force_push")?.unwrap_or(false),
        created_at: call.app.now(),
    };
    let made = call.app.protect_ref(&access, new).await?;
    Ok(answer(StatusCode::CREATED, &shape::protected(&made)))
}

/// `POST …/protected_branches`
pub async fn protect_branch(call: Call) -> Answer {
    protect(&call, false, ("push_access_level", "merge_access_level")).await
}

/// `POST …/protected_tags`
pub async fn protect_tag(call: Call) -> Answer {
    protect(&call, true, ("create_access_level", "create_access_level")).await
}

async fn unprotect(call: &Call, tag: bool) -> Answer {
    let actor = call.user().await?;
    let name = call.path("name")?;
    let access = call.project::<can::AdminProject>(actor).await?;
    call.app.unprotect_ref(&access, tag, name).await?;
    Ok(no_content())
}

/// `DELETE …/protected_branches/:name`
pub async fn unprotect_branch(call: Call) -> Answer {
    unprotect(&call, false).await
}

/// `DELETE …/protected_tags/:name`
pub async fn unprotect_tag(call: Call) -> Answer {
    unprotect(&call, true).await
}

/// `GET /groups`
pub async fn list_groups(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let page = Page::of(&call)?;
    let filter = footplate_app::group_filter::Filter {
        search: call.params.text("search")?.unwrap_or_default(),
        admin: actor.is_admin(),
        viewer: actor.user_id(),
        owned: call.params.boolean("owned")?.unwrap_or(false),
        top_level: call.params.boolean("top_level_only")?.unwrap_or(false),
        below: None,
    };
    let (rows, total) = call
        .app
        .list_groups(filter, page.per_page, page.offset())
        .await?;
    let mut response = answer(
        StatusCode::OK,
        &Json::from_iter(rows.iter().map(|row| shape::group(&call.app, row))),
    );
    page.headers(
        &call,
        &mut response,
        Some(total),
        page.offset().saturating_add(page.per_page) < total,
    );
    Ok(response)
}

/// `POST /groups`
pub async fn create_group(call: Call) -> Answer {
    let actor = call.user().await?;
    let new = NewGroup {
        name: call.params.required("name")?,
        path: call.params.required("path")?,
        parent: call.params.text("parent_id")?,
        description: call.params.text("description")?.unwrap_or_default(),
        visibility: visibility(&call)?,
    };
    let made = call.app.create_group(&actor, new).await?;
    Ok(answer(StatusCode::CREATED, &shape::group(&call.app, &made)))
}

pub(super) async fn group(
    call: &Call,
    actor: Actor,
    needed: AccessLevel,
) -> Result<GroupAccess, Failure> {
    let id = call.path("id")?;
    Ok(call.app.authorize_group(actor, id, needed).await?)
}

/// `GET /groups/:id`
pub async fn show_group(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let access = group(&call, actor, AccessLevel::NONE).await?;
    Ok(answer(
        StatusCode::OK,
        &shape::group(&call.app, &access.group),
    ))
}

/// `DELETE /groups/:id`
pub async fn remove_group(call: Call) -> Answer {
    let actor = call.user().await?;
    let access = group(&call, actor, AccessLevel::OWNER).await?;
    call.app.delete_group(&access).await?;
    Ok(answer(
        StatusCode::ACCEPTED,
        &json!({"message": "202 Accepted"}),
    ))
}

/// `GET /groups/:id/members`
pub async fn group_members(call: Call) -> Answer {
    let actor = call.user().await?;
    let access = group(&call, actor, AccessLevel::NONE).await?;
    member_list(&call, MemberOf::Group(access.group.id), false).await
}

/// `POST /groups/:id/members`
pub async fn add_group_member(call: Call) -> Answer {
    let actor = call.user().await?;
    let access = group(&call, actor, AccessLevel::OWNER).await?;
    add(&call, MemberOf::Group(access.group.id), &access.actor).await
}

/// `DELETE /groups/:id/members/:user_id`
pub async fn remove_group_member(call: Call) -> Answer {
    let actor = call.user().await?;
    let user = UserId(call.path_id("user_id")?);
    let access = group(&call, actor, AccessLevel::OWNER).await?;
    call.app
        .remove_member(MemberOf::Group(access.group.id), user)
        .await?;
    Ok(no_content())
}
