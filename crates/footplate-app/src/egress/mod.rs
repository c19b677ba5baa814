//! The one client that fetches from outside (DESIGN §10).
//!
//! It looks names up itself, looks at every address, and connects to the one that it looked at, so that a name cannot lead
//! somewhere else a moment later. Private, loopback, link-local, metadata and other special addresses are refused, and so is
//! plain HTTP, unless the instance's allow-list opens the host or the address. Redirects are followed by hand: each goes
//! through the same door. Bodies are cut off at their limit, and everything together has one span of time.

mod address;
mod allow;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{
    Client, Response, StatusCode, Url,
    dns::{Name, Resolve, Resolving},
    header, redirect,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::sync::Semaphore;

pub use allow::AllowList;

/// Redirects that are followed.
const REDIRECTS: usize = 5;
/// A connection must stand after this long.
const CONNECT: Duration = Duration::from_secs(5);
/// Fetches of the whole server at the same time.
const AT_ONCE: usize = 32;

/// What the instance says about fetches.
#[derive(Debug, Clone)]
pub struct EgressSettings {
    /// What is open although it would be refused.
    pub allow: AllowList,
    /// Everything of one fetch together.
    pub time: Duration,
    /// All files of one configuration together (`ci-yaml.md §2`).
    pub time_of_all: Duration,
}

impl Default for EgressSettings {
    fn default() -> Self {
        Self {
            allow: AllowList::default(),
            time: Duration::from_secs(10),
            time_of_all: Duration::from_secs(30),
        }
    }
}

/// Why nothing came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Not an address of HTTP.
    #[error("not a valid address")]
    Address,
    /// Where nothing is fetched from; GitLab's words.
    #[error("URL is blocked: {0}")]
    Blocked(&'static str),
    /// The name leads nowhere, or the connection broke.
    #[error("a socket error")]
    Socket,
    /// Nobody listens there.
    #[error("Connection refused")]
    Refused,
    /// It took too long.
    #[error("a timeout error")]
    Timeout,
    /// The other side refused.
    #[error("HTTP code `{0}` error")]
    Status(u16),
    /// More than was asked for.
    #[error("a body of more than {0} bytes")]
    TooLarge(usize),
    /// Certificates, too many redirects, or no HTTP at all.
    #[error("HTTP error")]
    Http,
}

/// The client. Clones share it.
#[derive(Clone)]
pub struct Egress(Arc<Inner>);

struct Inner {
    settings: EgressSettings,
    turns: Semaphore,
    /// With the system's certificate authorities; read at the first fetch that needs them.
    tls: OnceLock<Result<ClientConfig, String>>,
}

/// Where one hop goes.
struct Hop {
    url: Url,
    addresses: Vec<SocketAddr>,
}

/// The addresses that were looked at, whatever the name: nothing is looked up twice.
struct Checked(Vec<SocketAddr>);

impl Resolve for Checked {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: reqwest::dns::Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

impl Egress {
    /// A client of an instance.
    pub fn new(settings: EgressSettings) -> Self {
        Self(Arc::new(Inner {
            settings,
            turns: Semaphore::new(AT_ONCE),
            tls: OnceLock::new(),
        }))
    }

    /// What the instance says about fetches.
    pub(crate) fn settings(&self) -> &EgressSettings {
        &self.0.settings
    }

    /// The body behind an address, at most `limit` bytes of it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn get(&self, address: &str, limit: usize) -> Result<Vec<u8>, EgressError> {
        let fetch = async {
            let _turn = self.0.turns.acquire().await;
            self.follow(address, limit).await
        };
        tokio::time::timeout(self.0.settings.time, fetch)
            .await
            .unwrap_or(Err(EgressError::Timeout))
    }

    async fn follow(&self, address: &str, limit: usize) -> Result<Vec<u8>, EgressError> {
        let mut url = Url::parse(address.trim()).map_err(|_| EgressError::Address)?;
        for _ in 0..=REDIRECTS {
            let hop = self.check(url).await?;
            let response = self.ask(&hop).await?;
            match next(&hop.url, &response)? {
                Some(target) => url = target,
                None => return read(response, limit).await,
            }
        }
        Err(EgressError::Http)
    }

    /// Looks a name up and looks at where it leads.
    async fn check(&self, url: Url) -> Result<Hop, EgressError> {
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(EgressError::Address),
        };
        let host = url.host_str().ok_or(EgressError::Address)?.to_owned();
        let port = url.port_or_known_default().ok_or(EgressError::Address)?;
        let allow = &self.0.settings.allow;
        let named = allow.opens_host(&host, port);
        let addresses = look_up(&host, port).await;
        let opened = |address: IpAddr| named || allow.opens_address(address, port);
        if plain && !matches!(&addresses, Ok(found) if found.iter().all(|found| opened(found.ip())))
        {
            return Err(EgressError::Blocked("Only allowed schemes are https"));
        }
        let addresses = addresses?;
        for found in &addresses {
            if let Some(reason) = address::refusal(found.ip()).filter(|_| !opened(found.ip())) {
                return Err(EgressError::Blocked(reason));
            }
        }
        Ok(Hop { url, addresses })
    }

    async fn ask(&self, hop: &Hop) -> Result<Response, EgressError> {
        let client = Client::builder()
            .tls_backend_preconfigured(self.tls(&hop.url)?)
            .user_agent(concat!("footplate ", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(0)
            .dns_resolver(Checked(hop.addresses.clone()))
            .build()
            .map_err(|error| failure(&error))?;
        let request = client.get(hop.url.clone()).header(header::ACCEPT, "*/*");
        request.send().await.map_err(|error| failure(&error))
    }

    fn tls(&self, url: &Url) -> Result<ClientConfig, EgressError> {
        if url.scheme() == "http" {
            // Nothing is trusted where nothing is to be verified.
            return builder()
                .map(|builder| {
                    builder
                        .with_root_certificates(RootCertStore::empty())
                        .with_no_client_auth()
                })
                .map_err(|_| EgressError::Http);
        }
        let known = self.0.tls.get_or_init(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
            ClientConfig::with_platform_verifier().map_err(|error| error.to_string())
        });
        known.clone().map_err(|error| {
            tracing::error!(
                error,
                "there are no certificate authorities to verify servers with"
            );
            EgressError::Http
        })
    }
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn builder() -> Result<Builder, rustls::Error> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
}

async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, EgressError> {
    if let Ok(address) = allow::unbracketed(host).parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found: Vec<SocketAddr> = match tokio::net::lookup_host((host, port)).await {
        Ok(found) => found.collect(),
        Err(_) => return Err(EgressError::Socket),
    };
    if found.is_empty() {
        return Err(EgressError::Socket);
    }
    Ok(found)
}

/// Where a redirect leads; `None` = this is the answer.
fn next(url: &Url, response: &Response) -> Result<Option<Url>, EgressError> {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        return Err(EgressError::Status(status.as_u16()));
    }
    let moved = matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let location = response
        .headers()
        .get(header::LOCATION)
        .filter(|_| moved)
        .map(|value| value.to_str().map_err(|_| EgressError::Http))
        .transpose()?;
    location
        .map(|location| url.join(location).map_err(|_| EgressError::Http))
        .transpose()
}

async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, EgressError> {
    let announced = response.content_length().unwrap_or_default();
    if usize::try_from(announced).is_ok_and(|announced| announced > limit) {
        return Err(EgressError::TooLarge(limit));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(EgressError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn failure(error: &reqwest::Error) -> EgressError {
    if error.is_timeout() {
        return EgressError::Timeout;
    }
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            match io.kind() {
                std::io::ErrorKind::ConnectionRefused => return EgressError::Refused,
                std::io::ErrorKind::TimedOut => return EgressError::Timeout,
                std::io::ErrorKind::InvalidData => return EgressError::Http,
                _ => return EgressError::Socket,
            }
        }
        source = inner.source();
    }
    EgressError::Http
}

#[cfg(test)]
mod tests;
