//! `aisled devices`: which tills and kiosks may connect, what each may do, and how it gets the proof of who it is.
//!
//! Reads and writes the devices file and the shop's authority beside a running daemon, which takes a change within two seconds and
//! ends the connections it concerns. `enroll` asks the daemon. Every change is in the audit log before it is in the file. A password
//! is shown once, or written to a file of mode 0600, and kept nowhere.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Exit;
use super::ask::not_running;
use super::words::tell;
use crate::audit;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{
    Broker, Config, ConfigError, DeviceLogin, Environment, PasswordProof, Role, SecretSource, private,
};
use crate::daemon::roll::{ask_for_code, devices_file, new_password, random};
use crate::devices::broker::{ENGINE_USER, mosquitto};
use crate::devices::topic::Topics;
use crate::domain::calendar::{DAY_MS, Day, StoreZone, UnixMs};
use crate::domain::code::Code;
use crate::domain::ids::DeviceId;
use crate::domain::text::hex;
use crate::gate::authority::{Authority, ServerAbout, TLS_DIR, own_names};
use crate::gate::tls::TlsError;
use crate::limits;

/// Arguments of `devices`.
#[derive(Args, Clone, Debug)]
pub struct DevicesArgs {
    #[command(subcommand)]
    verb: DevicesVerb,
}

#[derive(Clone, Debug, Subcommand)]
enum DevicesVerb {
    /// Who may connect, as what, and with which proof
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Make a device known; its password is shown once
    Add {
        /// Its id, which is its MQTT user name
        device: String,
        #[command(flatten)]
        identity: Identity,
        /// What it is for: till, kiosk or monitor
        #[arg(long, default_value = "till", value_parser = role)]
        role: Role,
    },
    /// Give a device a new proof; the old one is refused within two seconds
    Rotate {
        /// The device
        device: String,
        #[command(flatten)]
        identity: Identity,
    },
    /// Forget a device and end its connections
    Remove {
        /// The device
        device: String,
    },
    /// Show a code, good once and for 15 minutes, with which a device fetches its identity from the running daemon
    Enroll {
        /// The device
        device: String,
        /// What it is for: till, kiosk or monitor; as before if it is known
        #[arg(long, value_parser = role)]
        role: Option<Role>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write the same devices and rights for a Mosquitto: passwords, acl and mosquitto.conf
    Acl {
        /// The folder to write to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// The shop's own authority, which signs the box's certificate
    Ca {
        #[command(subcommand)]
        verb: CaVerb,
    },
}

/// In which form a device gets its proof.
#[derive(Args, Clone, Debug)]
struct Identity {
    /// Make a client certificate in place of a password: DEVICE.pem and DEVICE.key in this folder
    #[arg(long, value_name = "DIR")]
    certificate: Option<PathBuf>,
    /// Write the password to this file (mode 0600) instead of showing it
    #[arg(long, value_name = "FILE", conflicts_with = "certificate")]
    secret_file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum CaVerb {
    /// Make it, and the box's certificate; the daemon does so by itself at its first start with broker.listen_tls
    Init {
        /// Make another in place of the one there is: every device must enrol again
        #[arg(long)]
        again: bool,
    },
    /// Its certificate, fingerprint and end, and the box's certificate
    Show {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Renew the box's certificate now; a running daemon serves it from its next start, or by itself before the old one ends
    Renew,
}

fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "till, kiosk or monitor".to_owned())
}

/// What the verb works on.
struct Shop {
    config: Config,
    file: PathBuf,
    credentials_dir: Option<PathBuf>,
}

/// A refusal with a stable code, beside what the file itself says.
enum Refused {
    Code(Code, String),
    File(ConfigError),
}

impl From<ConfigError> for Refused {
    fn from(error: ConfigError) -> Refused {
        Refused::File(error)
    }
}

impl From<Refused> for anyhow::Error {
    fn from(refused: Refused) -> anyhow::Error {
        match refused {
            Refused::Code(code, what) => anyhow!("failed to change the devices: {what} ({code})"),
            Refused::File(error) => anyhow!("failed to change the devices: {error}"),
        }
    }
}

/// Runs the verb. `file` is the program's `--config`.
pub fn run(
    args: &DevicesArgs,
    file: Option<&Path>,
    environment: &Environment,
    out: &mut dyn Write,
) -> Result<Exit> {
    let config = match Config::load(file, environment) {
        Ok(loaded) => loaded.config,
        Err(error) => return Ok(super::config::write_error(&error, false, out)?),
    };
    let configured = match &config.broker {
        Broker::Embedded { devices_file, .. } => devices_file.clone(),
        Broker::External { .. } => None,
    };
    let file = devices_file(configured.as_ref(), &config.store.data_dir);
    let shop = Shop { config, file, credentials_dir: environment.credentials_dir.clone() };
    match &args.verb {
        DevicesVerb::List { json } => shop.list(*json, out),
        DevicesVerb::Add { device, identity, role } => shop.give(&id(device)?, identity, Some(*role), out),
        DevicesVerb::Rotate { device, identity } => shop.give(&id(device)?, identity, None, out),
        DevicesVerb::Remove { device } => shop.remove(&id(device)?, out),
        DevicesVerb::Enroll { device, role, json } => shop.enroll(&id(device)?, *role, *json, out),
        DevicesVerb::Acl { out: dir } => shop.acl(dir, out),
        DevicesVerb::Ca { verb } => shop.ca(*verb, out),
    }
}

fn id(text: &str) -> Result<DeviceId> {
    DeviceId::new(text).map_err(|error| anyhow!("failed to read the device's id: {error} ({})", Code::BadId))
}

fn tls_failed(error: TlsError) -> anyhow::Error {
    anyhow!("failed to {error} ({})", error.code())
}

fn utc(at: UnixMs) -> String {
    StoreZone::new("UTC").map_or_else(|| at.0.to_string(), |zone| zone.format(at))
}

impl Shop {
    fn logins(&self) -> Result<Vec<DeviceLogin>> {
        DeviceLogin::load_if_there(&self.file).map_err(|error| anyhow!("failed to read the devices: {error}"))
    }

    /// Writes down what is about to be done.
    fn audit(&self, act: &str, what: Value) -> Result<()> {
        let dir = &self.config.store.data_dir;
        std::fs::create_dir_all(dir).with_context(|| format!("failed to make {}", dir.display()))?;
        audit::append(dir, SystemClock.now(), &audit::machine_user(), act, what)
            .map(drop)
            .map_err(|error| anyhow!("failed to {error} ({})", error.code()))
    }

    fn list(&self, json: bool, out: &mut dyn Write) -> Result<Exit> {
        let logins = self.logins()?;
        if json {
            let devices: Vec<Value> = logins.iter().map(shown).collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&devices)?)?;
            return Ok(Exit::Ok);
        }
        for login in &logins {
            let DeviceLogin { device, role, .. } = login;
            writeln!(out, "{device:32} {role:8} {}", proofs(login).join(", "))?;
        }
        if logins.is_empty() {
            tell(out, ["no device is known in {}", "{} 中没有设备"], &[&self.file.display()])?;
        }
        Ok(Exit::Ok)
    }

    /// Adds a device (with its role) or gives a known one a new proof.
    fn give(
        &self,
        device: &DeviceId,
        identity: &Identity,
        added_as: Option<Role>,
        out: &mut dyn Write,
    ) -> Result<Exit> {
        // Refused before a password is made or an audit line written; the file is looked at again under its lock.
        let check = |logins: &BTreeMap<DeviceId, DeviceLogin>| match (added_as, logins.get(device)) {
            (Some(_), Some(_)) => Err(Refused::Code(Code::DeviceKnown, format!("{device} is known already"))),
            (Some(_), None) if logins.len() >= limits::DEVICES_MAX => {
                Err(Refused::Code(Code::DevicesTooMany, format!("{} devices are known", logins.len())))
            }
            (None, None) => Err(Refused::Code(Code::DeviceUnknown, format!("{device} is not known"))),
            (Some(role), None) => Ok(role),
            (None, Some(login)) => Ok(login.role),
        };
        let known = self.logins()?.into_iter().map(|login| (login.device.clone(), login)).collect();
        let role = check(&known)?;
        let act = if added_as.is_some() { "device.add" } else { "device.rotate" };
        let proof = if identity.certificate.is_some() { "certificate" } else { "password" };
        self.audit(act, json!({ "device": device, "role": role.as_str(), "proof": proof }))?;
        let (login, told) = match &identity.certificate {
            Some(dir) => self.certificate(device, role, dir)?,
            None => self.password(device, role, identity.secret_file.as_deref())?,
        };
        DeviceLogin::change(&self.file, |logins| {
            check(logins)?;
            logins.insert(device.clone(), login);
            Ok::<_, Refused>(())
        })?;
        if identity.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&told)?)?;
            return Ok(Exit::Ok);
        }
        tell(out, ["{} is a {}", "{} 的类型为 {}"], &[device, &role])?;
        for (name, value) in told
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| !["device", "role"].contains(&name.as_str()))
        {
            writeln!(out, "{name}: {}", value.as_str().unwrap_or_default())?;
        }
        if told.get("password").is_some() {
            let both =
                ["The password is shown this once and kept nowhere.", "密码仅显示这一次，不作任何保存。"];
            tell(out, both, &[])?;
        }
        Ok(Exit::Ok)
    }

    fn password(&self, device: &DeviceId, role: Role, file: Option<&Path>) -> Result<(DeviceLogin, Value)> {
        let (password, salt) = new_password()?;
        let login =
            DeviceLogin { role, ..DeviceLogin::with_password(device.clone(), password.as_bytes(), salt) };
        let mut told = json!({ "device": device, "role": role.as_str(), "username": device });
        match file {
            None => told["password"] = json!(password),
            Some(file) => {
                private::place(file, format!("{password}\n").as_bytes())
                    .with_context(|| format!("failed to write {}", file.display()))?;
                told["password_file"] = json!(file.display().to_string());
            }
        }
        Ok((login, told))
    }

    fn certificate(&self, device: &DeviceId, role: Role, dir: &Path) -> Result<(DeviceLogin, Value)> {
        let authority = self.authority()?;
        let issued = authority.for_device(device.as_str(), SystemClock.now()).map_err(tls_failed)?;
        let (chain, key) = (dir.join(format!("{device}.pem")), dir.join(format!("{device}.key")));
        std::fs::create_dir_all(dir).with_context(|| format!("failed to make {}", dir.display()))?;
        for (file, text) in [(&key, &issued.key), (&chain, &issued.chain)] {
            private::place(file, text.as_bytes())
                .with_context(|| format!("failed to write {}", file.display()))?;
        }
        let certificate = Some(issued.fingerprint);
        let certificate_until = Some(Day::from_number(issued.until.0.div_euclid(DAY_MS)));
        let login =
            DeviceLogin { device: device.clone(), role, password: None, certificate, certificate_until };
        let told = json!({
            "device": device,
            "role": role.as_str(),
            "username": device,
            "certificate": chain.display().to_string(),
            "key": key.display().to_string(),
            "until": utc(issued.until),
        });
        Ok((login, told))
    }

    fn remove(&self, device: &DeviceId, out: &mut dyn Write) -> Result<Exit> {
        let unknown = || Refused::Code(Code::DeviceUnknown, format!("{device} is not known"));
        if !self.logins()?.iter().any(|login| login.device == *device) {
            return Err(unknown().into());
        }
        self.audit("device.remove", json!({ "device": device }))?;
        DeviceLogin::change(&self.file, |logins| logins.remove(device).map(drop).ok_or_else(unknown))?;
        let both =
            ["{} is forgotten; its connections end within two seconds", "{} 已移除；其连接将在两秒内断开"];
        tell(out, both, &[device])?;
        Ok(Exit::Ok)
    }

    fn enroll(&self, device: &DeviceId, role: Option<Role>, json: bool, out: &mut dyn Write) -> Result<Exit> {
        let Some(given) = ask_for_code(&self.config.store.data_dir, device, role)? else {
            return not_running(&self.config.store.data_dir, json, out);
        };
        if let Some(error) = given.get("error").and_then(Value::as_str) {
            let code = given.get("code").and_then(Value::as_str);
            bail!(
                "failed to give a code: {error}{}",
                code.map(|code| format!(" ({code})")).unwrap_or_default()
            );
        }
        if json {
            writeln!(out, "{}", serde_json::to_string_pretty(&given)?)?;
            return Ok(Exit::Ok);
        }
        let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        tell(out, ["device       {} ({})", "设备  {}（{}）"], &[device, &text("role")])?;
        let both = ["code         {}   good once, for {} minutes", "代码  {}   一次有效，{} 分钟内"];
        tell(out, both, &[&text("enrolment_code"), &given["minutes"]])?;
        tell(out, ["fingerprint  {}", "指纹  {}"], &[&text("fingerprint")])?;
        Ok(Exit::Ok)
    }

    fn acl(&self, dir: &Path, out: &mut dyn Write) -> Result<Exit> {
        let topics = Topics::new(&self.config.store.id);
        let logins = self.logins()?;
        let (engine, password) = self.engine(dir)?;
        let proof = PasswordProof::new(password.as_bytes(), random()?);
        std::fs::create_dir_all(dir).with_context(|| format!("failed to make {}", dir.display()))?;
        let dir = dir.canonicalize().with_context(|| format!("failed to find {}", dir.display()))?;
        let place = |name: &str| dir.join(name);
        let (passwords, rights) = (place("passwords"), place("acl"));
        let places = (passwords.display().to_string(), rights.display().to_string());
        let files = mosquitto::files(&topics, &logins, (&engine, &proof), (&places.0, &places.1));
        let files = files.map_err(|without| {
            let names: Vec<&str> = without.iter().map(DeviceId::as_str).collect();
            Refused::Code(Code::DeviceNoMosquitto, names.join(", "))
        })?;
        self.audit("device.acl", json!({ "devices": logins.len(), "folder": dir.display().to_string() }))?;
        let settings = place("mosquitto.conf");
        for (file, text) in
            [(&passwords, &files.passwords), (&rights, &files.rights), (&settings, &files.settings)]
        {
            private::place(file, text.as_bytes())
                .with_context(|| format!("failed to write {}", file.display()))?;
        }
        let both = ["{} devices and {}: {}", "{} 台设备与 {}：{}"];
        tell(out, both, &[&logins.len(), &engine, &dir.display()])?;
        let both = [
            "Give the folder to Mosquitto's user, add its lines behind your listener, and reload it (SIGHUP).",
            "请将该文件夹交给 Mosquitto 的用户，把其中的配置行加在监听配置之后，并重新加载（SIGHUP）。",
        ];
        tell(out, both, &[])?;
        Ok(Exit::Ok)
    }

    /// The daemon at the shop's Mosquitto: as configured, or with a password of its own beside the files.
    fn engine(&self, dir: &Path) -> Result<(String, String)> {
        if let Broker::External { login: Some(login), .. } = &self.config.broker {
            let secret = login.password.read(self.credentials_dir.as_deref());
            let secret = secret.map_err(|error| anyhow!("failed to read a password: {error}"))?;
            return Ok((login.username.clone(), secret.expose().to_owned()));
        }
        let file = dir.join("engine-password");
        if let Ok(secret) = SecretSource::File(file.clone()).read(None) {
            return Ok((ENGINE_USER.to_owned(), secret.expose().to_owned()));
        }
        std::fs::create_dir_all(dir).with_context(|| format!("failed to make {}", dir.display()))?;
        let (password, _) = new_password()?;
        private::place(&file, format!("{password}\n").as_bytes())
            .with_context(|| format!("failed to write {}", file.display()))?;
        Ok((ENGINE_USER.to_owned(), password))
    }

    /// The shop's authority, made if there is none.
    fn authority(&self) -> Result<Authority> {
        match Authority::load(&self.config.store.data_dir).map_err(tls_failed)? {
            Some(authority) => Ok(authority),
            None => self.make_authority(),
        }
    }

    fn make_authority(&self) -> Result<Authority> {
        let (dir, store) = (&self.config.store.data_dir, &self.config.store.id);
        self.audit("authority.make", json!({ "store": store }))?;
        Authority::create(dir, store, SystemClock.now()).map_err(tls_failed)
    }

    fn names(&self) -> Vec<String> {
        match &self.config.broker {
            Broker::Embedded { tls: Some(tls), .. } => {
                let mut names = own_names(tls.listen);
                names.extend(tls.names.iter().cloned());
                names
            }
            _ => own_names(([0, 0, 0, 0], 0).into()),
        }
    }

    fn ca(&self, verb: CaVerb, out: &mut dyn Write) -> Result<Exit> {
        let data_dir = &self.config.store.data_dir;
        match verb {
            CaVerb::Init { again } => {
                let there = Authority::load(data_dir).map_err(tls_failed)?.is_some();
                if there && !again {
                    let both = [
                        "the shop has an authority already; --again makes another",
                        "门店已有证书机构；--again 另建一个",
                    ];
                    tell(out, both, &[])?;
                    return Ok(Exit::Finding);
                }
                let authority = self.make_authority()?;
                authority.server(&self.names(), SystemClock.now(), false).map_err(tls_failed)?;
                let both = ["{}: fingerprint {}", "{}：指纹 {}"];
                tell(out, both, &[&authority.name(), &hex(&authority.fingerprint())])?;
            }
            CaVerb::Renew => {
                let authority = self.authority()?;
                self.audit("certificate.renew", json!({ "authority": authority.name() }))?;
                let (_, about) =
                    authority.server(&self.names(), SystemClock.now(), true).map_err(tls_failed)?;
                let both = ["good until {} for {}", "有效期至 {}，用于 {}"];
                tell(out, both, &[&utc(about.until), &about.names.join(", ")])?;
            }
            CaVerb::Show { json } => {
                let Some(authority) = Authority::load(data_dir).map_err(tls_failed)? else {
                    tell(out, ["the shop has no authority yet", "门店尚无证书机构"], &[])?;
                    return Ok(Exit::Finding);
                };
                let server = ServerAbout::load(&data_dir.join(TLS_DIR));
                if json {
                    let shown = json!({
                        "name": authority.name(),
                        "fingerprint": hex(&authority.fingerprint()),
                        "until": utc(authority.until()),
                        "pem": authority.pem(),
                        "server": server.as_ref().map(|about| json!({ "names": about.names, "until": utc(about.until) })),
                    });
                    writeln!(out, "{}", serde_json::to_string_pretty(&shown)?)?;
                    return Ok(Exit::Ok);
                }
                let (name, until) = (authority.name(), utc(authority.until()));
                tell(out, ["{}, good until {}", "{}，有效期至 {}"], &[&name, &until])?;
                tell(out, ["fingerprint {}", "指纹 {}"], &[&hex(&authority.fingerprint())])?;
                if let Some(about) = server {
                    let both = ["the box: good until {} for {}", "本机：有效期至 {}，用于 {}"];
                    tell(out, both, &[&utc(about.until), &about.names.join(", ")])?;
                }
                write!(out, "{}", authority.pem())?;
            }
        }
        Ok(Exit::Ok)
    }
}

fn proofs(login: &DeviceLogin) -> Vec<&'static str> {
    let password = match login.password {
        Some(PasswordProof::Pbkdf2 { .. }) => Some("password"),
        Some(PasswordProof::Sha256 { .. }) => Some("password (earlier form)"),
        None => None,
    };
    password.into_iter().chain(login.certificate.map(|_| "certificate")).collect()
}

fn shown(login: &DeviceLogin) -> Value {
    json!({
        "device": login.device,
        "role": login.role.as_str(),
        "password": login.password.is_some(),
        "certificate": login.certificate.as_ref().map(|digest| hex(digest)),
        "certificate_until": login.certificate_until.map(|day| day.to_string()),
        "mosquitto": matches!(login.password, Some(PasswordProof::Pbkdf2 { .. })),
    })
}
