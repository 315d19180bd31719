//! What was last said of a field's name. The same few names come with each event, and to compare one
//! with all names of secrets costs a hundred times what it costs to know it again.

use std::cell::RefCell;

use crate::key_name::NameClass;

/// What `classify` says of a name under the rules of this number.
pub(crate) fn remembered(
    rules: u64,
    name: &str,
    classify: impl FnOnce() -> Option<NameClass>,
) -> Option<NameClass> {
    if name.len() > NAME_BYTES {
        return classify();
    }
    let mut bytes = [0; NAME_BYTES];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    let place = place(rules, &bytes);
    MEMO.with_borrow_mut(|memo| {
        memo.resize(PLACES, None);
        // Two names that would have one place have two.
        let known = [place, place ^ 1].into_iter().filter_map(|place| memo[place].as_ref());
        let mut known = known.filter(|entry| entry.rules == rules && entry.name == bytes);
        if let Some(entry) = known.next() {
            return entry.class;
        }
        let class = classify();
        memo[place ^ 1] = memo[place];
        memo[place] = Some(Entry { rules, name: bytes, class });
        class
    })
}

#[derive(Clone, Copy)]
struct Entry {
    rules: u64,
    /// Filled up with zeros, which stand for nothing in a name.
    name: [u8; NAME_BYTES],
    class: Option<NameClass>,
}

fn place(rules: u64, name: &[u8; NAME_BYTES]) -> usize {
    let words = name.chunks_exact(8).map(|chunk| {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    let mixed = words.fold(rules, |mixed, word| {
        (mixed.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    // The highest bits are mixed best.
    (mixed >> (u64::BITS - PLACES.trailing_zeros())) as usize
}

thread_local! {
    static MEMO: RefCell<Vec<Option<Entry>>> = const { RefCell::new(Vec::new()) };
}

/// Longer names are rare.
const NAME_BYTES: usize = 32;
/// 16 KiB for each thread.
const PLACES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_again_under_the_rules_that_said_it_only() {
        let none = || panic!("asked again");
        assert_eq!(remembered(1, "pin", || Some(NameClass::Code)), Some(NameClass::Code));
        assert_eq!(remembered(1, "pin", none), Some(NameClass::Code));
        assert_eq!(remembered(2, "pin", || None), None);
        let long = "n".repeat(NAME_BYTES + 1);
        assert_eq!(remembered(1, &long, || Some(NameClass::Weak)), Some(NameClass::Weak));
        assert_eq!(remembered(1, &long, || None), None);
    }
}
