//! `include: remote`, by the one egress client, with GitLab's messages (`ci-yaml.md §4.5`).

use std::{sync::Arc, time::Duration};

use footplate_ci::Answer;

use super::FILE_LIMIT;
use crate::{App, egress::EgressError};

impl App {
    /// A remote file; one that is not older than `cache_seconds` comes from memory.
    pub(super) async fn remote_file(&self, url: &str, cache_seconds: Option<u64>) -> Answer {
        let now = self.now();
        if let Some(seconds) = cache_seconds {
            let since = now.minus(Duration::from_secs(seconds));
            if let Some(text) = self.config_memory().remote(url, since) {
                return Answer::Text(text.to_string());
            }
        }
        let limit = usize::try_from(FILE_LIMIT).unwrap_or(usize::MAX);
        match self.egress().get(url, limit).await {
            Ok(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => {
                Answer::Problem(format!("Included file `{url}` is empty or does not exist!"))
            }
            Ok(bytes) => {
                let text: Arc<str> = String::from_utf8_lossy(&bytes).into();
                if cache_seconds.is_some() {
                    self.config_memory().put_remote(url, now, Arc::clone(&text));
                }
                Answer::Text(text.to_string())
            }
            Err(error) => Answer::Problem(message(url, &error)),
        }
    }
}

fn message(url: &str, error: &EgressError) -> String {
    match error {
        EgressError::Address => format!("Remote file `{url}` does not have a valid address!"),
        // GitLab does not name the file here.
        EgressError::Blocked(_) | EgressError::Refused => {
            format!("Remote file could not be fetched because {error}!")
        }
        EgressError::Socket
        | EgressError::Timeout
        | EgressError::Status(_)
        | EgressError::TooLarge(_)
        | EgressError::Http => {
            format!("Remote file `{url}` could not be fetched because of {error}!")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_gitlabs() {
        let url = "https://x/a.yml";
        for (error, said) in [
            (
                EgressError::Address,
                "Remote file `https://x/a.yml` does not have a valid address!",
            ),
            (
                EgressError::Blocked("Requests to localhost are not allowed"),
                "Remote file could not be fetched because URL is blocked: Requests to localhost are not allowed!",
            ),
            (
                EgressError::Refused,
                "Remote file could not be fetched because Connection refused!",
            ),
            (
                EgressError::Socket,
                "Remote file `https://x/a.yml` could not be fetched because of a socket error!",
            ),
            (
                EgressError::Timeout,
                "Remote file `https://x/a.yml` could not be fetched because of a timeout error!",
            ),
            (
                EgressError::Http,
                "Remote file `https://x/a.yml` could not be fetched because of HTTP error!",
            ),
            (
                EgressError::Status(404),
                "Remote file `https://x/a.yml` could not be fetched because of HTTP code `404` error!",
            ),
        ] {
            assert_eq!(message(url, &error), said);
        }
    }
}
