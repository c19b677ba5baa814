//! The dotenv report (`pipeline-processing.md §13.3`, `runner-protocol.md §6.3`).

/// Compressed upload limit in bytes.
pub const MAX_BYTES: u64 = 5 * 1024;
/// Limit of variables in one report.
pub const MAX_VARIABLES: usize = 20;

/// Reads the decompressed text; the last of equal keys wins, in the place of the first.
///
/// # Errors
/// GitLab's sentence: not UTF-8, a line that is not `KEY=VALUE`, an invalid key, too many variables.
pub fn parse(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    let text = decode(bytes).ok_or("Invalid Format")?;
    let mut variables: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let (key, value) = line.split_once('=').ok_or("Invalid Format")?;
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() {
            return Err("Invalid Format".to_owned());
        }
        if !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(
                "Validation failed: Key can contain only letters, digits and '_'.".to_owned(),
            );
        }
        match variables.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => value.clone_into(old),
            None => variables.push((key.to_owned(), value.to_owned())),
        }
    }
    if variables.len() > MAX_VARIABLES {
        return Err(format!(
            "Dotenv files cannot have more than {MAX_VARIABLES} variables"
        ));
    }
    Ok(variables)
}

/// UTF-8 without its byte order mark, or UTF-16 with one (PowerShell writes that).
fn decode(bytes: &[u8]) -> Option<String> {
    let utf16 = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|pair| read([pair[0], pair[1]]))
            .collect();
        String::from_utf16(&units).ok()
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs_and_keeps_the_last() {
        let got = parse(b"A=1\n B = x=y \nA=2\n").unwrap();
        assert_eq!(
            got,
            [
                ("A".to_owned(), "2".to_owned()),
                ("B".to_owned(), "x=y".to_owned())
            ]
        );
    }

    #[test]
    fn refuses_what_is_no_pair() {
        for text in ["A=1\n\nB=2", "# c\nA=1", "A"] {
            assert_eq!(parse(text.as_bytes()), Err("Invalid Format".to_owned()));
        }
        assert!(parse(b"A-B=1").is_err());
        let many: String = (0..21).map(|n| format!("K{n}=1\n")).collect();
        assert!(parse(many.as_bytes()).unwrap_err().contains("20"));
    }

    #[test]
    fn reads_powershell() {
        let mut bytes = vec![0xFF, 0xFE];
        bytes.extend("A=1".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(parse(&bytes).unwrap(), [("A".to_owned(), "1".to_owned())]);
    }
}
