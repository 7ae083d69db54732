//! What predicates may speak of: each field's name, its type, and its value for one member on one day.
//!
//! Values are read off a `Sight`, never computed twice. A value nobody knows is `Unknown`: of a member who did not agree to
//! be learned of, everything that is learned; of a member of whom something never happened, when it last did.
//! A field with a key (`share["dairy"]`) is one of a family: it has a value for every key. Where the key is a category that
//! others belong to, they are counted as one.

use std::fmt;

use crate::domain::calendar::Day;
use crate::domain::history::{History, Mark};
use crate::domain::ids::{CategoryId, Tag};
use crate::domain::member::{Attribute, Member};

use super::segment::AttributeKind;
use super::traits::{Traits, Window};

/// A member on a day, with what follows from their history worked out.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    pub(super) member: &'a Member,
    pub(super) traits: &'a Traits,
    pub(super) today: Day,
}

impl<'a> Sight<'a> {
    /// A member seen on a civil day of the shop.
    pub fn of(member: &'a Member, traits: &'a Traits, today: Day) -> Sight<'a> {
        Sight { member, traits, today }
    }

    /// What is known of a category, by its place in the member's history.
    pub(super) fn habit(&self, habit: HabitField, place: Option<u8>) -> Option<i64> {
        self.member.history.as_ref()?;
        match habit {
            HabitField::Share => Some(self.traits.share_percent(place)),
            HabitField::Interval => self.traits.interval_days(place),
            HabitField::DaysSince => self.traits.days_since(place),
        }
    }

    /// Where the member's history has these categories, which are sorted as its own are.
    pub(super) fn places_of(&self, categories: &[CategoryId]) -> Vec<Option<u8>> {
        let known = self.member.history.as_ref().map_or(&[][..], |history| &history.categories);
        let mut known = (0..).zip(known).peekable();
        let place = |wanted: &CategoryId| {
            while known.next_if(|(_, category)| *category < wanted).is_some() {}
            known.next_if(|(_, category)| *category == wanted).map(|(place, _)| place)
        };
        categories.iter().map(place).collect()
    }
}

/// A field of the families whose key is a category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HabitField {
    Share,
    Interval,
    DaysSince,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Tier,
    Tags,
    Groups,
    Points,
    Visits,
    Spend,
    Orders,
    DaysSinceLast,
    DaysSinceJoined,
    BirthdayInDays,
    ConsentPersonal,
    ConsentProgramme,
    VisitsWithin(Window),
    SpendWithin(Window),
    BasketAverage,
    Recency,
    Frequency,
    Monetary,
    RfmSegment,
    Lifecycle,
    Churn,
    ValueVisits,
    ValueSpend,
    Group,
    Channel,
    CouponsIssued,
    CouponsUsed,
    CouponsExpired,
    FeedbackLast,
    FeedbackAverage,
    Attribute(Tag, AttributeKind),
    Share(Categories),
    Interval(Categories),
    DaysSince(Categories),
    Due(Categories),
    Events(Tag),
}

/// A category as a predicate names it, with those that members' histories may hold of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Categories {
    pub(super) name: CategoryId,
    /// Sorted; the name itself where articles stand in it last, or where nobody says.
    pub(super) leaves: Box<[CategoryId]>,
}

impl Categories {
    /// Their places among the categories of a history.
    fn places(&self, history: &History) -> Vec<u8> {
        let place = |leaf| u8::try_from(history.categories.binary_search(leaf).ok()?).ok();
        self.leaves.iter().filter_map(place).collect()
    }
}

/// Fields without a key.
pub(super) const FIELDS: &[(&str, Field)] = &[
    ("tier", Field::Tier),
    ("tags", Field::Tags),
    ("groups", Field::Groups),
    ("points", Field::Points),
    ("visits", Field::Visits),
    ("spend", Field::Spend),
    ("orders", Field::Orders),
    ("days_since_last", Field::DaysSinceLast),
    ("days_since_joined", Field::DaysSinceJoined),
    ("birthday_in_days", Field::BirthdayInDays),
    ("consent.personal", Field::ConsentPersonal),
    ("consent.programme", Field::ConsentProgramme),
    ("visits_4w", Field::VisitsWithin(Window::Weeks4)),
    ("visits_13w", Field::VisitsWithin(Window::Weeks13)),
    ("visits_52w", Field::VisitsWithin(Window::Weeks52)),
    ("spend_4w", Field::SpendWithin(Window::Weeks4)),
    ("spend_13w", Field::SpendWithin(Window::Weeks13)),
    ("spend_52w", Field::SpendWithin(Window::Weeks52)),
    ("basket_average", Field::BasketAverage),
    ("rfm.r", Field::Recency),
    ("rfm.f", Field::Frequency),
    ("rfm.m", Field::Monetary),
    ("rfm.segment", Field::RfmSegment),
    ("lifecycle", Field::Lifecycle),
    ("churn", Field::Churn),
    ("value.visits_13w", Field::ValueVisits),
    ("value.spend_13w", Field::ValueSpend),
    ("group", Field::Group),
    ("channel", Field::Channel),
    ("coupons.issued", Field::CouponsIssued),
    ("coupons.used", Field::CouponsUsed),
    ("coupons.expired", Field::CouponsExpired),
    ("feedback.last", Field::FeedbackLast),
    ("feedback.average", Field::FeedbackAverage),
];

/// Families of fields, by what stands before the key.
pub(super) const FAMILIES: &[&str] = &["attr", "share", "interval", "days_since", "due", "events"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Word,
    Flag,
    Numbers,
    Words,
    /// `[]`: a list of anything.
    Nothing,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Number => "a whole number",
            Kind::Word => "text",
            Kind::Flag => "true or false",
            Kind::Numbers => "a list of whole numbers",
            Kind::Words => "a list of texts",
            Kind::Nothing => "an empty list",
        }
    }
}

impl Field {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Field::Tier | Field::RfmSegment | Field::Lifecycle | Field::Channel => Kind::Word,
            Field::Attribute(_, AttributeKind::Word) => Kind::Word,
            Field::Tags | Field::Groups => Kind::Words,
            Field::ConsentPersonal | Field::ConsentProgramme | Field::Due(_) => Kind::Flag,
            Field::Attribute(_, AttributeKind::Flag) => Kind::Flag,
            _ => Kind::Number,
        }
    }

    /// Its family and category, where it has one and histories hold it by itself.
    pub(super) fn habit(&self) -> Option<(HabitField, &CategoryId)> {
        match self {
            Field::Share(of) | Field::Interval(of) | Field::DaysSince(of) => match &*of.leaves {
                [one] => Some((self.habit_field()?, one)),
                _ => None,
            },
            _ => None,
        }
    }

    fn habit_field(&self) -> Option<HabitField> {
        match self {
            Field::Share(_) => Some(HabitField::Share),
            Field::Interval(_) => Some(HabitField::Interval),
            Field::DaysSince(_) => Some(HabitField::DaysSince),
            _ => None,
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Field::Attribute(name, _) => format!("attr.{name}"),
            Field::Share(of) => format!("share[\"{}\"]", of.name),
            Field::Interval(of) => format!("interval[\"{}\"]", of.name),
            Field::DaysSince(of) => format!("days_since[\"{}\"]", of.name),
            Field::Due(of) => format!("due[\"{}\"]", of.name),
            Field::Events(key) => format!("events[\"{key}\"]"),
            field => FIELDS
                .iter()
                .find(|(_, known)| known == field)
                .map_or_else(String::new, |(name, _)| (*name).to_owned()),
        }
    }

    pub(super) fn of<'m>(&'m self, sight: &Sight<'m>) -> Value<'m> {
        let Sight { member, traits, today } = *sight;
        let known = |number: Option<i64>| number.map_or(Value::Unknown, Value::Number);
        let (profile, ledger) = (&member.profile, &member.ledger);
        let history = member.history.as_deref();
        let counted = |count: Option<u32>| known(count.map(i64::from));
        match self {
            Field::Tier => profile.tier.as_ref().map_or(Value::Unknown, |tier| Value::Word(tier.as_str())),
            Field::Tags => {
                let marks = history.map_or(&[][..], |history| &history.marks);
                Value::Tags { tags: &profile.tags, marks, today: traits.today }
            }
            Field::Groups => Value::Tags { tags: &profile.groups, marks: &[], today: traits.today },
            Field::Points => Value::Number(ledger.points.balance()),
            Field::Visits => Value::Number(i64::from(ledger.visits)),
            Field::Spend => Value::Number(ledger.spend.0),
            Field::Orders => Value::Number(i64::from(member.orders())),
            Field::DaysSinceLast => known(traits.days_since_last),
            Field::DaysSinceJoined => known(profile.joined.map(|day| today.days_since(day))),
            Field::BirthdayInDays => known(profile.birthday.map(|day| day.days_from(today))),
            Field::ConsentPersonal => Value::Flag(profile.consent.personal),
            Field::ConsentProgramme => Value::Flag(profile.consent.programme),
            Field::VisitsWithin(window) => counted(traits.within(*window).map(|sum| sum.visits)),
            Field::SpendWithin(window) => known(traits.within(*window).map(|sum| sum.spend.0)),
            Field::BasketAverage => known(traits.basket_average),
            Field::Recency => known(traits.rfm.map(|scores| scores[0])),
            Field::Frequency => known(traits.rfm.map(|scores| scores[1])),
            Field::Monetary => known(traits.rfm.map(|scores| scores[2])),
            Field::RfmSegment => traits.rfm_segment().map_or(Value::Unknown, Value::Word),
            Field::Churn => known(history.and_then(|history| traits.churn_percent(history))),
            Field::ValueVisits => known(history.and_then(|history| traits.visits_to_come(history))),
            Field::ValueSpend => known(history.and_then(|history| traits.spend_to_come(history))),
            Field::Group => known(traits.group()),
            Field::Lifecycle => traits.lifecycle.map_or(Value::Unknown, Value::Word),
            Field::Channel => traits.channel.map_or(Value::Unknown, Value::Word),
            Field::CouponsIssued => counted(history.map(|history| history.coupons.issued)),
            Field::CouponsUsed => counted(history.map(|history| history.coupons.used)),
            Field::CouponsExpired => counted(history.map(|history| history.coupons.expired)),
            Field::FeedbackLast => {
                let scores = history.map(|history| history.feedback).filter(|scores| scores.count > 0);
                known(scores.map(|scores| i64::from(scores.last)))
            }
            Field::FeedbackAverage => {
                let scores = history.map(|history| history.feedback).filter(|scores| scores.count > 0);
                known(scores.map(|scores| i64::from(scores.sum) * 10 / i64::from(scores.count)))
            }
            Field::Attribute(name, kind) => match (profile.attributes.get(name), kind) {
                (Some(Attribute::Flag(flag)), AttributeKind::Flag) => Value::Flag(*flag),
                (Some(Attribute::Number(number)), AttributeKind::Number) => Value::Number(*number),
                (Some(Attribute::Word(word)), AttributeKind::Word) => Value::Word(word),
                _ => Value::Unknown,
            },
            Field::Share(of) | Field::Interval(of) | Field::DaysSince(of) => {
                let (Some(history), Some(habit)) = (history, self.habit_field()) else {
                    return Value::Unknown;
                };
                match *of.places(history) {
                    [] => known(sight.habit(habit, None)),
                    [one] => known(sight.habit(habit, Some(one))),
                    ref several => {
                        let traits = traits.together(history, several);
                        known(Sight { traits: &traits, ..*sight }.habit(habit, Some(0)))
                    }
                }
            }
            Field::Due(of) => {
                let due = history.and_then(|history| traits.is_due(history, &of.name, &of.places(history)));
                due.map_or(Value::Unknown, Value::Flag)
            }
            Field::Events(key) => known(history.map(|history| {
                history.seen.iter().find(|seen| seen.kind == *key).map_or(0, |seen| i64::from(seen.count))
            })),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Unknown,
    Number(i64),
    Word(&'a str),
    Flag(bool),
    Numbers(&'a [i64]),
    Words(&'a [Box<str>]),
    /// Those head office gave, and those of this shop that hold today.
    Tags {
        tags: &'a [Tag],
        marks: &'a [Mark],
        today: i32,
    },
}

impl<'a> Value<'a> {
    /// The marks that hold, of a list of tags.
    pub(super) fn tags(self) -> impl Iterator<Item = &'a str> {
        let (tags, marks, today) = match self {
            Value::Tags { tags, marks, today } => (tags, marks, today),
            _ => (&[][..], &[][..], 0),
        };
        let holds = move |mark: &&Mark| mark.until.is_none_or(|until| until >= today);
        tags.iter().map(Tag::as_str).chain(marks.iter().filter(holds).map(|mark| mark.tag.as_str()))
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, words: &mut dyn Iterator<Item = &str>| {
            f.write_str("[")?;
            for (index, word) in words.enumerate() {
                write!(f, "{}{word:?}", if index == 0 { "" } else { ", " })?;
            }
            f.write_str("]")
        };
        match self {
            Value::Unknown => f.write_str("unknown"),
            Value::Number(number) => write!(f, "{number}"),
            Value::Word(word) => write!(f, "{word:?}"),
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Numbers(numbers) => write!(f, "{numbers:?}"),
            Value::Words(words) => list(f, &mut words.iter().map(|word| &**word)),
            tags @ Value::Tags { .. } => list(f, &mut tags.tags()),
        }
    }
}
