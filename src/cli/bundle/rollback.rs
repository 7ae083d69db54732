//! `aisled bundle rollback`: the rules of a former bundle, signed anew under a higher version.
//!
//! A box never takes a lower version than it had, so nobody goes back by installing an old file: whoever has the signing key
//! publishes the former rules again. Rules and single-use codes are the former bundle's; members, and when they were as they
//! are, come from the newest bundle this box keeps, so that nobody's profile goes back with the prices. Without a key it says
//! what to do, and that is all.

use std::fs::{self, File};
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::{
    ACTIVE, EXTENSION, Refused, Surroundings, Verb, mandate, newest, read_secret, read_through, write_whole,
};
use crate::bundle::document::{CodeRecord, MemberRecord};
use crate::bundle::keys::PublicKey;
use crate::bundle::packed::{self, Admission, BundleError, Opened};
use crate::cli::Exit;
use crate::clock::{Clock as _, SystemClock};
use crate::daemon::trusted_of_kept;
use crate::domain::code::Code;

/// Arguments of `bundle rollback`.
#[derive(Args, Clone, Debug)]
pub struct RollbackArgs {
    /// The version whose rules are to be in force again, as this box keeps it; or a signed file
    #[arg(long, value_name = "VERSION|FILE")]
    pub to: String,
    /// File of the secret key that boxes trust; without it, only what to do is said
    #[arg(long)]
    pub key: Option<PathBuf>,
    /// The new version: higher than any a box has had
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub version: Option<u64>,
    /// Where the signed file goes
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Under what terms
    #[command(flatten)]
    pub terms: mandate::TermsArgs,
}

/// The file of a version that this box keeps.
fn kept(data: &Path, version: u64) -> Option<PathBuf> {
    let entries = fs::read_dir(data.join("bundles")).ok()?;
    let prefix = format!("{version}-");
    entries.flatten().map(|entry| entry.path()).find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&prefix) && path.extension().is_some_and(|extension| extension == EXTENSION)
    })
}

fn open(path: &Path, trusted: &[PublicKey]) -> Result<Result<Opened<BufReader<File>>, BundleError>> {
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    Ok(packed::open(BufReader::new(file), &Admission { trusted, floor: 0, store: None }))
}

/// Runs the verb.
pub(super) fn run(
    args: &RollbackArgs,
    surroundings: &Surroundings,
    out: &mut dyn std::io::Write,
) -> Result<Exit> {
    let data = surroundings.data_dir.as_deref();
    let highest = data.map(newest).transpose()?.flatten().map_or(0, |newest| newest.version);
    let mut verb = Verb { surroundings, out };
    let file = match args.to.parse::<u64>() {
        Err(_) => PathBuf::from(&args.to),
        Ok(version) => match data.and_then(|data| kept(data, version)) {
            Some(file) => file,
            None => {
                let message = format!("this box keeps no version {version}; give the signed file itself");
                return verb.refuse(Path::new(&args.to), &Refused::Bundle(Code::BundleUnreadable, message));
            }
        },
    };
    let (Some(key), Some(version), Some(output)) = (&args.key, args.version, &args.output) else {
        let message = format!(
            "a version never goes down; with the key that signs bundles, wherever it is kept: aisled bundle rollback \
             --to {} --key KEY --version {} -o FILE",
            file.display(),
            highest + 1
        );
        return verb.refuse(&file, &Refused::Bundle(Code::BundleOlder, message));
    };
    let secret = read_secret(key)?;
    let given = &surroundings.trusted;
    let mut trusted = data.map_or_else(|| given.clone(), |data| trusted_of_kept(data, given));
    trusted.push(secret.public());
    trusted.extend(args.terms.trusted.as_deref().map(mandate::read_key).transpose()?);
    let mut former = match open(&file, &trusted)? {
        Ok(former) => former,
        Err(error) => return verb.refuse(&file, &error.into()),
    };
    let floor = highest.max(former.reference.version);
    if version <= floor {
        let message = format!("version {version} is not higher than {floor}: boxes would refuse it");
        return verb.refuse(output, &Refused::Bundle(Code::BundleOlder, message));
    }
    let active = data.map(|data| data.join(ACTIVE)).filter(|active| active.is_file());
    let newest = active.map(|active| open(&active, &trusted)).transpose()?.transpose();
    let mut newest = match newest {
        Ok(newest) => newest,
        Err(error) => return verb.refuse(&file, &error.into()),
    };
    let source = newest.as_mut().unwrap_or(&mut former);
    let (signed_at, members_of) = (source.signed_at, source.reference.version);
    let members: Result<Vec<MemberRecord>, BundleError> = source.members().and_then(Iterator::collect);
    let codes: Result<Vec<CodeRecord>, BundleError> = former.codes().and_then(Iterator::collect);
    let (members, codes) = match members.and_then(|members| Ok((members, codes?))) {
        Ok(both) => both,
        Err(error) => return verb.refuse(&file, &error.into()),
    };
    let given = args.terms.mandate()?;
    let under = args.terms.terms(given.as_ref(), SystemClock.now());
    let packed =
        match packed::pack_under(under, version, signed_at, (&former.rules, &members, &codes), &secret) {
            Ok(packed) => packed,
            Err(error) => return verb.refuse(&file, &error.into()),
        };
    // Opened as a box opens it, so that nothing is signed that boxes refuse.
    let believed = match &args.terms.trusted {
        Some(key) => vec![mandate::read_key(key)?],
        None => vec![secret.public()],
    };
    let admission = Admission { trusted: &believed, floor: version, store: None };
    let opened = packed::open(Cursor::new(&packed), &admission).map_err(Refused::from);
    if let Err(refused) = opened.and_then(|mut opened| read_through(&mut opened)) {
        return verb.refuse(output, &refused);
    }
    write_whole(output, &packed, 0o644)?;
    writeln!(
        verb.out,
        "{}: version {version} with the rules and codes of version {} and the {} members of version {members_of}",
        output.display(),
        former.reference.version,
        members.len()
    )?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::authoring::{self, Authored};
    use crate::bundle::keys::SecretKey;
    use crate::domain::calendar::UnixMs;
    use crate::domain::text::Lang;

    fn ran(args: &RollbackArgs, surroundings: &Surroundings) -> (Exit, String) {
        let mut out = Vec::new();
        let exit = run(args, surroundings, &mut out).expect("it runs");
        (exit, String::from_utf8(out).expect("text"))
    }

    #[test]
    fn do_former_rules_come_back_under_a_higher_version_and_nobodys_profile_goes_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        let key = SecretKey::from_seed(&[7; 32]);
        fs::write(path("key"), key.to_hex()).expect("it is written");
        fs::create_dir_all(path("bundles")).expect("it is made");
        let files = super::super::EXAMPLE.iter();
        let files = files.map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
        let Authored { rules, members, codes } =
            authoring::read(files.collect::<Vec<_>>()).expect("it is right");
        let pack = |version, rules, members: &[MemberRecord]| {
            packed::pack(version, UnixMs(version.cast_signed() * 1_000), rules, members, &codes, &key)
                .expect("it packs")
        };
        fs::write(path("bundles/3-0.aisb"), pack(3, &rules, &members[1..])).expect("it is written");
        let mut later = rules.clone();
        later.promotions.clear();
        fs::write(path(ACTIVE), pack(4, &later, &members)).expect("it is written");
        let surroundings = Surroundings {
            trusted: vec![key.public()],
            data_dir: Some(dir.path().to_owned()),
            lang: Lang::En,
            ..Surroundings::default()
        };
        let terms = mandate::TermsArgs { mandate: None, trusted: None, newer_within: None };
        let bare = RollbackArgs { to: "3".to_owned(), key: None, version: None, output: None, terms };
        let (exit, said) = ran(&bare, &surroundings);
        assert_eq!(exit, Exit::Finding);
        assert!(said.contains("AIS-3005") && said.contains("--version 5"), "{said}");
        let given = |to: &str, version: u64| RollbackArgs {
            to: to.to_owned(),
            key: Some(path("key")),
            version: Some(version),
            output: Some(path("5.aisb")),
            ..bare.clone()
        };
        let (exit, said) = ran(&given("2", 5), &surroundings);
        assert!(exit == Exit::Finding && said.contains("AIS-3013"), "{said}");
        let (exit, said) = ran(&given("3", 4), &surroundings);
        assert!(exit == Exit::Finding && said.contains("AIS-3005"), "{said}");
        assert!(!path("5.aisb").exists());
        let (exit, said) = ran(&given("3", 5), &surroundings);
        assert_eq!(exit, Exit::Ok, "{said}");
        let trusted = [key.public()];
        let mut signed = open(&path("5.aisb"), &trusted).expect("it is there").expect("boxes take it");
        assert_eq!((signed.reference.version, signed.signed_at), (5, UnixMs(4_000)));
        assert_eq!(signed.rules, rules, "the former rules");
        let members_now: Result<Vec<MemberRecord>, _> = signed.members().expect("it has some").collect();
        assert_eq!(members_now.expect("they read").len(), members.len(), "the newest members");
        // Head office has no box, but the file.
        let office = Surroundings::default();
        let file = path("bundles/3-0.aisb").display().to_string();
        assert_eq!(ran(&given(&file, 9), &office).0, Exit::Ok);
        let mut signed = open(&path("5.aisb"), &trusted).expect("it is there").expect("boxes take it");
        assert_eq!(signed.members().expect("it has some").count(), members.len() - 1);
        // A file that nobody vouches for is not signed anew.
        let foreign = SecretKey::from_seed(&[8; 32]);
        let bytes = packed::pack(3, UnixMs(0), &rules, &members, &codes, &foreign).expect("it packs");
        fs::write(path("foreign.aisb"), bytes).expect("it is written");
        let (exit, said) = ran(&given(&path("foreign.aisb").display().to_string(), 9), &office);
        assert!(exit == Exit::Finding && said.contains("AIS-3003"), "{said}");
    }
}
