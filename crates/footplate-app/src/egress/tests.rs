//! A server on loopback, with and without the allow-list that opens it.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

const LIMIT: usize = 1 << 16;

/// Answers every connection with these bytes; `hold` keeps it open afterwards.
async fn server(answer: impl Into<Vec<u8>>, hold: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer: Arc<[u8]> = answer.into().into();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
                if hold {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    address
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn egress(allow: &[&str]) -> Egress {
    Egress::new(EgressSettings {
        allow: AllowList::parse(allow.iter().copied()).unwrap(),
        time: Duration::from_secs(5),
        ..EgressSettings::default()
    })
}

fn blocked(result: Result<Vec<u8>, EgressError>, word: &str) {
    let Err(EgressError::Blocked(reason)) = &result else {
        panic!("not blocked: {result:?}");
    };
    assert!(reason.contains(word), "{reason}");
}

#[tokio::test]
async fn the_allow_list_opens_loopback_and_plain_http() {
    let address = server(answer("200 OK", "", "job: {script: [x]}\n"), false).await;
    let port = address.port();
    let url = format!("http://{address}/a.yml");
    for entry in ["127.0.0.0/8", "127.0.0.1", &format!("127.0.0.1:{port}")] {
        let body = egress(&[entry]).get(&url, LIMIT).await.unwrap();
        assert_eq!(body, b"job: {script: [x]}\n");
    }
    let named = format!("http://localhost:{port}/a.yml");
    for entry in ["localhost", &format!("localhost:{port}")] {
        assert!(egress(&[entry]).get(&named, LIMIT).await.is_ok(), "{entry}");
    }
    blocked(egress(&["localhost:1"]).get(&named, LIMIT).await, "https");
}

#[tokio::test]
async fn without_it_nothing_private_is_asked() {
    // Nobody listens at these: a refusal comes before any connection.
    for (host, word) in [
        ("127.0.0.1", "loopback"),
        ("localhost", "loopback"),
        ("2130706433", "loopback"),
        ("0x7f000001", "loopback"),
        ("0x7f.1", "loopback"),
        ("0177.0.0.1", "loopback"),
        ("017700000001", "loopback"),
        ("127.1", "loopback"),
        ("0", "localhost"),
        ("0.0.0.0", "localhost"),
        ("169.254.169.254", "link local"),
        ("0xa9fea9fe", "link local"),
        ("10.0.0.1", "local network"),
        ("[::1]", "loopback"),
        ("[::]", "localhost"),
        ("[::ffff:127.0.0.1]", "loopback"),
        ("[::ffff:7f00:1]", "loopback"),
        ("[64:ff9b::7f00:1]", "special"),
        ("[2002:7f00:1::]", "special"),
        ("[fd00:ec2::254]", "local network"),
    ] {
        blocked(
            egress(&[])
                .get(&format!("https://{host}/a.yml"), LIMIT)
                .await,
            word,
        );
        blocked(
            egress(&[])
                .get(&format!("http://{host}/a.yml"), LIMIT)
                .await,
            "https",
        );
    }
    blocked(
        egress(&[]).get("http://8.8.8.8/a.yml", LIMIT).await,
        "https",
    );
    // Some resolvers know this name, others do not.
    let dotted = egress(&[]).get("https://localhost./a.yml", LIMIT).await;
    assert!(dotted.is_err(), "{dotted:?}");
    let full_width = "https://１２７.0.0.1/a.yml";
    blocked(egress(&[]).get(full_width, LIMIT).await, "loopback");
}

#[tokio::test]
async fn other_schemes_are_no_addresses() {
    for url in [
        "file:///etc/passwd",
        "ftp://x/a.yml",
        "gopher://x/",
        "a.yml",
        "",
        "https://",
        "data:,x",
    ] {
        assert_eq!(
            egress(&[]).get(url, LIMIT).await,
            Err(EgressError::Address),
            "{url}"
        );
    }
}

#[tokio::test]
async fn every_redirect_goes_through_the_same_door() {
    let end = server(answer("200 OK", "", "found"), false).await;
    let there = format!("Location: http://127.0.0.1:{}/b.yml\r\n", end.port());
    let start = server(answer("302 Found", &there, ""), false).await;
    let url = format!("http://127.0.0.1:{}/a.yml", start.port());
    assert_eq!(
        egress(&["127.0.0.1"]).get(&url, LIMIT).await.unwrap(),
        b"found"
    );
    let only_start = egress(&[&format!("127.0.0.1:{}", start.port())]);
    blocked(only_start.get(&url, LIMIT).await, "https");
    for (target, word) in [
        ("https://169.254.169.254/latest/meta-data/", "link local"),
        ("https://localhost/x", "loopback"),
        ("https://[::1]/x", "loopback"),
        ("//10.0.0.1/x", "https"),
    ] {
        let start = server(
            answer("301 Moved", &format!("Location: {target}\r\n"), ""),
            false,
        )
        .await;
        let opened = egress(&[&format!("127.0.0.1:{}", start.port())]);
        blocked(
            opened.get(&format!("http://{start}/a.yml"), LIMIT).await,
            word,
        );
    }
    let start = server(
        answer("302 Found", "Location: file:///etc/passwd\r\n", ""),
        false,
    )
    .await;
    let result = egress(&["127.0.0.1"])
        .get(&format!("http://{start}/"), LIMIT)
        .await;
    assert_eq!(result, Err(EgressError::Address));
}

#[tokio::test]
async fn redirects_end() {
    let start = server(answer("302 Found", "Location: /again\r\n", ""), false).await;
    let result = egress(&["127.0.0.1"])
        .get(&format!("http://{start}/"), LIMIT)
        .await;
    assert_eq!(result, Err(EgressError::Http));
}

#[tokio::test]
async fn huge_bodies_are_cut_off() {
    let announced = server("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", true).await;
    let mut endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..64 {
        endless.extend_from_slice(format!("1000\r\n{}\r\n", "x".repeat(0x1000)).as_bytes());
    }
    let endless = server(endless, true).await;
    for address in [announced, endless] {
        let result = egress(&["127.0.0.1"])
            .get(&format!("http://{address}/a.yml"), LIMIT)
            .await;
        assert_eq!(result, Err(EgressError::TooLarge(LIMIT)));
    }
}

#[tokio::test]
async fn slow_answers_and_slow_bodies_time_out() {
    let silent = server("", true).await;
    let slow = server("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\njob:", true).await;
    for address in [silent, slow] {
        let hasty = Egress::new(EgressSettings {
            allow: AllowList::parse(["127.0.0.1"]).unwrap(),
            time: Duration::from_millis(200),
            ..EgressSettings::default()
        });
        let result = hasty.get(&format!("http://{address}/a.yml"), LIMIT).await;
        assert_eq!(result, Err(EgressError::Timeout));
    }
}

#[tokio::test]
async fn refusals_of_the_other_side() {
    let missing = server(answer("404 Not Found", "", "no"), false).await;
    let result = egress(&["127.0.0.1"])
        .get(&format!("http://{missing}/a.yml"), LIMIT)
        .await;
    assert_eq!(result, Err(EgressError::Status(404)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = listener.local_addr().unwrap();
    drop(listener);
    let result = egress(&["127.0.0.1"])
        .get(&format!("http://{gone}/a.yml"), LIMIT)
        .await;
    assert_eq!(result, Err(EgressError::Refused));
    let nowhere = egress(&[])
        .get("https://nothing.invalid/a.yml", LIMIT)
        .await;
    // Where there is no resolver at all it takes its time.
    assert!(
        matches!(nowhere, Err(EgressError::Socket | EgressError::Timeout)),
        "{nowhere:?}"
    );
    // Neither HTTP nor TLS.
    let garbage = server("this is not HTTP\r\n\r\n", false).await;
    for scheme in ["http", "https"] {
        let result = egress(&["127.0.0.1"])
            .get(&format!("{scheme}://{garbage}/a.yml"), LIMIT)
            .await;
        assert!(
            matches!(result, Err(EgressError::Http | EgressError::Socket)),
            "{scheme}: {result:?}"
        );
    }
}
