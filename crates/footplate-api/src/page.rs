//! Pages of lists and their headers (`rest-api.md §2`).

use base64::Engine as _;
use footplate_app::Error;
use http::{HeaderValue, Response, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;

use crate::{call::Call, error::Failure, params::scalar};

/// Beyond so many rows nobody counts.
pub const COUNT_LIMIT: i64 = 10_000;
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'*');
const CREDENTIALS: [&str; 5] = [
    "private_token",
    "access_token",
    "job_token",
    "token",
    "sudo",
];

/// Which page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// From 1.
    pub page: i64,
    /// 1 to 100.
    pub per_page: i64,
}

impl Page {
    /// Reads `page` and `per_page`.
    ///
    /// # Errors
    /// 400 for values that are not allowed.
    pub fn of(call: &Call) -> Result<Self, Failure> {
        let page = call.params.integer("page")?.unwrap_or(1);
        let per_page = call.params.integer("per_page")?.unwrap_or(20);
        let fault = |text: &str| Err(Error::Parameter(text.to_owned()).into());
        if page < 1 {
            return fault("page does not have a valid value");
        }
        if per_page == 0 {
            return fault("per_page has a value not allowed");
        }
        if per_page < 0 {
            return fault("per_page does not have a valid value");
        }
        Ok(Self {
            page: page.min(i64::MAX / 200),
            per_page: per_page.min(100),
        })
    }

    /// Rows before the page.
    pub fn offset(self) -> i64 {
        (self.page - 1).saturating_mul(self.per_page)
    }

    /// The headers of an offset page. `total` is `None` where nobody counts; `more` says whether there is a next page.
    pub fn headers<B>(
        self,
        call: &Call,
        response: &mut Response<B>,
        total: Option<i64>,
        more: bool,
    ) {
        let total = total.filter(|total| *total <= COUNT_LIMIT);
        let pages = total.map(|total| ((total + self.per_page - 1) / self.per_page).max(1));
        let next = more.then_some(self.page + 1);
        let prev = (self.page > 1).then(|| self.page - 1);
        let text =
            |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        };
        set("x-page", self.page.to_string());
        set("x-per-page", self.per_page.to_string());
        set("x-next-page", text(next));
        set("x-prev-page", text(prev));
        if let (Some(total), Some(pages)) = (total, pages) {
            set("x-total", total.to_string());
            set("x-total-pages", pages.to_string());
        }
        let size = self.per_page.to_string();
        let link = |page: i64, rel: &str| {
            let page = page.to_string();
            let url = link_url(call, &[("page", &page), ("per_page", &size)], &[]);
            format!("<{url}>; rel=\"{rel}\"")
        };
        let mut links = Vec::new();
        links.extend(prev.map(|page| link(page, "prev")));
        links.extend(next.map(|page| link(page, "next")));
        links.push(link(1, "first"));
        links.extend(pages.map(|page| link(page, "last")));
        set("link", links.join(", "));
    }
}

/// Adds the one header of a keyset page that is not the last.
pub fn keyset_link<B>(call: &Call, response: &mut Response<B>, per_page: i64, last: i64) {
    let cursor = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .encode(format!("{{\"id\":\"{last}\",\"_kd\":\"n\"}}"));
    let size = per_page.to_string();
    let set = [
        ("cursor", cursor.as_str()),
        ("pagination", "keyset"),
        ("per_page", &size),
    ];
    let url = link_url(call, &set, &["page"]);
    if let Ok(value) = HeaderValue::from_str(&format!("<{url}>; rel=\"next\"")) {
        response.headers_mut().insert(header::LINK, value);
    }
}

/// The id behind which a keyset page begins.
///
/// # Errors
/// 400 for a cursor that is none of ours.
pub fn cursor(call: &Call) -> Result<Option<i64>, Failure> {
    let Some(text) = call.params.text("cursor")?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let bad = || Error::Parameter("cursor is invalid".to_owned());
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let bytes = engine
        .decode(text.trim_end_matches('='))
        .map_err(|_| bad())?;
    let json: Json = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    let id = json["id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .or(json["id"].as_i64());
    Ok(Some(id.ok_or_else(bad)?))
}

/// An absolute URL of this request with other parameters; nothing in it has a comma or semicolon.
fn link_url(call: &Call, set: &[(&str, &str)], without: &[&str]) -> String {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    for (name, value) in &call.params.0 {
        let gone = CREDENTIALS.contains(&name.as_str())
            || without.contains(&name.as_str())
            || set.iter().any(|(other, _)| other == name);
        if !gone {
            flatten(&encode(name), value, &mut pairs);
        }
    }
    pairs.extend(
        set.iter()
            .map(|(name, value)| (encode(name), encode(value))),
    );
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    let query: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let path = call.uri.path().replace(',', "%2C").replace(';', "%3B");
    format!("{}?{}", call.app.origin_url(&path), query.join("&"))
}

fn flatten(name: &str, value: &Json, pairs: &mut Vec<(String, String)>) {
    match value {
        Json::Array(items) => {
            for item in items {
                flatten(&format!("{name}%5B%5D"), item, pairs);
            }
        }
        Json::Object(map) => {
            for (key, item) in map {
                let key = utf8_percent_encode(key, UNRESERVED);
                flatten(&format!("{name}%5B{key}%5D"), item, pairs);
            }
        }
        other => {
            let text = scalar(other).unwrap_or_default();
            pairs.push((
                name.to_owned(),
                utf8_percent_encode(&text, UNRESERVED).to_string(),
            ));
        }
    }
}

/// Adds the link of a keyset page that goes on by a bare id (`id_after`, `id_before`).
pub fn id_link<B>(call: &Call, response: &mut Response<B>, name: &str, per_page: i64, last: i64) {
    let (last, size) = (last.to_string(), per_page.to_string());
    let url = link_url(
        call,
        &[(name, &last), ("pagination", "keyset"), ("per_page", &size)],
        &["page"],
    );
    if let Ok(value) = HeaderValue::from_str(&format!("<{url}>; rel=\"next\"")) {
        response.headers_mut().insert(header::LINK, value);
    }
}
