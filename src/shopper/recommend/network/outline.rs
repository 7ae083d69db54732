//! How many fields a file has, counted on its bytes before anything is made of them.
//!
//! Two bytes can say "one more node", which takes two hundred in memory: a file of the size that is taken would take a gigabyte.
//! Fields are counted by the wire format alone; numbers of tensors are passed over. What is no field ends the count of its
//! message: whoever decodes the file refuses it by name.

/// Which fields of a message are messages to look into.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    /// Holds its numbers, which may look like anything.
    Tensor,
    /// Anything else: every part could be a message.
    Other,
}

impl Kind {
    fn part(self, field: u64) -> Option<Kind> {
        match (self, field) {
            (Kind::Tensor, _) => None,
            (Kind::Model, 7) | (Kind::Attribute, 6 | 11) => Some(Kind::Graph),
            (Kind::Graph, 1) => Some(Kind::Node),
            (Kind::Node, 5) => Some(Kind::Attribute),
            (Kind::Graph, 5) | (Kind::Attribute, 5 | 10) => Some(Kind::Tensor),
            _ => Some(Kind::Other),
        }
    }
}

/// The fields of a model, or more than `most` where there are more.
pub(super) fn fields(bytes: &[u8], most: usize) -> usize {
    let (mut count, mut waiting) = (0, vec![(bytes, Kind::Model)]);
    while let Some((mut rest, kind)) = waiting.pop() {
        while count <= most
            && let Some((field, part, behind)) = next(rest)
        {
            count += 1;
            rest = behind;
            if let Some(kind) = kind.part(field).filter(|_| !part.is_empty()) {
                waiting.push((part, kind));
            }
        }
    }
    count
}

/// The next field: its number, its bytes if it has a length, and what is behind it.
fn next(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (tag, bytes) = varint(bytes)?;
    let (length, bytes) = match tag & 7 {
        0 => return varint(bytes).map(|(_, behind)| (tag >> 3, &[][..], behind)),
        1 => return Some((tag >> 3, &[], bytes.get(8..)?)),
        2 => varint(bytes)?,
        5 => return Some((tag >> 3, &[], bytes.get(4..)?)),
        _ => return None,
    };
    let (part, behind) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    Some((tag >> 3, part, behind))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at).min(63);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}
