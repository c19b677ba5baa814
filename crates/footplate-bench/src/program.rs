//! Processes: the program under test, yardsticks, nginx.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};

use crate::{Result, http, options::Options};

/// The administrator's token.
pub(crate) const TOKEN: &str = "glpat-of-the-benchmark-000";

/// Where the program keeps its data.
pub(crate) struct Place {
    /// The data directory.
    pub(crate) folder: tempfile::TempDir,
    /// URL of PostgreSQL.
    pub(crate) postgres: Option<String>,
}

impl Place {
    pub(crate) fn sqlite() -> Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
            postgres: None,
        })
    }

    /// A database of its own in the cluster.
    pub(crate) fn postgres(cluster: &str) -> Result<Self> {
        let name = format!("bench_{}", std::process::id());
        let (base, _) = cluster.rsplit_once('/').ok_or("not a URL")?;
        crate::seed::postgres(cluster, &[format!("CREATE DATABASE {name}")])?;
        Ok(Self {
            folder: tempfile::tempdir()?,
            postgres: Some(format!("{base}/{name}")),
        })
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The file of SQLite.
    pub(crate) fn file(&self) -> Result<PathBuf> {
        let list = std::fs::read_dir(self.data())?;
        list.flatten()
            .map(|entry| entry.path())
            .find(|path| {
                path.extension()
                    .is_some_and(|end| end == "db" || end == "sqlite")
            })
            .ok_or_else(|| "no database file".into())
    }
}

/// A process that ends with the value.
pub(crate) struct Running {
    child: Child,
    /// `host:port`
    pub(crate) host: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGTERM lets the program close its database.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts a command that says `listening on http://HOST:PORT`.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or("no standard output")?;
        let mut reader = BufReader::new(out);
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 {
            if let Some(host) = line.trim().strip_prefix("listening on http://") {
                let host = host.to_owned();
                // Whatever else is printed must not block the process.
                std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
                return Ok(Self { child, host });
            }
            line.clear();
        }
        Err("a process ended before it listened".into())
    }

    /// The program under test.
    pub(crate) fn program(options: &Options, place: &Place, hold: u32) -> Result<Self> {
        let mut command = Command::new(&options.program);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(place.data())
            .env("FOOTPLATE_RUNNERS__HOLD_SECONDS", hold.to_string())
            // The measure of appends writes more than jobs may by default.
            .env("FOOTPLATE_LIMITS__TRACE_BYTES", "1000000000000")
            .env("RUST_LOG", "error");
        if !place.data().exists() {
            command
                .env("FOOTPLATE_ROOT_TOKEN", TOKEN)
                .env("FOOTPLATE_ROOT_PASSWORD", "a password of the benchmark");
        }
        if let Some(url) = &place.postgres {
            command.args(["--database-url", url]);
        }
        Self::start(&mut command)
    }

    /// One of our own yardsticks.
    pub(crate) fn yardstick(arguments: &[&str]) -> Result<Self> {
        let own = std::env::current_exe()?;
        Self::start(Command::new(own).arg("yardstick").args(arguments))
    }

    /// nginx with a folder of files.
    pub(crate) fn nginx(folder: &Path) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let text = format!(
            "worker_processes 2; daemon off; pid {0}/nginx.pid; error_log {0}/nginx.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; default_type application/json;\n\
             client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
             server {{ listen 127.0.0.1:{port}; root {0}; }} }}\n",
            folder.display()
        );
        let config = folder.join("nginx.conf");
        std::fs::write(&config, text)?;
        // Its workers drop root's rights and must read the folder.
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
        let child = Command::new("nginx")
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(&config)
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("nginx: {error}"))?;
        let running = Self {
            child,
            host: format!("127.0.0.1:{port}"),
        };
        for _ in 0..200 {
            if std::net::TcpStream::connect(&running.host).is_ok() {
                return Ok(running);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("nginx does not listen".into())
    }

    /// Private memory in bytes.
    pub(crate) fn private_memory(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let sum: u64 = text
            .lines()
            .filter(|line| line.starts_with("Private_Clean:") || line.starts_with("Private_Dirty:"))
            .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
            .sum();
        Ok(sum * 1024)
    }

    /// Seconds of the processor that its threads have spent.
    pub(crate) fn processor(&self) -> Result<f64> {
        crate::processor::of_process(self.child.id())
    }

    /// A call of the administrator.
    pub(crate) fn api(&self, method: &str, path: &str, body: &Json) -> Result<http::Answer> {
        let headers = [
            ("private-token", TOKEN),
            ("content-type", "application/json"),
        ];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let path = format!("/api/v4{path}");
        http::once(&self.host, method, &path, &headers, body.as_bytes())
    }

    /// A fresh instance runner's token.
    pub(crate) fn runner(&self) -> Result<String> {
        let body = json!({"runner_type": "instance_type", "run_untagged": true});
        let made = self
            .api("POST", "/user/runners", &body)?
            .expect(201)?
            .json()?;
        Ok(made["token"].as_str().ok_or("no runner token")?.to_owned())
    }
}
