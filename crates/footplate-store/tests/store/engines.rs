//! A fresh database of each engine.

use std::sync::atomic::{AtomicU32, Ordering};

use footplate_store::Db;
use tokio_postgres::NoTls;

/// A database that goes away with the value.
pub struct Fresh {
    pub db: Db,
    pub name: String,
    _folder: Option<tempfile::TempDir>,
}

pub async fn sqlite() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let db = Db::open_sqlite(&path).await.unwrap();
    Fresh {
        db,
        name: path.display().to_string(),
        _folder: Some(folder),
    }
}

pub fn admin_url() -> String {
    std::env::var("FOOTPLATE_TEST_POSTGRES_URL")
        .expect("both engines are always tested: run `scripts/postgres cargo test …`, or set FOOTPLATE_TEST_POSTGRES_URL to a server where databases may be made")
}

pub async fn admin() -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(&admin_url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub async fn postgres() -> Fresh {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "store_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    admin()
        .await
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let (server, _) = admin_url()
        .rsplit_once('/')
        .map(|(server, rest)| (server.to_owned(), rest.to_owned()))
        .unwrap();
    let url = format!("{server}/{name}");
    let db = Db::open_postgres(&url).await.unwrap();
    Fresh {
        db,
        name: url,
        _folder: None,
    }
}

pub async fn both() -> [Fresh; 2] {
    [sqlite().await, postgres().await]
}
