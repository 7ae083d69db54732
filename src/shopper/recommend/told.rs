//! Histories as text, for tests: a member a line, baskets between bars, oldest first.
//!
//! ```text
//! anna: milk bread | milk
//! bert: 3@17 bread | 9 milk        a basket may begin with its day, and its hour
//! ```
//! Without a day a basket is a day after the one before.

use super::history::{History, Item, Member, Moment};

/// A history and what its items are called, by number.
pub(super) struct Told {
    pub(super) history: History,
    pub(super) names: Vec<String>,
    members: Vec<String>,
}

impl Told {
    pub(super) fn of(text: &str) -> Told {
        let mut told = Told { history: History::default(), names: Vec::new(), members: Vec::new() };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (member, baskets) = line.split_once(':').expect("a member and a colon");
            told.members.push(member.trim().to_owned());
            let mut next = Moment { day: 0, hour: 12 };
            let mut read: Vec<(Moment, Vec<Item>)> = Vec::new();
            for basket in baskets.split('|') {
                let mut words: Vec<&str> = basket.split_whitespace().collect();
                if let Some(first) = words.first()
                    && first.starts_with(|first: char| first.is_ascii_digit())
                {
                    let (day, hour) = first.split_once('@').unwrap_or((first, "12"));
                    next = Moment { day: day.parse().expect("a day"), hour: hour.parse().expect("an hour") };
                    words.remove(0);
                }
                read.push((next, words.iter().map(|word| told.item(word)).collect()));
                next.day += 1;
            }
            told.history.push(read.iter().map(|(moment, items)| (*moment, items.as_slice())));
        }
        told
    }

    /// The number of an item, a new one if it has none.
    pub(super) fn item(&mut self, name: &str) -> Item {
        let at = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        at as Item
    }

    pub(super) fn member(&self, name: &str) -> Member {
        self.members.iter().position(|known| known == name).expect("a member") as Member
    }

    /// Items by name, separated by spaces.
    pub(super) fn called(&self, items: impl IntoIterator<Item = Item>) -> String {
        let names: Vec<&str> = items.into_iter().map(|item| self.names[item as usize].as_str()).collect();
        names.join(" ")
    }
}
