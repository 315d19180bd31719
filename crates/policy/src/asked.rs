//! What a rule is held against.

/// A request of a verified caller, as far as rules look at it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The connection's name.
    pub connection: &'a str,
    /// Every method that the upstream may take it for: that of the request, and those which its
    /// headers or its query ask to be taken instead.
    pub methods: &'a [&'a str],
    /// The path in its normal form, below the connection's mount prefix.
    pub path: &'a str,
    /// Every operation that an Agent Server may take it for, on a connection to one.
    pub operations: &'a [&'a str],
    /// The caller's verified groups.
    pub groups: &'a [String],
    /// The body's length; none if nobody knows before it is read.
    pub body_bytes: Option<u64>,
}
