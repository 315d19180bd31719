//! European numbers with letters in them, or with sums of their own kind.

use super::digits::{compact, digits, is_date, iso_11_10, luhn, modulo, numbers, two, weighted};

/// Spain's number of citizens and of foreigners: the letter is the number modulo 23.
pub(super) fn es_id(value: &str) -> bool {
    let value = compact(value);
    let Some((letter, body)) = value.split_last() else { return false };
    let body: Option<Vec<u32>> = body
        .iter()
        .enumerate()
        .map(|(at, byte)| match byte {
            b'X' | b'Y' | b'Z' if at == 0 => Some(u32::from(byte - b'X')),
            _ => (*byte as char).to_digit(10),
        })
        .collect();
    let letters = b"TRWAGMYFPDXBNJZSQVHLCKE";
    body.is_some_and(|d| {
        (7..=8).contains(&d.len()) && letters.get(modulo(&d, 23) as usize) == Some(letter)
    })
}

pub(super) fn es_cif(value: &str) -> bool {
    let value = compact(value);
    let (Some(middle), true) = (value.get(1..8), value.len() == 9) else { return false };
    let Some(d) = std::str::from_utf8(middle).ok().and_then(digits) else { return false };
    let doubled = |digit: u32| digit * 2 / 10 + digit * 2 % 10;
    let sum: u32 =
        d.iter().enumerate().map(|(at, d)| if at % 2 == 0 { doubled(*d) } else { *d }).sum();
    let check = (10 - sum % 10) % 10;
    value[8] == b'0' + check as u8 || value[8] == b"JABCDEFGHI"[check as usize]
}

pub(super) fn it_codice_fiscale(value: &str) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let value = compact(value);
    let (Some((last, body)), 16) = (value.split_last(), value.len()) else { return false };
    let number = |byte: u8| if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' };
    let each = body.iter().map(|byte| usize::from(number(*byte))).enumerate();
    let sum: u32 = each.map(|(at, n)| if at % 2 == 0 { ODD[n] } else { n as u32 }).sum();
    last.is_ascii_uppercase() && sum % 26 == u32::from(last - b'A')
}

/// The last two digits are 97 minus the rest of the number; Corsica's departments are 19 and 18.
pub(super) fn fr_nir(value: &str) -> bool {
    let value = String::from_utf8(compact(value)).unwrap_or_default();
    let value = value.replace("2A", "19").replace("2B", "18");
    numbers(&value, 15, |d| {
        matches!(d[0], 1..=4 | 7 | 8) && 97 - modulo(&d[..13], 97) == two(d, 13)
    })
}

/// One digit occurs two or three times, the others once at most.
pub(super) fn de_tax_id(value: &str) -> bool {
    numbers(value, 11, |d| {
        let mut counts = [0; 10];
        d[..10].iter().for_each(|digit| counts[*digit as usize] += 1);
        let repeated = counts.iter().filter(|count| **count > 1).count();
        d[0] != 0 && repeated <= 1 && counts.iter().all(|count| *count < 4) && iso_11_10(d)
    })
}

pub(super) fn de_health_insurance(value: &str) -> bool {
    let value = compact(value);
    let (Some(letter), 10) = (value.first(), value.len()) else { return false };
    if !letter.is_ascii_uppercase() {
        return false;
    }
    let text = format!("{:02}{}", letter - b'A' + 1, String::from_utf8_lossy(&value[1..]));
    numbers(&text, 11, |d| {
        let doubled = |digit: u32| digit * 2 / 10 + digit * 2 % 10;
        let each = d[..10].iter().enumerate();
        let sum: u32 = each.map(|(at, d)| if at % 2 == 0 { *d } else { doubled(*d) }).sum();
        sum % 10 == d[10]
    })
}

/// `65 170839 J 003`: area, birthday, initial, serial and sum.
pub(super) fn de_social_security(value: &str) -> bool {
    let value = compact(value);
    let (Some(letter), 12) = (value.get(8), value.len()) else { return false };
    if !letter.is_ascii_uppercase() {
        return false;
    }
    let (head, tail) = (String::from_utf8_lossy(&value[..8]), String::from_utf8_lossy(&value[9..]));
    numbers(&format!("{head}{:02}{tail}", letter - b'A' + 1), 13, |d| {
        let across = |n: u32| n / 10 + n % 10;
        let weights = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
        let sum: u32 = d.iter().zip(weights).map(|(d, weight)| across(d * weight)).sum();
        is_date(two(d, 4), two(d, 2) % 50) && sum % 10 == d[12]
    })
}

/// The sum of passports and identity cards: weights 7, 3, 1 over digits and letters.
pub(super) fn machine_readable(value: &str) -> bool {
    let value = compact(value);
    let Some((last, body)) = value.split_last() else { return false };
    let number = |byte: u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        _ => u32::from(byte - b'A') + 10,
    };
    let sum: u32 = body.iter().zip([7, 3, 1].iter().cycle()).map(|(b, w)| number(*b) * w).sum();
    last.is_ascii_digit() && sum % 10 == u32::from(last - b'0')
}

pub(super) fn be_national(value: &str) -> bool {
    numbers(value, 11, |d| {
        let century = [&[2][..], &d[..9]].concat();
        let check = two(d, 9);
        is_date(two(d, 2) % 20, two(d, 4))
            && (97 - modulo(&d[..9], 97) == check || 97 - modulo(&century, 97) == check)
    })
}

pub(super) fn fi_hetu(value: &str) -> bool {
    let letters = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let bytes = value.as_bytes();
    if bytes.len() != 11 {
        return false;
    }
    let number = format!("{}{}", &value[..6], &value[7..10]);
    numbers(&number, 9, |d| {
        is_date(two(d, 2), two(d, 0))
            && letters.get(modulo(d, 31) as usize) == Some(&bytes[10].to_ascii_uppercase())
    })
}

pub(super) fn se_personnummer(value: &str) -> bool {
    let Some(all) = digits(&value.replace('+', "")) else { return false };
    let has_century = all.len() == 12 && matches!(two(&all, 0), 18..=20);
    let d = if has_century { &all[2..] } else { &all[..] };
    d.len() == 10 && is_date(two(d, 2), two(d, 4) % 60) && luhn(d)
}

pub(super) fn ie_pps(value: &str) -> bool {
    let value = compact(value);
    let Some(d) = value.get(..7).and_then(|d| std::str::from_utf8(d).ok()).and_then(digits) else {
        return false;
    };
    let second = value.get(8).map_or(0, |byte| u32::from(byte.saturating_sub(b'A' - 1)));
    let sum = weighted(&d, &[8, 7, 6, 5, 4, 3, 2]) + second * 9;
    value.get(7) == Some(&b"WABCDEFGHIJKLMNOPQRSTUV"[(sum % 23) as usize])
}
