//! The sample shop inside the binary: a supermarket to demonstrate on, and the update head office publishes meanwhile.
//!
//! Invariants: nothing outside the binary is read; the files are those of `config/sample-shop` (a test compares), and
//! are read as any authoring folder is. A key is made for each run and forgotten with it.

use anyhow::{Context as _, Result, anyhow};

use crate::bundle::authoring::{self, Authored};
use crate::bundle::document::{CodeRecord, MemberRecord, Rules};
use crate::bundle::keys::SecretKey;
use crate::bundle::packed;
use crate::chance;
use crate::clock::{Clock as _, SystemClock};

macro_rules! sample_shop {
    ($($name:literal),+ $(,)?) => {
        const FILES: &[(&str, &[u8])] =
            &[$(($name, include_bytes!(concat!("../../../config/sample-shop/", $name)))),+];
    };
}

sample_shop![
    "campaigns.toml",
    "care.toml",
    "catalogue.json",
    "codes.json",
    "coupons.toml",
    "members.json",
    "points.toml",
    "promotions/10-prices.toml",
    "promotions/20-flash.toml",
    "promotions/30-several-units.toml",
    "promotions/40-baskets.toml",
    "promotions/50-birthday-and-welcome.toml",
    "promotions/60-gifts.toml",
    "promotions/70-points.toml",
    "promotions/80-coupons.toml",
    "recommendations.toml",
    "segments.toml",
    "shop.toml",
];

/// What the update adds: an offer nobody knew of in the morning.
const UPDATE: (&str, &[u8]) = (
    "promotions/90-update.toml",
    r#"
[[promotion]]
id = "encore"
titles = { zh-CN = "加场优惠 满30减1", en = "Encore: 1 off from 30" }
qualifier = { items = { except = { categories = ["tobacco", "baby/food"] } } }
benefit = { spend_and_save = { tiers = [{ spend = 3000, save = { amount = 100 } }] } }
stacking = { priority = 61 }
"#
    .as_bytes(),
);

/// A shop's rules with who signed them.
pub(crate) struct Signed {
    /// The rules.
    pub(crate) rules: Rules,
    /// The members.
    pub(crate) members: Vec<MemberRecord>,
    /// The single-use codes.
    pub(crate) codes: Vec<CodeRecord>,
    /// The packed bundle.
    pub(crate) packed: Vec<u8>,
}

/// The sample shop: version 1, or the updated version 2.
pub(crate) fn shop(version: u64, key: &SecretKey) -> Result<Signed> {
    let update = (version > 1).then_some(UPDATE);
    let files = FILES.iter().copied().chain(update);
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect();
    let read = authoring::read(files);
    let Authored { rules, members, codes } = read.map_err(|findings| {
        let first = findings.first().map(ToString::to_string).unwrap_or_default();
        anyhow!("failed to read the sample shop: {first}")
    })?;
    sign(version, (rules, members, codes), key)
}

/// Packs and signs a shop.
pub(crate) fn sign(
    version: u64,
    (rules, members, codes): (Rules, Vec<MemberRecord>, Vec<CodeRecord>),
    key: &SecretKey,
) -> Result<Signed> {
    let packed = packed::pack(version, SystemClock.now(), &rules, &members, &codes, key)
        .map_err(|error| anyhow!("failed to pack the bundle: {error} ({})", error.code()))?;
    Ok(Signed { rules, members, codes, packed })
}

/// A key for this run.
pub(crate) fn fresh_key() -> Result<SecretKey> {
    Ok(SecretKey::from_seed(&chance::bytes().context("failed to make a key")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn is_every_file_of_the_sample_shop_in_the_binary() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sample-shop");
        let names = |folder: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(folder).expect("a folder");
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
        };
        let mut there: BTreeSet<String> =
            names(&folder.join("promotions")).iter().map(|name| format!("promotions/{name}")).collect();
        there.extend(names(&folder));
        there.retain(|name| name.ends_with(".toml") || name.ends_with(".json"));
        let here: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(here, there);
    }

    #[test]
    fn does_the_update_add_an_offer_and_nothing_else() {
        let key = SecretKey::from_seed(&[7; 32]);
        let (before, after) = (shop(1, &key).expect("is packed"), shop(2, &key).expect("is packed"));
        assert_eq!(after.rules.promotions.len(), before.rules.promotions.len() + 1);
        assert_eq!((after.members, after.codes), (before.members, before.codes));
        assert_eq!(after.rules.catalogue, before.rules.catalogue);
    }
}
