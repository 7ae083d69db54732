//! A line to a broker, one step after the other: name, connection, encryption and certificate, login.
//!
//! Each step is a probe of its own; what rests on one that failed is not tried. Invariants: every step ends within
//! `CHECK_CONNECT_TIMEOUT_MS` (of each address) or `CHECK_RESOLVE_TIMEOUT_MS`; certificates are judged by the clock that is
//! handed in, as the daemon judges them; the client id is the check's own, so that no session of the daemon is taken over; the
//! password goes nowhere but where the daemon sends it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::probe::Seen;
use super::{Outcome, Probe};
use crate::clock::{Clock, Ticks};
use crate::config::{LineTls, ServerUrl};
use crate::domain::calendar::DAY_MS;
use crate::domain::code::Code;
use crate::gate::tls::{self, Own, Refused};
use crate::limits;

/// What a finding of this line is called and where it is mended.
pub(super) struct Words {
    /// Names of the probes: name, connection, certificate, login.
    pub names: [&'static str; 4],
    /// How bad a finding is.
    pub outcome: Outcome,
    /// `section.url`, `.ca_file`, `.cert_file`, `.username`.
    pub keys: [&'static str; 4],
    /// The name resolves to nothing.
    pub unknown: Code,
    /// Nobody listens.
    pub unreachable: Code,
    /// Whoever listens does not speak as it should.
    pub broken: Code,
    /// Its certificate is not believed, is for another name, has ended.
    pub certificate: [Code; 3],
    /// No clock judges it.
    pub clock: Code,
    /// It wants another certificate of ours.
    pub own: Code,
    /// It refuses the connection.
    pub refuses: Code,
    /// It refuses user name or password.
    pub login: Code,
    /// It says nothing.
    pub silent: Code,
}

/// Head office's line.
pub(super) const HEAD_OFFICE: Words = Words {
    names: ["head office name", "head office", "head office certificate", "head office login"],
    // Selling never waits for it.
    outcome: Outcome::Warn,
    keys: ["head_office.url", "head_office.ca_file", "head_office.cert_file", "head_office.username"],
    unknown: Code::HeadOfficeNameUnknown,
    unreachable: Code::HeadOfficeUnreachable,
    broken: Code::HeadOfficeNoLine,
    certificate: [Code::HeadOfficeCertificate, Code::HeadOfficeName, Code::HeadOfficeExpired],
    clock: Code::HeadOfficeClock,
    own: Code::HeadOfficeWantsCertificate,
    refuses: Code::HeadOfficeRefuses,
    login: Code::HeadOfficeLogin,
    silent: Code::HeadOfficeSilent,
};

/// The line to a broker that the shop runs.
pub(super) const BROKER: Words = Words {
    names: ["broker name", "broker", "broker certificate", "broker login"],
    outcome: Outcome::Fail,
    keys: ["broker.url", "broker.ca_file", "broker.cert_file", "broker.username"],
    unknown: Code::BrokerNotReached,
    unreachable: Code::BrokerNotReached,
    broken: Code::BrokerNotReached,
    certificate: [Code::BrokerCertificate; 3],
    clock: Code::ClockWrong,
    own: Code::BrokerCertificate,
    refuses: Code::BrokerRefuses,
    login: Code::BrokerRefuses,
    silent: Code::BrokerNotReached,
};

/// A line to look at.
pub(super) struct Line<'a> {
    pub words: &'static Words,
    pub url: &'a ServerUrl,
    pub tls: &'a LineTls,
    /// User name and password; none where the password cannot be read: then nobody logs in.
    pub login: Option<(String, String)>,
    pub client_id: String,
    pub clock: Arc<dyn Clock>,
    pub credentials_dir: Option<&'a Path>,
}

/// A step of the line.
#[derive(Clone, Copy)]
enum Step {
    Name,
    Connection,
    Certificate,
    Login,
}

/// Why a step failed.
struct Failed {
    step: Step,
    code: Code,
    key: &'static str,
    cause: Seen,
}

impl Line<'_> {
    /// Walks along it.
    pub(super) fn probes(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        if let Err(failed) = self.walk(&mut probes) {
            probes.push(self.finding(failed));
        }
        probes
    }

    fn ok(&self, step: Step, seen: impl Into<Seen>) -> Probe {
        Probe::ok(self.words.names[step as usize], seen)
    }

    fn finding(&self, Failed { step, code, key, cause }: Failed) -> Probe {
        Probe::finding(self.words.names[step as usize], self.words.outcome, code, key, cause)
    }

    fn walk(&self, probes: &mut Vec<Probe>) -> Result<(), Failed> {
        let Line { words, url, .. } = self;
        let [at_url, _, _, at_login] = words.keys;
        let failed = |step, code, key, cause| Failed { step, code, key, cause };
        let host = Seen::quoted(&url.host);
        let addresses = resolve(url)
            .map_err(|cause| failed(Step::Name, words.unknown, at_url, host.clone().and(cause)))?;
        if url.host.parse::<IpAddr>().is_err() {
            let mut found: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            found.truncate(limits::CHECK_ADDRESSES_MAX);
            probes.push(
                self.ok(Step::Name, Seen::of(["{} is {}", "{} 解析为 {}"], &[&url.host, &found.join(", ")])),
            );
        }
        let (stream, address) = connect(&addresses).map_err(|cause| {
            failed(Step::Connection, words.unreachable, at_url, Seen::quoted(format_args!("{url}: {cause}")))
        })?;
        probes.push(
            self.ok(Step::Connection, Seen::of(["{} answers at {}", "{} 在 {} 有应答"], &[url, &address])),
        );
        let until = self.clock.ticks().plus(Duration::from_millis(limits::CHECK_CONNECT_TIMEOUT_MS));
        let mut stream = Bounded { stream, until, clock: Arc::clone(&self.clock) };
        let said = match url.tls {
            true => self.sign_in(&mut self.shake_hands(stream, probes)?),
            false => self.sign_in(&mut stream),
        };
        match said {
            Err(error) => Err(self.broken(Step::Login, &error)),
            Ok(None) => Ok(()),
            Ok(Some(0)) => {
                probes.push(self.ok(Step::Login, ["it lets this box in", "允许本机登录"]));
                Ok(())
            }
            // Of MQTT 5: bad user name or password, not authorized, banned, bad authentication method; of 3.1.1 the first two.
            Ok(Some(code @ (0x86 | 0x87 | 0x8a | 0x8c | 4 | 5))) => {
                let both =
                    ["{} refuses user name or password (CONNACK {})", "{} 拒绝用户名或密码（CONNACK {}）"];
                let cause = Seen::of(both, &[url, &format_args!("0x{code:02x}")]);
                Err(failed(Step::Login, words.login, at_login, cause))
            }
            Ok(Some(code)) => {
                let both = ["{} refuses the connection (CONNACK {})", "{} 拒绝连接（CONNACK {}）"];
                let cause = Seen::of(both, &[url, &format_args!("0x{code:02x}")]);
                Err(failed(Step::Login, words.refuses, at_url, cause))
            }
        }
    }

    /// TLS as the daemon speaks it.
    fn shake_hands(
        &self,
        mut stream: Bounded,
        probes: &mut Vec<Probe>,
    ) -> Result<StreamOwned<ClientConnection, Bounded>, Failed> {
        let [at_url, at_ca, at_own, _] = self.words.keys;
        let at_file = || {
            let only_ca = LineTls { own: None, ..self.tls.clone() };
            if only_ca.read(self.credentials_dir).is_err() { at_ca } else { at_own }
        };
        let pem = self.tls.read(self.credentials_dir).map_err(|error| Failed {
            step: Step::Certificate,
            code: error.problems.first().map_or(Code::CertificateUnusable, |problem| problem.code),
            key: at_file(),
            cause: Seen::quoted(error.to_string().replace('\n', "; ")),
        })?;
        let unusable = |error: tls::TlsError| Failed {
            step: Step::Certificate,
            code: error.code(),
            key: at_file(),
            cause: Seen::quoted(format_args!("failed to {error}")),
        };
        let own =
            pem.own.as_ref().map(|(chain, key)| Own::of_pem(chain, key)).transpose().map_err(unusable)?;
        let config = tls::client(&pem.authority, own, Arc::clone(&self.clock)).map_err(unusable)?;
        let no_name = |error: &dyn std::fmt::Display| Failed {
            step: Step::Certificate,
            code: self.words.unknown,
            key: at_url,
            cause: Seen::quoted(format_args!("{}: {error}", self.url.host)),
        };
        let name = ServerName::try_from(self.url.host.clone()).map_err(|error| no_name(&error))?;
        let mut session = ClientConnection::new(Arc::new(config), name).map_err(|error| no_name(&error))?;
        while session.is_handshaking() {
            session.complete_io(&mut stream).map_err(|error| self.broken(Step::Certificate, &error))?;
        }
        let until = session.peer_certificates().and_then(|chain| tls::until(chain.first()?));
        let believed = Seen::of(["it is believed and is for {}", "可信，属于 {}"], &[&self.url.host]);
        probes.push(match until {
            None => self.ok(Step::Certificate, believed),
            Some(until) => match until.ms_since(self.clock.now()) / DAY_MS {
                days if days >= limits::CERTIFICATE_NOTICE_DAYS => {
                    self.ok(Step::Certificate, believed.and(Seen::of(["until {}", "有效期至 {}"], &[&until])))
                }
                days => self.finding(Failed {
                    step: Step::Certificate,
                    code: self.words.certificate[2],
                    key: at_url,
                    cause: believed
                        .and(Seen::of(["it ends in {} days, at {}", "{} 天后到期，{}"], &[&days, &until])),
                }),
            },
        });
        Ok(StreamOwned::new(session, stream))
    }

    /// What broke it, as a person can mend it.
    fn broken(&self, step: Step, error: &io::Error) -> Failed {
        let words = self.words;
        let [at_url, at_ca, at_own, _] = words.keys;
        let [foreign, name, ended] = words.certificate;
        let now = self.clock.now();
        let is_wrong = !(limits::CLOCK_UNIX_MS_MIN..=limits::CLOCK_UNIX_MS_MAX).contains(&now.0);
        let (code, key, why) = match tls::refused(error) {
            Some((Refused::Foreign, why)) => (foreign, at_ca, Seen::quoted(why)),
            Some((Refused::Name, why)) => (name, at_url, Seen::quoted(why)),
            // A clock that cannot be right judges no certificate.
            Some((Refused::Expired, why)) if !is_wrong => (ended, at_url, Seen::quoted(why)),
            Some((Refused::Expired | Refused::NotYet, why)) => {
                let both = ["by this box's clock ({}): {}", "按本机时钟（{}）：{}"];
                (words.clock, "", Seen::of(both, &[&now, &why]))
            }
            Some((Refused::Own, why)) => (words.own, at_own, Seen::quoted(why)),
            Some((Refused::Other, why)) => {
                let both = ["it does not speak TLS 1.3: {}", "对方不支持 TLS 1.3：{}"];
                (words.broken, at_url, Seen::of(both, &[&why]))
            }
            None => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    (words.silent, at_url, ["no answer in time", "未在时限内应答"].into())
                }
                ErrorKind::InvalidData => (words.refuses, at_url, Seen::quoted(error)),
                _ => {
                    let both = ["the connection broke: {}", "连接中断：{}"];
                    (words.broken, at_url, Seen::of(both, &[error]))
                }
            },
        };
        Failed { step, code, key, cause: Seen::quoted(self.url).and(why) }
    }

    /// MQTT 5's CONNECT, and the reason code that comes back; nothing is sent without a login.
    fn sign_in(&self, stream: &mut (impl Read + Write)) -> io::Result<Option<u8>> {
        let Some((user, password)) = &self.login else { return Ok(None) };
        stream.write_all(&hello(&self.client_id, user, password))?;
        stream.flush()?;
        let mut head = [0; 2];
        stream.read_exact(&mut head)?;
        // CONNACK is shorter than 128 bytes where nobody sends properties beyond the usual: its flags and code come first.
        while head[1] & 0x80 != 0 {
            stream.read_exact(&mut head[1..])?;
        }
        let mut answer = [0; 2];
        stream.read_exact(&mut answer)?;
        if head[0] != 0x20 {
            return Err(io::Error::new(ErrorKind::InvalidData, "what answers is no MQTT broker"));
        }
        if answer[1] == 0 {
            // DISCONNECT; whoever hangs up first is as good.
            let _ = stream.write_all(&[0xe0, 0]).and_then(|()| stream.flush());
        }
        Ok(Some(answer[1]))
    }
}

/// CONNECT of MQTT 5: a clean start, 10 s of keep-alive, no properties.
fn hello(client_id: &str, user: &str, password: &str) -> Vec<u8> {
    const FLAGS: usize = 7;
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 5, 0x02, 0, 10, 0];
    let fields = [(client_id, 0), (user, 0x80), (password, 0x40)];
    for (text, flag) in fields.into_iter().filter(|(text, flag)| *flag == 0 || !text.is_empty()) {
        body[FLAGS] |= flag;
        let bytes = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
        body.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
        body.extend(bytes);
    }
    let mut packet = vec![0x10];
    let mut rest = body.len();
    loop {
        let byte = u8::try_from(rest % 128).unwrap_or(0);
        rest /= 128;
        packet.push(if rest > 0 { byte | 0x80 } else { byte });
        if rest == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

/// A stream on which nothing waits beyond one moment, however slowly the other end drips.
struct Bounded {
    stream: TcpStream,
    until: Ticks,
    clock: Arc<dyn Clock>,
}

impl Bounded {
    fn wait(&self) -> io::Result<()> {
        let left = self.until.since(self.clock.ticks());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.set_write_timeout(Some(left))
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait()?;
        self.stream.read(buffer)
    }
}

impl Write for Bounded {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.wait()?;
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The addresses of a server. The system's resolver has no bound of its own that fits here: it is left to itself after ours.
fn resolve(url: &ServerUrl) -> Result<Vec<SocketAddr>, Seen> {
    let (answer, answered) = mpsc::channel();
    let (host, port) = (url.host.clone(), url.port);
    let asking = std::thread::Builder::new().name("resolve".to_owned()).spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        // Nobody waits any more.
        let _ = answer.send(found.map_err(|cause| cause.to_string()));
    });
    asking.map_err(Seen::quoted)?;
    let found = answered.recv_timeout(Duration::from_millis(limits::CHECK_RESOLVE_TIMEOUT_MS));
    let silent = ["no answer from the name service", "域名服务没有应答"];
    let addresses = found.map_err(|_| Seen::from(silent))?.map_err(Seen::quoted)?;
    if addresses.is_empty() {
        Err(["the name has no address", "该域名没有地址"].into())
    } else {
        Ok(addresses)
    }
}

/// The first address that takes a connection, or why the last did not.
pub(super) fn connect(addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), String> {
    let timeout = Duration::from_millis(limits::CHECK_CONNECT_TIMEOUT_MS);
    let mut failed = String::new();
    for address in addresses.iter().take(limits::CHECK_ADDRESSES_MAX) {
        match TcpStream::connect_timeout(address, timeout) {
            Ok(stream) => return Ok((stream, *address)),
            Err(cause) => failed = format!("{address}: {cause}"),
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_hello_what_brokers_read() {
        let with = hello("s1.check", "s1", "secret");
        let mut expected = vec![0x10, 33, 0, 4, b'M', b'Q', b'T', b'T', 5, 0xc2, 0, 10, 0];
        expected.extend(b"\0\x08s1.check\0\x02s1\0\x06secret");
        assert_eq!(with, expected);
        assert_eq!(hello("a", "b", "")[..10], [0x10, 17, 0, 4, b'M', b'Q', b'T', b'T', 5, 0x82]);
        assert_eq!(hello("a", &"u".repeat(200), "")[..4], [0x10, 0xd8, 1, 0]);
    }
}
