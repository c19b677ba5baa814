//! The beginning of a push: its commands and options are read before git sees anything.

use bytes::Bytes;

use super::{
    ByteStream, RequestBody,
    pkt::{FLUSH, Packet, PacketReader, band, line},
    report::refusal,
};
use crate::{Error, GitRef, RefUpdate, Repository, Result, Sha};

/// The most that commands and options of one push may have, in bytes.
const COMMANDS_LIMIT: usize = 8 * 1024 * 1024;

/// What a push asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushCommands {
    /// References that are to move.
    pub updates: Vec<RefUpdate>,
    /// Those that git will refuse whatever the caller says: names against the rules, references that only the server writes.
    pub impossible: Vec<Rejection>,
    /// Capabilities that the client chose.
    pub capabilities: Vec<String>,
    /// `git push -o`, in order.
    pub push_options: Vec<String>,
}

impl PushCommands {
    /// Whether the client chose a capability.
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|chosen| chosen == capability)
    }
}

/// A reference that does not move, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The full name as the client wrote it.
    pub name: String,
    /// A few words; git shows them in parentheses.
    pub reason: String,
}

/// A push whose commands are known and whose pack is not read yet. Dropping it does nothing to the repository.
pub struct Push {
    pub(super) repository: Repository,
    pub(super) commands: PushCommands,
    pub(super) head: Bytes,
    pub(super) body: RequestBody,
    pub(super) deny_rewrites: bool,
}

impl Repository {
    /// Reads the commands of `POST git-receive-pack`.
    ///
    /// # Errors
    /// [`Error::Protocol`] for requests that are no push, [`Error::TooLarge`] for endless ones.
    pub async fn read_push(&self, mut body: RequestBody) -> Result<Push> {
        let mut packets = PacketReader::new(&mut body, COMMANDS_LIMIT);
        let mut commands = PushCommands::default();
        while let Some(Packet::Data(data)) = packets.next().await? {
            read_command(&data, &mut commands)?;
        }
        if commands.has("push-options") {
            while let Some(Packet::Data(data)) = packets.next().await? {
                let option = String::from_utf8_lossy(&data);
                commands
                    .push_options
                    .push(option.trim_end_matches('\n').to_owned());
            }
        }
        let head = packets.finish();
        Ok(Push {
            repository: self.clone(),
            commands,
            head,
            body,
            deny_rewrites: false,
        })
    }
}

impl Push {
    /// What the push asks for.
    pub fn commands(&self) -> &PushCommands {
        &self.commands
    }

    /// Lets git refuse updates that do not go forward: a protected branch is among the references.
    #[must_use]
    pub fn without_rewrites(self) -> Self {
        Self {
            deny_rewrites: true,
            ..self
        }
    }

    /// Whether it asks for nothing: git's question whether it may push, before it sends a large pack.
    pub fn is_probe(&self) -> bool {
        self.commands.updates.is_empty() && self.commands.impossible.is_empty()
    }

    /// Refuses the whole push. `messages` are shown as `remote: …` lines; each reference is rejected with its own reason from
    /// `rejections`, or with `reason`. The request is read to its end first, because a client that is still sending may not
    /// see an answer.
    pub async fn refuse(
        self,
        messages: &[String],
        reason: &str,
        rejections: &[Rejection],
    ) -> ByteStream {
        let answer = refused_answer(&self.commands, messages, reason, rejections);
        self.body.drain().await;
        Box::pin(futures_util::stream::iter([Ok(answer)]))
    }
}

fn refused_answer(
    commands: &PushCommands,
    messages: &[String],
    reason: &str,
    rejections: &[Rejection],
) -> Bytes {
    let names = commands.updates.iter().map(|update| update.name.as_str());
    let names: Vec<&str> = names
        .chain(commands.impossible.iter().map(|one| one.name.as_str()))
        .collect();
    let own: Vec<&Rejection> = rejections.iter().chain(&commands.impossible).collect();
    let report = refusal(&names, &own, reason);
    if !commands.has("side-band-64k") {
        return report.into();
    }
    let mut answer = Vec::new();
    for message in messages {
        answer.extend(band(2, format!("{message}\n").as_bytes()));
    }
    if commands.has("report-status") || commands.has("report-status-v2") {
        answer.extend(band(1, &report));
    }
    answer.extend_from_slice(FLUSH);
    answer.into()
}

/// `OLD NEW NAME`, the first with NUL and capabilities behind it.
fn read_command(data: &[u8], commands: &mut PushCommands) -> Result<()> {
    let mut halves = data.splitn(2, |b| *b == 0);
    let command = halves.next().unwrap_or_default();
    if let Some(capabilities) = halves.next() {
        let text = String::from_utf8_lossy(capabilities);
        commands
            .capabilities
            .extend(text.split_whitespace().map(str::to_owned));
    }
    let command = command.strip_suffix(b"\n").unwrap_or(command);
    if command.starts_with(b"shallow ") {
        return Ok(());
    }
    let text = String::from_utf8_lossy(command);
    let mut words = text.splitn(3, ' ');
    let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) else {
        return Err(Error::Protocol(format!(
            "unknown command {:?}",
            clipped(&text)
        )));
    };
    let (Ok(old), Ok(new)) = (Sha::parse(old), Sha::parse(new)) else {
        return Err(Error::Protocol(format!(
            "unknown command {:?}",
            clipped(&text)
        )));
    };
    let name = name.to_owned();
    let reason = match GitRef::parse(&name) {
        Ok(git_ref) if git_ref.is_internal() => "deny updating a hidden ref",
        Ok(_) => {
            commands.updates.push(RefUpdate { name, old, new });
            return Ok(());
        }
        Err(_) => "funny refname",
    };
    commands.impossible.push(Rejection {
        name,
        reason: reason.to_owned(),
    });
    Ok(())
}

fn clipped(text: &str) -> String {
    text.chars().take(100).collect()
}

/// Lines that git's client shows behind `remote: `.
pub(super) fn progress(messages: &[String]) -> Vec<u8> {
    messages
        .iter()
        .flat_map(|message| band(2, format!("{message}\n").as_bytes()))
        .collect()
}

/// A packet as it came.
pub(super) fn again(data: &[u8]) -> Vec<u8> {
    line(data)
}

#[cfg(test)]
mod tests {
    use super::{PushCommands, read_command, refused_answer};

    fn read(lines: &[&[u8]]) -> PushCommands {
        let mut commands = PushCommands::default();
        for line in lines {
            read_command(line, &mut commands).unwrap();
        }
        commands
    }

    #[test]
    fn reads_commands() {
        let (zero, one) = ("0".repeat(40), "1".repeat(40));
        let first =
            format!("{zero} {one} refs/heads/main\0 report-status side-band-64k push-options");
        let hidden = format!("{zero} {one} refs/pipelines/1");
        let funny = format!("{zero} {one} refs/heads/a..b");
        let commands = read(&[
            b"shallow 00",
            first.as_bytes(),
            hidden.as_bytes(),
            funny.as_bytes(),
        ]);
        assert_eq!(commands.updates.len(), 1);
        assert!(commands.updates[0].is_create());
        assert!(commands.has("push-options"));
        assert_eq!(commands.impossible.len(), 2);
        let answer = refused_answer(&commands, &["no".into()], "declined", &[]);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("ng refs/heads/main declined"));
        assert!(text.contains("ng refs/heads/a..b funny refname"));
        assert!(text.ends_with("00000000"));
    }

    #[test]
    fn nonsense_is_no_command() {
        let mut commands = PushCommands::default();
        for bad in [&b""[..], b"x", b"a b c", b"\xff\xff \xff x", b"push-cert\0"] {
            assert!(read_command(bad, &mut commands).is_err());
        }
    }
}
