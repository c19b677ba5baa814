//! Long traces and artifacts against nginx with sendfile.

use std::io::Write as _;

use crate::{
    Result,
    http::Connection,
    options::Options,
    program::{Place, Running},
    report::Report,
    trace, wrk,
};

/// Bytes of the trace and of the artifact.
const SIZE: usize = 54 << 20;
/// Bytes of one `PATCH`.
const CHUNK: usize = 1 << 20;

pub(crate) fn measure(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    eprintln!("long traces and artifacts");
    let program = Running::program(options, place, 0)?;
    let job = trace::take(&program, &program.runner()?)?;
    let mut text = Vec::with_capacity(SIZE);
    while text.len() < SIZE {
        writeln!(
            text,
            "line {} of a long log, with some words behind it",
            text.len()
        )?;
    }
    text.truncate(SIZE);
    let mut connection = Connection::open(&program.host)?;
    for (number, part) in text.chunks(CHUNK).enumerate() {
        let start = number * CHUNK;
        let range = format!("{start}-{}", start + part.len() - 1);
        let headers = [
            ("job-token", job.token.as_str()),
            ("content-type", "text/plain"),
            ("content-range", &range),
        ];
        let path = format!("/api/v4/jobs/{}/trace", job.id);
        connection
            .call("PATCH", &path, &headers, part)?
            .expect(202)?;
    }
    let mut body =
        b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"artifacts.zip\"\r\n\r\n"
            .to_vec();
    let archive = body.len();
    body.extend_from_slice(&stored_zip(&text));
    let archive = body[archive..].to_vec();
    body.extend_from_slice(b"\r\n--b--\r\n");
    let headers = [
        ("job-token", job.token.as_str()),
        ("content-type", "multipart/form-data; boundary=b"),
    ];
    let path = format!(
        "/api/v4/jobs/{}/artifacts?artifact_format=zip&artifact_type=archive",
        job.id
    );
    connection
        .call("POST", &path, &headers, &body)?
        .expect(201)?;
    let state = serde_json::json!({"token": job.token, "state": "success"}).to_string();
    let path = format!("/api/v4/jobs/{}", job.id);
    connection
        .call(
            "PUT",
            &path,
            &[("content-type", "application/json")],
            state.as_bytes(),
        )?
        .expect(200)?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("trace"), &text)?;
    std::fs::write(folder.path().join("archive"), &archive)?;
    let nginx = Running::nginx(folder.path())?;
    for (name, ours, theirs) in [
        (
            "54 MB trace ÷ nginx",
            format!("/api/v4/projects/1/jobs/{}/trace", job.id),
            "/trace",
        ),
        (
            "54 MB artifact ÷ nginx",
            format!("/api/v4/projects/1/jobs/{}/artifacts", job.id),
            "/archive",
        ),
    ] {
        let mut pairs = Vec::new();
        for _ in 0..options.rounds {
            pairs.push((
                wrk::gets(&program.host, &ours, 4, options.span)?,
                wrk::gets(&nginx.host, theirs, 4, options.span)?,
            ));
        }
        report.pairs(name, &pairs, (0.5, 0.75), "downloads/s");
    }
    Ok(())
}

/// A zip archive with one stored file.
fn stored_zip(data: &[u8]) -> Vec<u8> {
    let mut crc = !0_u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let (crc, size) = (!crc, u32::try_from(data.len()).unwrap_or(u32::MAX));
    let name = b"log.txt";
    let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
    for number in [crc, size, size] {
        common.extend_from_slice(&number.to_le_bytes());
    }
    common.extend_from_slice(&[7, 0, 0, 0]);
    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend_from_slice(&common);
    zip.extend_from_slice(name);
    zip.extend_from_slice(data);
    let directory = zip.len();
    zip.extend_from_slice(b"PK\x01\x02\x14\0");
    zip.extend_from_slice(&common);
    zip.extend_from_slice(&[0; 14]);
    zip.extend_from_slice(name);
    let length = u32::try_from(zip.len() - directory).unwrap_or(0);
    zip.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend_from_slice(&length.to_le_bytes());
    zip.extend_from_slice(&u32::try_from(directory).unwrap_or(0).to_le_bytes());
    zip.extend_from_slice(&[0, 0]);
    zip
}
