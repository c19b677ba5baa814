//! What an instance opens although it would be refused.

use std::net::IpAddr;

/// Hosts and networks that may be fetched from, by plain HTTP too and at private addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    what: What,
    /// `None` = any.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Host(String),
    Network(IpAddr, u8),
}

impl AllowList {
    /// Reads entries: `host`, `host:port`, an address with or without a port, a network such as `10.0.0.0/8`.
    ///
    /// # Errors
    /// The entry that is none of these, in words for its author.
    pub fn parse<'e>(entries: impl IntoIterator<Item = &'e str>) -> Result<Self, String> {
        let list = entries.into_iter().map(|text| {
            entry(text.trim()).ok_or_else(|| {
                format!("`{text}` is not a host, host:port, address or network such as 10.0.0.0/8")
            })
        });
        list.collect::<Result<_, _>>().map(Self)
    }

    /// The host as the URL names it.
    pub(super) fn opens_host(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.');
        self.0.iter().any(|entry| {
            entry.fits(port)
                && matches!(&entry.what, What::Host(name) if name.eq_ignore_ascii_case(host))
        })
    }

    /// An address that a name led to.
    pub(super) fn opens_address(&self, address: IpAddr, port: u16) -> bool {
        self.0.iter().any(|entry| {
            entry.fits(port)
                && matches!(entry.what, What::Network(network, bits) if contains(network, bits, address))
        })
    }
}

impl Entry {
    fn fits(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }
}

fn entry(text: &str) -> Option<Entry> {
    if let Some((address, bits)) = text.split_once('/') {
        let address: IpAddr = unbracketed(address).parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        let what = What::Network(address, (bits <= width(address)).then_some(bits)?);
        return Some(Entry { what, port: None });
    }
    if let Ok(address) = unbracketed(text).parse::<IpAddr>() {
        let what = What::Network(address, width(address));
        return Some(Entry { what, port: None });
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (text, None),
    };
    if let Ok(address) = unbracketed(host).parse::<IpAddr>() {
        let what = What::Network(address, width(address));
        return Some(Entry { what, port });
    }
    let name = host.trim_end_matches('.');
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    (!name.is_empty() && name.chars().all(plain)).then(|| Entry {
        what: What::Host(name.to_owned()),
        port,
    })
}

/// `[::1]` without its brackets.
pub(super) fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    let cut = |value: u128, width: u32| {
        value
            .checked_shr(width - u32::from(bits))
            .unwrap_or_default()
    };
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            cut(u32::from(network).into(), 32) == cut(u32::from(address).into(), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            cut(network.into(), 128) == cut(address.into(), 128)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_open_what_they_name_and_nothing_else() {
        let list = AllowList::parse([
            "ci.example.com",
            "files.example.com:8443",
            "10.1.0.0/16",
            "192.168.1.7:81",
            "[fd00::1]:82",
            "fd01::/16",
        ])
        .unwrap();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(list.opens_host("CI.example.com.", 80) && list.opens_host("ci.example.com", 9));
        assert!(!list.opens_host("sub.ci.example.com", 80));
        assert!(list.opens_host("files.example.com", 8443));
        assert!(!list.opens_host("files.example.com", 443));
        assert!(list.opens_address(address("10.1.255.1"), 80));
        assert!(!list.opens_address(address("10.2.0.1"), 80));
        assert!(list.opens_address(address("192.168.1.7"), 81));
        assert!(!list.opens_address(address("192.168.1.7"), 82));
        assert!(list.opens_address(address("fd00::1"), 82));
        assert!(!list.opens_address(address("fd00::2"), 82));
        assert!(list.opens_address(address("fd01:2::3"), 1));
        assert!(!list.opens_address(address("::ffff:10.1.0.1"), 80));
        let all = AllowList::parse(["0.0.0.0/0"]).unwrap();
        assert!(
            all.opens_address(address("127.0.0.1"), 1) && !all.opens_address(address("::1"), 1)
        );
    }

    #[test]
    fn other_entries_are_refused_with_their_text() {
        for text in [
            "",
            "a b",
            "http://x",
            "10.0.0.0/33",
            "x:99999",
            "x/8",
            "*.example.com",
        ] {
            let error = AllowList::parse([text]).unwrap_err();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }
}
