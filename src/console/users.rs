//! Who may look: names, roles and proofs of passwords in `console-users.json`, in the data directory.
//!
//! Invariants: the file holds no password, only argon2id's proof (RFC 9106); it is written whole, under a lock, readable by
//! the daemon's own user only; a one-time code is good for a day and for one use. The verb and the page that sets a first
//! password both change it here.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};

use crate::chance;
use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::limits;

/// The file's name in the data directory.
pub(super) const USERS_FILE: &str = "console-users.json";
const LOCK: &str = "console-users.lock";

/// What somebody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// How the shop runs: lanes, the line to head office, devices, health, hours.
    Viewer,
    /// And what it sells: decisions, campaigns, segments, the simulator.
    Manager,
    /// And who may look.
    Admin,
}

impl Role {
    /// Every role, lowest first.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Manager, Role::Admin];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Manager => "manager",
            Role::Admin => "admin",
        }
    }

    /// The role of a word.
    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// What they type.
    pub name: String,
    /// What they may see.
    pub role: Role,
    /// The proof of their password; none before the first sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The proof of a one-time code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Until when that code is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code_until: Option<UnixMs>,
}

impl User {
    /// Does a one-time code wait to be used?
    pub fn has_code(&self, now: UnixMs) -> bool {
        self.code.is_some() && self.code_until.is_some_and(|until| now <= until)
    }
}

/// Why users could not be read or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserError {
    /// Its page.
    pub code: Code,
    /// What was seen: a lowercase fragment after "failed to".
    pub detail: String,
}

impl std::fmt::Display for UserError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

impl std::error::Error for UserError {}

fn refused(code: Code, detail: impl Into<String>) -> UserError {
    UserError { code, detail: detail.into() }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    users: Vec<User>,
}

/// The users of one data directory.
#[derive(Clone, Debug)]
pub struct Users {
    dir: PathBuf,
}

impl Users {
    /// Those of a data directory; the file need not be there.
    pub fn new(data_dir: &Path) -> Users {
        Users { dir: data_dir.to_owned() }
    }

    /// Is there one of this name?
    ///
    /// # Errors
    /// See `list`.
    pub fn knows(&self, name: &str) -> Result<bool, UserError> {
        Ok(self.list()?.iter().any(|user| user.name == name))
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// `ConsoleUsersFile`: the file is damaged or cannot be read.
    pub fn list(&self) -> Result<Vec<User>, UserError> {
        let path = self.dir.join(USERS_FILE);
        let failed = |why: String| refused(Code::ConsoleUsersFile, format!("read {}: {why}", path.display()));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error.to_string())),
        };
        let mut bytes = Vec::new();
        let bound = limits::CONSOLE_USERS_BYTES_MAX as u64;
        file.take(bound + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
        if bytes.len() > limits::CONSOLE_USERS_BYTES_MAX {
            return Err(failed(format!("it is longer than {bound} bytes")));
        }
        let document: Document = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
        Ok(document.users)
    }

    /// Adds a user and answers with their one-time code.
    ///
    /// # Errors
    /// A name that is no name or is taken, too many users, a file that cannot be written.
    pub fn add(&self, name: &str, role: Role, now: UnixMs) -> Result<String, UserError> {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_');
        if name.is_empty() || name.len() > limits::ID_BYTES_MAX || !name.chars().all(letters) {
            let allowed = format!("1 to {} of a-z, 0-9, -, _ and .", limits::ID_BYTES_MAX);
            return Err(refused(Code::ConsoleBadForm, format!("take {name:?} as a name: {allowed}")));
        }
        let (code, proof) = one_time_code()?;
        self.change(|users| {
            if users.iter().any(|user| user.name == name) {
                return Err(refused(Code::ConsoleUserExists, format!("add {name}: it is there already")));
            }
            if users.len() >= limits::CONSOLE_USERS_MAX {
                let most = limits::CONSOLE_USERS_MAX;
                return Err(refused(Code::ConsoleBadForm, format!("add {name}: there are {most} users")));
            }
            let until = now.plus_ms(limits::CONSOLE_CODE_MS);
            users.push(User {
                name: name.to_owned(),
                role,
                password: None,
                code: Some(proof),
                code_until: Some(until),
            });
            users.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(())
        })?;
        Ok(code)
    }

    /// Takes a user's password away and answers with a one-time code for a new one.
    ///
    /// # Errors
    /// No such user, a file that cannot be written.
    pub fn reset(&self, name: &str, now: UnixMs) -> Result<String, UserError> {
        let (code, proof) = one_time_code()?;
        self.change(|users| {
            let user = find(users, name)?;
            (user.password, user.code) = (None, Some(proof));
            user.code_until = Some(now.plus_ms(limits::CONSOLE_CODE_MS));
            Ok(())
        })?;
        Ok(code)
    }

    /// Removes a user.
    ///
    /// # Errors
    /// No such user, a file that cannot be written.
    pub fn remove(&self, name: &str) -> Result<(), UserError> {
        self.change(|users| {
            find(users, name)?;
            users.retain(|user| user.name != name);
            Ok(())
        })
    }

    /// The user, if the password is theirs. Takes as long for a name that nobody has. Some 30 ms of work.
    ///
    /// # Errors
    /// `ConsoleLoginWrong`, or a file that cannot be read.
    pub fn prove(&self, name: &str, password: &str) -> Result<User, UserError> {
        let user = self.list()?.into_iter().find(|user| user.name == name);
        let proof = user.as_ref().and_then(|user| user.password.clone());
        let nobody = || refused(Code::ConsoleLoginWrong, "sign in");
        match (user, proof) {
            (Some(user), Some(proof)) if proves(&proof, password) => Ok(user),
            (Some(_), Some(_)) => Err(nobody()),
            _ => {
                hashed(password, "bm9ib2R5IGlzIGhlcmU")?;
                Err(nobody())
            }
        }
    }

    /// Sets a user's password with their one-time code, which is used up.
    ///
    /// # Errors
    /// `ConsoleCodeWrong`, `ConsolePasswordWeak`, or a file that cannot be written.
    pub fn set_password(
        &self,
        name: &str,
        code: &str,
        password: &str,
        now: UnixMs,
    ) -> Result<User, UserError> {
        let chars = password.chars().count();
        if chars < limits::CONSOLE_PASSWORD_CHARS_MIN || password.len() > limits::CONSOLE_PASSWORD_BYTES_MAX {
            let (least, most) = (limits::CONSOLE_PASSWORD_CHARS_MIN, limits::CONSOLE_PASSWORD_BYTES_MAX);
            let detail = format!("take the password: {least} characters at least, {most} bytes at most");
            return Err(refused(Code::ConsolePasswordWeak, detail));
        }
        let typed: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
        let user = self.list()?.into_iter().find(|user| user.name == name && user.has_code(now));
        let Some(proof) = user.and_then(|user| user.code) else {
            hashed(&typed, "bm9ib2R5IGlzIGhlcmU")?;
            return Err(refused(Code::ConsoleCodeWrong, "take the one-time code"));
        };
        if !proves(&proof, &typed.to_ascii_uppercase()) {
            return Err(refused(Code::ConsoleCodeWrong, "take the one-time code"));
        }
        let salt = SaltString::encode_b64(&random::<16>()?).map_err(|_| no_random())?;
        let password = hashed(password, salt.as_str())?;
        let mut changed = None;
        self.change(|users| {
            let user = find(users, name)?;
            // Somebody else may have used it meanwhile.
            if user.code.as_ref() != Some(&proof) {
                return Err(refused(Code::ConsoleCodeWrong, "take the one-time code"));
            }
            (user.password, user.code, user.code_until) = (Some(password), None, None);
            changed = Some(user.clone());
            Ok(())
        })?;
        changed.ok_or_else(|| refused(Code::ConsoleUserUnknown, format!("find {name}")))
    }

    /// Reads, changes and writes under the lock.
    fn change(&self, act: impl FnOnce(&mut Vec<User>) -> Result<(), UserError>) -> Result<(), UserError> {
        let path = self.dir.join(USERS_FILE);
        let failed = |error: std::io::Error| {
            refused(Code::ConsoleUsersFile, format!("write {}: {error}", path.display()))
        };
        let lock = File::create(self.dir.join(LOCK)).map_err(failed)?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|error| failed(error.into()))?;
        let mut users = self.list()?;
        act(&mut users)?;
        let text = serde_json::to_vec_pretty(&Document { users })
            .map_err(|error| failed(std::io::Error::other(error)))?;
        let mut draft = tempfile::NamedTempFile::new_in(&self.dir).map_err(failed)?;
        draft.write_all(&text).and_then(|()| draft.as_file().sync_all()).map_err(failed)?;
        draft.persist(&path).map_err(|error| failed(error.error))?;
        fs::File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed)
    }
}

fn find<'u>(users: &'u mut [User], name: &str) -> Result<&'u mut User, UserError> {
    let found = users.iter_mut().find(|user| user.name == name);
    found.ok_or_else(|| refused(Code::ConsoleUserUnknown, format!("find {name}: nobody has that name")))
}

fn argon() -> Argon2<'static> {
    let params = Params::new(limits::CONSOLE_ARGON_KIB, limits::CONSOLE_ARGON_PASSES, 1, None)
        .expect("the limits are within argon2's");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hashed(password: &str, salt: &str) -> Result<String, UserError> {
    let failed = |error| refused(Code::ConsoleUsersFile, format!("hash a password: {error}"));
    let salt = SaltString::from_b64(salt).map_err(failed)?;
    Ok(argon().hash_password(password.as_bytes(), &salt).map_err(failed)?.to_string())
}

fn proves(proof: &str, password: &str) -> bool {
    PasswordHash::new(proof).is_ok_and(|proof| argon().verify_password(password.as_bytes(), &proof).is_ok())
}

fn no_random() -> UserError {
    refused(Code::NoRandomness, "read random bytes")
}

/// Random bytes of the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], UserError> {
    chance::bytes().map_err(|_| no_random())
}

/// A code to type, 60 bits in groups of four, and its proof. Without the letters that are read as digits.
fn one_time_code() -> Result<(String, String), UserError> {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let plain: String =
        random::<12>()?.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    let salt = SaltString::encode_b64(&random::<16>()?).map_err(|_| no_random())?;
    let proof = hashed(&plain, salt.as_str())?;
    Ok((format!("{}-{}-{}", &plain[..4], &plain[4..8], &plain[8..]), proof))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_000_000);

    #[test]
    fn from_one_time_code_to_password() {
        let dir = tempfile::tempdir().expect("a directory");
        let users = Users::new(dir.path());
        assert_eq!(users.list(), Ok(Vec::new()), "no file, no user");
        let code = users.add("lin", Role::Manager, NOW).expect("is added");
        assert_eq!(users.add("lin", Role::Viewer, NOW).map_err(|e| e.code), Err(Code::ConsoleUserExists));
        assert_eq!(users.add("Lin Tao", Role::Viewer, NOW).map_err(|e| e.code), Err(Code::ConsoleBadForm));
        let wrong = |outcome: Result<User, UserError>| outcome.expect_err("is refused").code;
        assert_eq!(wrong(users.prove("lin", "")), Code::ConsoleLoginWrong, "no password yet");
        let set = |code: &str, password: &str, now| users.set_password("lin", code, password, now);
        assert_eq!(wrong(set(&code, "short", NOW)), Code::ConsolePasswordWeak);
        assert_eq!(wrong(set("0000-0000-0000", "long enough it is", NOW)), Code::ConsoleCodeWrong);
        let late = NOW.plus_ms(limits::CONSOLE_CODE_MS + 1);
        assert_eq!(wrong(set(&code, "long enough it is", late)), Code::ConsoleCodeWrong);
        let typed = code.to_lowercase().replace('-', " ");
        assert_eq!(set(&typed, "long enough it is", NOW).map(|user| user.role), Ok(Role::Manager));
        assert_eq!(wrong(set(&code, "another long one", NOW)), Code::ConsoleCodeWrong, "for one use");
        assert_eq!(users.prove("lin", "long enough it is").map(|user| user.name), Ok("lin".to_owned()));
        assert_eq!(wrong(users.prove("lin", "long enough it was")), Code::ConsoleLoginWrong);
        assert_eq!(wrong(users.prove("tao", "long enough it is")), Code::ConsoleLoginWrong);
        let text = fs::read_to_string(dir.path().join(USERS_FILE)).expect("the file is there");
        assert!(text.contains("$argon2id$") && !text.contains("long enough"), "{text}");
        users.reset("lin", NOW).expect("is reset");
        assert_eq!(wrong(users.prove("lin", "long enough it is")), Code::ConsoleLoginWrong);
        users.remove("lin").expect("is removed");
        assert_eq!(users.remove("lin").map_err(|e| e.code), Err(Code::ConsoleUserUnknown));
    }

    #[test]
    fn is_a_damaged_file_named() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join(USERS_FILE), "{").expect("is written");
        let users = Users::new(dir.path());
        assert_eq!(users.list().map_err(|e| e.code), Err(Code::ConsoleUsersFile));
        assert_eq!(users.add("lin", Role::Admin, NOW).map_err(|e| e.code), Err(Code::ConsoleUsersFile));
    }
}
