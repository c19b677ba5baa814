//! Users and access tokens (`rest-api.md §11.1`).

use footplate_app::{Actor, Error, NewToken, NewUser, Unauthorized};
use footplate_model::{AccessToken, Timestamp, TokenId, UserId, UserState};
use http::StatusCode;
use serde_json::{Value as Json, json};

use crate::{
    call::Call,
    entity::user,
    error::{Answer, Failure, answer, no_content},
    page::Page,
    params::invalid,
};

fn own_id(actor: &Actor) -> Result<UserId, Failure> {
    Ok(actor.user_id().ok_or(Error::UNAUTHORIZED)?)
}

/// `GET /user`
pub async fn own(call: Call) -> Answer {
    let actor = call.user().await?;
    let of = actor.user().ok_or(Error::UNAUTHORIZED)?;
    Ok(answer(StatusCode::OK, &user::own(&call.app, of)))
}

/// `GET /users`
pub async fn list(call: Call) -> Answer {
    let actor = call.anyone().await?;
    let page = Page::of(&call)?;
    let (search, username) = (
        call.params.text("search")?.unwrap_or_default(),
        call.params.text("username")?,
    );
    if matches!(actor, Actor::Anonymous) && username.is_none() {
        return Err(Error::FORBIDDEN.into());
    }
    let (rows, total) = call
        .app
        .list_users(search, username, page.per_page, page.offset())
        .await?;
    let shown = |of| {
        if actor.is_admin() {
            user::own(&call.app, of)
        } else {
            user::basic(&call.app, of)
        }
    };
    let mut response = answer(StatusCode::OK, &Json::from_iter(rows.iter().map(shown)));
    page.headers(
        &call,
        &mut response,
        Some(total),
        page.offset().saturating_add(page.per_page) < total,
    );
    Ok(response)
}

/// `GET /users/:id`
pub async fn show(call: Call) -> Answer {
    let actor = call.user().await?;
    let found = call.app.find_user(UserId(call.path_id("user_id")?)).await?;
    let shown = if actor.is_admin() {
        user::own(&call.app, &found)
    } else {
        user::profile(&call.app, &found)
    };
    Ok(answer(StatusCode::OK, &shown))
}

/// `POST /users`
pub async fn create(call: Call) -> Answer {
    call.admin().await?;
    let new = NewUser {
        username: call.params.required("username")?,
        name: call.params.required("name")?,
        email: call.params.required("email")?,
        password: call.params.text("password")?,
        admin: call.params.boolean("admin")?.unwrap_or(false),
    };
    let made = call.app.create_user(new).await?;
    Ok(answer(StatusCode::CREATED, &user::own(&call.app, &made)))
}

/// `POST /users/:id/block`
pub async fn block(call: Call) -> Answer {
    call.admin().await?;
    let id = UserId(call.path_id("user_id")?);
    call.app.set_user_state(id, UserState::Blocked).await?;
    Ok(answer(StatusCode::CREATED, &json!(true)))
}

/// `POST /users/:id/unblock`
pub async fn unblock(call: Call) -> Answer {
    call.admin().await?;
    let id = UserId(call.path_id("user_id")?);
    call.app.set_user_state(id, UserState::Active).await?;
    Ok(answer(StatusCode::CREATED, &json!(true)))
}

fn new_token(call: &Call) -> Result<NewToken, Failure> {
    let expires_at = match call
        .params
        .text("expires_at")?
        .filter(|text| !text.is_empty())
    {
        None => None,
        Some(text) => {
            let full = if text.contains('T') {
                text
            } else {
                format!("{text}T00:00:00Z")
            };
            Some(Timestamp::parse(&full).ok_or_else(|| invalid("expires_at"))?)
        }
    };
    Ok(NewToken {
        name: call.params.required("name")?,
        description: call.params.text("description")?.unwrap_or_default(),
        scopes: call
            .params
            .comma_texts("scopes")?
            .ok_or_else(|| Error::Parameter("scopes is missing".to_owned()))?,
        expires_at,
        impersonation: false,
        text: None,
    })
}

/// `POST /users/:id/personal_access_tokens`
pub async fn create_token_for(call: Call) -> Answer {
    call.admin().await?;
    let id = UserId(call.path_id("user_id")?);
    call.app.find_user(id).await?;
    let (token, text) = call.app.create_token(id, new_token(&call)?).await?;
    Ok(answer(
        StatusCode::CREATED,
        &user::token(&token, Some(&text), call.app.now()),
    ))
}

/// `POST /user/personal_access_tokens`
pub async fn create_own_token(call: Call) -> Answer {
    let actor = call.user().await?;
    let (token, text) = call
        .app
        .create_token(own_id(&actor)?, new_token(&call)?)
        .await?;
    Ok(answer(
        StatusCode::CREATED,
        &user::token(&token, Some(&text), call.app.now()),
    ))
}

/// `GET /personal_access_tokens`
pub async fn list_tokens(call: Call) -> Answer {
    let actor = call.user().await?;
    let of = match call.params.integer("user_id")? {
        Some(id) if actor.is_admin() || Some(UserId(id)) == actor.user_id() => UserId(id),
        Some(_) => return Err(Error::UNAUTHORIZED.into()),
        None => own_id(&actor)?,
    };
    let now = call.app.now();
    let mut rows = call.app.list_tokens(of).await?;
    if let Some(revoked) = call.params.boolean("revoked")? {
        rows.retain(|token| token.revoked == revoked);
    }
    match call.params.text("state")?.as_deref() {
        Some("active") => rows.retain(|token| token.active(now)),
        Some("inactive") => rows.retain(|token| !token.active(now)),
        Some(_) => {
            return Err(Error::Parameter("state does not have a valid value".to_owned()).into());
        }
        None => {}
    }
    Ok(answer(
        StatusCode::OK,
        &Json::from_iter(rows.iter().map(|token| user::token(token, None, now))),
    ))
}

async fn token_of(call: &Call, actor: &Actor) -> Result<AccessToken, Failure> {
    let text = call.path("token_id")?;
    let id = match (text.as_str(), actor) {
        ("self", Actor::User(of)) => of.token.ok_or(Error::UNAUTHORIZED)?,
        _ => TokenId(call.path_id("token_id")?),
    };
    let found = call.app.find_token(id).await;
    match found {
        Ok(token) if actor.is_admin() || Some(token.user_id) == actor.user_id() => Ok(token),
        Err(error) if actor.is_admin() => Err(error.into()),
        Ok(_) | Err(_) => Err(Error::Unauthorized(Unauthorized::Plain).into()),
    }
}

/// `GET /personal_access_tokens/:id`
pub async fn show_token(call: Call) -> Answer {
    let actor = call.user().await?;
    let token = token_of(&call, &actor).await?;
    Ok(answer(
        StatusCode::OK,
        &user::token(&token, None, call.app.now()),
    ))
}

/// `DELETE /personal_access_tokens/:id`
pub async fn revoke_token(call: Call) -> Answer {
    let actor = call.user().await?;
    let token = token_of(&call, &actor).await?;
    call.app.revoke_token(token.id).await?;
    Ok(no_content())
}
