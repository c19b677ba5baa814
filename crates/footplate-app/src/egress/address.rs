//! Which addresses nothing is fetched from, unless the instance allows them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const LOCALHOST: &str = "Requests to localhost are not allowed";
const LOOPBACK: &str = "Requests to loopback addresses are not allowed";
const LOCAL: &str = "Requests to the local network are not allowed";
const LINK_LOCAL: &str = "Requests to the link local network are not allowed";
const SHARED: &str = "Requests to the shared address space are not allowed";
const BROADCAST: &str = "Requests to the limited broadcast address are not allowed";
const SPECIAL: &str = "Requests to special addresses are not allowed";

/// Azure answers machines with their credentials here; the address looks like any other.
const WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// Why nothing is fetched from an address, in GitLab's words; `None` = it is one of the public internet.
pub(super) fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

fn v4(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_broadcast() {
        return Some(BROADCAST);
    }
    match address.octets() {
        [0, ..] => Some(LOCALHOST),
        [127, ..] => Some(LOOPBACK),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some(LOCAL),
        [169, 254, ..] => Some(LINK_LOCAL),
        [100, 64..=127, ..] => Some(SHARED),
        // Protocol assignments, documentation, relays of 6to4, benchmarks, multicast, reserved.
        [192, 0, 0 | 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [224..=255, ..] => Some(SPECIAL),
        _ if address == WIRE_SERVER => Some(SPECIAL),
        _ => None,
    }
}

fn v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_unspecified() {
        return Some(LOCALHOST);
    }
    if address.is_loopback() {
        return Some(LOOPBACK);
    }
    if let Some(inner) = address.to_ipv4_mapped() {
        return v4(inner).or(Some(SPECIAL));
    }
    match address.segments() {
        [0xfe80..=0xfebf, ..] => Some(LINK_LOCAL),
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Some(LOCAL),
        // Only 2000::/3 is given out. The forms outside it carry an IPv4 address (NAT64, compatible) or are multicast.
        [first, ..] if !(0x2000..=0x3fff).contains(&first) => Some(SPECIAL),
        // Teredo, benchmarks, ORCHID and documentation; 6to4 carries an IPv4 address.
        [0x2001, 0..=0x01ff, ..]
        | [0x2001, 0x0db8, ..]
        | [0x2002, ..]
        | [0x3fff, 0..=0x0fff, ..] => Some(SPECIAL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<&'static str> {
        refusal(text.parse().unwrap())
    }

    #[test]
    fn only_the_public_internet_is_fetched_from() {
        for (address, word) in [
            ("0.0.0.0", "localhost"),
            ("0.1.2.3", "localhost"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("10.0.0.1", "local network"),
            ("172.16.0.1", "local network"),
            ("172.31.255.255", "local network"),
            ("192.168.1.1", "local network"),
            ("169.254.169.254", "link local"),
            ("100.100.100.200", "shared"),
            ("168.63.129.16", "special"),
            ("192.0.0.192", "special"),
            ("192.0.2.1", "special"),
            ("198.19.0.1", "special"),
            ("203.0.113.9", "special"),
            ("224.0.0.1", "special"),
            ("250.1.1.1", "special"),
            ("255.255.255.255", "broadcast"),
            ("::", "localhost"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:10.1.1.1", "local network"),
            ("::ffff:8.8.8.8", "special"),
            ("::127.0.0.1", "special"),
            ("64:ff9b::7f00:1", "special"),
            ("64:ff9b:1::a00:1", "special"),
            ("2002:7f00:1::", "special"),
            ("2001:0:53aa::1", "special"),
            ("2001:db8::1", "special"),
            ("fe80::1", "link local"),
            ("fc00::1", "local network"),
            ("fd00:ec2::254", "local network"),
            ("fec0::1", "local network"),
            ("ff02::1", "special"),
            ("100::1", "special"),
        ] {
            let said = of(address);
            assert!(
                said.is_some_and(|said| said.contains(word)),
                "{address}: {said:?}"
            );
        }
        for address in [
            "8.8.8.8",
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "223.255.255.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
        ] {
            assert_eq!(of(address), None, "{address}");
        }
    }
}
