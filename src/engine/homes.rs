//! Where a single-use code is at home, and how its home is moved.
//!
//! Head office says `Release` to the old home and, once the old home's journal shows that it let go, `Adopt` to the new one.
//! What became of a word stands in the decision's changes: the code with its new home, or nothing where it was refused.
//!
//! Invariants (I8): a code counts its moves, and a box takes only a later one than the last it knows of. So words that come
//! twice, late, or from a head office that has forgotten some moves never give a code a second home.

use crate::domain::ids::StoreId;
use crate::domain::lease::Say;

use super::decision::{Change, Facts, IssuedCode, Key, Record};

/// What hearing of a code's home reads.
pub(super) fn needs(say: &Say) -> Vec<Key> {
    match say {
        Say::Release { code, .. } | Say::Adopt { code, .. } => {
            vec![Key::Code(code.clone()), Key::Redeemed(code.clone())]
        }
        Say::Greet | Say::Grant { .. } | Say::TopUp { .. } | Say::Seal { .. } => Vec::new(),
    }
}

/// The code as it is from now on; nothing if the word is not followed. What was done before is said again.
pub(super) fn hear(say: &Say, facts: &Facts, own: &StoreId) -> Option<Change> {
    let (code, issued) = match say {
        Say::Release { code, to, nth } => {
            let known = facts.code(code)?;
            let is_home = known.home.as_ref() == Some(own) && to != own;
            let is_gone = known.moved > 0 && known.home.as_ref() == Some(to);
            let moved = match (is_home, is_gone) {
                (true, _) if facts.redeemed(code).is_none() => known.moved.saturating_add(1).max(*nth),
                (false, true) => known.moved.max(*nth),
                _ => return None,
            };
            (code, IssuedCode { home: Some(to.clone()), moved, ..known.clone() })
        }
        Say::Adopt { code, coupon, member, expires, nth } => {
            let known = facts.code(code);
            let moved = known.map_or(0, |known| known.moved);
            match known {
                Some(known) if moved >= *nth => {
                    if known.home.as_ref() != Some(own) {
                        return None;
                    }
                    (code, known.clone())
                }
                _ => {
                    let issued = IssuedCode {
                        coupon: coupon.clone(),
                        member: member.clone(),
                        home: Some(own.clone()),
                        expires: *expires,
                        listed: known.and_then(|known| known.listed),
                        moved: *nth,
                    };
                    (code, issued)
                }
            }
        }
        Say::Greet | Say::Grant { .. } | Say::TopUp { .. } | Say::Seal { .. } => return None,
    };
    Some(Change::put(Key::Code(code.clone()), Record::Code(issued)))
}
