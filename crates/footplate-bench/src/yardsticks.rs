//! Yardsticks that are servers: as little as can answer at all.

use std::{io::Write as _, path::PathBuf, sync::Arc};

use axum::{Router, body::Bytes, extract::Path, http::StatusCode, routing::get};

use crate::Result;

/// `fixed FILE`: always these bytes. `append FOLDER`: appends bodies to files. `database FILE`: one select, then health.
pub(crate) fn serve(arguments: &[String]) -> Result<()> {
    let [kind, place] = arguments else {
        return Err("yardstick KIND PLACE".into());
    };
    let place = PathBuf::from(place);
    let router = match kind.as_str() {
        "fixed" => {
            let bytes = Bytes::from(std::fs::read(place)?);
            Router::new().route("/", get(move || std::future::ready(bytes.clone())))
        }
        "append" => {
            let folder = Arc::new(place);
            Router::new().route(
                "/{id}",
                axum::routing::patch(move |Path(id): Path<u64>, body: Bytes| {
                    std::future::ready(append(&folder, id, &body))
                }),
            )
        }
        "database" => {
            let connection = rusqlite::Connection::open(place)?;
            let count: i64 = connection.query_row(
                "SELECT id FROM jobs ORDER BY id DESC LIMIT 1",
                [],
                |row| row.get(0),
            )?;
            let body = format!("{{\"jobs\":{count}}}");
            Router::new().route("/", get(move || std::future::ready(body.clone())))
        }
        _ => return Err(format!("unknown yardstick {kind}").into()),
    };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            println!("listening on http://{}", listener.local_addr()?);
            Ok(axum::serve(listener, router).await?)
        })
}

fn append(folder: &std::path::Path, id: u64, body: &[u8]) -> StatusCode {
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(id.to_string()));
    match opened.and_then(|mut file| file.write_all(body)) {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
