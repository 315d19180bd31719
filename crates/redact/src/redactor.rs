//! Masking of whole texts, by what they are.

use std::ops::Range;
use std::sync::Arc;

use crate::form::FormStream;
use crate::json::JsonStream;
use crate::key_name::NameClass;
use crate::limits::NESTING_MAX;
use crate::name_memo::remembered;
use crate::pem;
use crate::prefilter::Block;
use crate::redacted::{Length, Out, Redacted, Withheld};
use crate::rules::{Class, Rules, Severity};
use crate::scan::{self, Hit, HitName, resolve, scan};
use crate::shape::{Shape, looks_like_json};
use crate::stream::{StreamError, StreamRedactor};
use crate::table::Table;
use crate::token::{FORGED, TokenKey, is_tokens};

/// Masks texts under one set of rules and one token key. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Redactor {
    rules: Arc<Rules>,
    key: TokenKey,
    names: Names,
}

/// Names of what is found without a rule of the data file.
#[derive(Clone, Debug)]
struct Names {
    pem: Arc<str>,
    password: Arc<str>,
    code: Arc<str>,
    secret: Arc<str>,
    held: Arc<str>,
    forged: Arc<str>,
}

impl Redactor {
    /// Masks by `rules`, with tokens under `key`.
    #[must_use]
    pub fn new(rules: Arc<Rules>, key: TokenKey) -> Self {
        let names = Names {
            pem: pem::RULE.into(),
            password: NameClass::Password.rule().into(),
            code: NameClass::Code.rule().into(),
            secret: NameClass::Secret.rule().into(),
            held: HELD.into(),
            forged: FORGED.into(),
        };
        Self { rules, key, names }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Masks plain text: prose, code, a path, an error, a name.
    ///
    /// ```
    /// use trailgate_redact::{Redactor, Rules, TokenKey};
    /// let redactor = Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]));
    /// let masked = redactor.text("password=hunter2 for ada@example.com");
    /// assert!(!masked.text.contains("hunter2"));
    /// assert_eq!(masked.findings.len(), 2);
    /// assert_eq!(redactor.text("nothing here").text, "nothing here");
    /// ```
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Redacted<'a> {
        self.part(&mut self.block(text), text, 0)
    }

    /// Masks a part of a block, which begins at `from`, as a text of its own.
    fn part<'a>(&self, block: &mut Block<'_>, text: &'a str, from: usize) -> Redacted<'a> {
        let mut out = Out::default();
        let mut hits = scan::scan_part(&self.rules, block, text, from);
        hits.extend(self.forged(text));
        Table::default().scan(self, text, &mut hits);
        let mut spans = resolve(&hits);
        if spans.is_empty() {
            spans = self.alone(text);
        }
        if spans.is_empty() {
            return Redacted::clean(text);
        }
        self.spans_into(text, 0..text.len(), &spans, &mut out);
        Redacted::of(text, out)
    }

    /// Masks who somebody is: a subject, an issuer, a group. Personal data stands, an address of e-mail
    /// is often the subject itself, and telling who acted is what a record is for; secrets are masked
    /// as anywhere.
    #[must_use]
    pub fn identity<'a>(&self, text: &'a str) -> Redacted<'a> {
        let masked = self.text(text);
        let is_personal = masked.findings.iter().all(|finding| finding.class.is_personal());
        if is_personal { Redacted::clean(text) } else { masked }
    }

    /// Masks a JSON document, or several one after the other. Never fails: what is no JSON is
    /// masked as text.
    #[must_use]
    pub fn json<'a>(&self, text: &'a str) -> Redacted<'a> {
        self.json_at(text, 0, None)
    }

    /// Masks a URL, or its path and query.
    #[must_use]
    pub fn url<'a>(&self, url: &'a str) -> Redacted<'a> {
        let Some((path, query)) = url.split_once('?') else { return self.text(url) };
        let mut out = Out::default();
        out.append(&self.text(path));
        out.text.push('?');
        FormStream::default().push(self, query, true, &mut out);
        Redacted::of(url, out)
    }

    /// Masks a whole body of a known shape.
    #[must_use]
    pub fn body<'a>(&self, shape: Shape, body: &'a str) -> Redacted<'a> {
        let out = self.stream(shape).push_last(body);
        Redacted::of(body, out)
    }

    /// Masks a body that comes in pieces.
    #[must_use]
    pub fn stream(&self, shape: Shape) -> StreamRedactor {
        StreamRedactor::new(self.clone(), shape)
    }

    /// A body of which nothing comes out: what came of it can't be gone on with.
    #[must_use]
    pub fn withheld(&self, why: Withheld) -> StreamRedactor {
        StreamRedactor::withheld(self.clone(), why)
    }

    /// What is to be looked up of a text.
    pub(crate) fn block<'t>(&'t self, text: &'t str) -> Block<'t> {
        Block::new(&self.rules.anchors, text)
    }

    /// Whether nothing can be found in a part of a block, as [`scan::is_quiet`] has it.
    pub(crate) fn is_quiet(&self, block: &mut Block<'_>, text: &str, from: usize) -> bool {
        scan::is_quiet(&self.rules, block, text, from)
    }

    /// Goes on with a body whose state was kept by [`StreamRedactor::to_bytes`].
    ///
    /// # Errors
    /// [`StreamError`] if the bytes are no such state.
    pub fn resume(&self, state: &[u8]) -> Result<StreamRedactor, StreamError> {
        StreamRedactor::from_bytes(self.clone(), state)
    }

    fn json_at<'a>(&self, text: &'a str, depth: usize, outer: Option<NameClass>) -> Redacted<'a> {
        let mut out = Out::default();
        JsonStream::at(depth, outer).push(self, text, true, &mut out);
        Redacted::of(text, out)
    }

    /// Masks the value of a field whose name may say that it is a secret.
    pub(crate) fn field<'a>(
        &self,
        text: &'a str,
        class: Option<NameClass>,
        depth: usize,
    ) -> Redacted<'a> {
        self.field_of(text, class, depth, None)
    }

    /// The same of a value that may be a part of a block, from a place on.
    pub(crate) fn field_of<'a>(
        &self,
        text: &'a str,
        class: Option<NameClass>,
        depth: usize,
        part: Option<(&mut Block<'_>, usize)>,
    ) -> Redacted<'a> {
        if let Some(class) = class.filter(|class| class.fits(text)) {
            return self.secret(text, class);
        }
        if depth < NESTING_MAX && text.len() > 1 && is_json(text) {
            return self.json_at(text, depth + 1, class);
        }
        match part {
            Some((block, from)) => self.part(block, text, from),
            None => self.text(text),
        }
    }

    pub(crate) fn classify(&self, name: &str) -> Option<NameClass> {
        remembered(self.rules.number, name, || self.rules.names.classify(name))
    }

    pub(crate) fn classify_path(&self, path: &str) -> Option<NameClass> {
        self.rules.names.classify_path(path)
    }

    /// Replaces all of a value but its scheme. A rule that knows all of it gives the name.
    fn secret<'a>(&self, text: &'a str, class: NameClass) -> Redacted<'a> {
        let scheme = SCHEMES.iter().find_map(|scheme| {
            let head = text.get(..scheme.len())?;
            let is_scheme = head.eq_ignore_ascii_case(scheme);
            (is_scheme && text.len() > scheme.len()).then_some(scheme.len())
        });
        let span = scheme.unwrap_or(0)..text.len();
        let mut hits = self.scan(text);
        if is_tokens(&text[span.clone()]) {
            // What was masked stands, but for what only looks so.
            hits.retain(|hit| hit.name == HitName::Named(FORGED));
            let mut out = Out::default();
            self.spans_into(text, 0..text.len(), &resolve(&hits), &mut out);
            return Redacted::of(text, out);
        }
        let spans = resolve(&hits);
        let name = spans.iter().find(|(found, _)| *found == span).map(|(_, name)| *name);
        let mut out = Out::default();
        let name = name.unwrap_or(HitName::Named(class.rule()));
        self.spans_into(text, 0..text.len(), &[(span, name)], &mut out);
        Redacted::of(text, out)
    }

    /// Appends `text[range]` with its part of each span replaced.
    pub(crate) fn spans_into(
        &self,
        text: &str,
        range: Range<usize>,
        spans: &[(Range<usize>, HitName)],
        out: &mut Out,
    ) {
        let mut done = range.start;
        for (span, name) in spans {
            let (start, end) = (span.start.max(done), span.end.min(range.end));
            if start >= end {
                continue;
            }
            out.text.push_str(&text[done..start]);
            self.replace(*name, &text[start..end], out);
            done = end;
        }
        out.text.push_str(&text[done..range.end]);
    }

    pub(crate) fn replace(&self, name: HitName, secret: &str, out: &mut Out) {
        let rule = self.name(name);
        let (class, severity) = match name {
            HitName::Rule(index) => {
                let rule = &self.rules.rules[index];
                (rule.class, rule.severity)
            }
            HitName::Pem => (Class::Credential, Severity::Critical),
            HitName::Named(_) => (Class::Credential, Severity::High),
        };
        let about = (class, severity, Length::of(secret));
        out.replace(rule, about, &self.key.token(rule, class, secret));
    }

    /// Says that something was left out.
    pub(crate) fn withhold(&self, why: Withheld, out: &mut Out) {
        let rule: Arc<str> = why.code().into();
        let about = (Class::Credential, Severity::High, Length::default());
        out.replace(&rule, about, &format!("[withheld:{rule}]"));
    }

    /// What is found in a text by the rules, and what only looks like a token.
    pub(crate) fn scan(&self, text: &str) -> Vec<Hit> {
        let mut hits = scan(&self.rules, text);
        hits.extend(self.forged(text));
        hits
    }

    /// What has the form of a token that this key did not make.
    fn forged(&self, text: &str) -> impl Iterator<Item = Hit> {
        self.key.forged(text).into_iter().map(|token| Hit {
            whole: token.clone(),
            secret: token,
            name: HitName::Named(FORGED),
            holds: true,
        })
    }

    /// The spans in a whole text that is a value and nothing else.
    pub(crate) fn alone(&self, text: &str) -> Vec<(Range<usize>, HitName)> {
        self.rules.alone.find(&self.rules.rules, text)
    }

    fn name(&self, name: HitName) -> &Arc<str> {
        match name {
            HitName::Pem => &self.names.pem,
            HitName::Rule(index) => &self.rules.rules[index].id,
            HitName::Named(word) => match word {
                _ if word == &*self.names.password => &self.names.password,
                _ if word == &*self.names.code => &self.names.code,
                _ if word == HELD => &self.names.held,
                _ if word == FORGED => &self.names.forged,
                _ => &self.names.secret,
            },
        }
    }
}

/// Whether a string in JSON is JSON itself. What only begins with a quote is prose or code, in which
/// a name counts for the string behind it.
fn is_json(text: &str) -> bool {
    let begun = text.trim();
    if begun.starts_with('"') {
        return begun.len() > 1 && serde_json::from_str::<serde::de::IgnoredAny>(begun).is_ok();
    }
    looks_like_json(begun)
}

/// Told where the end of a text was replaced because it had to come out before its end was seen.
pub(crate) const HELD: &str = "held";

const SCHEMES: &[&str] = &["bearer ", "basic ", "token ", "digest ", "apikey ", "negotiate "];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_masked_already_stands() {
        let redactor = Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]));
        let clear =
            "password=hunter2-hunter2 and github_token: 9f86d081884c7d65 for ada@example.com";
        let masked = redactor.text(clear).text.into_owned();
        assert!(masked.contains("[password:") && masked.contains("[email:"), "{masked}");
        assert_eq!(redactor.text(&masked).text, masked);
        for rule in ["password", "github_token", "secret"] {
            let token = &redactor.key.token(rule, Class::Credential, "hunter2");
            assert_eq!(redactor.text(token).text, *token);
            assert_eq!(
                redactor.url(&format!("/x?token={token}")).text,
                format!("/x?token={token}")
            );
        }
        assert_ne!(redactor.text("[password:hunter2-hunter2]").text, "[password:hunter2-hunter2]");
        let json = r#"{"password":"Bearer hunter2 hunter2"}"#;
        let masked = redactor.json(json).text.into_owned();
        assert_eq!(redactor.json(&masked).text, masked);
    }

    #[test]
    fn a_forged_token_is_marked_in_every_shape_and_the_mark_stands() {
        let redactor = Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]));
        let genuine = redactor.key.token("github_token", Class::Credential, "hunter2");
        let other = TokenKey::new(&[8; 32]).token("github_token", Class::Credential, "hunter2");
        for forged in
            [&other, "[password:0123456701234567012345670123.89abcdef]", "[github_token:1f0c9a77]"]
        {
            for (shape, text) in [
                (Shape::Text, format!("so {forged} it {genuine} is")),
                (Shape::Text, format!("password={forged} {genuine}")),
                (
                    Shape::Json,
                    format!(r#"{{"a":"x{forged}","b":["{genuine}"],"password":"{forged}"}}"#),
                ),
                (Shape::Json, format!(r#"{{"authorization":"Bearer {forged}","x":"{genuine}"}}"#)),
                (Shape::Form, format!("a={forged}&token={forged}&x={genuine}")),
                (Shape::Sse, format!("data: {{\"a\":\"{forged}\"}}\ndata: {genuine}\n\n")),
                (Shape::Text, format!("id,password\n1,{forged}\n{genuine},{genuine}")),
            ] {
                let masked = redactor.body(shape.clone(), &text);
                assert!(!masked.text.contains(forged), "{}", masked.text);
                assert!(masked.text.contains("[forged:"), "{}", masked.text);
                assert!(masked.text.contains(&genuine), "{}", masked.text);
                assert!(masked.findings.iter().all(|finding| &*finding.rule == FORGED));
                assert_eq!(redactor.body(shape, &masked.text).text, masked.text);
            }
        }
    }

    #[test]
    fn who_somebody_is_stands_unless_it_is_a_secret() {
        let redactor = Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]));
        for who in ["ada@example.com", "https://id.example/realms/main", "reviewers"] {
            assert_eq!(redactor.identity(who).text, who);
        }
        assert!(!redactor.identity("password=hunter2-hunter2").text.contains("hunter2"));
    }
}
