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
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};

use crate::clock::Clock;
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
    ServerConfig::builder_with_details(provider(), Arc::new(ShopTime(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| failed("set up TLS 1.3")(&error))?
        .with_client_cert_verifier(verifier)
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
