//! What `--listen` names.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use nix::unistd::Group;

use gcsd_client::{DEFAULT_PORT, Transport};

/// The mode of a Unix socket's file: who may connect. Its owner alone, or its group as well, where one is named.
const OWNER: u32 = 0o600;
const OWNER_AND_GROUP: u32 = 0o660;

/// A place to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Tcp(SocketAddr),
    Tls(SocketAddr),
    Unix(UnixPlace),
}

/// The file of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnixPlace {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) gid: Option<u32>,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (transport, rest) = Transport::split(text).map_err(|error| error.to_string())?;
        match transport {
            Transport::Unix => UnixPlace::parse(rest).map(Self::Unix),
            Transport::Tls => address(rest).map(Self::Tls),
            _ => address(rest).map(Self::Tcp),
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let ip = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match ip.unwrap_or(text).parse::<IpAddr>() {
        Ok(ip) => Ok(SocketAddr::new(ip, DEFAULT_PORT)),
        Err(_) => Err("it must be IP:PORT, tls://IP:PORT or unix:PATH".to_owned()),
    }
}

impl UnixPlace {
    /// `PATH`, `PATH?mode=660&group=www-data`
    fn parse(text: &str) -> Result<Self, String> {
        let (path, options) = text.split_once('?').unwrap_or((text, ""));
        let (mut mode, mut gid) = (None, None);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("mode", digits)) => mode = Some(parse_mode(digits)?),
                Some(("group", name)) => gid = Some(parse_group(name)?),
                _ => return Err(format!("'{option}' is not known: write mode=660 or group=NAME")),
            }
        }
        if path.is_empty() {
            return Err("the path is missing".to_owned());
        }
        Ok(Self {
            path: path.into(),
            mode: mode.unwrap_or(if gid.is_some() { OWNER_AND_GROUP } else { OWNER }),
            gid,
        })
    }
}

fn parse_mode(digits: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| format!("'{digits}' is no mode: write three octal digits, such as 660"))
}

fn parse_group(name: &str) -> Result<u32, String> {
    if let Ok(gid) = name.parse() {
        return Ok(gid);
    }
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(format!("there is no group '{name}'")),
        Err(error) => Err(format!("the group '{name}' cannot be looked up: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        let of = |text: &str| text.parse::<Place>();
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        assert_eq!(of("127.0.0.1:0"), Ok(Place::Tcp(at("127.0.0.1:0"))));
        assert_eq!(of("tcp://[::1]:1"), Ok(Place::Tcp(at("[::1]:1"))));
        assert_eq!(of("tls://0.0.0.0"), Ok(Place::Tls(at("0.0.0.0:4743"))));
        assert_eq!(of("[::]"), Ok(Place::Tcp(at("[::]:4743"))));
        let unix = |mode, gid| {
            let path = "/run/x".into();
            Ok(Place::Unix(UnixPlace { path, mode, gid }))
        };
        assert_eq!(of("unix:/run/x"), unix(0o600, None));
        assert_eq!(of("unix:/run/x?mode=666"), unix(0o666, None));
        assert_eq!(of("unix:/run/x?group=0"), unix(0o660, Some(0)));
        assert_eq!(of("unix:///run/x?group=root&mode=0620"), unix(0o620, Some(0)));
        for (text, expected) in [
            ("localhost:1", "it must be IP:PORT"),
            ("http://127.0.0.1:1", "'http://' is not spoken here"),
            ("unix:", "the path is missing"),
            ("unix:?mode=600", "the path is missing"),
            ("unix:x?mode=9", "'9' is no mode"),
            ("unix:x?mode=1777", "'1777' is no mode"),
            ("unix:x?color=red", "'color=red' is not known"),
            ("unix:x?group=no such group", "there is no group"),
        ] {
            let error = of(text).expect_err(text);
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
