//! TLS 1.3, and nothing older: configurations for both ends, and what it means when the other end is refused.
//!
//! Invariants: the time a certificate is judged by is the shop's `Clock`, so that a clock of 1970 is testable and named; no
//! certificate is believed but through an authority named in the configuration; keys are never logged.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ConfigBuilder, RootCertStore, ServerConfig,
    WantsVerifier,
};
use sha2::{Digest as _, Sha256};

use crate::clock::Clock;
use crate::domain::calendar::{DAY_MS, Day, UnixMs};
use crate::domain::code::Code;

/// A certificate or key file does not serve. Fits after "failed to".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError(pub String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for TlsError {}

impl TlsError {
    /// Its page.
    pub fn code(&self) -> Code {
        Code::CertificateUnusable
    }
}

fn failed(what: &str) -> impl Fn(&dyn fmt::Display) -> TlsError + '_ {
    move |cause| TlsError(format!("{what}: {cause}"))
}

/// The shop's clock, as rustls asks for it.
struct ShopTime(Arc<dyn Clock>);

impl fmt::Debug for ShopTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShopTime")
    }
}

impl TimeProvider for ShopTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().0 / 1_000).unwrap_or(0);
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A certificate with what leads to its authority, and its key.
pub struct Own {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Own {
    /// From PEM. At least one certificate, and exactly the first key.
    ///
    /// # Errors
    /// One of the two holds nothing that can be read.
    pub fn of_pem(chain: &[u8], key: &[u8]) -> Result<Own, TlsError> {
        let key = PrivateKeyDer::from_pem_slice(key);
        let key = key.map_err(|error| failed("read the private key")(&error))?;
        Ok(Own { chain: certificates(chain)?, key })
    }
}

/// Certificates of a PEM text, at least one.
///
/// # Errors
/// It holds none, or one that is cut.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| failed("read a certificate")(&error))?;
    if read.is_empty() {
        return Err(TlsError("read a certificate: the file holds none".to_owned()));
    }
    Ok(read)
}

fn roots(pem: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    let mut last = None;
    for certificate in certificates(pem)? {
        if let Err(error) = store.add(certificate) {
            last = Some(error);
        }
    }
    match (store.is_empty(), last) {
        (true, Some(error)) => Err(failed("use the authority's certificate")(&error)),
        // A system's list holds some that no library takes any more.
        _ => Ok(Arc::new(store)),
    }
}

/// What a server serves; a clone of the `Arc` sees what is replaced.
pub struct Served(RwLock<Arc<ServerConfig>>);

impl Served {
    /// Begins with this.
    pub fn new(config: ServerConfig) -> Served {
        Served(RwLock::new(Arc::new(config)))
    }

    /// What the next connection is met with.
    pub fn now(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From the next connection on.
    pub fn replace(&self, config: ServerConfig) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}

/// Whose certificates a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// A client may show one.
    May,
    /// A client without one is refused.
    Must,
}

/// A server's configuration. `authority` signs its clients' certificates.
///
/// # Errors
/// Certificate and key do not fit, or the authority is none.
pub fn server(
    own: Own,
    authority: &[u8],
    clients: Clients,
    clock: Arc<dyn Clock>,
) -> Result<ServerConfig, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority)?, provider());
    let verifier = match clients {
        Clients::May => verifier.allow_unauthenticated(),
        Clients::Must => verifier,
    };
    let verifier = verifier.build().map_err(|error| failed("use the authority's certificate")(&error))?;
    serving(clock)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(own.chain, own.key)
        .map_err(|error| failed("use the certificate and its key")(&error))
}

/// What every server begins with.
fn serving(clock: Arc<dyn Clock>) -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, TlsError> {
    ServerConfig::builder_with_details(provider(), Arc::new(ShopTime(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| failed("set up TLS 1.3")(&error))
}

/// A server's configuration for browsers, which show no certificate of theirs.
///
/// # Errors
/// Certificate and key do not fit.
pub fn page(own: Own, clock: Arc<dyn Clock>) -> Result<ServerConfig, TlsError> {
    serving(clock)?
        .with_no_client_auth()
        .with_single_cert(own.chain, own.key)
        .map_err(|error| failed("use the certificate and its key")(&error))
}

/// A client's configuration: `authority` signs the server's certificate, `own` proves who we are.
///
/// # Errors
/// As for `server`.
pub fn client(authority: &[u8], own: Option<Own>, clock: Arc<dyn Clock>) -> Result<ClientConfig, TlsError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(authority)?, provider())
        .build()
        .map_err(|error| failed("use the authority's certificate")(&error))?;
    let builder = ClientConfig::builder_with_details(provider(), Arc::new(ShopTime(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| failed("set up TLS 1.3")(&error))?
        .with_webpki_verifier(verifier);
    match own {
        None => Ok(builder.with_no_client_auth()),
        Some(own) => builder
            .with_client_auth_cert(own.chain, own.key)
            .map_err(|error| failed("use the certificate and its key")(&error)),
    }
}

/// SHA-256 of a certificate.
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// When a certificate that was already believed ends. The DER is walked only as far as RFC 5280 fixes it: version, serial number,
/// algorithm, issuer, validity.
pub fn until(certificate: &[u8]) -> Option<UnixMs> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let (_, mut at, _) = element(certificate)?;
    (_, at, _) = element(at)?;
    if at.first() == Some(&VERSION) {
        at = element(at)?.2;
    }
    for _ in 0..3 {
        at = element(at)?.2;
    }
    let (SEQUENCE, validity, _) = element(at)? else { return None };
    let (tag, time, _) = element(element(validity)?.2)?;
    let text = std::str::from_utf8(time).ok().filter(|text| text.is_ascii())?;
    // RFC 5280: two digits of 50 and more are of the last century, and all times are in UTC.
    let (year, rest) = match tag {
        UTC_TIME => (text.get(..2)?.parse::<u16>().ok()?, text.get(2..)?),
        GENERALIZED_TIME => (text.get(..4)?.parse::<u16>().ok()?, text.get(4..)?),
        _ => return None,
    };
    let year = match tag {
        UTC_TIME => {
            if year < 50 {
                2000 + year
            } else {
                1900 + year
            }
        }
        _ => year,
    };
    let two = |from: usize| rest.get(from..from + 2);
    let (month, day) = (two(0)?, two(2)?);
    let clock = |from: usize| two(from)?.parse::<i64>().ok();
    let seconds = clock(4)? * 3_600 + clock(6)? * 60 + clock(8)?;
    let day: Day = format!("{year:04}-{month}-{day}").parse().ok()?;
    Some(UnixMs(day.number() * DAY_MS + seconds * 1_000))
}

/// The first element of DER: its tag, what it holds, and what comes behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut length = usize::from(*first);
    if length >= 0x80 {
        let (digits, behind) = rest.split_at_checked(length - 0x80)?;
        length = (digits.len() <= 4)
            .then(|| digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)))?;
        rest = behind;
    }
    let (inside, behind) = rest.split_at_checked(length)?;
    Some((*tag, inside, behind))
}

/// Whether a certificate, already believed, is for this DNS name.
pub fn is_named(certificate: &[u8], name: &str) -> bool {
    let certificate = CertificateDer::from(certificate);
    let (Ok(parsed), Ok(name)) =
        (webpki::EndEntityCert::try_from(&certificate), ServerName::try_from(name.to_owned()))
    else {
        return false;
    };
    parsed.verify_is_valid_for_subject_name(&name).is_ok()
}

/// Why the other end of a line was refused, or refuses us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its certificate is of an authority that is not named here, or is forged.
    Foreign,
    /// Its certificate is for another name.
    Name,
    /// Its certificate has ended.
    Expired,
    /// Its certificate begins later than this clock shows.
    NotYet,
    /// It does not take our certificate, or wants one.
    Own,
    /// Anything else: an older TLS, a broken record.
    Other,
}

/// What refused a TLS connection, wherever in an error it is carried; nothing if it is no matter of TLS.
pub fn refused(error: &(dyn Error + 'static)) -> Option<(Refused, String)> {
    let found = find(error)?;
    let why = match found {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Refused::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Refused::NotYet,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Refused::Name
            }
            _ => Refused::Foreign,
        },
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied,
        ) => Refused::Own,
        _ => Refused::Other,
    };
    Some((why, found.to_string()))
}

fn find<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut at = Some(error);
    // Errors carry their cause in one of three ways; nine is more than any of ours nests.
    for _ in 0..9 {
        let error = at?;
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        at = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// Why a client's handshake was refused, for the log.
pub fn refusal_of(error: &io::Error) -> String {
    refused(error).map_or_else(|| error.to_string(), |(_, why)| why)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn when_does_a_certificate_end() {
        let key = KeyPair::generate().expect("a key");
        for (year, day) in [(2027, "2027-03-09"), (2049, "2049-03-09"), (3000, "3000-03-09")] {
            let mut params = CertificateParams::new(vec!["till.shop".to_owned()]).expect("a name");
            params.not_after = date_time_ymd(year, 3, 9);
            let certificate = params.self_signed(&key).expect("it is made");
            let day: Day = day.parse().expect("a day");
            assert_eq!(until(certificate.der()), Some(UnixMs(day.number() * DAY_MS)));
            for cut in 0..64 {
                assert_eq!(until(&certificate.der()[..cut]), None, "{cut} bytes");
            }
        }
        assert_eq!(until(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
