//! Addresses of wallets, which carry sums of their own.

use aws_lc_rs::digest::{SHA256, digest};

/// Base58 with four bytes of a double SHA-256 at its end.
pub(super) fn is_base58(value: &str) -> bool {
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes: Vec<u8> = Vec::with_capacity(40);
    for byte in value.bytes() {
        let Some(digit) = ALPHABET.iter().position(|known| *known == byte) else { return false };
        let mut carry = digit as u32;
        for place in bytes.iter_mut().rev() {
            carry += u32::from(*place) * 58;
            *place = (carry & 0xff) as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.insert(0, (carry & 0xff) as u8);
            carry >>= 8;
        }
    }
    let zeros = value.bytes().take_while(|byte| *byte == b'1').count();
    bytes.splice(0..0, std::iter::repeat_n(0, zeros));
    if bytes.len() < 21 {
        return false;
    }
    let (body, sum) = bytes.split_at(bytes.len() - 4);
    digest(&SHA256, digest(&SHA256, body).as_ref()).as_ref()[..4] == *sum
}

/// Bech32 or Bech32m.
pub(super) fn is_bech32(value: &str) -> bool {
    const ALPHABET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let value = value.to_ascii_lowercase();
    let Some((head, body)) = value.rsplit_once('1') else { return false };
    let high = head.bytes().map(|byte| u32::from(byte >> 5));
    let low = head.bytes().map(|byte| u32::from(byte & 31));
    let mut sum = high.chain([0]).chain(low).fold(1, polymod);
    for byte in body.bytes() {
        let Some(digit) = ALPHABET.iter().position(|known| *known == byte) else { return false };
        sum = polymod(sum, digit as u32);
    }
    matches!(sum, 1 | 0x2bc8_30a3)
}

const fn polymod(sum: u32, value: u32) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = sum >> 25;
    let mut next = (sum & 0x1ff_ffff) << 5 ^ value;
    let mut at = 0;
    while at < 5 {
        if top >> at & 1 == 1 {
            next ^= GENERATOR[at];
        }
        at += 1;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_by_their_sums() {
        // The first block's, and BIP 173's example.
        assert!(is_base58("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"));
        assert!(!is_base58("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"));
        assert!(is_bech32("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"));
        assert!(!is_bech32("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"));
    }
}
