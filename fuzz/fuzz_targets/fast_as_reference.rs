#![no_main]

#[path = "../../crates/redact/tests/properties/mod.rs"]
#[allow(dead_code, reason = "each target asks for one property")]
mod properties;

use std::sync::LazyLock;

use trailgate_redact::Redactor;

static REDACTOR: LazyLock<Redactor> = LazyLock::new(properties::redactor);

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::fast_as_reference(&REDACTOR, input));
