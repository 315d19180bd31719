//! Bodies of any length that need no memory, and their sum.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::limits::PIECE_BYTES;

/// The bytes from `at` of the one endless body that the upstream generates: text whose every 4 KiB
/// begin with their number and have no period within, so that a piece that is lost, doubled or moved
/// changes it. Cheap to make: a gibibyte takes part of a second, also in a debug build.
#[must_use]
pub fn generated_body(at: u64, length: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(length + 2 * SEGMENT);
    let mut segment = at / SEGMENT as u64;
    let skip = usize::try_from(at % SEGMENT as u64).unwrap_or_default();
    while bytes.len() < length + skip {
        bytes.extend_from_slice(format!("{segment:015x}\n").as_bytes());
        bytes.extend_from_slice(&filler()[16..]);
        segment += 1;
    }
    Bytes::from(bytes).slice(skip..skip + length)
}

/// The next piece of a generated body of `total` bytes of which `at` were made, or nothing.
pub(crate) fn next_piece(at: u64, total: u64) -> Option<Bytes> {
    let left = usize::try_from(total - at).unwrap_or(usize::MAX);
    (left > 0).then(|| generated_body(at, left.min(PIECE_BYTES)))
}

/// A sum that depends on every byte's value and place, however the body was cut: FNV-1a. Begin with
/// [`None`], go on with the sum so far.
#[must_use]
pub fn body_sum(so_far: Option<u64>, piece: &[u8]) -> u64 {
    let mut sum = so_far.unwrap_or(0xcbf2_9ce4_8422_2325);
    for byte in piece {
        sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    sum
}

fn filler() -> &'static [u8] {
    static FILLER: OnceLock<Vec<u8>> = OnceLock::new();
    FILLER.get_or_init(|| {
        (0..SEGMENT / 16).flat_map(|line| format!("line {line:>10}\n").into_bytes()).collect()
    })
}

// Divides a piece, so that cutting costs nothing.
const SEGMENT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_the_same_however_it_is_cut() {
        let whole = generated_body(0, 10_000);
        for cut in [1, 7, 16, 4095, 4096, 4097, 9999] {
            let parts = [generated_body(0, cut), generated_body(cut as u64, 10_000 - cut)].concat();
            assert_eq!(parts, whole);
            let sum = body_sum(Some(body_sum(None, &whole[..cut])), &whole[cut..]);
            assert_eq!(sum, body_sum(None, &whole));
        }
    }

    #[test]
    fn a_piece_that_is_lost_or_moved_changes_the_body() {
        let whole = generated_body(0, 3 * SEGMENT);
        assert_ne!(whole[..SEGMENT], whole[SEGMENT..2 * SEGMENT]);
        assert_ne!(whole[16..SEGMENT - 16], whole[32..SEGMENT]);
    }
}
