//! Keys beside the location of an item: `integrity`, `cache` and `inputs`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use crate::{
    durations,
    yaml::{Map, Node, Value},
};

/// What `cache: true` means, in seconds.
const DEFAULT_CACHE: u64 = 3600;
const MIN_CACHE: f64 = 60.0;

/// The first fault in the keys of an item, and where it is.
pub(super) fn fault(map: &Map) -> Option<(&Node, &'static str)> {
    let given = |key: &str| map.get(key).filter(|node| present(node));
    if let Some(project) = given("project")
        && given("file").is_none()
    {
        let message = "must specify the file where to fetch the config from";
        return Some((project, message));
    }
    let remote = given("remote").is_some();
    if let Some(integrity) = given("integrity") {
        if !remote {
            let message = "integrity can only be specified for remote includes";
            return Some((integrity, message));
        }
        let Some(hash) = integrity
            .as_str()
            .and_then(|text| text.strip_prefix("sha256-"))
        else {
            return Some((integrity, "integrity hash must start with 'sha256-'"));
        };
        if STANDARD.decode(hash).is_err() {
            return Some((integrity, "integrity hash must be base64 encoded"));
        }
    }
    if let Some(cache) = given("cache") {
        if !remote {
            let message = "cache can only be specified for remote includes";
            return Some((cache, message));
        }
        if let Err(message) = seconds(cache) {
            return Some((cache, message));
        }
    }
    given("inputs")
        .filter(|inputs| inputs.as_map().is_none())
        .map(|inputs| (inputs, "inputs should be a hash"))
}

/// For how long an older copy of a remote file will do.
pub(super) fn cache_seconds(map: &Map) -> Option<u64> {
    let cache = map.get("cache").filter(|cache| present(cache))?;
    seconds(cache).ok()
}

fn seconds(cache: &Node) -> Result<u64, &'static str> {
    match &cache.value {
        Value::Bool(_) => Ok(DEFAULT_CACHE),
        Value::Str(text) | Value::Symbol(text) => match durations::parse(text) {
            Ok(Some(seconds)) if seconds < MIN_CACHE => {
                Err("cache duration must be at least 1 minute")
            }
            // Above that no file would ever be fetched again.
            Ok(Some(seconds)) => Ok(seconds.min(f64::from(u32::MAX)) as u64),
            Ok(None) | Err(_) => Err("cache contains an invalid duration"),
        },
        _ => Err("cache must be a boolean or a duration string"),
    }
}

/// Whether a text is the one that `integrity` names.
pub(super) fn is_intact(integrity: &str, text: &str) -> bool {
    let hash = STANDARD.encode(Sha256::digest(text.as_bytes()));
    integrity.strip_prefix("sha256-") == Some(hash.as_str())
}

/// As Ruby's `present?`.
pub(super) fn present(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) => false,
        Value::Str(text) | Value::Symbol(text) => !text.trim().is_empty(),
        Value::Seq(items) => !items.is_empty(),
        Value::Map(map) => !map.is_empty(),
        Value::Bool(true)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Binary(_)
        | Value::Reference(_) => true,
    }
}
