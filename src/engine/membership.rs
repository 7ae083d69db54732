//! Who is a member: enrolments here, and what head office says of its members.
//!
//! Order of checks of an enrolment: consent to the programme (422) · further token nobody else's (409) · token free (409). Whoever head office withdrew may
//! enrol again and is who they were, points and history with them. A member update replaces head office's half, where it
//! says something of it, and settles points; the shop's half keeps every movement head office has not counted yet.

use crate::domain::calendar::UnixMs;
use crate::domain::code::Code;
use crate::domain::ids::MemberId;
use crate::domain::member::{Ledger, Profile};

use super::Turn;
use super::decision::{Change, Facts, Key, Known, Record};
use super::input::{Enroll, MembersUpdate};
use super::issue::Given;
use super::reply::{Enrolled, Refusal, Reply};

/// Answers `enroll`.
pub(super) fn enroll(turn: &Turn<'_>, enroll: &Enroll) -> Result<(Reply, Vec<Change>), Refusal> {
    if !enroll.consent.programme {
        return Err(Refusal::new(Code::ConsentNeeded, "consent.programme is false"));
    }
    let owner = turn.facts.owner(enroll.token);
    if enroll.link.and_then(|link| turn.facts.owner(link)).is_some_and(|other| Some(other) != owner) {
        return Err(Refusal::new(Code::TokenTaken, "the further token belongs to another member"));
    }
    let consent_at = Some(turn.now);
    if let Some(id) = owner {
        let Some(known) = turn.facts.known(id).filter(|known| known.withdrawn) else {
            return Err(Refusal::new(Code::AlreadyEnrolled, "the token belongs to a member of this shop"));
        };
        let birthday = enroll.birthday.or(known.profile.birthday);
        let profile = Profile { birthday, consent: enroll.consent, ..known.profile.clone() };
        let known = Known {
            profile,
            points: known.points,
            as_of: UnixMs(0),
            listed: None,
            withdrawn: false,
            consent_at,
        };
        let mut changes = vec![Change::put(Key::Member(id.clone()), Record::Member(Box::new(known)))];
        changes.extend(enroll.link.map(|link| Change::put(Key::Token(link), Record::Token(id.clone()))));
        let (member, decision) = (id.clone(), turn.reference());
        return Ok((Reply::Enroll(Enrolled { member, decision, remarks: Vec::new() }), changes));
    }
    let mut given = Given::of(turn);
    let id = given.member().unwrap_or_else(|| {
        let id = format!("{}-{:x}-{:x}", turn.identity.store, turn.identity.epoch.0, turn.seq.0);
        MemberId::new(&id).expect("a store id and two hexadecimal numbers are a member id")
    });
    let profile = Profile {
        birthday: enroll.birthday,
        consent: enroll.consent,
        joined: Some(turn.bundle.shop.time_zone.civil(turn.now).day),
        ..Profile::default()
    };
    let known = Known { profile, points: 0, as_of: UnixMs(0), listed: None, withdrawn: false, consent_at };
    let link = enroll.link.map(|link| Change::put(Key::Token(link), Record::Token(id.clone())));
    let mut changes = vec![
        Change::put(Key::Token(enroll.token), Record::Token(id.clone())),
        Change::put(Key::Member(id.clone()), Record::Member(Box::new(known))),
    ];
    changes.extend(link);
    let (taken, remarks) = given.done();
    changes.extend(taken);
    Ok((Reply::Enroll(Enrolled { member: id, decision: turn.reference(), remarks }), changes))
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
        // Points alone say nothing of who is a member: a withdrawn one stays withdrawn.
        if member.profile.is_some() || known.is_none() {
            let record = Known {
                profile: member.profile.clone().unwrap_or_default(),
                points: member.points,
                as_of: update.as_of,
                listed: facts.known(&member.id).and_then(|known| known.listed),
                withdrawn: false,
                consent_at: None,
            };
            let before = facts.known(&member.id);
            let record = before.map_or(record.clone(), |known| known.written_anew(record));
            let learned_of = before.is_some_and(|known| known.profile.consent.personal);
            if learned_of && !record.profile.consent.personal {
                changes.push(Change { key: Key::History(member.id.clone()), record: None });
            }
            changes.push(Change::put(Key::Member(member.id.clone()), Record::Member(Box::new(record))));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Seq;
    use crate::domain::member::Consent;
    use crate::engine::input::MemberUpdate;

    #[test]
    fn does_a_word_of_points_alone_make_a_withdrawn_one_a_member_again() {
        let id = MemberId::new("m-1").expect("an id");
        let profile = Profile { orders_elsewhere: 3, ..Profile::default() };
        let known = Known {
            profile: profile.clone(),
            points: 5,
            as_of: UnixMs(10),
            listed: Some(1),
            withdrawn: true,
            consent_at: None,
        };
        let mut facts = Facts::default();
        facts.add(Key::Member(id.clone()), Some(Record::Member(Box::new(known))));
        let told = |profile: Option<Profile>| {
            let member = MemberUpdate { id: id.clone(), tokens: Vec::new(), profile, points: 8 };
            let word = MembersUpdate { as_of: UnixMs(20), settled_through: Seq(4), members: vec![member] };
            let mut after = facts.clone();
            update(&word, &facts).into_iter().for_each(|change| after.add(change.key, change.record));
            let member = after.member(&id).expect("they are there");
            (member.ledger.points.balance(), after.known(&id).expect("they are there").clone())
        };
        let (points, known) = told(None);
        assert_eq!((points, known.withdrawn, known.as_of), (8, true, UnixMs(10)), "settled, and no more");
        assert_eq!(known.profile, profile);
        let (points, known) = told(Some(Profile::default()));
        assert_eq!((points, known.withdrawn, known.as_of, known.listed), (8, false, UnixMs(20), Some(1)));
    }

    #[test]
    fn whose_word_on_consent_is_the_later_one() {
        let id = MemberId::new("m-1").expect("an id");
        let agrees = |personal| Consent { programme: true, personal };
        let after = |consent_at: i64, before: bool, head_office: bool| {
            let profile = Profile { consent: agrees(before), ..Profile::default() };
            let consent_at = Some(UnixMs(consent_at));
            let known =
                Known { profile, points: 0, as_of: UnixMs(10), listed: None, withdrawn: false, consent_at };
            let mut facts = Facts::default();
            facts.add(Key::Member(id.clone()), Some(Record::Member(Box::new(known))));
            let profile = Some(Profile { consent: agrees(head_office), ..Profile::default() });
            let member = MemberUpdate { id: id.clone(), tokens: Vec::new(), profile, points: 0 };
            let word = MembersUpdate { as_of: UnixMs(20), settled_through: Seq(4), members: vec![member] };
            let changes = update(&word, &facts);
            let forgets = changes.iter().any(|it| it.key == Key::History(id.clone()) && it.record.is_none());
            changes.into_iter().for_each(|change| facts.add(change.key, change.record));
            (facts.known(&id).expect("they are there").profile.consent.personal, forgets)
        };
        assert_eq!(after(30, false, true), (false, false), "taken back here after head office wrote");
        assert_eq!(after(15, false, true), (true, false), "given since, elsewhere");
        assert_eq!(after(15, true, false), (false, true), "taken back elsewhere: forgotten here");
        assert_eq!(after(30, true, false), (true, false));
    }
}
