//! pkt-lines: four hex digits of length, then the line; `0000` is a flush.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};

use super::RequestBody;
use crate::{Error, Result};

/// The end of a section.
pub(crate) const FLUSH: &[u8] = b"0000";

/// The most that fits into one line.
const MAX_DATA: usize = 65_516;

/// One line.
pub(crate) fn line(data: &[u8]) -> Vec<u8> {
    let mut packet = format!("{:04x}", data.len() + 4).into_bytes();
    packet.extend_from_slice(data);
    packet
}

/// Data in a band of the side-band, split into lines as needed.
pub(crate) fn band(number: u8, data: &[u8]) -> Vec<u8> {
    let mut packets = Vec::with_capacity(data.len() + 5);
    for part in data.chunks(MAX_DATA - 1) {
        let mut framed = vec![number];
        framed.extend_from_slice(part);
        packets.extend_from_slice(&line(&framed));
    }
    packets
}

/// A packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// `0000`
    Flush,
    /// Data.
    Data(Bytes),
}

/// Takes one packet off the buffer; `None` when it is not all there.
pub(crate) fn take(buffer: &mut BytesMut) -> io::Result<Option<Packet>> {
    let Some(head) = buffer.get(..4) else {
        return Ok(None);
    };
    let digits = std::str::from_utf8(head)
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
    let length = digits.and_then(|text| usize::from_str_radix(text, 16).ok());
    match length {
        Some(0) => {
            buffer.advance(4);
            Ok(Some(Packet::Flush))
        }
        Some(length @ 4..=65_520) if buffer.len() >= length => {
            let mut packet = buffer.split_to(length);
            packet.advance(4);
            Ok(Some(Packet::Data(packet.freeze())))
        }
        Some(4..=65_520) => Ok(None),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "bad pkt-line length",
        )),
    }
}

/// Reads packets from a request and keeps the bytes as they came, for git to read again.
pub(crate) struct PacketReader<'a> {
    body: &'a mut RequestBody,
    buffer: BytesMut,
    seen: BytesMut,
    limit: usize,
}

impl<'a> PacketReader<'a> {
    pub(crate) fn new(body: &'a mut RequestBody, limit: usize) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            seen: BytesMut::new(),
            limit,
        }
    }

    /// The next packet, `None` at the end of the body.
    pub(crate) async fn next(&mut self) -> Result<Option<Packet>> {
        loop {
            let packet =
                take(&mut self.buffer).map_err(|error| Error::Protocol(error.to_string()))?;
            if let Some(packet) = packet {
                match &packet {
                    Packet::Flush => self.seen.extend_from_slice(FLUSH),
                    Packet::Data(data) => self.seen.extend_from_slice(&line(data)),
                }
                return Ok(Some(packet));
            }
            if self.seen.len() + self.buffer.len() > self.limit {
                return Err(Error::TooLarge {
                    what: "the list of commands",
                    limit: self.limit as u64,
                });
            }
            match self.body.chunk().await {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(error)) => return Err(Error::Protocol(error.to_string())),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    return Err(Error::Protocol(
                        "the request ends inside a pkt-line".to_owned(),
                    ));
                }
            }
        }
    }

    /// The bytes of all packets; what was read beyond them is given back to the body.
    pub(crate) fn finish(self) -> Bytes {
        if !self.buffer.is_empty() {
            self.body.unread(self.buffer.freeze());
        }
        self.seen.freeze()
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{Packet, band, line, take};

    #[test]
    fn frames_and_unframes() {
        let mut buffer = BytesMut::from(&line(b"hello\n")[..]);
        buffer.extend_from_slice(b"0000000");
        assert_eq!(
            take(&mut buffer).unwrap(),
            Some(Packet::Data("hello\n".into()))
        );
        assert_eq!(take(&mut buffer).unwrap(), Some(Packet::Flush));
        assert_eq!(take(&mut buffer).unwrap(), None);
        for bad in ["0001", "0003", "zzzz", "+123", "fff1aaaa"] {
            assert!(take(&mut BytesMut::from(bad)).is_err(), "{bad}");
        }
        assert_eq!(band(2, &[b'x'; 70_000]).len(), 70_000 + 10);
    }
}
