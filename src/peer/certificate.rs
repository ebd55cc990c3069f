//! What a certificate says of its owner (RFC 5280).

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The attributes that have names in a subject's text (RFC 4514, section 3); others are told by their numbers.
const NAMES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// Whose certificate it is, and until when. That somebody trustworthy signed it is not known here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// The subject as text by RFC 4514, such as `CN=backup,O=Example`: the most specific part first, special characters
    /// escaped, so that no part can look like two. Empty if it has none.
    pub subject: String,
    /// The DNS names among the subject's alternative names.
    pub dns_names: Vec<String>,
    /// The URIs among them, such as SPIFFE ids.
    pub uris: Vec<String>,
    /// The e-mail addresses among them.
    pub emails: Vec<String>,
    /// The IP addresses among them.
    pub addresses: Vec<IpAddr>,
    /// It is not valid after this moment.
    pub not_after: SystemTime,
}

/// Bytes that are no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate cannot be read: {0}")]
pub struct CertificateError(String);

impl Certificate {
    /// Reads the certificate with this DER encoding.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let unreadable = |problem: &dyn std::fmt::Display| CertificateError(problem.to_string());
        let (_, parsed) = X509Certificate::from_der(der).map_err(|error| unreadable(&error))?;
        let seconds = parsed.validity().not_after.timestamp();
        let mut certificate = Self {
            subject: text(parsed.subject()),
            dns_names: Vec::new(),
            uris: Vec::new(),
            emails: Vec::new(),
            addresses: Vec::new(),
            not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
        };
        let alternatives = parsed.subject_alternative_name();
        let alternatives = alternatives.map_err(|error| unreadable(&error))?;
        for name in alternatives
            .iter()
            .flat_map(|extension| &extension.value.general_names)
        {
            match name {
                GeneralName::DNSName(name) => certificate.dns_names.push((*name).to_owned()),
                GeneralName::URI(uri) => certificate.uris.push((*uri).to_owned()),
                GeneralName::RFC822Name(email) => certificate.emails.push((*email).to_owned()),
                GeneralName::IPAddress(bytes) => certificate.addresses.extend(address(bytes)),
                _ => {}
            }
        }
        Ok(certificate)
    }

    /// What the log calls its owner: the subject, or else the first of the alternative names.
    pub fn name(&self) -> &str {
        let mut names = [&self.dns_names, &self.uris, &self.emails].into_iter().flatten();
        match self.subject.is_empty() {
            true => names.next().map_or("", String::as_str),
            false => &self.subject,
        }
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

/// A name by RFC 4514, section 2.
fn text(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_rdn().collect();
    let parts = parts.iter().rev().map(|part| {
        let attributes: Vec<_> = part.iter().map(attribute).collect();
        attributes.join("+")
    });
    parts.collect::<Vec<_>>().join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let number = attribute.attr_type().to_id_string();
    let known = NAMES.iter().find(|(known, _)| *known == number);
    match (known, attribute.as_str()) {
        (Some((_, name)), Ok(value)) => format!("{name}={}", escaped(value)),
        _ => {
            let mut text = format!("{number}=#");
            for byte in attribute.as_slice() {
                // Writing to a string does not fail.
                let _ = write!(text, "{byte:02x}");
            }
            text
        }
    }
}

/// A value by RFC 4514, section 2.4. Control characters are escaped, too, so that it is one line.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::new();
    for (at, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => text.extend(['\\', c]),
            '#' if at == 0 => text.push_str("\\#"),
            ' ' if at == 0 || at == last => text.push_str("\\ "),
            c if c.is_control() => {
                for byte in c.to_string().bytes() {
                    // As above.
                    let _ = write!(text, "\\{byte:02x}");
                }
            }
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(params: CertificateParams) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        let signed = params.self_signed(&key).expect("signed");
        Certificate::from_der(signed.der()).expect("a certificate")
    }

    #[test]
    fn a_certificate_names_its_owner_in_every_way() {
        let mut params = CertificateParams::new(["backup.example".to_owned()]).expect("a name");
        let uri = "spiffe://example/backup".try_into().expect("a URI");
        params.subject_alt_names.push(SanType::URI(uri));
        let email = "backup@example.org".try_into().expect("an address");
        params.subject_alt_names.push(SanType::Rfc822Name(email));
        params
            .subject_alt_names
            .push(SanType::IpAddress([10, 0, 0, 1].into()));
        let v6 = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1_u16]);
        params.subject_alt_names.push(SanType::IpAddress(v6));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, "backup");
        params.not_after = rcgen::date_time_ymd(2031, 1, 2);
        let certificate = certificate(params);
        assert_eq!(certificate.subject, "CN=backup,O=Example");
        assert_eq!(certificate.dns_names, ["backup.example"]);
        assert_eq!(certificate.uris, ["spiffe://example/backup"]);
        assert_eq!(certificate.emails, ["backup@example.org"]);
        assert_eq!(certificate.addresses, [IpAddr::from([10, 0, 0, 1]), v6]);
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_925_078_400);
        assert_eq!(certificate.not_after, expected);
    }

    #[test]
    fn no_part_of_a_subject_can_look_like_two() {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "mallory,O=Example\n");
        assert_eq!(certificate(params).subject, "CN=mallory\\,O\\=Example\\0a");
        assert_eq!(escaped(" #a b# "), "\\ #a b#\\ ");
        assert_eq!(escaped("#"), "\\#");
    }

    #[test]
    fn what_is_no_certificate_is_an_error() {
        for bytes in [&b""[..], b"hello", &[0x30, 0x82, 0xff, 0xff]] {
            let error = Certificate::from_der(bytes).expect_err("no certificate");
            assert!(error.to_string().starts_with("the certificate cannot be read: "));
        }
    }
}
