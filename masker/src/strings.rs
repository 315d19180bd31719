//! Masking every string of an event that did not originate in Trailgate, but its payload.

use trailgate_redact::{Redacted, Redactor};
use trailgate_schemas::{Actor, AuditEvent, Redaction, Resource, SourceAddress};

use crate::clean::told;

/// Masks every string but the payload. What is exempt is of Trailgate's own making: ids, words, names
/// from its configuration, such as the groups of a hold's reviewers.
pub(crate) fn mask_strings(redactor: &Redactor, event: &mut AuditEvent) {
    let mut strings = Strings { redactor, found: std::mem::take(&mut event.redactions) };
    strings.identity(event);
    strings.optional("path", &mut event.path, Redactor::url);
    strings.optional("headers", &mut event.headers, Redactor::json);
    strings.optional("decision_context", &mut event.decision_context, Redactor::json);
    let texts = [
        ("request_id", &mut event.request_id),
        ("operation", &mut event.operation),
        ("method", &mut event.method),
        ("reason", &mut event.reason),
        ("error", &mut event.error),
        ("policy_id", &mut event.policy_id),
        ("policy_version", &mut event.policy_version),
        ("graph_id", &mut event.graph_id),
        ("node", &mut event.node),
        ("checkpoint_ns", &mut event.checkpoint_ns),
        ("cron_id", &mut event.cron_id),
        ("trace_id", &mut event.trace_id),
        ("span_id", &mut event.span_id),
        ("model", &mut event.model),
        ("payload_type", &mut event.payload_type),
    ];
    for (field, text) in texts {
        strings.optional(field, text, Redactor::text);
    }
    // A digest is exempt as one: what does not read as one is text.
    for (field, digest) in
        [("hold_digest", &mut event.hold_digest), ("hold_requester", &mut event.hold_requester)]
    {
        if digest.as_deref().is_some_and(|digest| !is_digest(digest)) {
            strings.optional(field, digest, Redactor::text);
        }
    }
    for factor in &mut event.risk_factors {
        strings.one("risk_factors", factor, Redactor::text);
    }
    let source = redactor.text(event.source_address.as_str());
    if let Some(masked) = strings.replaced("source_address", &source) {
        // A replacement is never empty.
        let unmasked = || event.source_address.clone();
        event.source_address = SourceAddress::new(masked).unwrap_or_else(|_| unmasked());
    }
    let resource = redactor.url(event.resource.as_str());
    if let Some(masked) = strings.replaced("resource", &resource) {
        // A replacement is never empty.
        event.resource = Resource::new(masked).unwrap_or_else(|_| event.resource.clone());
    }
    event.redactions = strings.found;
    event.redaction_rules = Some(redactor.rules().version().to_owned());
}

/// What masks strings, and what it has replaced.
struct Strings<'a> {
    redactor: &'a Redactor,
    found: Vec<Redaction>,
}

/// How one kind of string is masked.
type Mask = for<'a> fn(&Redactor, &'a str) -> Redacted<'a>;

impl Strings<'_> {
    /// Who acts is what the record is for, so personal data in it stands: an address of e-mail is
    /// often the subject itself. Secrets are masked there as anywhere.
    fn identity(&mut self, event: &mut AuditEvent) {
        let actor = self.redactor.identity(event.actor.as_str());
        if let Some(masked) = self.replaced("actor", &actor) {
            // A replacement is never empty.
            event.actor = Actor::new(masked).unwrap_or_else(|_| Actor::unverified());
        }
        let texts = [
            ("actor_issuer", &mut event.actor_issuer),
            ("on_behalf_of", &mut event.on_behalf_of),
            ("workload", &mut event.workload),
        ];
        for (field, text) in texts {
            self.optional(field, text, Redactor::identity);
        }
        for group in &mut event.actor_groups {
            self.one("actor_groups", group, Redactor::identity);
        }
    }

    fn optional(&mut self, field: &str, text: &mut Option<String>, mask: Mask) {
        if let Some(text) = text {
            self.one(field, text, mask);
        }
    }

    fn one(&mut self, field: &str, text: &mut String, mask: Mask) {
        let masked = mask(self.redactor, text);
        if let Some(masked) = self.replaced(field, &masked) {
            *text = masked;
        }
    }

    fn replaced(&mut self, field: &str, masked: &Redacted<'_>) -> Option<String> {
        if masked.findings.is_empty() {
            return None;
        }
        let rules = self.redactor.rules();
        self.found.extend(told(rules, field, &masked.text, &masked.findings));
        Some(masked.text.clone().into_owned())
    }
}

/// Whether a text is a keyed hash: 32 bytes in hex.
fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
