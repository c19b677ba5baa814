//! A plain API client for tests: every answer is kept whole, nothing is interpreted.

use std::sync::Arc;

use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

/// Talks to one server with one credential.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<str>,
    header: Option<(&'static str, Arc<str>)>,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    }

    /// Asserts the status and gives the answer back.
    ///
    /// # Panics
    /// When the status differs; shows the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl Client {
    /// A client without credentials.
    pub fn anonymous(base: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap_or_else(|error| panic!("no HTTP client: {error}"));
        Self {
            http,
            base: base.trim_end_matches('/').into(),
            header: None,
        }
    }

    /// The same server with an access token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            header: Some(("PRIVATE-TOKEN", token.into())),
            ..self.clone()
        }
    }

    /// The same server with a job token.
    #[must_use]
    pub fn with_job_token(&self, token: &str) -> Self {
        Self {
            header: Some(("JOB-TOKEN", token.into())),
            ..self.clone()
        }
    }

    /// The server's root, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The HTTP client below, for calls of unusual form.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// A request to a path below the server's root, with the credential.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.header {
            Some((name, value)) => request.header(*name, &**value),
            None => request,
        }
    }

    /// Sends a request and reads its answer whole.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("no answer: {error:?}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer
            .bytes()
            .await
            .unwrap_or_else(|error| panic!("no body: {error:?}"))
            .to_vec();
        Answer {
            status,
            headers,
            body,
        }
    }

    /// GET below `/api/v4`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, &format!("/api/v4{path}")))
            .await
    }

    /// POST of JSON below `/api/v4`.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(
            self.request(Method::POST, &format!("/api/v4{path}"))
                .json(&body),
        )
        .await
    }

    /// PUT of JSON below `/api/v4`.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(
            self.request(Method::PUT, &format!("/api/v4{path}"))
                .json(&body),
        )
        .await
    }

    /// PATCH of JSON below `/api/v4`.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(
            self.request(Method::PATCH, &format!("/api/v4{path}"))
                .json(&body),
        )
        .await
    }

    /// DELETE below `/api/v4`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, &format!("/api/v4{path}")))
            .await
    }
}
