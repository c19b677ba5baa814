//! The report of a push, as git writes and as a refusal imitates it (`report-status`).

use std::collections::HashMap;

use bytes::BytesMut;

use super::{
    Rejection,
    pkt::{FLUSH, Packet, line, take},
};

/// What git reported.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// `unpack ok`, or why not; `None` when there was no report.
    pub(super) unpack: Option<Result<(), String>>,
    /// Result by name.
    pub(super) refs: HashMap<String, Result<(), String>>,
}

impl Report {
    /// Reads as much as is well formed.
    pub(super) fn parse(mut buffer: BytesMut) -> Self {
        let mut report = Self::default();
        while let Ok(Some(packet)) = take(&mut buffer) {
            let Packet::Data(data) = packet else { break };
            let text = String::from_utf8_lossy(&data);
            report.line(text.trim_end_matches('\n'));
        }
        report
    }

    fn line(&mut self, line: &str) {
        if let Some(state) = line.strip_prefix("unpack ") {
            self.unpack = Some(if state == "ok" {
                Ok(())
            } else {
                Err(state.to_owned())
            });
        } else if let Some(name) = line.strip_prefix("ok ") {
            self.refs.insert(name.to_owned(), Ok(()));
        } else if let Some(rest) = line.strip_prefix("ng ") {
            let (name, reason) = rest.split_once(' ').unwrap_or((rest, "failed"));
            self.refs.insert(name.to_owned(), Err(reason.to_owned()));
        }
    }
}

/// A report that rejects every name.
pub(super) fn refusal(names: &[&str], own: &[&Rejection], reason: &str) -> Vec<u8> {
    let mut report = line(b"unpack ok\n");
    for name in names {
        let found = own.iter().find(|rejection| rejection.name == *name);
        let reason = found.map_or(reason, |rejection| rejection.reason.as_str());
        let text = format!("ng {name} {}\n", reason.replace(['\n', '\r'], " "));
        report.extend(line(text.as_bytes()));
    }
    report.extend_from_slice(FLUSH);
    report
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{Report, refusal};

    #[test]
    fn reads_what_it_writes() {
        let written = refusal(&["refs/heads/a"], &[], "not\nyou");
        let report = Report::parse(BytesMut::from(&written[..]));
        assert_eq!(report.unpack, Some(Ok(())));
        assert_eq!(report.refs["refs/heads/a"], Err("not you".to_owned()));
        assert_eq!(Report::parse(BytesMut::from("zz")), Report::default());
    }
}
