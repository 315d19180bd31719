//! The rules that Trailgate brings. Where two overlap the earlier gives its name.

use super::written::Source;

/// Their texts.
pub(crate) fn sources() -> Vec<Source> {
    let source = |(file, text): &(&str, &str)| Source {
        file: format!("built-in {file}"),
        text: (*text).to_owned(),
        is_builtin: true,
    };
    FILES.iter().map(source).collect()
}

const FILES: &[(&str, &str)] = &[
    ("ai.toml", include_str!("../../rules/ai.toml")),
    ("cloud.toml", include_str!("../../rules/cloud.toml")),
    ("scm.toml", include_str!("../../rules/scm.toml")),
    ("ci.toml", include_str!("../../rules/ci.toml")),
    ("messaging.toml", include_str!("../../rules/messaging.toml")),
    ("payment.toml", include_str!("../../rules/payment.toml")),
    ("database.toml", include_str!("../../rules/database.toml")),
    ("observability.toml", include_str!("../../rules/observability.toml")),
    ("security.toml", include_str!("../../rules/security.toml")),
    ("work.toml", include_str!("../../rules/work.toml")),
    ("vendors.toml", include_str!("../../rules/vendors.toml")),
    ("forms.toml", include_str!("../../rules/forms.toml")),
    ("generic.toml", include_str!("../../rules/generic.toml")),
    ("contact.toml", include_str!("../../rules/contact.toml")),
    ("network.toml", include_str!("../../rules/network.toml")),
    ("financial.toml", include_str!("../../rules/financial.toml")),
    ("national.toml", include_str!("../../rules/national.toml")),
    ("health.toml", include_str!("../../rules/health.toml")),
    ("company.toml", include_str!("../../rules/company.toml")),
    ("vehicle.toml", include_str!("../../rules/vehicle.toml")),
    ("key_names.toml", include_str!("../../rules/key_names.toml")),
];
