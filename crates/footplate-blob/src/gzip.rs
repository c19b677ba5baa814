//! gzip uploads of several members: one member a file (`runner-protocol.md §6.1`).

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Seek as _},
};

use flate2::bufread::GzDecoder;

use crate::{Error, Result};

/// One file of a gzip upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The file name in the member's header.
    pub name: Option<String>,
    /// The path in the member's comment, as the runner writes it.
    pub comment: Option<String>,
    /// The decompressed bytes.
    pub data: Vec<u8>,
}

/// Members that are read at most.
const MEMBERS: usize = 10_000;

/// Reads all members from the beginning of a file; together they may have `limit` decompressed bytes. Blocks.
pub fn members(mut file: File, limit: u64) -> Result<Vec<Member>> {
    file.rewind().map_err(Error::io("read an upload"))?;
    let mut reader = BufReader::new(file);
    let mut all = Vec::new();
    let mut left = limit;
    while !reader
        .fill_buf()
        .map_err(Error::io("read an upload"))?
        .is_empty()
    {
        if all.len() >= MEMBERS {
            return Err(Error::BrokenArchive("too many gzip members"));
        }
        let mut decoder = GzDecoder::new(reader);
        let mut data = Vec::new();
        let read = (&mut decoder)
            .take(left.saturating_add(1))
            .read_to_end(&mut data);
        let read = read.map_err(|_| Error::BrokenArchive("no gzip data"))? as u64;
        left = left.checked_sub(read).ok_or(Error::TooLarge { limit })?;
        let text =
            |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let header = decoder.header();
        all.push(Member {
            name: text(header.and_then(flate2::GzHeader::filename)),
            comment: text(header.and_then(flate2::GzHeader::comment)),
            data,
        });
        reader = decoder.into_inner();
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, GzBuilder};

    use super::members;
    use crate::Error;

    fn file(parts: &[(&str, &[u8])]) -> std::fs::File {
        let mut file = tempfile::tempfile().unwrap();
        for (name, data) in parts {
            let builder = GzBuilder::new()
                .filename(*name)
                .comment(format!("dir/{name}"));
            let mut writer = builder.write(Vec::new(), Compression::default());
            writer.write_all(data).unwrap();
            file.write_all(&writer.finish().unwrap()).unwrap();
        }
        file
    }

    #[test]
    fn reads_every_member() {
        let read = members(
            file(&[("a.xml", b"<a/>"), ("empty", b""), ("b.xml", b"<b/>")]),
            100,
        )
        .unwrap();
        assert_eq!(read.len(), 3);
        assert_eq!(read[2].data, b"<b/>");
        assert_eq!(read[0].name.as_deref(), Some("a.xml"));
        assert_eq!(read[0].comment.as_deref(), Some("dir/a.xml"));
    }

    #[test]
    fn bounds_what_comes_out() {
        let bomb = file(&[("bomb", &vec![0; 10 << 20])]);
        assert!(matches!(
            members(bomb, 1 << 20),
            Err(Error::TooLarge { limit: 1_048_576 })
        ));
        assert!(members(file(&[("a", &[1; 50]), ("b", &[1; 51])]), 100).is_err());
        assert!(members(file(&[("a", &[1; 50]), ("b", &[1; 50])]), 100).is_ok());
        let mut junk = tempfile::tempfile().unwrap();
        junk.write_all(b"junk").unwrap();
        assert!(matches!(members(junk, 100), Err(Error::BrokenArchive(_))));
        assert!(
            members(tempfile::tempfile().unwrap(), 100)
                .unwrap()
                .is_empty()
        );
    }
}
