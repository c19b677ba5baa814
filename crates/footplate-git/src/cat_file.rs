//! Long-lived `git cat-file --batch-command` processes: an object costs a round trip on a pipe, not a process.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout},
};

use crate::{Error, Result, Sha, command::bare_command};

/// An object's contents.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) id: Sha,
    pub(crate) kind: &'static str,
    pub(crate) data: Bytes,
}

/// An object without its contents.
#[derive(Debug, Clone)]
pub(crate) struct ObjectInfo {
    pub(crate) id: Sha,
    pub(crate) kind: &'static str,
    pub(crate) size: u64,
}

/// A reading process. One that was left in the middle of an answer is dropped, never put back.
pub(crate) struct Reader {
    _child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Reader {
    fn start(repository: &Path) -> Result<Self> {
        if !repository.join("HEAD").exists() {
            return Err(Error::NoRepository(name_of(repository)));
        }
        let mut child = bare_command(repository)
            .args(["cat-file", "--batch-command"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::io("start git"))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::unreadable("cat-file", "no pipes"));
        };
        Ok(Self {
            _child: child,
            stdin,
            stdout: BufReader::with_capacity(32 * 1024, stdout),
        })
    }

    /// Contents of objects; all of them together may have `limit` bytes.
    pub(crate) async fn contents(
        mut self,
        names: &[String],
        limit: u64,
    ) -> Result<(Self, Vec<Option<Object>>)> {
        let requests: String = names
            .iter()
            .map(|name| format!("contents {name}\n"))
            .collect();
        let (stdin, stdout) = (&mut self.stdin, &mut self.stdout);
        let read = async {
            let mut objects = Vec::with_capacity(names.len());
            let mut left = limit;
            for _ in names {
                let Some(info) = read_header(stdout).await? else {
                    objects.push(None);
                    continue;
                };
                let too_large = Error::TooLarge {
                    what: "an object",
                    limit,
                };
                left = left.checked_sub(info.size).ok_or(too_large)?;
                objects.push(Some(read_contents(stdout, info).await?));
            }
            Ok(objects)
        };
        let objects = exchange(stdin, &requests, read).await?;
        Ok((self, objects))
    }

    /// Kinds and sizes of objects.
    pub(crate) async fn infos(
        mut self,
        names: &[String],
    ) -> Result<(Self, Vec<Option<ObjectInfo>>)> {
        let requests: String = names.iter().map(|name| format!("info {name}\n")).collect();
        let (stdin, stdout) = (&mut self.stdin, &mut self.stdout);
        let read = async {
            let mut infos = Vec::with_capacity(names.len());
            for _ in names {
                infos.push(read_header(stdout).await?);
            }
            Ok(infos)
        };
        let infos = exchange(stdin, &requests, read).await?;
        Ok((self, infos))
    }
}

/// Writes the requests while answers are read, so that neither pipe fills up and blocks both sides.
async fn exchange<T>(
    stdin: &mut ChildStdin,
    requests: &str,
    read: impl Future<Output = Result<T>>,
) -> Result<T> {
    let write = async {
        let written = stdin.write_all(requests.as_bytes()).await;
        written.map_err(Error::io("write to git"))
    };
    let both = async { tokio::try_join!(write, read) };
    let ((), answer) = tokio::time::timeout(ANSWER_WITHIN, both)
        .await
        .unwrap_or(Err(Error::Timeout {
            command: "cat-file".to_owned(),
            seconds: ANSWER_WITHIN.as_secs(),
        }))?;
    Ok(answer)
}

const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// `ID KIND SIZE`, or `NAME missing`, or `NAME ambiguous`.
async fn read_header(stdout: &mut BufReader<ChildStdout>) -> Result<Option<ObjectInfo>> {
    let mut line = String::new();
    let read = stdout.take(4096).read_line(&mut line).await;
    if read.map_err(Error::io("read from git"))? == 0 {
        return Err(Error::git("cat-file", b"it ended unexpectedly"));
    }
    let line = line.trim_end_matches('\n');
    if line.ends_with(" missing") || line.ends_with(" ambiguous") {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let parts = (words.next(), words.next(), words.next());
    let (Some(id), Some(kind), Some(size)) = parts else {
        return Err(Error::unreadable("cat-file", line));
    };
    let kinds = ["commit", "tree", "blob", "tag"];
    let kind = kinds.into_iter().find(|known| *known == kind);
    let (Some(kind), Ok(size)) = (kind, size.parse()) else {
        return Err(Error::unreadable("cat-file", line));
    };
    Ok(Some(ObjectInfo {
        id: Sha::parse(id)?,
        kind,
        size,
    }))
}

async fn read_contents(stdout: &mut BufReader<ChildStdout>, info: ObjectInfo) -> Result<Object> {
    let size = usize::try_from(info.size).map_err(|_| Error::unreadable("cat-file", "size"))?;
    let mut data = vec![0; size + 1];
    stdout
        .read_exact(&mut data)
        .await
        .map_err(Error::io("read from git"))?;
    // a newline follows the contents
    data.truncate(size);
    Ok(Object {
        id: info.id,
        kind: info.kind,
        data: data.into(),
    })
}

fn name_of(repository: &Path) -> String {
    let name = repository.file_stem().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Idle readers by repository.
pub(crate) struct Pool {
    idle: Arc<Mutex<HashMap<PathBuf, Vec<Idle>>>>,
    keep: Duration,
}

struct Idle {
    reader: Reader,
    since: Instant,
}

/// Idle readers of one repository and of all.
const IDLE_EACH: usize = 4;
const IDLE_ALL: usize = 32;

impl Pool {
    pub(crate) fn new(keep: Duration) -> Self {
        Self {
            idle: Arc::default(),
            keep,
        }
    }

    /// An idle reader, or a new one.
    pub(crate) fn take(&self, repository: &Path) -> Result<Reader> {
        let idle = {
            let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            all.get_mut(repository).and_then(Vec::pop)
        };
        match idle {
            Some(idle) if idle.since.elapsed() < self.keep => Ok(idle.reader),
            _ => Reader::start(repository),
        }
    }

    /// Keeps a reader for the next use, for a while.
    pub(crate) fn put_back(&self, repository: &Path, reader: Reader) {
        let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = all.is_empty();
        if all.values().map(Vec::len).sum::<usize>() >= IDLE_ALL {
            return;
        }
        let readers = all.entry(repository.to_owned()).or_default();
        if readers.len() < IDLE_EACH {
            readers.push(Idle {
                reader,
                since: Instant::now(),
            });
        }
        if was_empty {
            tokio::spawn(sweep(Arc::downgrade(&self.idle), self.keep));
        }
    }

    /// Ends the readers of a repository that is going away.
    pub(crate) fn forget(&self, repository: &Path) {
        let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(repository);
    }
}

/// Ends readers that nobody used for long; ends itself with the last of them.
async fn sweep(pool: std::sync::Weak<Mutex<HashMap<PathBuf, Vec<Idle>>>>, keep: Duration) {
    loop {
        tokio::time::sleep(keep).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut all = pool.lock().unwrap_or_else(PoisonError::into_inner);
        for readers in all.values_mut() {
            readers.retain(|idle| idle.since.elapsed() < keep);
        }
        all.retain(|_, readers| !readers.is_empty());
        if all.is_empty() {
            return;
        }
    }
}
