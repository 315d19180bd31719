//! Compression: `Content-Encoding`, as RFC 9110 §8.4 has it.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use serde::{Deserialize, Serialize};

use crate::limits::{CODINGS_MAX, OPENED_MAX_BYTES, OPENED_RATIO_MAX, OPENED_SPARE_BYTES};
use crate::redacted::Withheld;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Coding {
    Gzip,
    /// zlib's form or, as some send, none.
    Deflate,
    Brotli,
    Zstd,
    Unknown,
}

/// What a head names, in order, without what changes nothing.
pub(super) fn all_of(content_encoding: &str) -> Vec<Coding> {
    let names = content_encoding.split(',').map(str::trim);
    let codings = names.filter_map(|name| match name.to_ascii_lowercase().as_str() {
        "" | "identity" => None,
        "gzip" | "x-gzip" => Some(Coding::Gzip),
        "deflate" => Some(Coding::Deflate),
        "br" => Some(Coding::Brotli),
        "zstd" => Some(Coding::Zstd),
        _ => Some(Coding::Unknown),
    });
    let mut codings: Vec<Coding> = codings.take(CODINGS_MAX + 1).collect();
    if codings.len() > CODINGS_MAX {
        codings = vec![Coding::Unknown];
    }
    codings
}

/// What was compressed, the last coding taken off first.
pub(super) fn open(codings: &[Coding], bytes: &[u8]) -> Result<Vec<u8>, Withheld> {
    let ratio = bytes.len().saturating_mul(OPENED_RATIO_MAX).saturating_add(OPENED_SPARE_BYTES);
    let budget = ratio.min(OPENED_MAX_BYTES);
    let mut bytes = bytes.to_vec();
    for coding in codings.iter().rev() {
        // An empty body has nothing to take off.
        if !bytes.is_empty() {
            bytes = coding.open(&bytes, budget)?;
        }
    }
    Ok(bytes)
}

impl Coding {
    /// By the mark that a body begins with.
    pub(super) fn of_beginning(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    fn open(self, bytes: &[u8], budget: usize) -> Result<Vec<u8>, Withheld> {
        match self {
            Self::Gzip => read(MultiGzDecoder::new(bytes), budget),
            Self::Deflate => match read(ZlibDecoder::new(bytes), budget) {
                Err(Withheld::Broken) => read(DeflateDecoder::new(bytes), budget),
                opened => opened,
            },
            Self::Brotli => {
                read(brotli_decompressor::Decompressor::new(bytes, BUFFER_BYTES), budget)
            }
            Self::Zstd => {
                let mut decoder = zstd::Decoder::new(bytes).map_err(|_| Withheld::Broken)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|_| Withheld::Broken)?;
                read(decoder, budget)
            }
            Self::Unknown => Err(Withheld::UnknownEncoding),
        }
    }
}

/// All of it, if it comes to its end within the budget.
fn read(decoder: impl Read, budget: usize) -> Result<Vec<u8>, Withheld> {
    let mut bytes = Vec::new();
    let limit = budget as u64 + 1;
    decoder.take(limit).read_to_end(&mut bytes).map_err(|_| Withheld::Broken)?;
    if bytes.len() > budget { Err(Withheld::OverBudget) } else { Ok(bytes) }
}

const BUFFER_BYTES: usize = 4 * 1024;
/// 8 MiB, which RFC 9659 asks of a decoder and allows no sender to go beyond.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
