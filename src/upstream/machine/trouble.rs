//! What can be wrong with the line to head office, each with its own code: a certificate or a wrong clock is never called offline.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::code::Code;

/// What is wrong with the line, named so that somebody can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The name of head office is not found: DNS, or no line at all.
    Dns,
    /// No connection, or it broke: cable, firewall, head office's broker away.
    Tcp,
    /// Head office's certificate is of an authority that is not known here, or forged, or the handshake broke.
    Tls,
    /// Head office's certificate is for another name.
    Name,
    /// Head office's certificate has ended.
    Expired,
    /// Head office refuses this shop's certificate, or wants one.
    Certificate,
    /// A certificate is not valid at this clock's time, or the clocks differ: set the clock first.
    Clock,
    /// The broker refuses the connection.
    Refused,
    /// The broker refuses user name or password.
    Auth,
    /// The broker is there, and head office does not answer.
    Silent,
    /// Head office says what cannot be: another protocol, an older incarnation, more than this journal ever held.
    Protocol,
    /// This box's own journal cannot be read.
    Journal,
}

impl Trouble {
    /// The stable code that explains it.
    pub fn code(self) -> Code {
        match self {
            Trouble::Dns => Code::HeadOfficeNotFound,
            Trouble::Tcp => Code::HeadOfficeNoLine,
            Trouble::Tls => Code::HeadOfficeCertificate,
            Trouble::Name => Code::HeadOfficeName,
            Trouble::Expired => Code::HeadOfficeExpired,
            Trouble::Certificate => Code::HeadOfficeWantsCertificate,
            Trouble::Clock => Code::HeadOfficeClock,
            Trouble::Refused => Code::HeadOfficeRefuses,
            Trouble::Auth => Code::HeadOfficeLogin,
            Trouble::Silent => Code::HeadOfficeSilent,
            Trouble::Protocol => Code::HeadOfficeContradicts,
            Trouble::Journal => Code::OutboxUnreadable,
        }
    }

    /// Does it mend itself by head office applying something?
    pub(super) fn is_over_when_heard(self) -> bool {
        !matches!(self, Trouble::Clock | Trouble::Protocol | Trouble::Journal)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trouble::Dns => "dns",
            Trouble::Tcp => "tcp",
            Trouble::Tls => "tls",
            Trouble::Name => "name",
            Trouble::Expired => "expired",
            Trouble::Certificate => "certificate",
            Trouble::Clock => "clock",
            Trouble::Refused => "refused",
            Trouble::Auth => "auth",
            Trouble::Silent => "silent",
            Trouble::Protocol => "protocol",
            Trouble::Journal => "journal",
        })
    }
}
