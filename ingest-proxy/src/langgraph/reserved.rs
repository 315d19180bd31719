//! The keys by which a run says who and what it is. The server copies `metadata` into every node's
//! trace and every checkpoint, so a client that may write them can pass for somebody else.

/// Which keys a client may not set in an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reserved {
    /// `metadata` and `config.metadata` of a run, a cron, a command.
    RunMetadata,
    /// `metadata` and `config.metadata` of a thread or an assistant. It is merged into that of their
    /// runs, but applications file their threads by keys such as `user_id`, and identity is taken
    /// from the gateway's own binding, so only what the server and the gateway write is kept back.
    OwnerMetadata,
    /// `config.configurable`, `context` and `checkpoint`, which the server merges into one.
    Configurable,
}

impl Reserved {
    /// Whether a client may not set `key`.
    pub(super) fn holds(self, key: &str) -> bool {
        match self {
            Self::RunMetadata => {
                ["langgraph_", "ls_", "gw_"].iter().any(|prefix| key.starts_with(prefix))
                    || RUN_METADATA.contains(&key)
            }
            Self::OwnerMetadata => ["langgraph_", "gw_"].iter().any(|p| key.starts_with(p)),
            Self::Configurable => {
                ["langgraph_auth", "gw_"].iter().any(|prefix| key.starts_with(prefix))
                    || CONFIGURABLE.contains(&key)
            }
        }
    }
}

const RUN_METADATA: [&str; 7] =
    ["run_id", "thread_id", "assistant_id", "graph_id", "user_id", "created_by", "cron_id"];

/// The last switches a run over to the thread-centric protocol, whose streams tell of no node: only
/// the server's own routes for that protocol may set it (seen in langgraph-api 0.16.7).
const CONFIGURABLE: [&str; 3] = ["langgraph_request_id", "cron_id", "__event_streaming_v2"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_is_reserved_and_what_an_application_needs_is_not() {
        for key in ["langgraph_auth_user_id", "ls_provider", "gw_request_id", "user_id", "run_id"] {
            assert!(Reserved::RunMetadata.holds(key), "{key}");
        }
        assert!(!Reserved::RunMetadata.holds("team"));
        assert!(!Reserved::OwnerMetadata.holds("user_id"));
        assert!(Reserved::OwnerMetadata.holds("gw_asked"));
        assert!(!Reserved::Configurable.holds("user_id"));
        assert!(!Reserved::Configurable.holds("thread_id"));
        assert!(Reserved::Configurable.holds("langgraph_auth_user"));
    }
}
