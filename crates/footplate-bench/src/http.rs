//! A client that costs next to nothing: one blocking connection, kept alive.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::Result;

/// A kept connection to `host:port`.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    host: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn expect(self, status: u16) -> Result<Self> {
        if self.status == status {
            return Ok(self);
        }
        let text = String::from_utf8_lossy(&self.body).into_owned();
        Err(format!("answered {} instead of {status}: {text}", self.status).into())
    }

    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A request as bytes.
pub(crate) fn request(
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method != "GET" {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

impl Connection {
    pub(crate) fn open(host: &str) -> Result<Self> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        Ok(Self {
            reader: BufReader::with_capacity(64 << 10, stream),
            host: host.to_owned(),
        })
    }

    /// Sends a request and reads its answer.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        let bytes = request(&self.host, method, path, headers, body);
        self.send(&bytes)?;
        self.receive()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.reader.get_mut().write_all(bytes)?)
    }

    pub(crate) fn receive(&mut self) -> Result<Answer> {
        let mut head = String::new();
        loop {
            let start = head.len();
            if self.reader.read_line(&mut head)? == 0 {
                return Err("the connection was closed".into());
            }
            if &head[start..] == "\r\n" {
                break;
            }
        }
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok())
            .ok_or("no status")?;
        let mut answer = Answer {
            status,
            headers: head,
            body: Vec::new(),
        };
        let length: usize = match answer.header("content-length") {
            Some(length) => length.parse()?,
            None if status == 204 => 0,
            None => return Err("an answer without length".into()),
        };
        answer.body.resize(length, 0);
        self.reader.read_exact(&mut answer.body)?;
        Ok(answer)
    }
}

/// One call on a connection of its own.
pub(crate) fn once(
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
    Connection::open(host)?.call(method, path, headers, body)
}

/// Lets `work` run again and again on so many threads; how often a second it was done.
pub(crate) fn load<W, S>(threads: usize, span: Duration, start: S) -> Result<f64>
where
    S: Fn(usize) -> Result<W>,
    W: FnMut() -> Result<()> + Send + 'static,
{
    let stop = Arc::new(AtomicBool::new(false));
    let workers = (0..threads)
        .map(|number| {
            let (mut work, stop) = (start(number)?, stop.clone());
            Ok(std::thread::spawn(move || -> Result<u64> {
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    work()?;
                    count += 1;
                }
                Ok(count)
            }))
        })
        .collect::<Result<Vec<_>>>()?;
    let began = Instant::now();
    std::thread::sleep(span);
    stop.store(true, Ordering::Relaxed);
    let mut count = 0;
    for worker in workers {
        count += worker.join().map_err(|_| "a thread panicked")??;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}
