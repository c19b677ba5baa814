//! Archives as runners, and others, make them.

use std::io::{Cursor, Write as _};

use footplate_blob::{Archive, Error};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::text;

type Writer = ZipWriter<Cursor<Vec<u8>>>;

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

fn deflated() -> SimpleFileOptions {
    stored().compression_method(CompressionMethod::Deflated)
}

fn zip(fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    fill(&mut writer);
    writer.finish().unwrap().into_inner()
}

fn add(writer: &mut Writer, name: &str, options: SimpleFileOptions, data: &[u8]) {
    writer.start_file(name, options).unwrap();
    writer.write_all(data).unwrap();
}

fn read(bytes: &[u8]) -> footplate_blob::Result<Archive> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Archive::read(file)
}

async fn entry(archive: &Archive, path: &str) -> Vec<u8> {
    let entry = archive.find(path).unwrap().unwrap();
    text(archive.stream(entry).await.unwrap()).await.unwrap()
}

fn sample() -> Vec<u8> {
    zip(|writer| {
        writer.add_directory("public/", stored()).unwrap();
        let html = deflated().unix_permissions(0o755);
        add(writer, "public/index.html", html, b"<html></html>");
        add(writer, "public/deep/er/a.txt", stored(), b"plain");
        add(writer, "empty", deflated(), b"");
        add(
            writer,
            "large.bin",
            deflated(),
            &b"0123456789abcdef".repeat(50_000),
        );
        writer.set_comment("made by a test").unwrap();
    })
}

#[tokio::test]
async fn files_of_both_methods() {
    let archive = read(&sample()).unwrap();
    assert_eq!(archive.entries().len(), 5);
    assert_eq!(entry(&archive, "public/index.html").await, b"<html></html>");
    assert_eq!(entry(&archive, "public/deep/er/a.txt").await, b"plain");
    assert_eq!(entry(&archive, "empty").await, b"");
    let large = entry(&archive, "large.bin").await;
    assert!(large == b"0123456789abcdef".repeat(50_000));
    for absent in ["public", "public/", "nothing", ""] {
        assert!(archive.find(absent).unwrap().is_none(), "{absent}");
    }
}

#[test]
fn trees() {
    let archive = read(&sample()).unwrap();
    let tree = |folder, recursive| {
        let entries = archive.tree(folder, recursive)?;
        let line = |e: &footplate_blob::archive::TreeEntry| match e.size {
            Some(size) => format!("{} {} {size}", e.mode, e.path),
            None => format!("{} {}/", e.mode, e.path),
        };
        Some(entries.iter().map(line).collect::<Vec<_>>())
    };
    let root = [
        "100644 empty 0",
        "100644 large.bin 800000",
        "040000 public/",
    ];
    assert_eq!(tree("", false).unwrap(), root);
    let public = ["040000 public/deep/", "100755 public/index.html 13"];
    assert_eq!(tree("public/", false).unwrap(), public);
    let deep = ["040000 public/deep/er/", "100644 public/deep/er/a.txt 5"];
    assert_eq!(tree("public/deep", true).unwrap(), deep);
    assert_eq!(tree("", true).unwrap().len(), 7);
    assert_eq!(tree("nothing", true), None);
    assert_eq!(tree("publi", true), None);
}

/// Replaces a name of the same length everywhere, past what the writer would let through.
fn renamed(from: &str, to: &[u8]) -> Vec<u8> {
    let mut bytes = zip(|writer| {
        add(writer, from, stored(), b"evil");
        add(writer, "good", stored(), b"good");
    });
    assert_eq!(from.len(), to.len());
    while let Some(at) = { bytes.windows(from.len()) }.position(|w| w == from.as_bytes()) {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

#[tokio::test]
async fn names_that_leave_the_archive_are_refused() {
    for name in [
        "../../etc/passwd",
        "a/../../etc/pass",
        "aaaaaaaaaaaaa/..",
        "/etc/passwd/abcd",
        "\\etc\\passwd\\abcd",
        "..\\..\\etc\\passwd",
        "C:\\etc\\passwd\\ab",
        "abcdefghijkl\0.txt",
    ] {
        let placeholder = "Z".repeat(name.len());
        let archive = read(&renamed(&placeholder, name.as_bytes())).unwrap();
        let found = archive.find(name);
        assert!(matches!(found, Err(Error::RefusedEntry(_))), "{name:?}");
        let evil = &archive.entries()[0];
        assert!(evil.refused.is_some());
        assert!(archive.stream(evil).await.is_err());
        let tree = archive.tree("", true).unwrap();
        assert_eq!(tree.len(), 1, "{name:?}");
        assert_eq!(entry(&archive, "good").await, b"good");
    }
}

#[tokio::test]
async fn symbolic_links_are_refused() {
    let archive = read(&zip(|writer| {
        writer.add_symlink("link", "/etc/passwd", stored()).unwrap();
    }));
    let archive = archive.unwrap();
    assert!(matches!(archive.find("link"), Err(Error::RefusedEntry(_))));
    assert!(archive.tree("", true).unwrap().is_empty());
}

#[tokio::test]
async fn zip64() {
    let archive = read(&zip(|writer| {
        add(writer, "wide", deflated().large_file(true), b"wide entry");
        add(writer, "plain", stored(), b"plain entry");
    }));
    let archive = archive.unwrap();
    assert_eq!(entry(&archive, "wide").await, b"wide entry");
    assert_eq!(entry(&archive, "plain").await, b"plain entry");

    // more entries than the short directory can count
    let archive = read(&zip(|writer| {
        for n in 0..66_000 {
            writer.start_file(format!("f{n}"), stored()).unwrap();
        }
        add(writer, "last", stored(), b"last");
    }));
    let archive = archive.unwrap();
    assert_eq!(archive.entries().len(), 66_001);
    assert_eq!(entry(&archive, "last").await, b"last");
}

#[tokio::test]
async fn an_entry_that_lies_about_itself_breaks_off() {
    let good = zip(|writer| add(writer, "a", deflated(), &[b'a'; 1000]));
    let directory = { good.windows(4) }
        .position(|w| w == b"PK\x01\x02")
        .unwrap();
    // checksum, compressed and decompressed size in the directory
    for (at, value) in [(16, 1u32), (20, 2), (24, 999), (24, 1001), (24, 5_000_000)] {
        let mut bytes = good.clone();
        bytes[directory + at..directory + at + 4].copy_from_slice(&value.to_le_bytes());
        let archive = read(&bytes).unwrap();
        let entry = archive.find("a").unwrap().unwrap();
        let stream = archive.stream(entry).await.unwrap();
        assert!(text(stream).await.is_err(), "{value} at {at}");
    }
    // data and header outside
    for (at, value) in [
        (20, 1_000_000u32),
        (42, 1_000_000),
        (42, 7),
        (42, u32::MAX - 1),
    ] {
        let mut bytes = good.clone();
        bytes[directory + at..directory + at + 4].copy_from_slice(&value.to_le_bytes());
        let archive = read(&bytes).unwrap();
        let entry = archive.find("a").unwrap().unwrap();
        assert!(archive.stream(entry).await.is_err(), "{value} at {at}");
    }
}

#[test]
fn what_is_no_archive_is_refused() {
    for bytes in [
        &b""[..],
        b"PK",
        b"PK\x05\x06",
        &[0; 70_000],
        b"no archive at all, only text",
    ] {
        assert!(matches!(read(bytes), Err(Error::BrokenArchive(_))));
    }
    let empty = zip(|_| {});
    assert!(read(&empty).unwrap().entries().is_empty());
}

#[tokio::test]
async fn mutations_never_panic_and_never_give_more_than_promised() {
    let good = zip(|writer| {
        writer.add_directory("d/", stored()).unwrap();
        add(
            writer,
            "d/a",
            deflated().large_file(true),
            &b"abc".repeat(300),
        );
        add(writer, "d/b", stored(), b"stored bytes");
        add(writer, "ä", deflated(), b"");
    });
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let mut cases: Vec<Vec<u8>> = (0..good.len()).map(|at| good[..at].to_vec()).collect();
    for at in 0..good.len() {
        for value in [0, 0xff, good[at] ^ 1, good[at].wrapping_add(0x80)] {
            let mut bytes = good.clone();
            bytes[at] = value;
            cases.push(bytes);
        }
    }
    for _ in 0..1000 {
        let mut bytes = good.clone();
        for _ in 0..1 + next(6) {
            let at = next(bytes.len());
            bytes[at] = next(256) as u8;
        }
        cases.push(bytes);
    }
    let mut readable = 0;
    for bytes in cases {
        let Ok(archive) = read(&bytes) else {
            continue;
        };
        archive.tree("", true);
        for entry in archive.entries() {
            let Ok(stream) = archive.stream(entry).await else {
                continue;
            };
            if let Ok(data) = text(stream).await {
                assert_eq!(data.len() as u64, entry.size);
                // an empty entry has no bytes to check
                let empty = data.is_empty();
                assert!(empty || crc32fast::hash(&data) == entry.crc);
                readable += 1;
            }
        }
    }
    assert!(readable > 1000, "{readable}");
}
