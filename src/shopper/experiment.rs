//! Who gets what in a trial: a stable draw by hash, the same in every shop and on every day, with no list to carry.
//!
//! The draw is for other languages to repeat, in whole numbers only:
//! `number(name, member) =` the first 8 bytes, big-endian, of SHA-256 over the UTF-8 bytes of `salt`, the byte 0x1F, `name`,
//! the byte 0x1F, `member`; `bucket = floor(number × 10,000 / 2^64)`, so 0 to 9,999. Names: `holdout` for the members kept back from
//! everything, `layer:{layer}` for the place in a layer, `arm:{experiment}` within an experiment.
//!
//! Experiments of one layer own ranges of its buckets that do not overlap: nobody is in two of them. Layers draw
//! independently: who is where in one says nothing of the other. Within an experiment the first buckets are its holdout, the
//! rest is shared among arms by weight. Changing a range or a weight moves members; a new experiment draws anew.
//!
//! `lift` judges what came of it (`peeking` judges `lift`), `seasonal` what is different from before where nobody was kept back.

pub mod lift;
pub mod peeking;
pub mod seasonal;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::calendar::Day;
use crate::domain::code::Code;
use crate::domain::ids::{MemberId, Seq};
use crate::limits;

/// Buckets of every draw: a hundredth of a per cent each.
pub const BUCKETS: u16 = 10_000;

const SEPARATOR: [u8; 1] = [0x1f];

/// All trials of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Of this chain, so that two chains draw differently.
    pub salt: String,
    /// Buckets of members who get no campaign at all.
    pub holdout: u16,
    /// Independent of each other.
    pub layers: Vec<Layer>,
}

/// Experiments that share no member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Its id.
    pub id: String,
    /// In any order.
    pub experiments: Vec<Experiment>,
}

/// One experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Experiment {
    /// Its id, among all layers.
    pub id: String,
    /// First bucket of its layer.
    pub from: u16,
    /// First bucket that is not its own any more.
    pub to: u16,
    /// Buckets of its own draw that are kept back.
    pub holdout: u16,
    /// Shared by weight.
    pub arms: Vec<Arm>,
}

/// One of the things tried against each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// Its id, within the experiment.
    pub id: String,
    /// Its part of those who are not kept back.
    pub weight: u32,
}

/// Why a plan is refused. Fits after "failed to".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanFault {
    /// A range is empty or ends beyond the last bucket, or a holdout has more buckets than there are.
    Range(String),
    /// Two experiments of a layer share buckets.
    Overlap(String, String),
    /// An id is there twice, or a layer or experiment has none.
    Name(String),
    /// An experiment has no arm, too many, or no weight at all.
    Arms(String),
    /// There are more experiments than a plan holds.
    TooMany(usize),
}

impl PlanFault {
    /// Its stable code.
    pub fn code(&self) -> Code {
        Code::TrialWrong
    }
}

impl std::fmt::Display for PlanFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PlanFault::Range(id) => {
                write!(f, "place {id}: its buckets must lie in 0 to {BUCKETS} and not be empty")
            }
            PlanFault::Overlap(one, other) => {
                write!(f, "tell {one} and {other} apart: they share buckets of a layer")
            }
            PlanFault::Name(id) => write!(f, "name {id:?}: an id is missing or there twice"),
            PlanFault::Arms(id) => {
                write!(f, "share {id}: it needs 1 to {} arms with some weight", limits::EXPERIMENT_ARMS_MAX)
            }
            PlanFault::TooMany(count) => {
                write!(f, "hold {count} experiments: a plan has at most {}", limits::EXPERIMENTS_MAX)
            }
        }
    }
}

impl std::error::Error for PlanFault {}

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assigned<'a> {
    /// Kept back from everything.
    KeptBack,
    /// In another experiment of the layer, or in none.
    Elsewhere,
    /// Kept back from this experiment: its control.
    HeldOut,
    /// In this arm.
    Arm(&'a Arm),
}

/// Somebody saw what their arm shows: the only ones whose outcome counts, with the held out who would have seen it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Exposure {
    /// Which experiment.
    pub experiment: String,
    /// Which arm; none: held out, at a moment when an arm would have been shown.
    pub arm: Option<String>,
    /// Who.
    pub member: MemberId,
    /// The business day of the first time.
    pub day: Day,
    /// The decision that showed it.
    pub decision: Seq,
}

impl Plan {
    /// The first thing wrong with it.
    ///
    /// # Errors
    /// See `PlanFault`.
    pub fn check(&self) -> Result<(), PlanFault> {
        let count = self.layers.iter().map(|layer| layer.experiments.len()).sum();
        if count > limits::EXPERIMENTS_MAX {
            return Err(PlanFault::TooMany(count));
        }
        if self.holdout > BUCKETS {
            return Err(PlanFault::Range("holdout".to_owned()));
        }
        unique(self.layers.iter().map(|layer| layer.id.as_str()))?;
        unique(self.experiments().map(|(_, experiment)| experiment.id.as_str()))?;
        for layer in &self.layers {
            for experiment in &layer.experiments {
                experiment.check()?;
            }
            let mut by_range: Vec<&Experiment> = layer.experiments.iter().collect();
            by_range.sort_by_key(|experiment| experiment.from);
            for pair in by_range.windows(2) {
                if pair[0].to > pair[1].from {
                    return Err(PlanFault::Overlap(pair[0].id.clone(), pair[1].id.clone()));
                }
            }
        }
        Ok(())
    }

    fn experiments(&self) -> impl Iterator<Item = (&Layer, &Experiment)> {
        self.layers
            .iter()
            .flat_map(|layer| layer.experiments.iter().map(move |experiment| (layer, experiment)))
    }

    /// Is the member kept back from everything?
    pub fn keeps_back(&self, member: &str) -> bool {
        self.holdout > 0 && bucket(&self.salt, "holdout", member) < self.holdout
    }

    /// Where a member is in an experiment; `None` where there is no such experiment.
    pub fn assign(&self, experiment: &str, member: &str) -> Option<Assigned<'_>> {
        let (layer, experiment) = self.experiments().find(|(_, found)| found.id == experiment)?;
        if self.keeps_back(member) {
            return Some(Assigned::KeptBack);
        }
        let place = bucket(&self.salt, &format!("layer:{}", layer.id), member);
        if place < experiment.from || place >= experiment.to {
            return Some(Assigned::Elsewhere);
        }
        let drawn = bucket(&self.salt, &format!("arm:{}", experiment.id), member);
        Some(experiment.arm(drawn).map_or(Assigned::HeldOut, Assigned::Arm))
    }
}

fn unique<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), PlanFault> {
    let mut sorted: Vec<&str> = ids.collect();
    sorted.sort_unstable();
    let again = sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    match again.or(sorted.first().copied().filter(|id| id.is_empty())) {
        Some(id) => Err(PlanFault::Name(id.to_owned())),
        None => Ok(()),
    }
}

impl Experiment {
    fn check(&self) -> Result<(), PlanFault> {
        if self.from >= self.to || self.to > BUCKETS || self.holdout > BUCKETS {
            return Err(PlanFault::Range(self.id.clone()));
        }
        let weight: u64 = self.arms.iter().map(|arm| u64::from(arm.weight)).sum();
        if self.arms.len() > limits::EXPERIMENT_ARMS_MAX || weight == 0 {
            return Err(PlanFault::Arms(self.id.clone()));
        }
        unique(self.arms.iter().map(|arm| arm.id.as_str()))
    }

    /// Buckets from the holdout on are cut in proportion to the weights, each cut rounded down.
    fn arm(&self, drawn: u16) -> Option<&Arm> {
        let place = u64::from(drawn.checked_sub(self.holdout)?);
        let room = u64::from(BUCKETS - self.holdout);
        let whole: u64 = self.arms.iter().map(|arm| u64::from(arm.weight)).sum();
        let mut below = 0;
        self.arms.iter().find(|arm| {
            below += u64::from(arm.weight);
            place < room * below / whole
        })
    }
}

/// The 64 bits of a draw.
pub fn number(salt: &str, name: &str, member: &str) -> u64 {
    let mut hash = Sha256::new();
    for part in [salt.as_bytes(), &SEPARATOR, name.as_bytes(), &SEPARATOR, member.as_bytes()] {
        hash.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    u64::from_be_bytes(first)
}

/// The bucket of a draw, 0 to 9,999.
pub fn bucket(salt: &str, name: &str, member: &str) -> u16 {
    ((u128::from(number(salt, name, member)) * u128::from(BUCKETS)) >> 64) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(id: &str, range: (u16, u16), holdout: u16, weights: &[u32]) -> Experiment {
        let arm = |(at, weight): (usize, &u32)| Arm { id: format!("arm{at}"), weight: *weight };
        let arms = weights.iter().enumerate().map(arm).collect();
        Experiment { id: id.to_owned(), from: range.0, to: range.1, holdout, arms }
    }

    fn plan() -> Plan {
        let layer = |id: &str, experiments| Layer { id: id.to_owned(), experiments };
        let first =
            vec![experiment("tea", (0, 4_000), 1_000, &[1, 2]), experiment("milk", (4_000, 10_000), 0, &[1])];
        let second = vec![experiment("mail", (0, 10_000), 5_000, &[1])];
        Plan {
            salt: "sunrise".to_owned(),
            holdout: 500,
            layers: vec![layer("shelf", first), layer("post", second)],
        }
    }

    /// For other languages: `printf 'sunrise\x1farm:tea\x1fm1' | sha256sum`, the first 16 digits.
    #[test]
    fn are_the_draws_those_of_the_page() {
        for (name, member, drawn, place) in VECTORS {
            assert_eq!(
                (number("sunrise", name, member), bucket("sunrise", name, member)),
                (drawn, place),
                "{name} {member}"
            );
        }
    }

    const VECTORS: [(&str, &str, u64, u16); 4] = [
        ("arm:tea", "m1", 8300308158676303125, 4499),
        ("layer:shelf", "m1", 16793982336308330407, 9104),
        ("holdout", "m1", 17837499857076172942, 9669),
        ("arm:tea", "会员-7", 7815296230176275726, 4236),
    ];

    #[test]
    fn are_members_where_the_plan_says_and_in_one_experiment_of_a_layer_only() {
        let plan = plan();
        assert_eq!(plan.check(), Ok(()));
        let members: Vec<String> = (0..20_000).map(|member| format!("m{member}")).collect();
        let mut counts = [0u32; 6];
        let mut both = 0u32;
        for member in &members {
            let of = |experiment: &str| plan.assign(experiment, member).expect("it is there");
            let (tea, milk, mail) = (of("tea"), of("milk"), of("mail"));
            let is_in = |assigned: Assigned<'_>| matches!(assigned, Assigned::HeldOut | Assigned::Arm(_));
            assert!(!(is_in(tea) && is_in(milk)), "{member}");
            assert_eq!(tea == Assigned::KeptBack, mail == Assigned::KeptBack, "{member}");
            both += u32::from(matches!(milk, Assigned::Arm(_)) && matches!(mail, Assigned::Arm(_)));
            let place = match tea {
                Assigned::KeptBack => 0,
                Assigned::Elsewhere => 1,
                Assigned::HeldOut => 2,
                Assigned::Arm(arm) if arm.id == "arm0" => 3,
                Assigned::Arm(_) => 4,
            };
            counts[place] += 1;
            counts[5] += u32::from(mail == Assigned::HeldOut);
        }
        // 5 % kept back; of the rest 40 % in tea: a tenth of these held out, 30 % and 60 % in its arms.
        let expected = [1_000.0, 11_400.0, 760.0, 2_280.0, 4_560.0, 9_500.0];
        for (count, expected) in counts.into_iter().zip(expected) {
            assert!((f64::from(count) - expected).abs() < 4.0 * f64::sqrt(expected), "{counts:?}");
        }
        // The layers draw independently: half of those in milk are in mail.
        assert!((f64::from(both) - 5_700.0).abs() < 300.0, "{both}");
        assert_eq!(plan.assign("coffee", "m1"), None);
    }

    #[test]
    fn what_is_wrong_with_a_plan() {
        let with = |change: &dyn Fn(&mut Plan)| {
            let mut plan = plan();
            change(&mut plan);
            plan.check().expect_err("it is wrong").to_string()
        };
        assert!(with(&|plan| plan.layers[0].experiments[1].from = 3_999).contains("tea and milk"));
        assert!(with(&|plan| plan.layers[0].experiments[0].to = 0).contains("place tea"));
        assert!(with(&|plan| plan.holdout = 10_001).contains("place holdout"));
        assert!(with(&|plan| plan.layers[1].experiments[0].id = "tea".to_owned()).contains("name \"tea\""));
        assert!(with(&|plan| plan.layers[0].id = String::new()).contains("name \"\""));
        assert!(with(&|plan| plan.layers[0].experiments[0].arms.clear()).contains("share tea"));
        assert!(with(&|plan| plan.layers[0].experiments[0].arms[1].id = "arm0".to_owned()).contains("arm0"));
    }
}
