//! How a device gets its identity: a short code, told by a person who stands in front of it, against a password.
//!
//! ```text
//! person    aisled devices enroll till-7         the code, good for 15 minutes and once, and the authority's fingerprint
//! device    GET  https://BOX:8883/ca.pem         the authority; compare its SHA-256 with the fingerprint told
//! device    POST https://BOX:8883/enroll         {"device":"till-7","code":"K7QM-2F9X"}, verified by that authority
//! box       200 {"device","username","password","role","store","ca"} or a problem {"status","code","title"}
//! ```
//! It is plain HTTP/1.1 on the port of MQTT over TLS, so that every language has a client for it and the shop opens one port.
//! The fingerprint is what keeps a box in between from answering: a device that does not compare it gets an identity of
//! whoever answered.
//!
//! Invariants: a code is 40 random bits, good once, for one device, for `ENROL_CODE_MS`; after `ENROL_TRIES_MAX` wrong ones all are
//! thrown away; a wrong one waits `REFUSAL_DELAY_MS` before it is told. Codes live in memory: a restart forgets them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use crate::clock::Ticks;
use crate::config::Role;
use crate::domain::code::Code;
use crate::domain::ids::DeviceId;
use crate::domain::text::Lang;
use crate::gate::Complaints;
use crate::limits;

/// Letters and digits of a code: none that is read as another (Crockford's).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What answers at the door. May block: it is called on a thread that may.
pub trait Enrolling: Send + Sync {
    /// The authority's certificate, in PEM.
    fn authority(&self) -> String;

    /// The identity for a code, as the document that is answered.
    ///
    /// # Errors
    /// Why there is none.
    fn enrol(&self, device: &str, code: &str) -> Result<Value, Code>;
}

/// A code as a person reads it, from 40 random bits.
pub fn code_of(random: [u8; 5]) -> String {
    let bits = random.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let letter = |index: u32| char::from(ALPHABET[(bits >> (5 * (7 - index)) & 31) as usize]);
    (0..8).flat_map(|index| (index == 4).then_some('-').into_iter().chain([letter(index)])).collect()
}

/// What was typed, as `code_of` writes it, without the dash.
fn normal(typed: &str) -> String {
    let letters = typed.chars().take(limits::NAME_BYTES_MAX).filter(char::is_ascii_alphanumeric);
    letters
        .map(|letter| match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect()
}

/// A code that was given and not used.
struct Waiting {
    device: DeviceId,
    role: Role,
    code: String,
    until: Ticks,
}

/// The codes that wait.
#[derive(Default)]
pub struct Codes {
    waiting: Vec<Waiting>,
    wrong: u32,
}

impl Codes {
    /// A code is given; one given to the same device before is not good any more.
    pub fn give(&mut self, device: DeviceId, role: Role, code: &str, now: Ticks) {
        self.waiting.retain(|waiting| waiting.device != device && waiting.until > now);
        if self.waiting.len() >= limits::ENROL_CODES_MAX {
            self.waiting.remove(0);
        }
        let until = now.plus(Duration::from_millis(limits::ENROL_CODE_MS));
        self.waiting.push(Waiting { device, role, code: normal(code), until });
        self.wrong = 0;
    }

    /// Takes a code back for what it is worth: the device's role. It is not good a second time.
    pub fn redeem(&mut self, device: &str, code: &str, now: Ticks) -> Option<Role> {
        self.waiting.retain(|waiting| waiting.until > now);
        let code = normal(code);
        let found = (self.waiting.iter())
            .position(|waiting| waiting.device.as_str() == device && same(&waiting.code, &code));
        let Some(found) = found else {
            self.wrong += 1;
            if self.wrong >= limits::ENROL_TRIES_MAX {
                self.waiting.clear();
            }
            return None;
        };
        Some(self.waiting.remove(found).role)
    }
}

/// Compares without telling by its duration where the first difference is.
fn same(left: &str, right: &str) -> bool {
    left.len() == right.len() && left.bytes().zip(right.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    device: String,
    code: String,
}

/// A request, or why it is none.
enum Request {
    Authority,
    Enrol(Asked),
    Malformed,
}

/// Answers one request and ends.
pub(super) async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    from: SocketAddr,
    desk: Arc<dyn Enrolling>,
    complaints: Arc<Complaints>,
) {
    let patience = Duration::from_millis(limits::GATE_PATIENCE_MS);
    let Ok(request) = timeout(patience, read(&mut stream)).await else {
        return complaints.complain(Code::GateSilent, &from.ip().to_string(), || "half a request".to_owned());
    };
    let enrolled = match request {
        Request::Malformed => Err(Code::EnrolRequest),
        Request::Authority => Ok(None),
        Request::Enrol(asked) => {
            let desk = Arc::clone(&desk);
            let enrolled = tokio::task::spawn_blocking(move || desk.enrol(&asked.device, &asked.code));
            enrolled.await.unwrap_or(Err(Code::DevicesUnwritable)).map(Some)
        }
    };
    let (status, kind, body) = match enrolled {
        Ok(None) => ("200 OK", "application/x-pem-file", desk.authority()),
        Ok(Some(identity)) => ("200 OK", "application/json", identity.to_string()),
        Err(code) => {
            complaints.complain(code, &from.ip().to_string(), || "an enrolment".to_owned());
            sleep(Duration::from_millis(limits::REFUSAL_DELAY_MS)).await;
            let problem = json!({ "status": code.status(), "code": code, "title": code.title(Lang::En) });
            let status = match code.status() {
                400 => "400 Bad Request",
                403 => "403 Forbidden",
                409 => "409 Conflict",
                _ => "503 Service Unavailable",
            };
            (status, "application/problem+json", problem.to_string())
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    let said = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        stream.shutdown().await
    };
    if !matches!(timeout(patience, said).await, Ok(Ok(()))) {
        tracing::debug!(%from, "an enrolling device left before its answer");
    }
}

/// Reads one request of at most `ENROL_BYTES_MAX`: a head, and a body as long as it says.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Request {
    let mut bytes = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        if let Some(request) = parse(&bytes) {
            return request;
        }
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 && bytes.len() + count <= limits::ENROL_BYTES_MAX => {
                bytes.extend_from_slice(&chunk[..count]);
            }
            _ => return Request::Malformed,
        }
    }
}

/// The request these bytes are, or nothing if more must come.
fn parse(bytes: &[u8]) -> Option<Request> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let Ok(head) = std::str::from_utf8(&bytes[..end]) else { return Some(Request::Malformed) };
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if (method, path) == ("GET", "/ca.pem") {
        return Some(Request::Authority);
    }
    let length = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let Some(length) = length.filter(|_| (method, path) == ("POST", "/enroll")) else {
        return Some(Request::Malformed);
    };
    let body = bytes.get(end + 4..).filter(|body| body.len() >= length)?;
    let asked = serde_json::from_slice(&body[..length]);
    Some(asked.map_or(Request::Malformed, Request::Enrol))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::domain::calendar::UnixMs;

    fn id(text: &str) -> DeviceId {
        DeviceId::new(text).expect("an id")
    }

    #[test]
    fn is_a_code_good_once_for_one_device_and_for_its_time() {
        let clock = ManualClock::new(UnixMs(0));
        let mut codes = Codes::default();
        let code = code_of([0xff, 0, 0x12, 0x34, 0x56]);
        assert_eq!(code, "ZW01-4D2P");
        codes.give(id("till-7"), Role::Kiosk, &code, clock.ticks());
        assert_eq!(codes.redeem("till-8", &code, clock.ticks()), None, "of another device");
        assert_eq!(
            codes.redeem("till-7", "zwo i4d2p", clock.ticks()),
            Some(Role::Kiosk),
            "as a person types it"
        );
        assert_eq!(codes.redeem("till-7", &code, clock.ticks()), None, "a second time");
        codes.give(id("till-7"), Role::Till, &code, clock.ticks());
        clock.set(UnixMs(i64::MAX));
        clock.advance_ms(u32::try_from(limits::ENROL_CODE_MS).expect("it fits") - 1);
        codes.give(id("till-8"), Role::Till, "0000-0000", clock.ticks());
        assert_eq!(codes.waiting.len(), 2);
        clock.advance_ms(1);
        assert_eq!(codes.redeem("till-7", &code, clock.ticks()), None, "too late");
    }

    #[test]
    fn can_a_code_be_guessed_by_trying() {
        let clock = ManualClock::new(UnixMs(0));
        let mut codes = Codes::default();
        let right = code_of([7; 5]);
        codes.give(id("till-7"), Role::Till, &right, clock.ticks());
        for _ in 0..limits::ENROL_TRIES_MAX {
            assert_eq!(codes.redeem("till-7", "0000-0000", clock.ticks()), None);
        }
        assert_eq!(codes.redeem("till-7", &right, clock.ticks()), None);
    }

    #[test]
    fn which_bytes_are_a_request() {
        let is = |text: &str| match parse(text.as_bytes()) {
            None => "more".to_owned(),
            Some(Request::Malformed) => "malformed".to_owned(),
            Some(Request::Authority) => "authority".to_owned(),
            Some(Request::Enrol(asked)) => format!("{} {}", asked.device, asked.code),
        };
        let body = r#"{"device":"a","code":"b"}"#;
        let post =
            format!("POST /enroll HTTP/1.1\r\nHost: x\r\nContent-LENGTH: {}\r\n\r\n{body}", body.len());
        assert_eq!(is(&post), "a b");
        assert_eq!(is(&post[..post.len() - 1]), "more");
        assert_eq!(is("GET /ca.pem HTTP/1.1\r\n\r\n"), "authority");
        for malformed in [
            "GET / HTTP/1.1\r\n\r\n",
            "POST /enroll HTTP/1.1\r\n\r\n",
            "POST /enroll HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "POST /enroll HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
            &post.replace("\"code\"", "\"cade\""),
        ] {
            assert_eq!(is(malformed), "malformed", "{malformed:?}");
        }
    }
}
