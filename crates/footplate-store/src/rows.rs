//! Many rows in one statement: they travel as one JSON text, which both engines take apart (`json_each`, `json_extract`, `unhex`).

use std::fmt::Write as _;

/// A JSON list of ids, as the statements that name several rows take it.
pub fn id_list(ids: impl IntoIterator<Item = i64>) -> String {
    let mut text = String::from("[");
    for (place, id) in ids.into_iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{id}");
    }
    text.push(']');
    text
}

/// Bytes as hex digits, for `unhex`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{hex, id_list};

    #[test]
    fn writes_lists_and_digits() {
        assert_eq!(id_list([]), "[]");
        assert_eq!(id_list([7, -1, 12]), "[7,-1,12]");
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
