//! What is no text, by the marks that it begins with.

use crate::redacted::Withheld;

/// Why bytes that begin so can't be read; none if they may be text.
pub(crate) fn unreadable(bytes: &[u8]) -> Option<Withheld> {
    let known = MARKS
        .iter()
        .find(|(mark, at, _)| bytes.get(*at..).is_some_and(|behind| behind.starts_with(mark)));
    known.map(|(_, _, why)| *why)
}

/// Whether there are no characters in a text that no text has.
pub(super) fn is_text(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, 0..=6 | 0x0e..=0x1a))
}

/// A mark, where it stands, and what it says.
const MARKS: &[(&[u8], usize, Withheld)] = &[
    (b"\x89PNG\r\n\x1a\n", 0, Withheld::Image),
    (b"\xff\xd8\xff", 0, Withheld::Image),
    (b"GIF87a", 0, Withheld::Image),
    (b"GIF89a", 0, Withheld::Image),
    (b"WEBP", 8, Withheld::Image),
    (b"II*\0", 0, Withheld::Image),
    (b"MM\0*", 0, Withheld::Image),
    (b"\0\0\x01\0", 0, Withheld::Image),
    (b"ftyp", 4, Withheld::Recording),
    (b"OggS", 0, Withheld::Recording),
    (b"ID3", 0, Withheld::Recording),
    (b"fLaC", 0, Withheld::Recording),
    (b"WAVE", 8, Withheld::Recording),
    (b"AVI ", 8, Withheld::Recording),
    (b"\x1a\x45\xdf\xa3", 0, Withheld::Recording),
    (b"%PDF-", 0, Withheld::Document),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, Withheld::Document),
    (b"PK\x03\x04", 0, Withheld::Archive),
    (b"PK\x05\x06", 0, Withheld::Archive),
    (b"\x1f\x8b", 0, Withheld::Archive),
    (b"\x28\xb5\x2f\xfd", 0, Withheld::Archive),
    (b"BZh", 0, Withheld::Archive),
    (b"\xfd7zXZ\0", 0, Withheld::Archive),
    (b"7z\xbc\xaf\x27\x1c", 0, Withheld::Archive),
    (b"Rar!\x1a\x07", 0, Withheld::Archive),
    (b"ustar", 257, Withheld::Archive),
];
