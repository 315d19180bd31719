//! Sums that issuers put into their numbers, so that a number misread or made up is told apart.

/// The digits of a value, without what is written between them; none if there is more than that.
pub(super) fn digits(value: &str) -> Option<Vec<u32>> {
    let is_between = |c: char| matches!(c, ' ' | '-' | '.' | '/' | ':' | '(' | ')');
    value.chars().filter(|c| !is_between(*c)).map(|c| c.to_digit(10)).collect()
}

/// Whether the value is so many digits, and they pass.
pub(super) fn numbers(value: &str, count: usize, pass: impl Fn(&[u32]) -> bool) -> bool {
    digits(value).is_some_and(|digits| digits.len() == count && pass(&digits))
}

/// Its letters and digits, in upper case.
pub(super) fn compact(value: &str) -> Vec<u8> {
    let kept = value.bytes().filter(u8::is_ascii_alphanumeric);
    kept.map(|byte| byte.to_ascii_uppercase()).collect()
}

pub(super) fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| digit * 2 / 10 + digit * 2 % 10;
    let each = digits.iter().rev().enumerate();
    let sum: u32 = each.map(|(at, d)| if at % 2 == 0 { *d } else { doubled(*d) }).sum();
    sum.is_multiple_of(10)
}

/// Each digit times its weight.
pub(super) fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// The number that the digits are, modulo `modulus`.
pub(super) fn modulo(digits: &[u32], modulus: u32) -> u32 {
    digits.iter().fold(0, |rest, digit| (rest * 10 + digit) % modulus)
}

/// Verhoeff's sum, as India's Aadhaar has it.
pub(super) fn verhoeff(digits: &[u32]) -> bool {
    const PERMUTE: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let permuted = |digit: u32, times: usize| {
        (0..times % 8).fold(digit, |digit, _| PERMUTE[digit as usize % 10])
    };
    let each = digits.iter().rev().enumerate();
    each.fold(0, |sum, (at, digit)| dihedral(sum, permuted(*digit, at))) == 0
}

/// Multiplication in the group of a pentagon's symmetries.
const fn dihedral(a: u32, b: u32) -> u32 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// ISO 7064, modulo 11 and 10, as Germany's and Croatia's tax numbers have it.
pub(super) fn iso_11_10(digits: &[u32]) -> bool {
    let Some((last, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10, |product, digit| match (digit + product) % 10 {
        0 => 9,
        sum => sum * 2 % 11,
    });
    (11 - product) % 10 == *last
}

/// Whether year (of two digits), month and day can be a date.
pub(super) fn is_date(month: u32, day: u32) -> bool {
    let days = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    (1..=12).contains(&month) && day >= 1 && day <= days[month as usize - 1]
}

/// The number that two digits are.
pub(super) fn two(digits: &[u32], at: usize) -> u32 {
    digits[at] * 10 + digits[at + 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_told_from_wrong_ones() {
        let of = |text: &str| digits(text).unwrap();
        assert!(luhn(&of("4111 1111 1111 1111")) && !luhn(&of("4111 1111 1111 1112")));
        assert!(verhoeff(&of("2363")) && !verhoeff(&of("2364")));
        assert!(iso_11_10(&of("86095742719")) && !iso_11_10(&of("86095742718")));
        assert_eq!(digits("12a"), None);
    }
}
