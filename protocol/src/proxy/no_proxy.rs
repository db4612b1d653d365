//! Which hosts are connected to without a proxy.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

/// The value of `no_proxy`: hosts that are connected to without a proxy, separated by commas or blanks.
///
/// There is no standard. These are the rules of curl, with what other clients know too:
///
/// | entry | matches |
/// |---|---|
/// | `example.com`, `.example.com`, `*.example.com` | that name and those that end with it, dot by dot |
/// | `192.0.2.1`, `::1`, `[::1]` | that address, if the URL names it, in whichever way it is written |
/// | `192.0.2.0/24`, `fe80::/10` | the addresses of that prefix |
/// | any of these (a prefix not) with `:443` behind it, IPv6 in brackets | the same, on that port alone |
/// | `*` | every host |
///
/// Names are compared without case and without a dot at their end. No name is looked up. An entry that
/// is none of these matches nothing.
///
/// ```
/// use tidewire::proxy::NoProxy;
///
/// let no_proxy = NoProxy::parse("localhost, .example.com, 10.0.0.0/8");
/// assert!(no_proxy.matches("www.Example.com", 443));
/// assert!(!no_proxy.matches("myexample.com", 443));
/// assert!(no_proxy.matches("10.1.2.3", 80));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    /// `None` for every port.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// In lower case, without dots at its ends.
    Domain(String),
    /// An address, and how many of its first bits count.
    Prefix(IpAddr, u8),
}

impl NoProxy {
    /// Takes the list apart.
    #[must_use]
    pub fn parse(list: &str) -> Self {
        let entries = list.split(|char: char| char == ',' || char.is_ascii_whitespace());
        Self(entries.filter_map(Entry::parse).collect())
    }

    /// Whether `host` is connected to without a proxy.
    #[must_use]
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let host = unbracketed(host);
        let address = host.parse().ok();
        self.0.iter().any(|entry| {
            entry.port.is_none_or(|only| only == port)
                && match (&entry.hosts, address) {
                    (Hosts::All, _) => true,
                    (Hosts::Domain(domain), None) => is_within(host, domain),
                    (Hosts::Prefix(prefix, len), Some(address)) => shares(address, *prefix, *len),
                    _ => false,
                }
        })
    }
}

impl Entry {
    fn parse(entry: &str) -> Option<Self> {
        if let Some((prefix, len)) = entry.split_once('/') {
            let prefix: IpAddr = unbracketed(prefix).parse().ok()?;
            let len = len.parse().ok().filter(|&len| len <= bits(prefix))?;
            return Some(Self { hosts: Hosts::Prefix(prefix, len), port: None });
        }
        // An IPv6 address without brackets has no port behind it.
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port.parse().ok()?))
            }
            _ => (entry, None),
        };
        let host = unbracketed(host);
        let hosts = match host.parse().map(|address: IpAddr| address.to_canonical()) {
            Ok(address) => Hosts::Prefix(address, bits(address)),
            Err(_) if host == "*" => Hosts::All,
            Err(_) => {
                let domain = host.strip_prefix('*').unwrap_or(host).trim_matches('.');
                if domain.is_empty() {
                    return None;
                }
                Hosts::Domain(domain.to_ascii_lowercase())
            }
        };
        Some(Self { hosts, port })
    }
}

/// Whether `host` is `domain` or ends with it behind a dot.
fn is_within(host: &str, domain: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let Some(before) = host.len().checked_sub(domain.len()) else { return false };
    let (labels, end) = host.as_bytes().split_at(before);
    end.eq_ignore_ascii_case(domain.as_bytes()) && (labels.is_empty() || labels.ends_with(b"."))
}

/// Whether `address` and `prefix` are the same in their first `len` bits.
fn shares(address: IpAddr, prefix: IpAddr, len: u8) -> bool {
    let differs = match (address.to_canonical(), prefix) {
        (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(a.to_bits() ^ b.to_bits()),
        (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() ^ b.to_bits(),
        _ => return false,
    };
    differs.checked_shr(u32::from(bits(prefix) - len)).unwrap_or(0) == 0
}

const fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}
