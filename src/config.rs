//! aisled.toml -> checked `Config`; every error at once, with file, line and column.
//!
//! Invariants: a `Config` that exists is right in itself: ranges, forms and the relations between keys were
//! checked, so no other room checks them again. Unknown keys are errors. A secret is never in the file or the
//! environment: a key that ends in `_file` names where it is (`SecretSource`). The environment overrides two things
//! only: which file is read and where the data is. `config/aisled.toml` is embedded and is the manual; a test
//! holds its defaults against those here.
//!
//! Layout: `problem` what is wrong and where · `reader` walks the text and collects · `devices` the devices file ·
//! `private` files nobody else may read ·
//! `values` keys, addresses, secrets.

mod devices;
pub mod private;
mod problem;
mod reader;
mod values;

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::domain::code::Code;
use crate::domain::ids::StoreId;
use crate::limits;

pub use devices::{DEVICES_FILE, DeviceLogin, PasswordProof, Role, SALT_BYTES};
pub use problem::{ConfigError, Position, Problem};
pub use values::{Secret, SecretSource, ServerUrl, TrustedKey};

/// Where the file is if nobody says otherwise.
pub const CONFIG_FILE_DEFAULT: &str = "/etc/aisled/aisled.toml";
/// Environment variable that names the file.
pub const CONFIG_VARIABLE: &str = "AISLED_CONFIG";
/// Environment variable that names the data directory.
pub const DATA_DIR_VARIABLE: &str = "AISLED_DATA_DIR";
/// Environment variable with which systemd names the directory of credentials.
pub const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// What the daemon runs on. Made by `load` or `parse`; `default` is the empty file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which shop this is and where its data lies.
    pub store: Store,
    /// Where devices are met.
    pub broker: Broker,
    /// Where decisions are sent on to; `None` for a shop on its own.
    pub head_office: Option<HeadOffice>,
    /// Whose rules are trusted.
    pub bundle: BundleTrust,
    /// What the disk may be used for.
    pub storage: Storage,
    /// What is kept of people, and for how long.
    pub privacy: Privacy,
    /// What is told.
    pub log: Log,
    /// What one device may do.
    pub devices: Devices,
    /// Where the web pages are; `None` without them.
    pub console: Option<Console>,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The shop's id in the chain; part of every topic.
    pub id: StoreId,
    /// Absolute path of the data directory.
    pub data_dir: PathBuf,
}

/// `[broker]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broker {
    /// The daemon brings its own.
    Embedded {
        /// Where it listens: loopback, see `Code::ListenNotLoopback`.
        listen: SocketAddr,
        /// Whether devices without a password may connect. Without this, `devices_file` is there.
        open_on_loopback: bool,
        /// Devices and the proofs of who they are; none: `DEVICES_FILE` in the data directory. Read it with `DeviceLogin`.
        devices_file: Option<PathBuf>,
        /// For devices on the network.
        tls: Option<BrokerTls>,
    },
    /// A broker that the shop runs.
    External {
        /// Where it is.
        url: ServerUrl,
        /// The daemon's user name and password there.
        login: Option<Login>,
        /// For `mqtts`.
        tls: LineTls,
    },
}

/// Where devices on the network are met: TLS 1.3, every one with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerTls {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What the box is called besides its own names and addresses.
    pub names: Vec<String>,
}

/// Whom an encrypted line believes, and what proves who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineTls {
    /// The authority of the other end; none: those the system believes (`SYSTEM_AUTHORITIES`).
    pub ca: Option<SecretSource>,
    /// Our certificate and its key.
    pub own: Option<(SecretSource, SecretSource)>,
}

/// Where Debian keeps the authorities that the system believes.
pub const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The PEM texts of a `LineTls`.
#[derive(Clone, PartialEq, Eq)]
pub struct LinePem {
    /// The authority.
    pub authority: Vec<u8>,
    /// Our certificate and its key.
    pub own: Option<(Vec<u8>, Vec<u8>)>,
}

/// A key stays out of logs.
impl std::fmt::Debug for LinePem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinePem(...)")
    }
}

impl LineTls {
    /// Reads what it names; `credentials_dir` is `Environment::credentials_dir`. A key that others can read is refused.
    pub fn read(&self, credentials_dir: Option<&Path>) -> Result<LinePem, ConfigError> {
        let system = SecretSource::File(PathBuf::from(SYSTEM_AUTHORITIES));
        let authority = self.ca.as_ref().unwrap_or(&system).read_public(credentials_dir)?;
        let own = match &self.own {
            None => None,
            Some((chain, key)) => Some((
                chain.read_public(credentials_dir)?,
                key.read(credentials_dir)?.expose().as_bytes().to_vec(),
            )),
        };
        Ok(LinePem { authority, own })
    }
}

/// `[head_office]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadOffice {
    /// Where its broker is.
    pub url: ServerUrl,
    /// The shop's user name and password there.
    pub login: Option<Login>,
    /// For `mqtts`.
    pub tls: LineTls,
}

/// A user name and where its password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub username: String,
    /// Where the password is.
    pub password: SecretSource,
}

/// `[bundle]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BundleTrust {
    /// Keys whose signature is believed; with none, no bundle is taken.
    pub trusted_keys: Vec<TrustedKey>,
}

/// `[storage]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Days a decision stays in the journal after head office has it; at least `REPLAY_DAYS_MIN`.
    pub journal_retention_days: u32,
    /// Mebibytes free below which nothing scarce is spent.
    pub free_space_min_mb: u32,
    /// Mebibytes of memory for the tables' cache.
    pub sled_cache_mb: u32,
    /// On another machine the data goes on as a new life.
    pub bound_to_machine: bool,
}

/// `[privacy]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privacy {
    /// Days the tables keep a sale.
    pub sale_days: u32,
    /// Days after which what was learned of a member who does not come any more goes.
    pub profile_idle_days: u32,
}

/// `[log]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important thing still told.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
}

/// How important something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Someone is woken.
    Error,
    /// Someone looks in the morning.
    Warn,
    /// The story of the day.
    Info,
    /// For whoever mends the program.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// Its word in the file, which is also tracing's.
    pub fn as_str(self) -> &'static str {
        LEVELS.iter().find(|(_, level)| *level == self).map_or("info", |(word, _)| word)
    }
}

const LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// In which form the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines with a time, for people.
    Text,
    /// Lines with systemd's priority prefix and no time, for the journal.
    Journald,
}

/// `[devices]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Devices {
    /// Requests of one device in one second; more are told to slow down.
    pub requests_per_second_max: u32,
}

/// `[console]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    /// Where it listens: loopback, unless it has a certificate.
    pub listen: SocketAddr,
    /// Names beside addresses and `localhost` under which it may be asked.
    pub hosts: Vec<String>,
    /// Certificate chain and key, PEM; with them it speaks TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Are metrics told to other machines, too?
    pub metrics_for_all: bool,
}

/// What the environment may say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Which file to read.
    pub config: Option<PathBuf>,
    /// Where the data is.
    pub data_dir: Option<PathBuf>,
    /// Where systemd put credentials.
    pub credentials_dir: Option<PathBuf>,
}

impl Environment {
    /// This process's. An empty variable is none.
    pub fn of_process() -> Environment {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Environment {
            config: path(CONFIG_VARIABLE),
            data_dir: path(DATA_DIR_VARIABLE),
            credentials_dir: path(CREDENTIALS_VARIABLE),
        }
    }
}

/// Where a setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// This place of the file.
    File(Position),
    /// This variable of the environment.
    Environment(&'static str),
}

/// One key with its value and where that comes from, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Section and key, `broker.listen`.
    pub key: String,
    /// The value as TOML writes it.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// A configuration, with what it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The checked configuration.
    pub config: Config,
    /// The file; `None` if there is none and nobody asked for one.
    pub file: Option<PathBuf>,
    /// Every key, in the manual's order.
    pub settings: Vec<Setting>,
}

impl Default for Config {
    fn default() -> Config {
        Config::parse(Path::new(""), "", &Environment::default()).expect("the empty file is allowed").config
    }
}

impl Config {
    /// The default file, which is the manual.
    pub fn default_text() -> &'static str {
        include_str!("../config/aisled.toml")
    }

    /// Reads the file named by `argument`, else by the environment, else the default one; a default one that is
    /// not there is no error, a named one is.
    pub fn load(argument: Option<&Path>, environment: &Environment) -> Result<Loaded, ConfigError> {
        let named = argument.or(environment.config.as_deref());
        let file = named.unwrap_or(Path::new(CONFIG_FILE_DEFAULT));
        if named.is_none() && !file.exists() {
            return Config::parse(file, "", environment).map(|loaded| Loaded { file: None, ..loaded });
        }
        Config::parse(file, &read_text(file)?, environment)
    }

    /// Reads a text; `file` is named in problems, and relative paths begin at its directory. Touches no disk.
    pub fn parse(file: &Path, text: &str, environment: &Environment) -> Result<Loaded, ConfigError> {
        let mut reader = reader::Reader::new(file, text);
        let at_file = |path: &str| file.parent().unwrap_or(Path::new("")).join(path);

        let mut section = reader.section("store");
        let id = section.text("id", "shop-1", "1 to 32 of a-z, 0-9 and -", |text| {
            StoreId::new(text).map_err(|_| format!("{} is no store id", reader::literal(text)))
        });
        let data_dir = section.text("data_dir", "/var/lib/aisled", "an absolute path", absolute);
        section.finish();

        let mut section = reader.section("broker");
        let is_external = section.word("mode", "embedded", &[("embedded", false), ("external", true)]);
        let listen: SocketAddr =
            section.text("listen", "127.0.0.1:1883", "a loopback address and port", |text| {
                text.parse().map_err(|_| format!("{} is no address and port", reader::literal(text)))
            });
        let open_on_loopback = section.boolean("open_on_loopback", true);
        let devices_file = section.text("devices_file", "", "a path", |text| Ok(given(text).map(at_file)));
        let listen_tls = section.text("listen_tls", "", "an address and port", |text| {
            let parse = |text: &str| {
                text.parse().map_err(|_| format!("{} is no address and port", reader::literal(text)))
            };
            given(text).map(parse).transpose()
        });
        let tls_names =
            section.texts("tls_names", limits::CERTIFICATE_NAMES_MAX, "host names and addresses", tls_name);
        let broker_url = section.text("url", "", URL_ALLOWED, server_url);
        let broker_login = read_login(&mut section, &at_file);
        let broker_tls = read_tls(&mut section, &at_file);
        section.finish();

        let mut section = reader.section("head_office");
        let office_url = section.text("url", "", URL_ALLOWED, server_url);
        let office_login = read_login(&mut section, &at_file);
        let office_tls = read_tls(&mut section, &at_file);
        section.finish();

        let mut section = reader.section("bundle");
        let trusted_keys = section.texts(
            "trusted_keys",
            limits::TRUSTED_KEYS_MAX,
            "a list of \"aisled-ed25519:\" and 64 hexadecimal digits, as `aisled bundle sign` prints it",
            TrustedKey::parse,
        );
        section.finish();

        let mut section = reader.section("storage");
        let retention_min =
            u32::try_from(limits::REPLAY_DAYS_MIN).expect("the replay window is a number of days");
        let storage = Storage {
            journal_retention_days: section.number("journal_retention_days", 35, retention_min..=3_650),
            free_space_min_mb: section.number("free_space_min_mb", 512, 64..=1_048_576),
            sled_cache_mb: section.number("sled_cache_mb", 4, 4..=4_096),
            bound_to_machine: section.boolean("bound_to_machine", true),
        };
        section.finish();

        let mut section = reader.section("privacy");
        let privacy = Privacy {
            sale_days: section.number("sale_days", limits::SALE_DAYS, retention_min..=3_650),
            profile_idle_days: section.number(
                "profile_idle_days",
                limits::PROFILE_IDLE_DAYS,
                retention_min..=3_650,
            ),
        };
        section.finish();

        let mut section = reader.section("log");
        let formats = &[("text", LogFormat::Text), ("journald", LogFormat::Journald)];
        let log = Log {
            level: section.word("level", "info", LEVELS),
            format: section.word("format", "text", formats),
        };
        section.finish();

        let mut section = reader.section("devices");
        let devices =
            Devices { requests_per_second_max: section.number("requests_per_second_max", 200, 1..=100_000) };
        section.finish();

        let mut section = reader.section("console");
        let console_listen = section.text("listen", "127.0.0.1:8780", "an address and port", |text| {
            let address = given(text).map(|text| {
                text.parse::<SocketAddr>()
                    .map_err(|_| format!("{} is no address and port", reader::literal(text)))
            });
            address.transpose()
        });
        let hosts = section.texts("hosts", limits::CONSOLE_HOSTS_MAX, "a list of host names", host_name);
        let certificate = section.text("certificate_file", "", "a path", |text| Ok(given(text).map(at_file)));
        let key = section.text("key_file", "", "a path", |text| Ok(given(text).map(at_file)));
        let metrics_for_all = section.boolean("metrics_for_all", false);
        section.finish();
        let tls = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (certificate, _) => {
                let (one, other) = match certificate {
                    Some(_) => ("console.certificate_file", "console.key_file"),
                    None => ("console.key_file", "console.certificate_file"),
                };
                let message = format!("is given, but {other} is not");
                reader.contradiction(one, Code::KeysContradict, &message, "both or neither");
                None
            }
        };
        if let Some(listen) = console_listen
            && !listen.ip().is_loopback()
            && tls.is_none()
        {
            let message = "passwords would be sent in the clear: without a certificate the console serves loopback only";
            let allowed = "127.0.0.1:PORT, [::1]:PORT, or certificate_file and key_file";
            reader.contradiction("console.listen", Code::ListenNotLoopback, message, allowed);
        }
        let console = console_listen.map(|listen| Console { listen, hosts, tls, metrics_for_all });

        let data_dir = match &environment.data_dir {
            None => data_dir,
            Some(path) => {
                reader.overridden(
                    "store.data_dir",
                    reader::literal(&path.to_string_lossy()),
                    DATA_DIR_VARIABLE,
                );
                if !path.is_absolute() {
                    let message = format!("{DATA_DIR_VARIABLE} is not an absolute path");
                    reader.contradiction("store.data_dir", Code::ConfigValue, &message, "an absolute path");
                }
                path.clone()
            }
        };
        let broker_login = login(&mut reader, "broker", broker_login);
        let office_login = login(&mut reader, "head_office", office_login);
        let encrypted = |url: &Option<ServerUrl>| url.as_ref().is_some_and(|url| url.tls);
        let broker_tls = line_tls(&mut reader, "broker", broker_tls, encrypted(&broker_url));
        let office_tls = line_tls(&mut reader, "head_office", office_tls, encrypted(&office_url));
        if office_url.is_none() && office_login.is_some() && !reader.is_refused("head_office.url") {
            let message = "is given, but head_office.url is not";
            reader.contradiction("head_office.username", Code::KeysContradict, message, "both or neither");
        }
        if office_url.is_some() && !reader.is_set("store.id") {
            let message = "is not given; two shops under one id would mix their sales at head office";
            reader.contradiction("store.id", Code::ConfigKeyMissing, message, "the shop's id in the chain");
        }
        let broker = match (is_external, broker_url) {
            (true, Some(url)) => {
                if devices_file.is_some() {
                    let message = "is of the embedded broker; an external one has a password file of its own";
                    reader.contradiction(
                        "broker.devices_file",
                        Code::KeysContradict,
                        message,
                        "mode = \"embedded\"",
                    );
                }
                if listen_tls.is_some() {
                    let message = "is of the embedded broker; an external one listens by itself";
                    reader.contradiction(
                        "broker.listen_tls",
                        Code::KeysContradict,
                        message,
                        "mode = \"embedded\"",
                    );
                }
                Broker::External { url, login: broker_login, tls: broker_tls }
            }
            (false, None) => {
                if broker_login.is_some() {
                    let message = "is of an external broker; the embedded one needs none";
                    reader.contradiction(
                        "broker.username",
                        Code::KeysContradict,
                        message,
                        "mode = \"external\"",
                    );
                }
                if !listen.ip().is_loopback() {
                    let message = "is for this machine only: it does not encrypt";
                    let allowed = "127.0.0.1:PORT or [::1]:PORT; broker.listen_tls is for the network";
                    reader.contradiction("broker.listen", Code::ListenNotLoopback, message, allowed);
                }
                let tls = listen_tls.map(|listen| BrokerTls { listen, names: tls_names });
                Broker::Embedded { listen, open_on_loopback, devices_file, tls }
            }
            (false, Some(_)) => {
                if !reader.is_refused("broker.mode") {
                    let message = "is of an external broker";
                    reader.contradiction("broker.url", Code::KeysContradict, message, "mode = \"external\"");
                }
                EMBEDDED
            }
            (true, None) => {
                // A URL that was refused has its own problem; only a missing one is one more.
                if !reader.is_refused("broker.url") {
                    let message = "is missing; mode is \"external\"";
                    reader.contradiction("broker.url", Code::ConfigKeyMissing, message, URL_ALLOWED);
                }
                EMBEDDED
            }
        };
        let config = Config {
            store: Store { id, data_dir },
            broker,
            head_office: office_url.map(|url| HeadOffice { url, login: office_login, tls: office_tls }),
            bundle: BundleTrust { trusted_keys },
            storage,
            privacy,
            log,
            devices,
            console,
        };
        Ok(Loaded { config, file: Some(file.to_owned()), settings: reader.finish()? })
    }
}

const URL_ALLOWED: &str = "mqtts://HOST:PORT or mqtt://HOST:PORT";

/// Stands in where a contradiction was reported: it is never returned.
const EMBEDDED: Broker = Broker::Embedded {
    listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1883),
    open_on_loopback: true,
    devices_file: None,
    tls: None,
};

/// A text that was given: the empty one is as good as none.
fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    Some(PathBuf::from(text))
        .filter(|path| path.is_absolute())
        .ok_or_else(|| format!("{} does not begin at /", reader::literal(text)))
}

fn host_name(text: &str) -> Result<String, String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    Some(text.to_ascii_lowercase())
        .filter(|text| !text.is_empty() && text.len() <= 253 && text.chars().all(letters))
        .ok_or_else(|| format!("{} is no host name (no scheme, no port)", reader::literal(text)))
}

fn server_url(text: &str) -> Result<Option<ServerUrl>, String> {
    given(text).map(ServerUrl::parse).transpose()
}

/// What a certificate may name: a host name, lower case, or an address.
fn tls_name(text: &str) -> Result<String, String> {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let fits = (1..=253).contains(&text.len()) && text.bytes().all(is_name) && !text.starts_with(['.', '-']);
    match text.parse::<IpAddr>() {
        Ok(ip) => Ok(ip.to_string()),
        Err(_) if fits => Ok(text.to_owned()),
        Err(_) => Err(format!("{} is no host name and no address", reader::literal(text))),
    }
}

const SOURCE_ALLOWED: &str = "a path, or \"credential:NAME\"";

fn source(text: &str, at_file: &dyn Fn(&str) -> PathBuf) -> Result<Option<SecretSource>, String> {
    match text.strip_prefix("credential:") {
        Some(name) if name.is_empty() || name.contains('/') || name.starts_with('.') => {
            Err(format!("{} is no name of a credential", reader::literal(name)))
        }
        Some(name) => Ok(Some(SecretSource::Credential(name.to_owned()))),
        None => Ok(given(text).map(|path| SecretSource::File(at_file(path)))),
    }
}

type TlsParts = [Option<SecretSource>; 3];

fn read_tls(section: &mut reader::Section<'_, '_>, at_file: &dyn Fn(&str) -> PathBuf) -> TlsParts {
    ["ca_file", "cert_file", "key_file"]
        .map(|key| section.text(key, "", SOURCE_ALLOWED, |text| source(text, at_file)))
}

fn line_tls(reader: &mut reader::Reader<'_>, section: &str, parts: TlsParts, is_encrypted: bool) -> LineTls {
    let is_any = parts.iter().any(Option::is_some);
    let [ca, certificate, private] = parts;
    if is_any && !is_encrypted && !reader.is_refused(&format!("{section}.url")) {
        let key = if ca.is_some() { "ca_file" } else { "cert_file" };
        let message = format!("is given, but {section}.url does not begin with mqtts://");
        reader.contradiction(
            &format!("{section}.{key}"),
            Code::KeysContradict,
            &message,
            "mqtts://HOST:PORT",
        );
    }
    let own = match (certificate, private) {
        (Some(certificate), Some(private)) => Some((certificate, private)),
        (None, None) => None,
        (certificate, _) => {
            let (one, other) =
                if certificate.is_some() { ("cert_file", "key_file") } else { ("key_file", "cert_file") };
            if !reader.is_refused(&format!("{section}.{other}")) {
                let message = format!("is given, but {section}.{other} is not");
                let key = format!("{section}.{one}");
                reader.contradiction(&key, Code::KeysContradict, &message, "both or neither");
            }
            None
        }
    };
    LineTls { ca, own }
}

type LoginParts = (Option<String>, Option<SecretSource>);

fn read_login(section: &mut reader::Section<'_, '_>, at_file: &dyn Fn(&str) -> PathBuf) -> LoginParts {
    let username = section.text("username", "", "1 to 256 bytes", |text| {
        let username = given(text).map(str::to_owned);
        if text.len() > 256 || text.chars().any(char::is_control) {
            return Err("is too long or holds a control character".to_owned());
        }
        Ok(username)
    });
    let password = section.text("password_file", "", SOURCE_ALLOWED, |text| source(text, at_file));
    (username, password)
}

fn login(reader: &mut reader::Reader<'_>, section: &str, parts: LoginParts) -> Option<Login> {
    let (one, other) = match parts {
        (Some(username), Some(password)) => return Some(Login { username, password }),
        (None, None) => return None,
        (Some(_), None) => ("username", "password_file"),
        (None, Some(_)) => ("password_file", "username"),
    };
    let (key, other) = (format!("{section}.{one}"), format!("{section}.{other}"));
    // The other one may be there and refused, which has a problem of its own.
    if !reader.is_refused(&other) {
        let message = format!("is given, but {other} is not");
        reader.contradiction(&key, Code::KeysContradict, &message, "both or neither");
    }
    None
}

/// Exactly `N` bytes as hexadecimal digits of either case.
fn hex_bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    if digits.len() != 2 * N || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// A whole file of at most `bytes_max`; a longer one is an error, not a long wait.
fn read_bounded(file: &Path, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(std::io::Error::other(format!("it is longer than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// A whole text file of at most `CONFIG_BYTES_MAX`; one that is not UTF-8 is a problem with a place.
fn read_text(file: &Path) -> Result<String, ConfigError> {
    let bytes = read_bounded(file, limits::CONFIG_BYTES_MAX)
        .map_err(|cause| ConfigError::unreadable(file, &cause, Code::ConfigUnreadable))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
        let problem = Problem {
            file: file.to_owned(),
            position: Some(Position::of(&text, good)),
            key: String::new(),
            code: Code::ConfigSyntax,
            message: "is not UTF-8 from here on".to_owned(),
            allowed: "text in UTF-8, not GBK".to_owned(),
        };
        ConfigError { problems: vec![problem] }
    })
}
