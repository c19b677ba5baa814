//! Traces after the process was killed, and after a loss of power took parts of their files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use footplate_blob::{Appended, Secrets, Traces};

use crate::trace::{JOB, NO_LIMIT, append, secrets, shown, traces};

/// Text, companion.
fn paths(root: &Path) -> (PathBuf, PathBuf) {
    let folder = root.join("traces").join((JOB.0 / 1024).to_string());
    let path = |kind| folder.join(format!("{JOB}.{kind}"));
    (path("trace"), path("state"))
}

async fn reopen(root: &Path) -> Traces {
    Traces::open(root.join("traces")).await.unwrap()
}

/// What a runner has written to its log: lines, sections and a secret now and then.
fn log(bytes: usize) -> Vec<u8> {
    let mut log = Vec::new();
    for n in 0.. {
        if log.len() >= bytes {
            break;
        }
        let line = match n % 50 {
            7 => format!("section_start:{n}:part_{n}\r\x1b[0Kpart\n"),
            9 => format!("token hunter22 of {n}\n"),
            31 => format!("section_end:{n}:part_{}\r\x1b[0K\n", n - 24),
            _ => format!("line {n} {}\n", "=".repeat(n * 13 % 90)),
        };
        log.extend_from_slice(line.as_bytes());
    }
    log
}

fn masked(log: &[u8]) -> Vec<u8> {
    let log = String::from_utf8(log.to_vec()).unwrap();
    log.replace("hunter22", "xxxxxxxx").into_bytes()
}

/// What the runner does: goes on where the server says, and sends all again when the sums differ.
async fn send(traces: &Traces, log: &[u8], step: usize) -> usize {
    let secrets = secrets(&["hunter22"]);
    let mut resets = 0;
    loop {
        let state = traces.state(JOB).await.unwrap();
        let mut at = state.map_or(0, |state| state.size);
        assert!(at <= log.len() as u64, "never more than was sent");
        while at < log.len() as u64 {
            let start = usize::try_from(at).unwrap();
            let chunk = &log[start..log.len().min(start + step)];
            let chunk = Bytes::copy_from_slice(chunk);
            match traces.append(JOB, at, chunk, &secrets, NO_LIMIT).await {
                Ok(Appended::Stored { size } | Appended::Refused { size }) => at = size,
                other => panic!("{other:?}"),
            }
        }
        let state = traces.state(JOB).await.unwrap().unwrap();
        if state.crc32 == crc32fast::hash(log) {
            return resets;
        }
        resets += 1;
        assert!(resets < 2, "a complete trace has the right sum");
        traces.reset(JOB).await.unwrap();
    }
}

/// The trace is what it would be if nothing had happened.
async fn check(traces: &Traces, log: &[u8], context: &str) {
    assert_eq!(traces.finish(JOB).await.unwrap(), log.len() as u64);
    assert!(shown(traces).await == masked(log), "{context}");
    let state = traces.state(JOB).await.unwrap().unwrap();
    let lines = log.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(state.lines, lines as u64, "{context}");
    let text = String::from_utf8(masked(log)).unwrap();
    let starts: Vec<usize> = { text.match_indices("section_start:") }
        .map(|found| found.0)
        .collect();
    let sections = traces.sections(JOB).await.unwrap();
    let found: Vec<usize> = { sections.iter() }
        .map(|section| usize::try_from(section.start).unwrap())
        .collect();
    assert_eq!(found, starts, "{context}");
    let middle = traces.from_line(JOB, state.lines / 2).await.unwrap();
    let line = text.match_indices('\n').nth(lines / 2 - 1).unwrap().0 + 1;
    assert_eq!(middle, Some(line as u64), "{context}");
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_process() {
    let (folder, mut traces) = traces().await;
    let secrets = secrets(&["hunter22"]);
    let log = log(3000);
    for (at, chunk) in log.chunks(37).enumerate() {
        append(&traces, chunk, &secrets).await;
        let before = traces.state(JOB).await.unwrap();
        // killed in the next append: text behind the end that nothing counts, and half of a slot
        let (text, companion) = paths(folder.path());
        let mut bytes = fs::read(&text).unwrap();
        bytes.extend_from_slice(b"half an append");
        fs::write(&text, bytes).unwrap();
        if at % 3 == 0 {
            let mut bytes = fs::read(&companion).unwrap();
            bytes.extend_from_slice(&[1, 9, 0, 7, 7]);
            fs::write(&companion, bytes).unwrap();
        }
        traces = reopen(folder.path()).await;
        assert_eq!(traces.state(JOB).await.unwrap(), before);
    }
    let sum = traces.state(JOB).await.unwrap().unwrap().crc32;
    assert_eq!(sum, crc32fast::hash(&log));
    check(&traces, &log, "after many ends").await;
}

#[tokio::test]
async fn a_secret_that_was_under_way_is_masked_after_a_crash() {
    let secrets = secrets(&["hunter22"]);
    for split in 1..8 {
        let (folder, traces) = traces().await;
        append(&traces, &b"= hunter22"[..2 + split], &secrets).await;
        drop(traces);
        let traces = reopen(folder.path()).await;
        assert_eq!(shown(&traces).await, b"= ");
        append(&traces, &b"hunter22 ="[split..], &secrets).await;
        assert_eq!(shown(&traces).await, b"= xxxxxxxx =");
    }
}

/// Damages a trace of 300 KB, in small chunks up to its middle, and lets the runner go on.
async fn damaged(damage: impl Fn(&Path, &Path), context: &str) {
    let (folder, traces) = traces().await;
    let log = log(300_000);
    send(&traces, &log[..170_003], 4001).await;
    drop(traces);
    let (text, companion) = paths(folder.path());
    damage(&text, &companion);
    let traces = reopen(folder.path()).await;
    send(&traces, &log, 20_000).await;
    check(&traces, &log, context).await;
}

fn cut(path: &Path, length: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

#[tokio::test]
async fn a_text_that_lost_its_end() {
    for length in [
        0, 1, 4000, 65_535, 70_000, 131_071, 140_000, 169_000, 170_002,
    ] {
        damaged(|text, _| cut(text, length), &format!("cut to {length}")).await;
    }
}

#[tokio::test]
async fn a_text_with_a_hole_goes_back_to_a_checkpoint() {
    for at in [0, 60_000, 100_000, 169_990] {
        let hole = |text: &Path, _: &Path| {
            let mut bytes = fs::read(text).unwrap();
            let end = bytes.len().min(at + 4096);
            bytes[at..end].fill(0);
            fs::write(text, bytes).unwrap();
        };
        damaged(hole, &format!("a hole at {at}")).await;
    }
}

#[tokio::test]
async fn a_checkpoint_saves_what_is_before_it() {
    let (folder, traces) = traces().await;
    let log = log(200_000);
    send(&traces, &log, 4096).await;
    drop(traces);
    let (text, _) = paths(folder.path());
    cut(&text, 150_000);
    let traces = reopen(folder.path()).await;
    let state = traces.state(JOB).await.unwrap().unwrap();
    assert!((80_000..=150_000).contains(&state.size), "{}", state.size);
    let size = usize::try_from(state.size).unwrap();
    assert_eq!(state.crc32, crc32fast::hash(&log[..size]));
}

#[tokio::test]
async fn a_companion_that_is_older_cut_garbled_or_gone() {
    damaged(|_, companion| fs::remove_file(companion).unwrap(), "gone").await;
    for length in [0, 10, 2048, 2100, 4096, 4097, 4300] {
        damaged(
            |_, companion| cut(companion, length),
            &format!("cut to {length}"),
        )
        .await;
    }
    for at in [0, 5, 20, 60, 2048, 2070, 4096, 4110, 4500] {
        let garble = |_: &Path, companion: &Path| {
            let mut bytes = fs::read(companion).unwrap();
            let end = bytes.len().min(at + 9);
            if let Some(part) = bytes.get_mut(at..end) {
                part.fill(0xa5);
            }
            fs::write(companion, bytes).unwrap();
        };
        damaged(garble, &format!("garbled at {at}")).await;
    }
}

#[tokio::test]
async fn a_companion_of_an_earlier_moment() {
    let (folder, traces) = traces().await;
    let log = log(300_000);
    send(&traces, &log[..100_000], 5000).await;
    let (text, companion) = paths(folder.path());
    let (old_text, old) = (fs::read(&text).unwrap(), fs::read(&companion).unwrap());
    send(&traces, &log[..200_000], 5000).await;
    drop(traces);
    let new = fs::read(&companion).unwrap();

    fs::write(&companion, old).unwrap();
    let traces = reopen(folder.path()).await;
    let state = traces.state(JOB).await.unwrap().unwrap();
    assert_eq!(state.size, 100_000);
    drop(traces);

    fs::write(&companion, new).unwrap();
    fs::write(&text, old_text).unwrap();
    let traces = reopen(folder.path()).await;
    assert_eq!(send(&traces, &log, 7000).await, 0);
    check(&traces, &log, "an older text").await;
}

#[tokio::test]
async fn mutations_never_break_the_runner() {
    // a small generator: the same mutations every time
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let (folder, traces) = traces().await;
    let log = log(150_000);
    send(&traces, &log[..140_000], 3000).await;
    drop(traces);
    let (text, companion) = paths(folder.path());
    let good = [fs::read(&text).unwrap(), fs::read(&companion).unwrap()];
    for round in 0..150 {
        let mut files = good.clone();
        let file = &mut files[round % 2];
        for _ in 0..=next(4) {
            // the companion's first bytes matter most
            let span = if next(2) == 0 { 200 } else { file.len() };
            let at = next(span.clamp(1, file.len().max(1)));
            match next(3) {
                0 => file.truncate(at.max(1)),
                1 => file.extend_from_slice(&[b'#'; 9]),
                _ => file[at] ^= 1 << next(8),
            }
            if file.len() < 2 {
                break;
            }
        }
        fs::write(&text, &files[0]).unwrap();
        fs::write(&companion, &files[1]).unwrap();
        let traces = reopen(folder.path()).await;
        let state = traces.state(JOB).await.unwrap().unwrap();
        if state.size <= log.len() as u64 {
            send(&traces, &log, 60_000).await;
            check(&traces, &log, &format!("round {round}")).await;
        }
    }
}

#[tokio::test]
async fn a_finished_trace_keeps_its_text_without_its_companion() {
    let (folder, traces) = traces().await;
    let log = log(100_000);
    send(&traces, &log, 9000).await;
    traces.finish(JOB).await.unwrap();
    drop(traces);
    let (_, companion) = paths(folder.path());
    for damage in 0..3 {
        let bytes = fs::read(&companion).unwrap();
        match damage {
            0 => cut(&companion, 4096),
            1 => cut(&companion, 0),
            _ => fs::write(&companion, &bytes[..4200]).unwrap(),
        }
        let traces = reopen(folder.path()).await;
        assert!(shown(&traces).await == masked(&log));
        check(&traces, &log, "finished").await;
    }
    let none = Secrets::default();
    assert!(format!("{none:?}").starts_with("Secrets"));
}
