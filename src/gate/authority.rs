//! The shop's own authority: made on the box, known by its fingerprint, signs the box's certificate and its devices'.
//!
//! Layout below `<data>/tls`: `authority.pem` (for devices, not secret), `authority.key`, `authority.json` (its name and end);
//! `server.pem` (with the authority behind it), `server.key`, `server.json` (names, beginning and end). Keys have mode 0600.
//!
//! Invariants: the authority's time begins in 2020 and lasts `AUTHORITY_DAYS`, so that no clock of the box can make it unusable; a
//! certificate begins a day before it is made and lasts `CERTIFICATE_DAYS`; nothing is signed by a clock that cannot be right,
//! but by the earliest that can. The box's certificate is made anew `CERTIFICATE_RENEW_DAYS` before its end, and when the names change.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::config::private;
use crate::domain::calendar::{DAY_MS, Day, UnixMs};
use crate::domain::ids::StoreId;
use crate::domain::text::hex;
use crate::limits;

use super::tls::{self, TlsError};

/// Below the data directory.
pub const TLS_DIR: &str = "tls";
/// 2020-01-01: before any box was set up.
const AUTHORITY_FROM: UnixMs = UnixMs(1_577_836_800_000);

/// A certificate with its key, in PEM.
pub struct Issued {
    /// The certificate, and the authority behind it.
    pub chain: String,
    /// Its private key.
    pub key: String,
    /// SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
    /// When it ends.
    pub until: UnixMs,
}

/// The authority of one shop.
pub struct Authority {
    dir: PathBuf,
    about: About,
    key: KeyPair,
    pem: String,
    fingerprint: [u8; 32],
}

/// What `authority.json` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    name: String,
    until: UnixMs,
}

/// What `server.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerAbout {
    /// Names and addresses it is for, sorted.
    pub names: Vec<String>,
    /// When it begins.
    pub from: UnixMs,
    /// When it ends.
    pub until: UnixMs,
    /// SHA-256 of its authority.
    pub authority: String,
}

impl Authority {
    /// The authority of a data directory, if one was made.
    ///
    /// # Errors
    /// Its files cannot be read or do not fit together.
    pub fn load(data_dir: &Path) -> Result<Option<Authority>, TlsError> {
        let dir = data_dir.join(TLS_DIR);
        if !dir.join("authority.json").exists() {
            return Ok(None);
        }
        let about = serde_json::from_slice(&read(&dir.join("authority.json"))?)
            .map_err(|error| TlsError(format!("read {}: {error}", dir.join("authority.json").display())))?;
        let text = |name: &str| {
            String::from_utf8(read(&dir.join(name))?)
                .map_err(|_| TlsError(format!("read {}: it is no text", dir.join(name).display())))
        };
        let (pem, key) = (text("authority.pem")?, text("authority.key")?);
        let key = KeyPair::from_pem(&key)
            .map_err(|error| TlsError(format!("read {}: {error}", dir.join("authority.key").display())))?;
        let fingerprint = tls::fingerprint(&tls::certificates(pem.as_bytes())?[0]);
        Ok(Some(Authority { dir, about, key, pem, fingerprint }))
    }

    /// Makes an authority and keeps it; one that was there before is gone, and no device believes the box until it knows this one.
    ///
    /// # Errors
    /// The disk's, or the key cannot be made.
    pub fn create(data_dir: &Path, store: &StoreId, now: UnixMs) -> Result<Authority, TlsError> {
        let dir = data_dir.join(TLS_DIR);
        make_dir(data_dir, &dir)?;
        let key = KeyPair::generate().map_err(made)?;
        // Two authorities of one shop differ in name: a device that knows the old one says so and not "bad signature".
        let id = &hex(&tls::fingerprint(key.public_key_raw()))[..8];
        let until = plausible(now).plus_ms(limits::AUTHORITY_DAYS * DAY_MS);
        let about = About { name: format!("aisled {store} {id}"), until };
        let certificate = params_of(&about).self_signed(&key).map_err(made)?;
        let place = |name: &str, bytes: &[u8]| place(&dir.join(name), bytes);
        place("authority.key", key.serialize_pem().as_bytes())?;
        place("authority.pem", certificate.pem().as_bytes())?;
        place("authority.json", &json(&about))?;
        let fingerprint = tls::fingerprint(certificate.der());
        Ok(Authority { dir, about, key, pem: certificate.pem(), fingerprint })
    }

    /// Its certificate, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.about.name
    }

    /// When it ends.
    pub fn until(&self) -> UnixMs {
        self.about.until
    }

    /// SHA-256 of its certificate: what a person compares.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// The certificate a device proves itself with: its id is its common name.
    ///
    /// # Errors
    /// The key cannot be made.
    pub fn for_device(&self, device: &str, now: UnixMs) -> Result<Issued, TlsError> {
        self.issue(device, &[], ExtendedKeyUsagePurpose::ClientAuth, now)
    }

    /// The box's certificate for these names and addresses, kept; as it was while it serves.
    ///
    /// # Errors
    /// The disk's, or a name that is none.
    pub fn server(
        &self,
        names: &[String],
        now: UnixMs,
        renew: bool,
    ) -> Result<(tls::Own, ServerAbout), TlsError> {
        let mut names = names.to_vec();
        names.sort();
        names.dedup();
        names.truncate(limits::CERTIFICATE_NAMES_MAX);
        let (chain, key) = (self.dir.join("server.pem"), self.dir.join("server.key"));
        if let Some(about) = ServerAbout::load(&self.dir)
            && !renew
            && about.names == names
            && about.authority == hex(&self.fingerprint)
            && !about.is_due(now)
        {
            return Ok((tls::Own::of_pem(&read(&chain)?, &read(&key)?)?, about));
        }
        let name = names.first().cloned().unwrap_or_default();
        let issued = self.issue(&name, &names, ExtendedKeyUsagePurpose::ServerAuth, now)?;
        let from = plausible(now).plus_ms(-DAY_MS);
        let about = ServerAbout { names, from, until: issued.until, authority: hex(&self.fingerprint) };
        place(&key, issued.key.as_bytes())?;
        place(&chain, issued.chain.as_bytes())?;
        place(&self.dir.join("server.json"), &json(&about))?;
        Ok((tls::Own::of_pem(issued.chain.as_bytes(), issued.key.as_bytes())?, about))
    }

    /// What the box serves its devices with: its certificate for these names, renewed if it is due; a device may show its own.
    ///
    /// # Errors
    /// As for `server`.
    pub fn configuration(
        &self,
        names: &[String],
        clock: &Arc<dyn Clock>,
    ) -> Result<rustls::ServerConfig, TlsError> {
        let (own, _) = self.server(names, clock.now(), false)?;
        tls::server(own, self.pem.as_bytes(), tls::Clients::May, Arc::clone(clock))
    }

    fn issue(
        &self,
        name: &str,
        names: &[String],
        usage: ExtendedKeyUsagePurpose,
        now: UnixMs,
    ) -> Result<Issued, TlsError> {
        let key = KeyPair::generate().map_err(made)?;
        let (from, until) = (
            plausible(now).plus_ms(-DAY_MS),
            plausible(now).plus_ms((limits::CERTIFICATE_DAYS - 1) * DAY_MS),
        );
        let mut params = CertificateParams::new(names.to_vec()).map_err(made)?;
        params.distinguished_name = named(name);
        last(&mut params, from, until);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::new(params_of(&self.about), &self.key);
        let certificate = params.signed_by(&key, &issuer).map_err(made)?;
        Ok(Issued {
            chain: format!("{}{}", certificate.pem(), self.pem),
            key: key.serialize_pem(),
            fingerprint: tls::fingerprint(certificate.der()),
            until,
        })
    }
}

impl ServerAbout {
    /// What is known of the box's certificate, below `<data>/tls`.
    pub fn load(dir: &Path) -> Option<ServerAbout> {
        serde_json::from_slice(&read(&dir.join("server.json")).ok()?).ok()
    }

    /// Is it time for a new one? Never by a clock that cannot be right.
    pub fn is_due(&self, now: UnixMs) -> bool {
        plausible(now) == now
            && (now < self.from || now.plus_ms(limits::CERTIFICATE_RENEW_DAYS * DAY_MS) >= self.until)
    }
}

/// The names and addresses this box is reached by: its host name, loopback, where it listens, and the addresses it would speak from.
/// What else it is called stands in the configuration.
pub fn own_names(listen: SocketAddr) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let host = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    if !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) {
        names.push(host);
    }
    // A datagram socket that is connected and never used tells which address the routes would choose.
    let route = |own: &str, there: &str| -> Option<IpAddr> {
        let socket = UdpSocket::bind(own).ok()?;
        socket.connect(there).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let listening = Some(listen.ip()).filter(|ip| !ip.is_unspecified());
    let routes = [route("0.0.0.0:0", "192.0.2.1:9"), route("[::]:0", "[2001:db8::1]:9"), listening];
    names.extend(routes.into_iter().flatten().filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string()));
    names.sort();
    names.dedup();
    names
}

/// This time, or the earliest a right clock can show.
fn plausible(now: UnixMs) -> UnixMs {
    UnixMs(now.0.clamp(limits::CLOCK_UNIX_MS_MIN, limits::CLOCK_UNIX_MS_MAX))
}

fn params_of(about: &About) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&about.name);
    last(&mut params, AUTHORITY_FROM, about.until);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// From the beginning of one day to that of another, as rcgen takes it.
fn last(params: &mut CertificateParams, from: UnixMs, until: UnixMs) {
    let civil = |at: UnixMs| {
        let day = Day::from_number(at.0.div_euclid(DAY_MS)).to_string();
        let mut parts = day.splitn(3, '-').map(|part| part.parse::<u16>().unwrap_or(1));
        let mut part = || parts.next().unwrap_or(1);
        (i32::from(part()), u8::try_from(part()).unwrap_or(1), u8::try_from(part()).unwrap_or(1))
    };
    let ((year, month, day), (last_year, last_month, last_day)) = (civil(from), civil(until));
    params.not_before = date_time_ymd(year, month, day);
    params.not_after = date_time_ymd(last_year, last_month, last_day);
}

fn made(error: rcgen::Error) -> TlsError {
    TlsError(format!("make a certificate: {error}"))
}

fn make_dir(data_dir: &Path, dir: &Path) -> Result<(), TlsError> {
    let make = || -> io::Result<()> {
        if !dir.exists() {
            fs::create_dir_all(data_dir)?;
            fs::DirBuilder::new().recursive(true).create(dir)?;
            private::as_its_directory(&fs::File::open(dir)?, dir)?;
        }
        fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))
    };
    make().map_err(|error| TlsError(format!("make {}: {error}", dir.display())))
}

fn place(file: &Path, bytes: &[u8]) -> Result<(), TlsError> {
    private::place(file, bytes).map_err(|error| TlsError(format!("write {}: {error}", file.display())))
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    private::read(file, limits::PEM_BYTES_MAX)
        .map_err(|error| TlsError(format!("read {}: {error}", file.display())))
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("texts and numbers are always JSON")
}
