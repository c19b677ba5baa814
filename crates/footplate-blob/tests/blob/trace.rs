//! Traces while they grow.

use std::path::Path;

use bytes::Bytes;
use footplate_blob::{Appended, Error, Secrets, TraceState, Traces};
use footplate_model::JobId;
use tempfile::TempDir;

use crate::text;

pub(crate) const JOB: JobId = JobId(4242);
pub(crate) const NO_LIMIT: u64 = u64::MAX;

pub(crate) fn secrets(values: &[&str]) -> Secrets {
    Secrets::new(values.iter().map(|value| (*value).to_owned()))
}

pub(crate) async fn traces() -> (TempDir, Traces) {
    let folder = tempfile::tempdir().unwrap();
    let traces = Traces::open(folder.path().join("traces")).await.unwrap();
    (folder, traces)
}

/// Appends at the stored length.
pub(crate) async fn append(traces: &Traces, bytes: &[u8], secrets: &Secrets) {
    let size = { traces.state(JOB).await.unwrap() }.map_or(0, |state| state.size);
    let bytes = Bytes::copy_from_slice(bytes);
    let size_then = size + bytes.len() as u64;
    let appended = traces.append(JOB, size, bytes, secrets, NO_LIMIT).await;
    assert_eq!(appended.unwrap(), Appended::Stored { size: size_then });
}

pub(crate) async fn shown(traces: &Traces) -> Vec<u8> {
    let stream = traces.read(JOB, 0..u64::MAX).await.unwrap().unwrap();
    text(stream).await.unwrap()
}

fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path()),
            false => 1,
        })
        .sum()
}

#[tokio::test]
async fn a_runner_sends_loses_answers_and_goes_on() {
    let (_folder, traces) = traces().await;
    let none = Secrets::default();
    // offset, chunk, answer: runner-protocol.md §4.3
    for (offset, chunk, answer) in [
        (3, "gap", Appended::Refused { size: 0 }),
        (0, "", Appended::Stored { size: 0 }),
        (0, "hello ", Appended::Stored { size: 6 }),
        (0, "hello ", Appended::Stored { size: 6 }),
        (6, "world\n", Appended::Stored { size: 12 }),
        (6, "world\n", Appended::Stored { size: 12 }),
        (0, "hello world\n", Appended::Stored { size: 12 }),
        (12, "", Appended::Stored { size: 12 }),
        (6, "", Appended::Refused { size: 12 }),
        (6, "world\nmore\n", Appended::Refused { size: 12 }),
        (13, "more\n", Appended::Refused { size: 12 }),
        (0, "hello", Appended::Refused { size: 12 }),
        (12, &"x".repeat(88), Appended::TooLarge { size: 12 }),
        (12, "more\n", Appended::Stored { size: 17 }),
    ] {
        let bytes = Bytes::copy_from_slice(chunk.as_bytes());
        let appended = traces.append(JOB, offset, bytes, &none, 100).await;
        assert_eq!(appended.unwrap(), answer, "{chunk:?} at {offset}");
    }
    assert_eq!(shown(&traces).await, b"hello world\nmore\n");
    let state = TraceState {
        size: 17,
        crc32: crc32fast::hash(b"hello world\nmore\n"),
        shown: 17,
        lines: 2,
    };
    assert_eq!(traces.state(JOB).await.unwrap(), Some(state));
}

#[tokio::test]
async fn without_a_trace_there_is_nothing() {
    let (folder, traces) = traces().await;
    assert_eq!(traces.state(JOB).await.unwrap(), None);
    assert_eq!(traces.shown(JOB).await.unwrap(), None);
    assert!(traces.read(JOB, 0..1).await.unwrap().is_none());
    assert_eq!(traces.from_line(JOB, 3).await.unwrap(), None);
    assert_eq!(traces.tail(JOB, 3).await.unwrap(), None);
    assert_eq!(traces.section(JOB, "a").await.unwrap(), None);
    assert!(traces.sections(JOB).await.unwrap().is_empty());
    assert_eq!(traces.finish(JOB).await.unwrap(), 0);
    traces.reset(JOB).await.unwrap();
    assert!(!traces.delete(JOB).await.unwrap());
    assert_eq!(files(folder.path()), 0);
}

#[tokio::test]
async fn ranges_are_cut_off_at_what_may_be_shown() {
    let (_folder, traces) = traces().await;
    append(&traces, b"0123456789pass", &secrets(&["password"])).await;
    for (range, expected) in [
        (0..4, "0123"),
        (4..10, "456789"),
        (8..100, "89"),
        (10..20, ""),
        (50..60, ""),
    ] {
        let stream = traces.read(JOB, range.clone()).await.unwrap().unwrap();
        assert_eq!(
            text(stream).await.unwrap(),
            expected.as_bytes(),
            "{range:?}"
        );
    }
}

#[tokio::test]
async fn a_secret_is_never_shown_however_it_is_cut() {
    let secrets = secrets(&["hunter22", "ter22-x"]);
    let sent = b"deploy hunter22-x with hunter2 and hunter22\n";
    let masked = b"deploy xxxxxxxxxx with hunter2 and xxxxxxxx\n";
    let (_folder, traces) = traces().await;
    for split in 1..=sent.len() {
        let (a, b) = sent.split_at(split);
        append(&traces, a, &secrets).await;
        let before = shown(&traces).await;
        assert!(masked.starts_with(&before), "split at {split}");
        assert!(a.len() - before.len() < 8, "split at {split}");
        append(&traces, b, &secrets).await;
        assert_eq!(shown(&traces).await, masked, "split at {split}");
        let state = traces.state(JOB).await.unwrap().unwrap();
        assert_eq!(state.crc32, crc32fast::hash(sent));
        traces.reset(JOB).await.unwrap();
    }
    for byte in sent {
        append(&traces, &[*byte], &secrets).await;
        assert!(masked.starts_with(&shown(&traces).await));
    }
    assert_eq!(shown(&traces).await, masked);
}

#[tokio::test]
async fn a_tail_that_waits_is_shown_when_the_trace_is_finished() {
    let (folder, traces) = traces().await;
    append(
        &traces,
        b"done abab hunter2",
        &secrets(&["hunter22", "abab"]),
    )
    .await;
    assert_eq!(shown(&traces).await, b"done xxxx ");
    let state = traces.state(JOB).await.unwrap().unwrap();
    assert_eq!((state.size, state.shown), (17, 10));
    assert_eq!(traces.finish(JOB).await.unwrap(), 17);
    assert_eq!(traces.finish(JOB).await.unwrap(), 17);
    assert_eq!(shown(&traces).await, b"done xxxx hunter2");

    let again = Traces::open(folder.path().join("traces")).await.unwrap();
    assert_eq!(shown(&again).await, b"done xxxx hunter2");
    let none = Secrets::default();
    let more = Bytes::from_static(b"more");
    let late = again.append(JOB, 17, more, &none, NO_LIMIT);
    assert!(matches!(late.await, Err(Error::Finished(JOB))));
    let repeated = Bytes::from_static(b"2");
    let late = again.append(JOB, 16, repeated, &none, NO_LIMIT);
    assert_eq!(late.await.unwrap(), Appended::Stored { size: 17 });
}

#[tokio::test]
async fn the_server_adds_its_own_line() {
    let (_folder, traces) = traces().await;
    append(&traces, b"compiling pass", &secrets(&["password"])).await;
    assert_eq!(traces.write(JOB, "ERROR: too large").await.unwrap(), 32);
    assert_eq!(shown(&traces).await, b"compiling pass\nERROR: too large\n");
    let state = traces.state(JOB).await.unwrap().unwrap();
    assert_eq!(state.size, 14);
    assert_eq!(state.crc32, crc32fast::hash(b"compiling pass"));
    assert_eq!((state.shown, state.lines), (32, 2));
    assert_eq!(traces.finish(JOB).await.unwrap(), 32);
    assert_eq!(traces.write(JOB, "after\n").await.unwrap(), 38);
    assert_eq!(traces.finish(JOB).await.unwrap(), 38);

    let other = JobId(1);
    assert_eq!(traces.write(other, "never began").await.unwrap(), 12);
    assert_eq!(traces.shown(other).await.unwrap(), Some(12));
}

#[tokio::test]
async fn a_trace_is_sent_again_after_a_reset() {
    let (folder, traces) = traces().await;
    let secrets = secrets(&["hunter22"]);
    append(&traces, &b"line hunter22\n".repeat(9000), &secrets).await;
    append(&traces, b"section_start:1:a\r\x1b[0K hunter", &secrets).await;
    traces.finish(JOB).await.unwrap();
    traces.reset(JOB).await.unwrap();
    let state = traces.state(JOB).await.unwrap().unwrap();
    assert_eq!(
        (state.size, state.crc32, state.shown, state.lines),
        (0, 0, 0, 0)
    );
    assert!(traces.sections(JOB).await.unwrap().is_empty());

    let again = Traces::open(folder.path().join("traces")).await.unwrap();
    append(&again, b"22 short\n", &secrets).await;
    assert_eq!(shown(&again).await, b"22 short\n");
    assert!(again.delete(JOB).await.unwrap());
    assert!(!again.delete(JOB).await.unwrap());
    assert_eq!(again.state(JOB).await.unwrap(), None);
    assert_eq!(files(folder.path()), 0);
    append(&again, b"new\n", &secrets).await;
    assert_eq!(shown(&again).await, b"new\n");
}

#[tokio::test]
async fn lines_of_a_large_trace() {
    let (_folder, traces) = traces().await;
    let mut sent = Vec::new();
    let mut starts = vec![0];
    while sent.len() < 5 << 20 {
        let length = sent.len() * 7 % 113;
        sent.extend(std::iter::repeat_n(b'a' + (length % 26) as u8, length));
        sent.push(b'\n');
        starts.push(sent.len() as u64);
    }
    // one very long line, and one without an end
    sent.extend(vec![b'-'; 300_000]);
    sent.push(b'\n');
    starts.push(sent.len() as u64);
    sent.extend_from_slice(b"the end");
    for (at, chunk) in sent.chunks(100_000).enumerate() {
        let chunk = Bytes::copy_from_slice(chunk);
        let offset = at as u64 * 100_000;
        let none = Secrets::default();
        traces
            .append(JOB, offset, chunk, &none, NO_LIMIT)
            .await
            .unwrap();
    }
    let size = sent.len() as u64;
    let state = traces.state(JOB).await.unwrap().unwrap();
    assert_eq!((state.size, state.shown), (size, size));
    assert_eq!(state.crc32, crc32fast::hash(&sent));
    let lines = starts.len();
    assert_eq!(state.lines, lines as u64);
    let near_the_end = lines - 4..lines;
    for line in (0..lines).step_by(1999).chain(near_the_end) {
        let found = traces.from_line(JOB, line as u64).await.unwrap();
        assert_eq!(found, Some(starts[line]), "line {line}");
        let rest = (lines - line) as u64;
        let found = traces.tail(JOB, rest).await.unwrap();
        assert_eq!(found, Some(starts[line]), "last {rest} lines");
    }
    let past = traces.from_line(JOB, lines as u64).await.unwrap();
    assert_eq!(past, Some(size));
    assert_eq!(traces.tail(JOB, 0).await.unwrap(), Some(size));
    assert_eq!(traces.tail(JOB, u64::MAX).await.unwrap(), Some(0));
    assert_eq!(shown(&traces).await, sent);
}

#[tokio::test]
async fn sections_across_every_border_of_chunks() {
    let sent = "\x1b[0KRunning with gitlab-runner\nsection_start:10:get_sources\r\x1b[0KFetching\n\
        section_end:12:get_sources\r\x1b[0Ksection_start:12:step_script[collapsed=true]\r\x1b[0K$ make\n\
        section_start:13:inner\r\x1b[0Kx\nsection_end:14:inner\r\x1b[0Ksection_end:20:step_script\r\x1b[0K\
        section_start:20:inner\r\x1b[0Ksecond\nsection_end:1:unknown\r\x1b[0Krest\n";
    let find = |text: &str| sent.find(text).unwrap() as u64;
    let past = |text: &str| find(text) + text.len() as u64;
    let (_folder, traces) = traces().await;
    for split in 0..=sent.len() {
        let (a, b) = sent.as_bytes().split_at(split);
        append(&traces, a, &Secrets::default()).await;
        append(&traces, b, &Secrets::default()).await;
        let sections = traces.sections(JOB).await.unwrap();
        let found: Vec<_> = { sections.iter() }
            .map(|s| (s.name.as_str(), s.start, s.end, s.started, s.ended))
            .collect();
        let end = |text| Some(past(text));
        let expected = [
            (
                "get_sources",
                find("section_start:10"),
                end("section_end:12:get_sources\r\x1b[0K"),
                10,
                Some(12),
            ),
            (
                "step_script",
                find("section_start:12"),
                end("section_end:20:step_script\r\x1b[0K"),
                12,
                Some(20),
            ),
            (
                "inner",
                find("section_start:13"),
                end("section_end:14:inner\r\x1b[0K"),
                13,
                Some(14),
            ),
            ("inner", find("section_start:20"), None, 20, None),
        ];
        assert_eq!(found, expected, "split at {split}");
        let inner = traces.section(JOB, "inner").await.unwrap().unwrap();
        assert_eq!(Some(inner.end), expected[2].2);
        assert_eq!(traces.section(JOB, "none").await.unwrap(), None);
        traces.reset(JOB).await.unwrap();
    }
    append(
        &traces,
        b"..section_start:7:open\r\x1b[0Ktext",
        &Secrets::default(),
    )
    .await;
    let open = traces.section(JOB, "open").await.unwrap();
    assert_eq!(open, Some(2..31));
}

#[tokio::test]
async fn bytes_that_are_no_utf_8_are_kept() {
    let (_folder, traces) = traces().await;
    let sent: Vec<u8> = (0..2000u32).map(|n| (n * 31 % 256) as u8).collect();
    for chunk in sent.chunks(7) {
        append(&traces, chunk, &secrets(&["geheim", "ü"])).await;
    }
    traces.finish(JOB).await.unwrap();
    assert_eq!(shown(&traces).await, sent);
    let state = traces.state(JOB).await.unwrap().unwrap();
    assert_eq!(state.crc32, crc32fast::hash(&sent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_jobs_and_many_writers_of_one() {
    let (_folder, traces) = traces().await;
    // more jobs than files that stay open
    let mut tasks = Vec::new();
    for job in 0..500 {
        let traces = traces.clone();
        tasks.push(tokio::spawn(async move {
            let none = Secrets::default();
            for round in 0..3u64 {
                let line = Bytes::from(format!("job {job:04} {round}\n"));
                let answer = traces.append(JobId(job), round * 11, line, &none, NO_LIMIT);
                let size = (round + 1) * 11;
                assert_eq!(answer.await.unwrap(), Appended::Stored { size });
            }
        }));
    }
    // the same chunk from several connections is stored once
    for _ in 0..20 {
        let traces = traces.clone();
        tasks.push(tokio::spawn(async move {
            let chunk = Bytes::from(vec![b'.'; 100_000]);
            let none = Secrets::default();
            let answer = traces.append(JobId(9999), 0, chunk, &none, NO_LIMIT);
            assert_eq!(answer.await.unwrap(), Appended::Stored { size: 100_000 });
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    traces.sync().await.unwrap();
    for job in 0..500 {
        let stream = traces.read(JobId(job), 0..99).await.unwrap().unwrap();
        let expected = format!("job {job:04} 0\njob {job:04} 1\njob {job:04} 2\n");
        assert_eq!(text(stream).await.unwrap(), expected.as_bytes());
    }
}
