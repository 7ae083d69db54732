//! What a whole number of groups leaves over: five units hold two pairs and no half (a Chvatal-Gomory cut).
//!
//! A cut prices the full groups that the units of a set make, besides the price of each unit. Taking units away lowers it
//! by as many groups as are full no more, never by less than what a column of whole groups takes.

/// A set of goods and the size of a group: no more full groups than its units make.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub(super) size: u32,
    /// By resource: is it in the set?
    pub(super) holds: Vec<bool>,
    pub(super) price: i64,
    /// Units of the set that are left.
    pub(super) left: u32,
}

impl Cut {
    /// Full groups that these units make.
    pub(super) fn groups(&self, uses: &[(u32, u32)]) -> u32 {
        let held = uses.iter().filter(|(r, _)| self.holds[*r as usize]);
        held.map(|(_, n)| n).sum::<u32>() / self.size
    }

    /// Units leave the set: the change of what its full groups are worth.
    pub(super) fn less(&mut self, units: u32) -> i64 {
        let before = self.left / self.size;
        self.left -= units;
        self.price * i64::from(before - self.left / self.size)
    }

    /// Units come back.
    pub(super) fn more(&mut self, units: u32) -> i64 {
        let before = self.left / self.size;
        self.left += units;
        self.price * i64::from(self.left / self.size - before)
    }
}
