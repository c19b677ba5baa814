//! Branches, tags, commits and files (`rest-api.md §12`).

use axum::{body::Body, response::Response};
use base64::Engine as _;
use footplate_app::git::{Action, Branch, Change, Commit, Sha};
use footplate_app::{Error, NewCommit, can};
use footplate_model::ProtectedRef;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value as Json, json};

use crate::{
    call::Call,
    entity::commit as shape,
    error::{Answer, Failure, answer, no_content},
    page::Page,
};

/// A file in JSON may be so large.
const FILE_LIMIT: u64 = 10 << 20;

fn is_protected(list: &[ProtectedRef], name: &str) -> bool {
    list.iter().any(|entry| entry.matches(entry.tag, name))
}

/// `GET …/repository/branches`
pub async fn branches(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let page = Page::of(&call)?;
    let search = call.params.text("search")?.unwrap_or_default();
    let access = call.project::<can::ReadCode>(actor).await?;
    let repository = call.app.repository(access.project_id());
    let (skip, take) = (
        usize::try_from(page.offset()).unwrap_or(usize::MAX),
        usize::try_from(page.per_page).unwrap_or(0),
    );
    let (rows, total) = repository
        .branches(|name| name.contains(&search), skip, take)
        .await?;
    let protections = call
        .app
        .list_protected_refs(access.project_id(), false)
        .await?;
    let project = access.project();
    let shown = rows
        .iter()
        .map(|row| one_branch(&call, project, row, &protections));
    let mut response = answer(StatusCode::OK, &Json::from_iter(shown));
    let total = i64::try_from(total).unwrap_or(i64::MAX);
    page.headers(
        &call,
        &mut response,
        Some(total),
        page.offset().saturating_add(page.per_page) < total,
    );
    Ok(response)
}

fn one_branch(
    call: &Call,
    project: &footplate_model::Project,
    row: &Branch,
    protections: &[ProtectedRef],
) -> Json {
    let default = project.default_branch.as_ref() == Some(&row.name);
    shape::branch(
        &call.app,
        &project.full_path,
        row,
        default,
        is_protected(protections, &row.name),
    )
}

/// `GET …/branches/:branch`
pub async fn branch(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let name = call.path("branch")?;
    let access = call.project::<can::ReadCode>(actor).await?;
    let found = call.app.repository(access.project_id()).branch(&name).await;
    let found = found
        .unwrap_or(None)
        .ok_or(Error::NotFound("404 Branch Not Found"))?;
    let protections = call
        .app
        .list_protected_refs(access.project_id(), false)
        .await?;
    Ok(answer(
        StatusCode::OK,
        &one_branch(&call, access.project(), &found, &protections),
    ))
}

/// `POST …/branches`
pub async fn create_branch(call: Call) -> Answer {
    let actor = call.user().await?;
    let (name, from) = (
        call.params.required("branch")?,
        call.params.required("ref")?,
    );
    let access = call.project::<can::PushCode>(actor).await?;
    call.app.create_branch(&access, &name, &from).await?;
    let found = call
        .app
        .repository(access.project_id())
        .branch(&name)
        .await?;
    let found = found.ok_or(Error::NotFound("404 Branch Not Found"))?;
    let protections = call
        .app
        .list_protected_refs(access.project_id(), false)
        .await?;
    Ok(answer(
        StatusCode::CREATED,
        &one_branch(&call, access.project(), &found, &protections),
    ))
}

/// `DELETE …/branches/:branch`
pub async fn delete_branch(call: Call) -> Answer {
    let actor = call.user().await?;
    let name = call.path("branch")?;
    let access = call.project::<can::PushCode>(actor).await?;
    call.app.delete_branch(&access, &name).await?;
    Ok(no_content())
}

async fn one_tag(
    call: &Call,
    project: &footplate_model::Project,
    name: &str,
) -> Result<Json, Failure> {
    let repository = call.app.repository(project.id);
    let found = repository
        .tag(name)
        .await
        .unwrap_or(None)
        .ok_or(Error::NotFound("404 Tag Not Found"))?;
    let commit = match repository.resolve(&format!("refs/tags/{name}")).await? {
        Some(sha) => repository.commit(&sha).await?,
        None => None,
    };
    let protections = call.app.list_protected_refs(project.id, true).await?;
    Ok(shape::tag(
        &call.app,
        &project.full_path,
        &found,
        commit.as_ref(),
        is_protected(&protections, name),
    ))
}

/// `GET …/repository/tags`
pub async fn tags(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let page = Page::of(&call)?;
    let search = call.params.text("search")?.unwrap_or_default();
    let access = call.project::<can::ReadCode>(actor).await?;
    let repository = call.app.repository(access.project_id());
    let (skip, take) = (
        usize::try_from(page.offset()).unwrap_or(usize::MAX),
        usize::try_from(page.per_page).unwrap_or(0),
    );
    let (rows, total) = repository
        .tags(|name| name.contains(&search), skip, take)
        .await?;
    let mut shown = Vec::with_capacity(rows.len());
    for row in &rows {
        shown.push(one_tag(&call, access.project(), &row.name).await?);
    }
    let mut response = answer(StatusCode::OK, &Json::Array(shown));
    let total = i64::try_from(total).unwrap_or(i64::MAX);
    page.headers(
        &call,
        &mut response,
        Some(total),
        page.offset().saturating_add(page.per_page) < total,
    );
    Ok(response)
}

/// `GET …/tags/:tag`
pub async fn tag(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let name = call.path("tag")?;
    let access = call.project::<can::ReadCode>(actor).await?;
    Ok(answer(
        StatusCode::OK,
        &one_tag(&call, access.project(), &name).await?,
    ))
}

/// `POST …/tags`
pub async fn create_tag(call: Call) -> Answer {
    let actor = call.user().await?;
    let (name, from) = (
        call.params.required("tag_name")?,
        call.params.required("ref")?,
    );
    let message = call.params.text("message")?.filter(|text| !text.is_empty());
    let access = call.project::<can::PushCode>(actor).await?;
    call.app.create_tag(&access, &name, &from, message).await?;
    Ok(answer(
        StatusCode::CREATED,
        &one_tag(&call, access.project(), &name).await?,
    ))
}

/// `DELETE …/tags/:tag`
pub async fn delete_tag(call: Call) -> Answer {
    let actor = call.user().await?;
    let name = call.path("tag")?;
    let access = call.project::<can::PushCode>(actor).await?;
    call.app.delete_tag(&access, &name).await?;
    Ok(no_content())
}

async fn resolve(
    call: &Call,
    project: &footplate_model::Project,
    name: Option<String>,
) -> Result<Option<Sha>, Failure> {
    let Some(name) = name.or_else(|| project.default_branch.clone()) else {
        return Ok(None);
    };
    Ok(call.app.repository(project.id).resolve(&name).await?)
}

/// `GET …/commits`
pub async fn commits(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let page = Page::of(&call)?;
    let name = call.params.text("ref_name")?;
    let path = call.params.text("path")?;
    let access = call.project::<can::ReadCode>(actor).await?;
    let Some(sha) = resolve(&call, access.project(), name).await? else {
        return Ok(answer(StatusCode::OK, &json!([])));
    };
    let rows = call
        .app
        .list_commits(
            access.project_id(),
            &sha,
            path,
            page.per_page + 1,
            page.offset(),
        )
        .await?;
    let wanted = usize::try_from(page.per_page).unwrap_or(0);
    let path = &access.project().full_path;
    let shown = rows
        .iter()
        .take(wanted)
        .map(|row| shape::commit(&call.app, path, row));
    let mut response = answer(StatusCode::OK, &Json::from_iter(shown));
    page.headers(&call, &mut response, None, rows.len() > wanted);
    Ok(response)
}

async fn find_commit(
    call: &Call,
    project: &footplate_model::Project,
    name: String,
) -> Result<Commit, Failure> {
    let missing = || Error::NotFound("404 Commit Not Found");
    let sha = resolve(call, project, Some(name))
        .await?
        .ok_or_else(missing)?;
    Ok(call
        .app
        .repository(project.id)
        .commit(&sha)
        .await?
        .ok_or_else(missing)?)
}

/// `GET …/commits/:sha`
pub async fn commit(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let name = call.path("sha")?;
    let access = call.project::<can::ReadCode>(actor).await?;
    let found = find_commit(&call, access.project(), name).await?;
    let repository = call.app.repository(access.project_id());
    let stats = repository
        .commit_stats(std::slice::from_ref(&found.id))
        .await?;
    let stats = stats.get(&found.id).copied().unwrap_or_default();
    let path = &access.project().full_path;
    let mut shown = shape::commit(&call.app, path, &found);
    shown["stats"] =
        json!({"additions": stats.additions, "deletions": stats.deletions, "total": stats.total()});
    shown["project_id"] = json!(access.project_id().0);
    let last = call
        .app
        .last_pipeline_of(access.project_id(), found.id.to_string())
        .await?;
    shown["status"] = json!(last.as_ref().map(|pipeline| pipeline.status.as_str()));
    shown["last_pipeline"] =
        json!(last.map(|pipeline| crate::entity::pipeline::basic(&call.app, path, &pipeline)));
    Ok(answer(StatusCode::OK, &shown))
}

fn content(object: &Map<String, Json>) -> Result<bytes::Bytes, Failure> {
    let text = object
        .get("content")
        .and_then(crate::params::scalar)
        .unwrap_or_default();
    if object.get("encoding").and_then(Json::as_str) == Some("base64") {
        let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let bytes = base64::engine::general_purpose::STANDARD.decode(plain);
        return Ok(bytes
            .map_err(|_| Error::Parameter("content is invalid".to_owned()))?
            .into());
    }
    Ok(text.into_bytes().into())
}

fn change(object: &Map<String, Json>, index: usize) -> Result<Change, Failure> {
    let text = |name: &str| object.get(name).and_then(Json::as_str).map(str::to_owned);
    let missing = |name: &str| Error::Parameter(format!("actions[{index}][{name}] is missing"));
    let path = text("file_path").ok_or_else(|| missing("file_path"))?;
    let action = match text("action").ok_or_else(|| missing("action"))?.as_str() {
        "create" => Action::Create(content(object)?),
        "update" => Action::Update(content(object)?),
        "delete" => Action::Delete,
        "move" => Action::Move {
            from: text("previous_path").ok_or_else(|| missing("previous_path"))?,
            content: object
                .contains_key("content")
                .then(|| content(object))
                .transpose()?,
        },
        "chmod" => Action::Chmod,
        _ => {
            return Err(Error::Parameter(format!(
                "actions[{index}][action] does not have a valid value"
            ))
            .into());
        }
    };
    let last_commit = text("last_commit_id")
        .map(|sha| Sha::parse(&sha))
        .transpose()?;
    let executable = object.get("execute_filemode").and_then(Json::as_bool);
    Ok(Change {
        path,
        action,
        executable,
        last_commit,
    })
}

fn new_commit(call: &Call, changes: Vec<Change>) -> Result<NewCommit, Failure> {
    Ok(NewCommit {
        branch: call.params.required("branch")?,
        start: call
            .params
            .text("start_branch")?
            .or(call.params.text("start_sha")?),
        message: call.params.required("commit_message")?,
        author_name: call.params.text("author_name")?,
        author_email: call.params.text("author_email")?,
        changes,
    })
}

/// `POST …/commits`
pub async fn create_commit(call: Call) -> Answer {
    let actor = call.user().await?;
    let objects = call
        .params
        .objects("actions")?
        .ok_or_else(|| Error::Parameter("actions is missing".to_owned()))?;
    let changes = objects
        .iter()
        .enumerate()
        .map(|(index, object)| change(object, index))
        .collect::<Result<_, _>>()?;
    let new = new_commit(&call, changes)?;
    let access = call.project::<can::PushCode>(actor).await?;
    let made = call.app.create_commit(&access, new).await?;
    Ok(answer(
        StatusCode::CREATED,
        &shape::commit(&call.app, &access.project().full_path, &made),
    ))
}

/// `GET …/repository/tree`
pub async fn tree(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let page = Page::of(&call)?;
    let path = call.params.text("path")?.unwrap_or_default();
    let recursive = call.params.boolean("recursive")?.unwrap_or(false);
    let name = call.params.text("ref")?;
    let access = call.project::<can::ReadCode>(actor).await?;
    let missing = || Error::NotFound("404 Tree Not Found");
    let sha = resolve(&call, access.project(), name)
        .await?
        .ok_or_else(missing)?;
    let rows = call
        .app
        .list_tree(access.project_id(), &sha, &path, recursive)
        .await?;
    let total = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let (skip, take) = (
        usize::try_from(page.offset()).unwrap_or(usize::MAX),
        usize::try_from(page.per_page).unwrap_or(0),
    );
    let shown = rows.iter().skip(skip).take(take).map(|row| {
        json!({"id": row.id.as_str(), "name": row.name, "type": row.kind.as_str(), "path": row.path, "mode": row.mode})
    });
    let mut response = answer(StatusCode::OK, &Json::from_iter(shown));
    page.headers(
        &call,
        &mut response,
        Some(total),
        page.offset().saturating_add(page.per_page) < total,
    );
    Ok(response)
}

/// `GET …/files/:path`
pub async fn file(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let path = call.path("path")?;
    let name = call.params.text("ref")?;
    let access = call.project::<can::ReadCode>(actor).await?;
    let missing = || Error::NotFound("404 File Not Found");
    let reference = name
        .clone()
        .or_else(|| access.project().default_branch.clone())
        .unwrap_or_default();
    let found = find_commit(&call, access.project(), reference.clone()).await?;
    let repository = call.app.repository(access.project_id());
    let blob = repository
        .blob(&found.id, &path, FILE_LIMIT)
        .await?
        .ok_or_else(missing)?;
    let last = repository.last_commit_for_path(&found.id, &path).await?;
    let shown = json!({
        "file_name": path.rsplit('/').next().unwrap_or(&path), "file_path": path, "size": blob.data.len(), "encoding": "base64",
        "content_sha256": sha2_digest(&blob.data), "ref": reference, "blob_id": blob.id.as_str(), "commit_id": found.id.as_str(),
        "last_commit_id": last.as_ref().map_or(found.id.as_str(), Sha::as_str), "execute_filemode": blob.executable,
        "content": base64::engine::general_purpose::STANDARD.encode(&blob.data),
    });
    Ok(answer(StatusCode::OK, &shown))
}

fn sha2_digest(data: &[u8]) -> String {
    footplate_app::secrets::sha256_hex(data)
}

/// `GET …/files/:path/raw`
pub async fn raw_file(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let path = call.path("path")?;
    let name = call.params.text("ref")?;
    let access = call.project::<can::ReadCode>(actor).await?;
    let missing = || Error::NotFound("404 File Not Found");
    let sha = resolve(&call, access.project(), name)
        .await?
        .ok_or_else(missing)?;
    let found = call
        .app
        .repository(access.project_id())
        .blob_stream(&sha, &path)
        .await?;
    let (info, stream) = found.ok_or_else(missing)?;
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(info.size));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    Ok(response)
}

async fn write_file(
    call: Call,
    action: impl Fn(&Call) -> Result<Action, Failure>,
    status: StatusCode,
) -> Answer {
    let actor = call.user().await?;
    let path = call.path("path")?;
    let branch = call.params.required("branch")?;
    let last_commit = call
        .params
        .text("last_commit_id")?
        .map(|sha| Sha::parse(&sha))
        .transpose()?;
    let change = Change {
        path: path.clone(),
        action: action(&call)?,
        executable: call.params.boolean("execute_filemode")?,
        last_commit,
    };
    let new = new_commit(&call, vec![change])?;
    let access = call.project::<can::PushCode>(actor).await?;
    call.app.create_commit(&access, new).await?;
    if status == StatusCode::NO_CONTENT {
        return Ok(no_content());
    }
    Ok(answer(
        status,
        &json!({"file_path": path, "branch": branch}),
    ))
}

/// `POST …/files/:path`
pub async fn create_file(call: Call) -> Answer {
    write_file(
        call,
        |call| Ok(Action::Create(content(&call.params.0)?)),
        StatusCode::CREATED,
    )
    .await
}

/// `PUT …/files/:path`
pub async fn update_file(call: Call) -> Answer {
    write_file(
        call,
        |call| Ok(Action::Update(content(&call.params.0)?)),
        StatusCode::OK,
    )
    .await
}

/// `DELETE …/files/:path`
pub async fn delete_file(call: Call) -> Answer {
    write_file(call, |_| Ok(Action::Delete), StatusCode::NO_CONTENT).await
}
