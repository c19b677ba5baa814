//! A runner that does what the lines of a script say, for tests: `foreign-runner URL TOKEN FOLDER`.
//!
//! It is told on standard input, a word a line, and answers on standard output:
//! `take` asks for a job once (`took` or `nothing`), `drain` waits until no job is left (`idle`). Jobs say `job ID waiting`
//! and `job ID cleaned up` by themselves.

use std::{borrow::Cow, io::Read as _, time::Duration};

use futures::io::Cursor;
use gitlab_runner::{
    GitlabLayer, JobHandler, JobResult, Phase, RunnerBuilder, UploadableFile, job::Job, outputln,
};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tracing_subscriber::{Registry, prelude::*};

/// A file that a script made.
#[derive(Clone)]
struct Made {
    path: String,
    text: String,
}

#[async_trait::async_trait]
impl UploadableFile for Made {
    type Data<'a> = Cursor<&'a [u8]>;

    fn get_path(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.path)
    }

    async fn get_data(&self) -> Result<Self::Data<'_>, ()> {
        Ok(Cursor::new(self.text.as_bytes()))
    }
}

struct Script {
    job: Job,
    made: Vec<Made>,
}

impl Script {
    async fn line(&mut self, line: &str) -> JobResult {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "say" => outputln!("{}", rest),
            "variable" => match self.job.variable(rest) {
                Some(variable) => outputln!("{}={}", rest, variable),
                None => outputln!("{} is not set", rest),
            },
            "keep" => {
                let (path, text) = rest.split_once(' ').ok_or(())?;
                self.made.push(Made {
                    path: path.to_owned(),
                    text: text.to_owned(),
                });
            }
            "show" => return self.show(rest).await,
            "wait" => {
                println!("job {} waiting", self.job.id());
                loop {
                    outputln!("still here");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            _ => {
                outputln!("refused: {}", line);
                return Err(());
            }
        }
        Ok(())
    }

    /// Every file of every dependency of this name.
    async fn show(&self, name: &str) -> JobResult {
        for dependency in self.job.dependencies().filter(|it| it.name() == name) {
            let archive = dependency.download().await.map_err(|error| {
                outputln!("not downloaded: {}", error);
            })?;
            let mut archive = archive.ok_or(())?;
            for at in 0..archive.len() {
                let mut file = archive.by_index(at).ok_or(())?;
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(drop)?;
                outputln!("{} of {}: {}", file.name(), name, text);
            }
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl JobHandler<Made> for Script {
    async fn step(&mut self, script: &[String], _phase: Phase) -> JobResult {
        for line in script {
            self.line(line).await?;
        }
        Ok(())
    }

    async fn get_uploadable_files(&mut self) -> Result<Box<dyn Iterator<Item = Made> + Send>, ()> {
        Ok(Box::new(self.made.clone().into_iter()))
    }

    async fn cleanup(&mut self) {
        println!("job {} cleaned up", self.job.id());
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, folder] = &arguments[..] else {
        panic!("usage: foreign-runner URL TOKEN FOLDER");
    };
    let (layer, jobs) = GitlabLayer::new();
    Registry::default().with(layer).init();
    let url = url::Url::parse(url).expect("a URL");
    let mut runner = RunnerBuilder::new(url, token.clone(), folder.clone(), jobs)
        .system_id("r_foreign")
        .version("0.3.2")
        .build()
        .await;
    let mut words = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(word)) = words.next_line().await {
        match word.as_str() {
            "take" => {
                let make = |job| async move {
                    let made = Vec::new();
                    Ok(Script { job, made })
                };
                match runner.request_job(make).await {
                    Ok(true) => println!("took"),
                    Ok(false) => println!("nothing"),
                    Err(error) => println!("error {error}"),
                }
            }
            "drain" => {
                runner.drain().await;
                println!("idle");
            }
            _ => println!("error unknown word"),
        }
    }
}
