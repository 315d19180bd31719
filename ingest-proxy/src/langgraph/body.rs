//! Rewriting an object: reserved members out, a few values changed, all else as it stands.

use super::json::{self, Broken, ObjectWriter};
use super::reserved::Reserved;

/// How an object inside a body is cleaned.
#[derive(Clone, Copy)]
pub(super) enum Cleaning {
    /// Its own members.
    Members(Reserved),
    /// Those of the objects `metadata` and `configurable` in it.
    Config(Reserved),
}

impl Cleaning {
    pub(super) fn clean(self, text: &str) -> Result<(String, u32), Broken> {
        match self {
            Self::Members(reserved) => cleaned(text, reserved, &[]),
            Self::Config(metadata) => cleaned_members(
                text,
                [
                    ("metadata", Self::Members(metadata)),
                    ("configurable", Self::Members(Reserved::Configurable)),
                ],
            ),
        }
    }
}

pub(super) const CLEANED_RUN: [(&str, Cleaning); 4] = [
    ("metadata", Cleaning::Members(Reserved::RunMetadata)),
    ("config", Cleaning::Config(Reserved::RunMetadata)),
    ("context", Cleaning::Members(Reserved::Configurable)),
    ("checkpoint", Cleaning::Members(Reserved::Configurable)),
];

pub(super) const CLEANED_OWNER: [(&str, Cleaning); 3] = [
    ("metadata", Cleaning::Members(Reserved::OwnerMetadata)),
    ("config", Cleaning::Config(Reserved::OwnerMetadata)),
    ("context", Cleaning::Members(Reserved::Configurable)),
];

/// The object with the named members cleaned, where they are objects.
pub(super) fn cleaned_members<const N: usize>(
    text: &str,
    cleanings: [(&'static str, Cleaning); N],
) -> Result<(String, u32), Broken> {
    let found = Found::read(text, cleanings.map(|(key, _)| key))?;
    let mut changes = Changes::default();
    let mut forged = 0;
    for (key, what) in cleanings {
        if let Some(value) = found.value(key).filter(|value| json::is_object(value)) {
            let (text, removed) = what.clean(value)?;
            forged += removed;
            changes.set(key, text);
        }
    }
    Ok((found.rewrite(text, changes)?, forged))
}

/// The object without the reserved members, with `added` at its end.
pub(super) fn cleaned(
    text: &str,
    reserved: Reserved,
    added: &[(&str, String)],
) -> Result<(String, u32), Broken> {
    let mut writer = ObjectWriter::with_capacity(text.len() + 128);
    let mut removed = 0;
    json::members(text, |member| {
        if reserved.holds(&member.key) {
            removed += 1;
        } else {
            writer.member(member.raw_key, member.value);
        }
    })?;
    for (key, value) in added {
        writer.member(&quoted(key), value);
    }
    Ok((writer.finish(), removed))
}

/// The members of an object that matter, each by its last occurrence.
pub(super) struct Found<'t, const N: usize> {
    keys: [&'static str; N],
    last: [Option<(usize, &'t str)>; N],
}

/// New values for members that were found, or are to be added.
#[derive(Default)]
pub(super) struct Changes(Vec<(&'static str, String)>);

impl Changes {
    pub(super) fn set(&mut self, key: &'static str, value: String) {
        self.0.push((key, value));
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(changed, _)| *changed == key)?;
        Some(self.0.remove(at).1)
    }
}

impl<'t, const N: usize> Found<'t, N> {
    pub(super) fn read(text: &'t str, keys: [&'static str; N]) -> Result<Self, Broken> {
        let mut last = [None; N];
        let mut index = 0;
        json::members(text, |member| {
            if let Some(at) = keys.iter().position(|key| *key == member.key) {
                last[at] = Some((index, member.value));
            }
            index += 1;
        })?;
        Ok(Self { keys, last })
    }

    pub(super) fn value(&self, key: &str) -> Option<&'t str> {
        let at = self.keys.iter().position(|known| *known == key)?;
        self.last[at].map(|(_, value)| value)
    }

    pub(super) fn string(&self, key: &str) -> Option<String> {
        self.value(key).and_then(json::string).map(|text| text.into_owned())
    }

    /// The object with the changes in their place, or at its end, and with no key of ours twice.
    pub(super) fn rewrite(&self, text: &str, mut changes: Changes) -> Result<String, Broken> {
        let mut writer = ObjectWriter::with_capacity(text.len() + 256);
        let mut index = 0;
        json::members(text, |member| {
            let at = self.keys.iter().position(|key| *key == member.key);
            let last = at.and_then(|at| self.last[at]).map(|(last, _)| last);
            if last.is_none_or(|last| last == index) {
                let changed = changes.take(&member.key);
                writer.member(member.raw_key, changed.as_deref().unwrap_or(member.value));
            }
            index += 1;
        })?;
        for (key, value) in changes.0 {
            writer.member(&quoted(key), &value);
        }
        Ok(writer.finish())
    }
}

/// The text as a JSON string; only ever for texts of ours, which need no escaping.
pub(super) fn quoted(text: &str) -> String {
    debug_assert!(text.bytes().all(|byte| byte != b'"' && byte != b'\\' && byte >= b' '));
    format!("\"{text}\"")
}
