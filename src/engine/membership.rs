//! Who is a member: enrolments here, and what head office says of its members.
//!
//! Order of checks of an enrolment: consent to the programme (422) · token free (409). A member update replaces head
//! office's half and settles points; the shop's half keeps every movement head office has not counted yet.

use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::MemberId;
use crate::domain::member::{Ledger, Profile};

use super::Turn;
use super::decision::{Change, Facts, Key, Known, Record};
use super::input::{Enroll, MembersUpdate};
use super::reply::{Enrolled, Refusal, Reply};

/// Answers `enroll`.
pub(super) fn enroll(turn: &Turn<'_>, enroll: &Enroll) -> Result<(Reply, Vec<Change>), Refusal> {
    if !enroll.consent.programme {
        return Err(Refusal::new(Code::ConsentNeeded, "consent.programme is false"));
    }
    if turn.facts.owner(enroll.token).is_some() {
        return Err(Refusal::new(Code::AlreadyEnrolled, "the token belongs to a member of this shop"));
    }
    let id = format!("{}-{:x}-{:x}", turn.identity.store, turn.identity.epoch.0, turn.seq.0);
    let id = MemberId::new(&id).expect("a store id and two hexadecimal numbers are a member id");
    let profile = Profile {
        birthday: enroll.birthday,
        consent: enroll.consent,
        joined: Some(turn.bundle.shop.time_zone.civil(turn.now).day),
        ..Profile::default()
    };
    let known = Known { profile, points: 0, as_of: UnixMs(0) };
    let changes = vec![
        Change::put(Key::Token(enroll.token), Record::Token(id.clone())),
        Change::put(Key::Member(id.clone()), Record::Member(Box::new(known))),
    ];
    Ok((Reply::Enroll(Enrolled { member: id, decision: turn.reference() }), changes))
}

/// What taking head office's word reads.
pub(super) fn needs(update: &MembersUpdate) -> Vec<Key> {
    let of_member = |id: &MemberId| [Key::Member(id.clone()), Key::Ledger(id.clone())];
    update.members.iter().flat_map(|member| of_member(&member.id)).collect()
}

/// What head office's word changes. An older word than the one known is passed over.
pub(super) fn update(update: &MembersUpdate, facts: &Facts) -> Vec<Change> {
    let mut changes = Vec::new();
    for member in &update.members {
        let known = facts.member(&member.id);
        if known.as_ref().is_some_and(|known| known.profile_as_of > update.as_of) {
            continue;
        }
        let known_profile = known.as_ref().map(|known| known.profile.clone());
        let profile = member.profile.clone().or(known_profile).unwrap_or_default();
        let record = Known { profile, points: member.points, as_of: update.as_of };
        changes.push(Change::put(Key::Member(member.id.clone()), Record::Member(Box::new(record))));
        let mut ledger = known.map_or_else(|| Ledger::beginning(0, UnixMs(0)), |known| known.ledger);
        ledger.points.settle(member.points, update.settled_through, update.as_of);
        changes.push(Change::put(Key::Ledger(member.id.clone()), Record::Ledger(Box::new(ledger))));
        changes.extend(
            member
                .tokens
                .iter()
                .map(|token| Change::put(Key::Token(*token), Record::Token(member.id.clone()))),
        );
    }
    changes
}
