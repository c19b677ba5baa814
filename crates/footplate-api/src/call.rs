//! A request as handlers see it: who asks, with which parameters.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
};
use base64::Engine as _;
use footplate_app::{
    Actor, App, Credential, Error, ProjectAccess, ProjectRef, Proves, Unauthorized, UserActor,
};
use http::{HeaderMap, Method, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value as Json};

use crate::{
    error::Failure,
    params::{Params, invalid},
};

/// Bodies with parameters may be so large, in bytes; files in commits are among them.
const BODY_LIMIT: usize = 64 << 20;
const JOB_TOKEN_PREFIX: &str = "glcbt-";

/// A request with its parameters.
pub struct Call {
    /// The application.
    pub app: App,
    /// Merged parameters; those of the path win.
    pub params: Params,
    /// Headers.
    pub headers: HeaderMap,
    /// Method.
    pub method: Method,
    /// The address below the external root.
    pub uri: Uri,
}

impl FromRequest<App> for Call {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let mut params = Params::default();
        if let Some(query) = parts.uri.query() {
            params.add_form(query)?;
        }
        if parts.method != Method::GET && parts.method != Method::HEAD {
            read_body(&parts.headers, body, &mut params).await?;
        }
        let path = RawPathParams::from_request_parts(&mut parts, app)
            .await
            .map_err(|_| Error::Parameter("the path is not valid UTF-8".to_owned()))?;
        for (name, value) in &path {
            if value.contains('\0') {
                return Err(Error::NOTHING_FOUND.into());
            }
            params.0.insert(name.to_owned(), Json::from(value));
        }
        let uri = parts
            .extensions
            .get::<axum::extract::OriginalUri>()
            .map_or(parts.uri, |original| original.0.clone());
        Ok(Self {
            app: app.clone(),
            params,
            headers: parts.headers,
            method: parts.method,
            uri,
        })
    }
}

async fn read_body(headers: &HeaderMap, body: Body, params: &mut Params) -> Result<(), Failure> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let bytes = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(Error::refused(413, "413 Request Entity Too Large").into());
        }
        Err(_) => return Err(Error::BadRequest("the body broke off".to_owned()).into()),
    };
    if bytes.is_empty() {
        return Ok(());
    }
    match kind.as_str() {
        "application/x-www-form-urlencoded" | "" => {
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| Error::Parameter("the body is not valid UTF-8".to_owned()))?;
            params.add_form(text)?;
        }
        "multipart/form-data" => read_multipart(content_type, bytes, params).await?,
        kind if kind == "application/json" || kind.ends_with("+json") => {
            match serde_json::from_slice::<Json>(&bytes) {
                Ok(Json::Object(map)) => params.add_object(map),
                Ok(Json::Null) => {}
                Ok(_) | Err(_) => {
                    let text = "message body does not match declared format";
                    return Err(Error::Parameter(text.to_owned()).into());
                }
            }
        }
        _ => {
            let text = format!("The provided content-type '{kind}' is not supported.");
            return Err(Failure(Error::Refused {
                status: 415,
                message: text,
            }));
        }
    }
    Ok(())
}

async fn read_multipart(
    content_type: &str,
    bytes: bytes::Bytes,
    params: &mut Params,
) -> Result<(), Failure> {
    let bad = |_| Error::Parameter("the multipart body is broken".to_owned());
    let boundary = multer::parse_boundary(content_type).map_err(bad)?;
    let once = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes)]);
    let mut parts = multer::Multipart::new(once, boundary);
    while let Some(field) = parts.next_field().await.map_err(bad)? {
        let Some(name) = field.name().map(str::to_owned) else {
            continue;
        };
        if field.file_name().is_some() {
            continue;
        }
        let value = field.text().await.map_err(bad)?;
        params.add(&name, Json::String(value))?;
    }
    Ok(())
}

/// A header as text.
pub fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .filter(|text| !text.is_empty())
}

/// Credentials of HTTP Basic.
pub fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let text = header_text(headers, "authorization")?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = header_text(headers, "authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Call {
    /// The credential of the request (`rest-api.md §1.4`).
    fn credential(&self, job_tokens: bool) -> Result<Credential, Failure> {
        let bearer = bearer(&self.headers);
        if job_tokens
            && let Some(token) = bearer.filter(|token| token.starts_with(JOB_TOKEN_PREFIX))
        {
            return Ok(Credential::JobToken(token.to_owned()));
        }
        let private = match self.params.text("private_token")? {
            Some(token) => Some(token),
            None => header_text(&self.headers, "private-token").map(str::to_owned),
        };
        let access = match private.filter(|token| !token.starts_with(JOB_TOKEN_PREFIX)) {
            Some(token) => Some(token),
            None => self
                .params
                .text("access_token")?
                .or(bearer.map(str::to_owned)),
        };
        if let Some(token) = access {
            return Ok(Credential::AccessToken(token));
        }
        if job_tokens {
            let token = match self.params.text("job_token")? {
                Some(token) => Some(token),
                None => header_text(&self.headers, "job-token").map(str::to_owned),
            };
            if let Some(token) = token {
                return Ok(Credential::JobToken(token));
            }
        }
        Ok(session_cookie(&self.headers).map_or(Credential::None, Credential::Session))
    }

    fn safe(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    async fn resolve(&self, job_tokens: bool) -> Result<Actor, Failure> {
        let credential = self.credential(job_tokens)?;
        let session = match &credential {
            Credential::Session(text) => Some(text.clone()),
            _ => None,
        };
        let actor = self.app.authenticate(credential).await?;
        if let Some(session) = session.filter(|_| !self.safe()) {
            // A browser's cookie comes along by itself: writing needs the token that only our pages know.
            let given = header_text(&self.headers, "x-csrf-token")
                .unwrap_or_default()
                .to_owned();
            if !self.app.csrf_matches(session, given).await? {
                return Ok(Actor::Anonymous);
            }
        }
        let accepted: &[&str] = if self.safe() {
            &["api", "read_api"]
        } else {
            &["api"]
        };
        if !actor.has_scope(accepted) && !self.scope_of_its_own(&actor) {
            let scope = if self.safe() { "api read_api" } else { "api" };
            return Err(Error::Unauthorized(Unauthorized::InsufficientScope(scope)).into());
        }
        self.sudo(actor).await
    }

    /// Narrow scopes open single routes (`rest-api.md §1.5`).
    fn scope_of_its_own(&self, actor: &Actor) -> bool {
        let path = self.uri.path();
        (self.safe()
            && (path.ends_with("/user") || path.contains("/users"))
            && actor.has_scope(&["read_user"]))
            || (path.ends_with("/user/runners") && actor.has_scope(&["create_runner"]))
            || (path.contains("/runners/") && actor.has_scope(&["manage_runner"]))
            || (path.contains("/repository/files/")
                && self.safe()
                && actor.has_scope(&["read_repository"]))
            || (path.ends_with("/personal_access_tokens/self/rotate")
                && actor.has_scope(&["self_rotate"]))
    }

    async fn sudo(&self, actor: Actor) -> Result<Actor, Failure> {
        let wanted = match self.params.text("sudo")? {
            Some(wanted) => Some(wanted),
            None => header_text(&self.headers, "sudo").map(str::to_owned),
        };
        let Some(wanted) = wanted else {
            return Ok(actor);
        };
        match &actor {
            Actor::User(UserActor { scopes: None, .. }) | Actor::Job(_) => Err(Error::forbidden(
                "Must be authenticated using an OAuth or personal access token to use sudo",
            )
            .into()),
            Actor::Anonymous => Err(Error::UNAUTHORIZED.into()),
            Actor::User(user) if !user.user.admin => {
                Err(Error::forbidden("Must be admin to use sudo").into())
            }
            Actor::User(_) if !actor.has_scope(&["sudo"]) => {
                Err(Error::Unauthorized(Unauthorized::InsufficientScope("sudo")).into())
            }
            Actor::User(_) => Ok(self.app.sudo(wanted).await?),
        }
    }

    /// Who asks; nobody in particular is fine for reading.
    ///
    /// # Errors
    /// 401 for bad credentials, and without one on a write.
    pub async fn anyone(&self) -> Result<Actor, Failure> {
        let actor = self.resolve(true).await?;
        if matches!(actor, Actor::Anonymous) && !self.safe() {
            return Err(Error::UNAUTHORIZED.into());
        }
        Ok(actor)
    }

    /// Who asks; nobody in particular is fine for reading, and a job's token is not seen.
    ///
    /// # Errors
    /// 401 for bad credentials, and without one on a write.
    pub async fn anyone_but_jobs(&self) -> Result<Actor, Failure> {
        let actor = self.resolve(false).await?;
        if matches!(actor, Actor::Anonymous) && !self.safe() {
            return Err(Error::UNAUTHORIZED.into());
        }
        Ok(actor)
    }

    /// Who asks; a job's token counts.
    ///
    /// # Errors
    /// 401.
    pub async fn user_or_job(&self) -> Result<Actor, Failure> {
        signed_in(self.resolve(true).await?)
    }

    /// Who asks; a job's token is not seen.
    ///
    /// # Errors
    /// 401.
    pub async fn user(&self) -> Result<Actor, Failure> {
        signed_in(self.resolve(false).await?)
    }

    /// An administrator.
    ///
    /// # Errors
    /// 401, or 403 for others.
    pub async fn admin(&self) -> Result<Actor, Failure> {
        let actor = self.user().await?;
        if !actor.is_admin() {
            return Err(Error::FORBIDDEN.into());
        }
        Ok(actor)
    }

    /// Proof of an ability on the project of the path.
    ///
    /// # Errors
    /// 404 or 403.
    pub async fn project<A: Proves>(&self, actor: Actor) -> Result<ProjectAccess<A>, Failure> {
        let id = self.params.required("id")?;
        Ok(self.app.authorize(actor, ProjectRef::parse(&id)).await?)
    }

    /// A number of the path.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn path_id(&self, name: &str) -> Result<i64, Failure> {
        let text = self.params.required(name)?;
        let digits = text.strip_prefix('-').unwrap_or(&text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid(name).into());
        }
        // A number beyond all ids names nothing.
        Ok(text.parse().unwrap_or(-1))
    }

    /// A text of the path.
    ///
    /// # Errors
    /// 400 when it is missing.
    pub fn path(&self, name: &str) -> Result<String, Failure> {
        Ok(self.params.required(name)?)
    }

    /// Given variables: `key`, `value`, `variable_type`.
    ///
    /// # Errors
    /// 400 in GitLab's words.
    pub fn variables(
        &self,
        name: &str,
    ) -> Result<Option<Vec<footplate_model::GivenVariable>>, Failure> {
        let Some(objects) = self.params.objects(name)? else {
            return Ok(None);
        };
        let mut list = Vec::with_capacity(objects.len());
        for (index, object) in objects.iter().enumerate() {
            list.push(given(name, index, object)?);
        }
        Ok(Some(list))
    }
}

fn given(
    name: &str,
    index: usize,
    object: &Map<String, Json>,
) -> Result<footplate_model::GivenVariable, Failure> {
    let text = |key: &str| match object.get(key) {
        None | Some(Json::Null) => Err(Error::Parameter(format!(
            "{name}[{index}][{key}] is missing"
        ))),
        Some(value) => crate::params::scalar(value)
            .ok_or_else(|| Error::Parameter(format!("{name}[{index}][{key}] is invalid"))),
    };
    let kind = object
        .get("variable_type")
        .and_then(Json::as_str)
        .unwrap_or("env_var");
    Ok(footplate_model::GivenVariable {
        key: text("key")?,
        value: text("value")?,
        variable_type: footplate_model::VariableType::parse(kind).ok_or_else(|| {
            Error::Parameter(format!(
                "{name}[{index}][variable_type] does not have a valid value"
            ))
        })?,
        raw: object.get("raw").and_then(Json::as_bool).unwrap_or(false),
    })
}

fn signed_in(actor: Actor) -> Result<Actor, Failure> {
    match actor {
        Actor::Anonymous => Err(Error::UNAUTHORIZED.into()),
        Actor::User(_) | Actor::Job(_) => Ok(actor),
    }
}

/// The session of a browser.
pub fn session_cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == "_gitlab_session")
        .map(|(_, value)| value.to_owned())
}
