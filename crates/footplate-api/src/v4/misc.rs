//! Version and metadata (`rest-api.md §13`).

use http::StatusCode;
use serde_json::json;

use crate::{
    call::Call,
    error::{Answer, answer},
};

/// `GET /version`
pub async fn version(call: Call) -> Answer {
    call.user().await?;
    let server = &call.app.settings().server;
    Ok(answer(
        StatusCode::OK,
        &json!({"version": server.version, "revision": server.revision}),
    ))
}

/// `GET /metadata`
pub async fn metadata(call: Call) -> Answer {
    call.user().await?;
    let server = &call.app.settings().server;
    let kas = json!({"enabled": false, "externalUrl": null, "externalK8sProxyUrl": null, "version": null});
    Ok(answer(
        StatusCode::OK,
        &json!({"version": server.version, "revision": server.revision, "kas": kas, "enterprise": false}),
    ))
}
