//! GitLab's REST API, version 4: the router is the table of contents.

mod agents;
mod ci_lint;
mod job;
mod jobs;
mod misc;
mod pipelines;
mod projects;
mod repository;
mod runner;
mod runners;
mod users;
mod variables;

use axum::{
    Router,
    routing::{delete, get, patch, post, put},
};
use footplate_app::App;

/// Routes below `/api/v4`.
pub fn routes() -> Router<App> {
    Router::new()
        .merge(job_routes())
        .merge(pipeline_routes())
        .merge(runner_routes())
        .merge(project_routes())
        .merge(repository_routes())
        .merge(user_routes())
        .merge(agent_routes())
        .route("/version", get(misc::version))
        .route("/metadata", get(misc::metadata))
}

fn job_routes() -> Router<App> {
    Router::new()
        .route("/job", get(job::show))
        .route("/job/allowed_agents", get(job::allowed_agents))
        .route("/projects/{id}/jobs", get(jobs::list))
        .route("/projects/{id}/jobs/{job_id}", get(jobs::show))
        .route("/projects/{id}/jobs/{job_id}/trace", get(jobs::trace))
        .route("/projects/{id}/jobs/{job_id}/cancel", post(jobs::cancel))
        .route("/projects/{id}/jobs/{job_id}/retry", post(jobs::retry))
        .route("/projects/{id}/jobs/{job_id}/erase", post(jobs::erase))
        .route("/projects/{id}/jobs/{job_id}/play", post(jobs::play))
        .route(
            "/projects/{id}/jobs/{job_id}/artifacts",
            get(jobs::artifacts).delete(jobs::delete_artifacts),
        )
        .route(
            "/projects/{id}/jobs/{job_id}/artifacts/keep",
            post(jobs::keep),
        )
        .route(
            "/projects/{id}/jobs/{job_id}/artifacts/{*artifact_path}",
            get(jobs::artifact_file),
        )
        .route(
            "/projects/{id}/jobs/artifacts/{*rest}",
            get(jobs::artifacts_by_ref),
        )
}

fn agent_routes() -> Router<App> {
    Router::new()
        .route(
            "/projects/{id}/cluster_agents",
            get(agents::list).post(agents::create),
        )
        .route(
            "/projects/{id}/cluster_agents/{agent_id}",
            get(agents::show).delete(agents::remove),
        )
        .route(
            "/projects/{id}/cluster_agents/{agent_id}/tokens",
            get(agents::list_tokens).post(agents::create_token),
        )
        .route(
            "/projects/{id}/cluster_agents/{agent_id}/tokens/{token_id}",
            get(agents::show_token).delete(agents::revoke_token),
        )
}

fn pipeline_routes() -> Router<App> {
    Router::new()
        .route(
            "/projects/{id}/ci/lint",
            get(ci_lint::check_project).post(ci_lint::check_text),
        )
        .route("/projects/{id}/pipeline", post(pipelines::create))
        .route("/projects/{id}/pipelines", get(pipelines::list))
        .route("/projects/{id}/pipelines/latest", get(pipelines::latest))
        .route(
            "/projects/{id}/pipelines/{pipeline_id}",
            get(pipelines::show).delete(pipelines::remove),
        )
        .route(
            "/projects/{id}/pipelines/{pipeline_id}/cancel",
            post(pipelines::cancel),
        )
        .route(
            "/projects/{id}/pipelines/{pipeline_id}/retry",
            post(pipelines::retry),
        )
        .route(
            "/projects/{id}/pipelines/{pipeline_id}/variables",
            get(pipelines::variables),
        )
        .route(
            "/projects/{id}/pipelines/{pipeline_id}/jobs",
            get(jobs::of_pipeline),
        )
        .route(
            "/projects/{id}/pipelines/{pipeline_id}/bridges",
            get(jobs::bridges),
        )
        .route(
            "/projects/{id}/pipelines/{pipeline_id}/trigger_jobs",
            get(jobs::bridges),
        )
}

fn runner_routes() -> Router<App> {
    Router::new()
        .route(
            "/runners",
            post(runner::register).delete(runner::unregister),
        )
        .route("/runners/verify", post(runner::verify))
        .route("/runners/managers", delete(runner::unregister_manager))
        .route(
            "/runners/reset_authentication_token",
            post(runner::reset_token),
        )
        .route("/runners/router/discovery", get(runner::discovery))
        .route("/jobs/request", post(runner::request))
        .route("/jobs/{job_id}", put(runner::update))
        .route("/jobs/{job_id}/trace", patch(runner::append_trace))
        .route(
            "/jobs/{job_id}/artifacts",
            post(runner::upload).get(runner::download),
        )
        .route("/user/runners", post(runners::create))
}

fn project_routes() -> Router<App> {
    Router::new()
        .route("/projects", get(projects::list).post(projects::create))
        .route(
            "/projects/{id}",
            get(projects::show)
                .put(projects::update)
                .delete(projects::remove),
        )
        .route(
            "/projects/{id}/members",
            get(projects::members).post(projects::add_member),
        )
        .route("/projects/{id}/members/all", get(projects::all_members))
        .route(
            "/projects/{id}/members/{user_id}",
            put(projects::update_member).delete(projects::remove_member),
        )
        .route(
            "/projects/{id}/protected_branches",
            get(projects::protected_branches).post(projects::protect_branch),
        )
        .route(
            "/projects/{id}/protected_branches/{name}",
            delete(projects::unprotect_branch),
        )
        .route(
            "/projects/{id}/protected_tags",
            get(projects::protected_tags).post(projects::protect_tag),
        )
        .route(
            "/projects/{id}/protected_tags/{name}",
            delete(projects::unprotect_tag),
        )
        .route(
            "/projects/{id}/variables",
            get(variables::list_project).post(variables::create_project),
        )
        .route(
            "/projects/{id}/variables/{key}",
            get(variables::show_project)
                .put(variables::update_project)
                .delete(variables::remove_project),
        )
        .route(
            "/groups/{id}/variables",
            get(variables::list_group).post(variables::create_group),
        )
        .route(
            "/groups/{id}/variables/{key}",
            get(variables::show_group)
                .put(variables::update_group)
                .delete(variables::remove_group),
        )
        .route(
            "/admin/ci/variables",
            get(variables::list_instance).post(variables::create_instance),
        )
        .route(
            "/admin/ci/variables/{key}",
            get(variables::show_instance)
                .put(variables::update_instance)
                .delete(variables::remove_instance),
        )
        .route(
            "/groups",
            get(projects::list_groups).post(projects::create_group),
        )
        .route(
            "/groups/{id}",
            get(projects::show_group).delete(projects::remove_group),
        )
        .route(
            "/groups/{id}/members",
            get(projects::group_members).post(projects::add_group_member),
        )
        .route(
            "/groups/{id}/members/{user_id}",
            delete(projects::remove_group_member),
        )
}

fn repository_routes() -> Router<App> {
    Router::new()
        .route(
            "/projects/{id}/repository/branches",
            get(repository::branches).post(repository::create_branch),
        )
        .route(
            "/projects/{id}/repository/branches/{branch}",
            get(repository::branch).delete(repository::delete_branch),
        )
        .route(
            "/projects/{id}/repository/tags",
            get(repository::tags).post(repository::create_tag),
        )
        .route(
            "/projects/{id}/repository/tags/{tag}",
            get(repository::tag).delete(repository::delete_tag),
        )
        .route(
            "/projects/{id}/repository/commits",
            get(repository::commits).post(repository::create_commit),
        )
        .route(
            "/projects/{id}/repository/commits/{sha}",
            get(repository::commit),
        )
        .route("/projects/{id}/repository/tree", get(repository::tree))
        .route(
            "/projects/{id}/repository/files/{path}",
            get(repository::file)
                .post(repository::create_file)
                .put(repository::update_file)
                .delete(repository::delete_file),
        )
        .route(
            "/projects/{id}/repository/files/{path}/raw",
            get(repository::raw_file),
        )
}

fn user_routes() -> Router<App> {
    Router::new()
        .route("/user", get(users::own))
        .route("/users", get(users::list).post(users::create))
        .route("/users/{user_id}", get(users::show))
        .route("/users/{user_id}/block", post(users::block))
        .route("/users/{user_id}/unblock", post(users::unblock))
        .route(
            "/users/{user_id}/personal_access_tokens",
            post(users::create_token_for),
        )
        .route(
            "/user/personal_access_tokens",
            post(users::create_own_token),
        )
        .route("/personal_access_tokens", get(users::list_tokens))
        .route(
            "/personal_access_tokens/{token_id}",
            get(users::show_token).delete(users::revoke_token),
        )
}
