//! Which of our rules corresponds to which of a corpus: a row that says that a rule must not fire
//! says nothing of rules for something else.

/// Whether `ours` is for what the corpus calls `theirs`.
pub(crate) fn correspond(theirs: &str, ours: &str) -> bool {
    let known = KNOWN.iter().find(|(name, _)| *name == theirs);
    if let Some((_, rules)) = known {
        return rules.contains(&ours);
    }
    let plain = theirs.replace('-', "_");
    match theirs.split_once('.') {
        // Numbered rules of one vendor: any rule of that vendor's.
        Some((_, rest)) => {
            let vendor = rest.split('.').next().unwrap_or(rest);
            vendor != "generic" && ours.split('_').next() == Some(vendor)
        }
        None => plain == ours || BOTH_ENDS.iter().any(|end| format!("{plain}{end}") == ours),
    }
}

const BOTH_ENDS: &[&str] = &["_key", "_token", "_named", "_alone"];

/// Where the names don't tell.
const KNOWN: &[(&str, &[&str])] = &[
    ("1password-service-account-token", &["onepassword_service_account_token"]),
    ("1password-secret-key", &["onepassword_secret_key"]),
    ("azure-ad-client-secret", &["azure_client_secret"]),
    ("cohere-api-token", &["cohere_api_key"]),
    ("curl-auth-user", &["curl_user", "curl_user_alone"]),
    ("curl-auth-header", &["curl_header"]),
    ("databricks-api-token", &["databricks_pat"]),
    ("discord-client-id", &["discord_named_token"]),
    ("discord-client-secret", &["discord_named_token"]),
    ("easypost-test-api-token", &["easypost_api_token"]),
    ("generic-api-key", &["secret", "keyword_secret", "keyword_uuid"]),
    ("gcp-api-key", &["gcp_api_key"]),
    ("github-pat", &["github_token"]),
    ("okta-access-token", &["okta_api_token", "okta_default_token"]),
    ("sidekiq-sensitive-url", &["sidekiq_secret"]),
    ("stripe-access-token", &["stripe_secret_key", "stripe_restricted_key"]),
    ("np.slack.2", &["slack_bot_token"]),
    ("np.slack.3", &["slack_webhook_url"]),
    ("np.slack.4", &["slack_user_token"]),
    ("np.slack.6", &["slack_config_access_token"]),
];
