//! MQTT 5 as bytes, over any stream: what a library would not let a test send, and what it would hide from it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What the other end said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Connected(u8),
    Subscribed(u8),
    Published(u8),
    Message {
        topic: String,
        payload: Vec<u8>,
    },
    Pong,
    Goodbye(u8),
    /// The connection ended.
    Gone,
}

/// A stream of one kind or another.
pub(crate) trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// A client that does what it is told.
pub(crate) struct Raw(Box<dyn Stream>);

/// A CONNECT.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hello<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
    pub(crate) will: Option<&'a str>,
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
    out.extend(text.as_bytes());
}

impl Raw {
    pub(crate) fn tcp(addr: SocketAddr) -> Raw {
        let stream = TcpStream::connect(addr).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        Raw(Box::new(stream))
    }

    pub(crate) fn over(stream: impl Stream + 'static) -> Raw {
        Raw(Box::new(stream))
    }

    /// What cannot be sent shows as `Gone` in what is heard.
    pub(crate) fn send(&mut self, kind: u8, body: &[u8]) {
        let mut packet = vec![kind];
        let mut length = body.len();
        loop {
            let more = if length > 127 { 0x80 } else { 0 };
            packet.push(u8::try_from(length & 127).expect("7 bits") | more);
            length >>= 7;
            if length == 0 {
                break;
            }
        }
        packet.extend(body);
        drop(self.0.write_all(&packet));
    }

    pub(crate) fn hear(&mut self) -> Said {
        match self.try_hear() {
            Ok(said) => said,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing is heard, and the connection is not closed")
            }
            Err(_) => Said::Gone,
        }
    }

    fn try_hear(&mut self) -> std::io::Result<Said> {
        loop {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            let kind = byte[0];
            let (mut length, mut shift) = (0_usize, 0);
            loop {
                self.0.read_exact(&mut byte)?;
                length |= usize::from(byte[0] & 127) << shift;
                shift += 7;
                if byte[0] & 128 == 0 {
                    break;
                }
            }
            let mut body = vec![0; length];
            self.0.read_exact(&mut body)?;
            return Ok(match kind >> 4 {
                2 => Said::Connected(body[1]),
                3 => {
                    let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                    let topic = String::from_utf8_lossy(&body[2..end]).into_owned();
                    let (end, id) = match kind >> 1 & 3 {
                        0 => (end, None),
                        _ => (end + 2, Some([body[end], body[end + 1]])),
                    };
                    let payload = body[end + 1 + usize::from(body[end])..].to_vec();
                    if let Some(id) = id {
                        self.send(0x40, &id);
                    }
                    Said::Message { topic, payload }
                }
                4 => Said::Published(body.get(2).copied().unwrap_or(0)),
                9 => Said::Subscribed(*body.last().expect("a SUBACK holds a code")),
                13 => Said::Pong,
                14 => Said::Goodbye(body.first().copied().unwrap_or(0)),
                _ => continue,
            });
        }
    }

    /// Connects; the reason code, or nothing where the connection was closed instead.
    pub(crate) fn connect(&mut self, hello: &Hello<'_>) -> Option<u8> {
        let mut body = Vec::new();
        text(&mut body, "MQTT");
        let flag = |is: bool, bit: u8| if is { bit } else { 0 };
        body.push(5);
        body.push(
            2 | flag(hello.user.is_some(), 0x80)
                | flag(hello.password.is_some(), 0x40)
                | flag(hello.will.is_some(), 0x0c),
        );
        body.extend([0, 60, 0]);
        text(&mut body, hello.client_id);
        if let Some(topic) = hello.will {
            body.push(0);
            text(&mut body, topic);
            text(&mut body, "will");
        }
        hello.user.into_iter().chain(hello.password).for_each(|part| text(&mut body, part));
        self.send(0x10, &body);
        match self.hear() {
            Said::Connected(code) => Some(code),
            Said::Gone | Said::Goodbye(_) => None,
            other => panic!("not an answer to a CONNECT: {other:?}"),
        }
    }

    /// Publishes with QoS 1; the reason code, or nothing where the connection was closed instead.
    pub(crate) fn publish(&mut self, topic: &str, payload: &str, retain: bool) -> Option<u8> {
        let mut body = Vec::new();
        text(&mut body, topic);
        body.extend([0, 7, 0]);
        body.extend(payload.as_bytes());
        self.send(0x32 | u8::from(retain), &body);
        loop {
            match self.hear() {
                Said::Published(code) => return Some(code),
                Said::Gone | Said::Goodbye(_) => return None,
                _ => {}
            }
        }
    }

    pub(crate) fn subscribe(&mut self, filter: &str) -> Option<u8> {
        let mut body = vec![0, 9, 0];
        text(&mut body, filter);
        body.push(1);
        self.send(0x82, &body);
        loop {
            match self.hear() {
                Said::Subscribed(code) => return Some(code),
                Said::Gone | Said::Goodbye(_) => return None,
                _ => {}
            }
        }
    }

    pub(crate) fn ping(&mut self) -> bool {
        self.send(0xc0, &[]);
        loop {
            match self.hear() {
                Said::Pong => return true,
                Said::Gone | Said::Goodbye(_) => return false,
                _ => {}
            }
        }
    }

    /// Leaves, and has the will published; returns when the broker has closed the connection, and so has published it.
    pub(crate) fn leave_with_will(mut self) {
        self.send(0xe0, &[4]);
        while self.hear() != Said::Gone {}
    }
}
