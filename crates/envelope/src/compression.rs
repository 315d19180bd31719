//! lz4 block compression behind the length of the clear bytes, taken back within a bound.

/// How the clear bytes were compressed before they were sealed, as the header says it.
pub(crate) const LZ4: &str = "lz4";
/// The clear bytes as they are.
pub(crate) const NONE: &str = "none";

/// The smaller of the bytes and their compressed form, and the word for it.
pub(crate) fn compress(clear: &[u8]) -> (&'static str, Vec<u8>) {
    let compressed = lz4_flex::block::compress_prepend_size(clear);
    if compressed.len() < clear.len() { (LZ4, compressed) } else { (NONE, clear.to_vec()) }
}

/// The clear bytes; none if they are not `compressed` as `how` says or longer than `max`.
pub(crate) fn decompress(how: &str, compressed: Vec<u8>, max: usize) -> Option<Vec<u8>> {
    if how == NONE {
        return (compressed.len() <= max).then_some(compressed);
    }
    let (length, block) = compressed.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if how != LZ4 || length > max {
        return None;
    }
    let mut clear = vec![0; length];
    let written = lz4_flex::block::decompress_into(block, &mut clear).ok()?;
    (written == length).then_some(clear)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_the_bound_takes_no_memory() {
        let mut bomb = compress(&vec![0; 1 << 20]).1;
        assert_eq!(decompress(LZ4, bomb.clone(), 1 << 19), None);
        bomb[..4].copy_from_slice(&8u32.to_le_bytes());
        assert_eq!(decompress(LZ4, bomb, 1 << 19), None);
    }

    #[test]
    fn what_does_not_shrink_stays_as_it_is() {
        assert_eq!(compress(b"abc"), (NONE, b"abc".to_vec()));
        let (how, bytes) = compress(&[7; 1000]);
        assert_eq!(how, LZ4);
        assert_eq!(decompress(how, bytes, 1000), Some(vec![7; 1000]));
    }
}
