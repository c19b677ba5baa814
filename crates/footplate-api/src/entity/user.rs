//! Users and their tokens (`rest-api.md §15.1`, `§15.2`, `§11.1`).

use footplate_app::App;
use footplate_model::{AccessToken, Timestamp, User};
use serde_json::{Value as Json, json};

use super::time;

/// `UserBasic`.
pub fn basic(app: &App, user: &User) -> Json {
    json!({
        "id": user.id.0, "username": user.username, "public_email": "", "name": user.name, "state": user.state.as_str(),
        "locked": false, "avatar_url": null, "web_url": app.url(&format!("/{}", user.username)),
    })
}

/// The public profile, as a job shows it.
pub fn profile(app: &App, user: &User) -> Json {
    let mut shown = basic(app, user);
    shown["created_at"] = Json::from(user.created_at.to_string());
    for name in [
        "bio",
        "location",
        "skype",
        "linkedin",
        "twitter",
        "discord",
        "website_url",
        "github",
        "job_title",
    ] {
        shown[name] = Json::from("");
    }
    for name in ["pronouns", "organization", "work_information", "local_time"] {
        shown[name] = Json::Null;
    }
    shown["bot"] = Json::from(user.bot);
    shown["followers"] = Json::from(0);
    shown["following"] = Json::from(0);
    shown["is_followed"] = Json::from(false);
    shown
}

/// The user as they and administrators see them.
pub fn own(app: &App, user: &User) -> Json {
    let mut shown = profile(app, user);
    let created = user.created_at.to_string();
    let more = json!({
        "email": user.email, "commit_email": user.email, "is_admin": user.admin, "namespace_id": user.namespace_id.0,
        "last_sign_in_at": null, "confirmed_at": created, "last_activity_on": null, "theme_id": 1, "color_scheme_id": 1,
        "projects_limit": 100_000, "current_sign_in_at": null, "identities": [], "can_create_group": true,
        "can_create_project": true, "two_factor_enabled": false, "external": false, "private_profile": false,
    });
    if let (Some(shown), Json::Object(more)) = (shown.as_object_mut(), more) {
        shown.extend(more);
    }
    shown
}

/// A personal access token; its text only when it was just made.
pub fn token(token: &AccessToken, text: Option<&str>, now: Timestamp) -> Json {
    let mut shown = json!({
        "id": token.id.0, "name": token.name, "description": token.description, "revoked": token.revoked,
        "created_at": token.created_at.to_string(), "scopes": token.scopes, "user_id": token.user_id.0,
        "last_used_at": time(token.last_used_at), "active": token.active(now),
        "expires_at": token.expires_at.map(Timestamp::date),
    });
    if token.impersonation {
        shown["impersonation"] = Json::from(true);
    }
    if let Some(text) = text {
        shown["token"] = Json::from(text);
    }
    shown
}
