//! Whole files under keys.

use std::{io, path::Path};

use bytes::Bytes;
use footplate_blob::{BlobStore, Error, Key};
use futures_util::stream;

use crate::text;

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn uploads(root: &Path) -> usize {
    std::fs::read_dir(root.join(".uploads")).unwrap().count()
}

/// Chunks of an upload.
fn chunks(parts: &[&'static [u8]]) -> impl futures_util::Stream<Item = io::Result<Bytes>> + use<> {
    let parts: Vec<_> = parts.iter().map(|p| Ok(Bytes::from_static(p))).collect();
    stream::iter(parts)
}

#[tokio::test]
async fn an_upload_is_hashed_kept_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = BlobStore::open(folder.path()).await.unwrap();
    let received = store.receive(chunks(&[b"a", b"", b"bc"]), 3).await.unwrap();
    assert_eq!(received.stored().size, 3);
    assert_eq!(
        received.stored().sha256,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    let name = key("artifacts/0f/12/a.zip");
    assert!(!store.exists(&name).await.unwrap());
    let stored = store.keep(received, &name).await.unwrap();
    assert_eq!(stored.size, 3);
    assert_eq!(uploads(folder.path()), 0);

    let again = BlobStore::open(folder.path()).await.unwrap();
    assert_eq!(again.size(&name).await.unwrap(), Some(3));
    let blob = again.get(&name).await.unwrap().unwrap();
    assert_eq!(blob.size(), 3);
    assert_eq!(text(blob.stream()).await.unwrap(), b"abc");
    // folders are no blobs
    assert_eq!(again.size(&key("artifacts/0f")).await.unwrap(), None);
    assert!(again.get(&key("artifacts/0f")).await.unwrap().is_none());
    assert!(
        again
            .get(&key("artifacts/0f/12/a.zip/b"))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn uploads_that_are_dropped_too_large_or_broken_off_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = BlobStore::open(folder.path()).await.unwrap();
    drop(store.receive(chunks(&[b"dropped"]), 99).await.unwrap());
    let large = store.receive(chunks(&[b"12", b"34"]), 3).await;
    assert!(matches!(large, Err(Error::TooLarge { limit: 3 })));
    let broken = stream::iter([
        Ok(Bytes::from_static(b"x")),
        Err(io::ErrorKind::ConnectionReset.into()),
    ]);
    let broken = store.put_stream(&key("a"), broken, 9).await;
    assert!(matches!(broken, Err(Error::Upload(_))));
    // a client that goes away in the middle
    let endless = stream::unfold((), |()| async {
        tokio::task::yield_now().await;
        Some((Ok(Bytes::from_static(&[7; 100_000])), ()))
    });
    let mut going = Box::pin(store.receive(endless, u64::MAX));
    for _ in 0..50 {
        assert!(futures_util::poll!(&mut going).is_pending());
        tokio::task::yield_now().await;
    }
    drop(going);
    // a write that was under way on its thread ends, then its file goes
    while uploads(folder.path()) > 0 {
        tokio::task::yield_now().await;
    }
    assert!(store.list(None).await.unwrap().is_empty());
    assert!(store.get(&key("a")).await.unwrap().is_none());

    std::fs::write(folder.path().join(".uploads/left-over"), "x").unwrap();
    BlobStore::open(folder.path()).await.unwrap();
    assert_eq!(uploads(folder.path()), 0);
}

#[tokio::test]
async fn ranges_of_a_large_blob() {
    let folder = tempfile::tempdir().unwrap();
    let store = BlobStore::open(folder.path()).await.unwrap();
    let bytes: Vec<u8> = (0..2_000_003u32).map(|n| (n % 251) as u8).collect();
    let name = key("large");
    store.put(&name, bytes.clone().into()).await.unwrap();
    let blob = store.get(&name).await.unwrap().unwrap();
    let size = bytes.len() as u64;
    for range in [
        0..0,
        0..1,
        5..65_541,
        65_535..700_000,
        1_999_999..size + 5,
        size..size + 1,
        size + 1..size + 9,
    ] {
        let read = text(blob.stream_range(range.clone())).await.unwrap();
        let end = range.end.min(size) as usize;
        let start = (range.start as usize).min(end);
        assert!(read == bytes[start..end], "{range:?}");
    }
    assert!(text(blob.stream()).await.unwrap() == bytes);
}

#[tokio::test]
async fn a_blob_is_replaced_and_deleted_while_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = BlobStore::open(folder.path()).await.unwrap();
    let name = key("a/b");
    store
        .put(&name, Bytes::from_static(b"first"))
        .await
        .unwrap();
    let first = store.get(&name).await.unwrap().unwrap();
    store
        .put(&name, Bytes::from_static(b"second"))
        .await
        .unwrap();
    let second = store.get(&name).await.unwrap().unwrap();
    assert!(store.delete(&name).await.unwrap());
    assert!(!store.delete(&name).await.unwrap());
    assert!(store.get(&name).await.unwrap().is_none());
    assert_eq!(text(first.stream()).await.unwrap(), b"first");
    assert_eq!(text(second.stream()).await.unwrap(), b"second");
}

#[tokio::test]
async fn lists_by_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let store = BlobStore::open(folder.path()).await.unwrap();
    for name in ["a/1", "a/2/x", "ab", "b"] {
        store.put(&key(name), Bytes::from(name)).await.unwrap();
    }
    let names = async |prefix: Option<&str>| {
        let prefix = prefix.map(key);
        let listed = store.list(prefix.as_ref()).await.unwrap();
        let names: Vec<_> = listed.iter().map(|l| (l.key.to_string(), l.size)).collect();
        names
    };
    let all = [("a/1", 3), ("a/2/x", 5), ("ab", 2), ("b", 1)].map(|(n, s)| (n.to_owned(), s));
    assert_eq!(names(None).await, all);
    assert_eq!(names(Some("a")).await, all[..2]);
    assert_eq!(names(Some("b")).await, all[3..]);
    assert!(names(Some("c")).await.is_empty());
}

#[tokio::test]
async fn gzip_members_of_uploads_and_blobs() {
    use std::io::Write as _;
    let mut bytes = Vec::new();
    for text in ["one", "two"] {
        let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        member.write_all(text.as_bytes()).unwrap();
        bytes.extend(member.finish().unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let store = BlobStore::open(folder.path()).await.unwrap();
    let upload = stream::iter([Ok(Bytes::from(bytes))]);
    let received = store.receive(upload, u64::MAX).await.unwrap();
    assert_eq!(received.gzip_members(6).await.unwrap()[1].data, b"two");
    let bomb = received.gzip_members(5).await;
    assert!(matches!(bomb, Err(Error::TooLarge { limit: 5 })));
    assert!(received.archive().await.is_err());
    store.keep(received, &key("junit.gz")).await.unwrap();
    let blob = store.get(&key("junit.gz")).await.unwrap().unwrap();
    for _ in 0..2 {
        assert_eq!(blob.gzip_members(6).await.unwrap().len(), 2);
    }
}
