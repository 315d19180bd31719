//! Bodies of any length that need no memory, and their sum.

use bytes::Bytes;

use crate::limits::PIECE_BYTES;

/// The bytes from `at` of the one endless body that the upstream generates: lines of text, no two
/// alike, so that a piece that is lost, doubled or moved changes [`body_sum`].
#[must_use]
pub fn generated_body(at: u64, length: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(length + LINE);
    let mut line = at / LINE as u64;
    let skip = usize::try_from(at % LINE as u64).unwrap_or_default();
    while bytes.len() < length + skip {
        bytes.extend_from_slice(format!("{line:015x}\n").as_bytes());
        line += 1;
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
    piece.iter().fold(so_far.unwrap_or(0xcbf2_9ce4_8422_2325), |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

// Divides a piece, so that cutting costs nothing.
const LINE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_the_same_however_it_is_cut() {
        let whole = generated_body(0, 1000);
        for cut in [1, 7, 16, 999] {
            let parts = [generated_body(0, cut), generated_body(cut as u64, 1000 - cut)].concat();
            assert_eq!(parts, whole);
            let sum = body_sum(Some(body_sum(None, &whole[..cut])), &whole[cut..]);
            assert_eq!(sum, body_sum(None, &whole));
        }
    }
}
