//! Bounds, each with its reason.

/// Longest tail that is held back because a secret may go on in the next piece: a piece is at most
/// 64 KiB, so a masked record stays below 512 KiB even where replacements are longer than what
/// they replace.
pub(crate) const HOLD_MAX_BYTES: usize = 64 * 1024;

/// How far one rule looks at one place, so that hostile text costs no square of its length. What
/// matches to the very end of it is extended over the rest of its run, so longer secrets are whole.
/// White space therefore occurs only within the first of a match's bytes, as many as these, which
/// is what a stream that must decide how much to hold back rests on.
pub(crate) const WINDOW_BYTES: usize = 2 * 1024;

/// How far a pattern begins before its literal.
pub(crate) const BACK_BYTES: usize = 80;

/// Longest private key block: RSA with 16,384 bits is 13 KiB in PEM.
pub(crate) const PEM_MAX_BYTES: usize = 32 * 1024;

/// What is kept of text that had to come out before its end was seen, to know what its
/// continuation belongs to: `password = ` and the like.
pub(crate) const SEEN_BYTES: usize = 256;

/// JSON in a string in JSON in a string: agents nest tool arguments twice; deeper is text.
pub(crate) const NESTING_MAX: usize = 4;

/// Containers of which a walk remembers what they are; deeper ones are objects without names.
pub(crate) const DEPTH_MAX: usize = 256;

/// Columns of one result set whose names say that they are secret, and result sets one in the other of
/// which they are remembered: real ones have a few, and one.
pub(crate) const SECRET_COLUMNS_MAX: usize = 64;
pub(crate) const TABLES_MAX: usize = 4;

/// Longest field name that is compared with the names of secrets.
pub(crate) const NAME_MAX_BYTES: usize = 256;

/// Longest head of a part of a form: names of fields and files are far shorter.
pub(crate) const PART_HEAD_MAX_BYTES: usize = 8 * 1024;

/// Most white space between a part's delimiter and the end of its line; senders write none.
pub(crate) const PADDING_MAX_BYTES: usize = 64;

/// Shortest run of digits in which something encoded is looked for: nine clear bytes in base64 if it
/// stands for nothing else, else twelve; eight in hex.
pub(crate) const ENCODED_MIN_BYTES: usize = 12;

/// Encodings within encodings that are read: JSON in a query in base64 in JSON.
pub(crate) const LAYERS_MAX: usize = 4;

/// What may be read of encodings beyond twice a text's length, for short texts.
pub(crate) const READINGS_SPARE_BYTES: usize = 4 * 1024;

/// Lines of base64 at the end of a text that are held back: 12 KiB of clear text.
pub(crate) const LINES_HELD_BYTES: usize = 16 * 1024;

/// Longest event whose values are joined with those of others; a longer one is masked by itself.
pub(crate) const EVENT_MAX_BYTES: usize = 32 * 1024;

/// Events that wait for the end of what may be a secret: beyond it the oldest come out masked. A
/// model's word is 300 bytes of events, and 1 KiB in LangGraph.
pub(crate) const EVENTS_HELD_MAX_BYTES: usize = 64 * 1024;

/// The end of a value that waits because a secret may have begun there: a name, what stands behind
/// it, and what goes on to the end of its word.
pub(crate) const VALUE_TAIL_BYTES: usize = 128;

/// By how much a value grows until it is looked at again: to look at all of it for each word took half
/// of the time that a stream takes.
pub(crate) const VALUE_STEP_BYTES: usize = 48;

/// Values of one stream that are joined at the same time: choices, and calls of tools.
pub(crate) const VALUES_MAX: usize = 64;

/// What is held of a compressed body until it ends: three pieces and a state, in base64, that a
/// record of the backbone still takes.
pub(crate) const CLOSED_MAX_BYTES: usize = 192 * 1024;

/// What a compressed body may become: ten times of what a record shows.
pub(crate) const OPENED_MAX_BYTES: usize = 4 * 1024 * 1024;

/// By how much, at most: logs and state shrink to a hundredth, bombs to a thousandth and less.
pub(crate) const OPENED_RATIO_MAX: usize = 200;

/// What a small body may become all the same.
pub(crate) const OPENED_SPARE_BYTES: usize = 64 * 1024;

/// Codings one over the other.
pub(crate) const CODINGS_MAX: usize = 4;

/// The beginning of a body that says what it is.
pub(crate) const SNIFF_BYTES: usize = 512;

/// Memory for each compiled pattern, far above what the built-in ones need.
pub(crate) const PATTERN_MAX_BYTES: usize = 1 << 20;
