//! Secrets replaced before anything leaves the machine (`runner-protocol.md §4.7`).

const MASK: &[u8] = b"[MASKED]";
const PREFIXES: [&str; 6] = ["glpat-", "glcbt-", "glrt-", "glrtr-", "glptt-", "glagent-"];

/// Masks a stream of bytes; a tail that may be the beginning of a secret waits for what follows.
#[derive(Debug, Default)]
pub(crate) struct Masker {
    secrets: Vec<Vec<u8>>,
    held: Vec<u8>,
}

impl Masker {
    /// For these values; the longest first, so that a secret inside another does not uncover it.
    pub(crate) fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<Vec<u8>> = values
            .into_iter()
            .map(String::into_bytes)
            .filter(|value| value.len() >= 4)
            .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self {
            secrets,
            held: Vec::new(),
        }
    }

    /// What can be shown after these bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let data = std::mem::take(&mut self.held);
        let mut out = Vec::with_capacity(data.len());
        let mut at = 0;
        while at < data.len() {
            let rest = &data[at..];
            if let Some(secret) = self.secrets.iter().find(|secret| rest.starts_with(secret)) {
                out.extend_from_slice(MASK);
                at += secret.len();
            } else if let Some(prefix) = PREFIXES
                .iter()
                .find(|prefix| rest.starts_with(prefix.as_bytes()))
            {
                let end = prefix.len() + token_length(&rest[prefix.len()..]);
                if at + end == data.len() {
                    self.held = rest.to_vec();
                    return out;
                }
                out.extend_from_slice(prefix.as_bytes());
                if end > prefix.len() {
                    out.extend_from_slice(MASK);
                }
                at += end;
            } else if self.may_begin(rest) {
                self.held = rest.to_vec();
                return out;
            } else {
                out.push(data[at]);
                at += 1;
            }
        }
        out
    }

    /// What was still held, at the end.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let token = PREFIXES
            .iter()
            .find(|prefix| held.starts_with(prefix.as_bytes()));
        match token {
            Some(prefix) if held.len() > prefix.len() => [prefix.as_bytes(), MASK].concat(),
            Some(_) | None => held,
        }
    }

    fn may_begin(&self, rest: &[u8]) -> bool {
        let begins = |whole: &[u8]| rest.len() < whole.len() && whole.starts_with(rest);
        self.secrets.iter().any(|secret| begins(secret))
            || PREFIXES.iter().any(|prefix| begins(prefix.as_bytes()))
    }
}

fn token_length(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_at_every_border() {
        let text = b"before topsecret glpat-abc123 after";
        for cut in 0..text.len() {
            let mut masker = Masker::new(["topsecret".to_owned()]);
            let mut out = masker.push(&text[..cut]);
            out.extend(masker.push(&text[cut..]));
            out.extend(masker.finish());
            assert_eq!(
                String::from_utf8(out).unwrap(),
                "before [MASKED] glpat-[MASKED] after",
                "{cut}"
            );
        }
    }
}
