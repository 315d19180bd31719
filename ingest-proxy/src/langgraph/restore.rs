//! Writing run objects back to what the client asked for, in JSON answers: the server echoes a
//! run's stream fields, and they must be the client's. What was asked stands in the run's own
//! metadata, so this needs no memory of the run.

use std::borrow::Cow;

use super::json::{self, Broken, ObjectWriter};
use super::plan::{ASKED_KEY, Injected, StripPlan};
use super::scrub::scrub;

/// The answer as it would be without the gateway: a run object, or an array of them. Anything else
/// comes back with no more than the gateway's metadata keys taken out.
#[must_use]
pub fn restore_runs(body: &[u8]) -> Cow<'_, [u8]> {
    let restored = std::str::from_utf8(body).ok().and_then(|text| {
        if json::is_array(text) { restored_list(text) } else { restored_run(text) }
    });
    match restored {
        None => scrub(body),
        Some(text) => match scrub(text.as_bytes()) {
            Cow::Owned(scrubbed) => Cow::Owned(scrubbed),
            Cow::Borrowed(_) => Cow::Owned(text.into_bytes()),
        },
    }
}

/// The plan of the run whose object this is, as its metadata has it.
#[must_use]
pub fn plan_of_run(body: &[u8]) -> Option<StripPlan> {
    let run = RunText::read(std::str::from_utf8(body).ok()?).ok()?;
    run.asked().map(StripPlan::Injected)
}

fn restored_list(text: &str) -> Option<String> {
    let mut is_changed = false;
    let mut list = String::with_capacity(text.len());
    list.push('[');
    json::elements(text, |element| {
        if list.len() > 1 {
            list.push(',');
        }
        match restored_run(element) {
            Some(run) => {
                is_changed = true;
                list.push_str(&run);
            }
            None => list.push_str(element),
        }
    })
    .ok()?;
    list.push(']');
    is_changed.then_some(list)
}

fn restored_run(text: &str) -> Option<String> {
    let run = RunText::read(text).ok()?;
    let kwargs = restored_kwargs(run.kwargs?, &run.asked()?).ok()?;
    let mut writer = ObjectWriter::with_capacity(text.len());
    json::members(text, |member| {
        let value = if member.key == "kwargs" { kwargs.as_str() } else { member.value };
        writer.member(member.raw_key, value);
    })
    .ok()?;
    Some(writer.finish())
}

fn restored_kwargs(text: &str, asked: &Injected) -> Result<String, Broken> {
    let modes: Vec<String> = asked.modes.iter().map(|mode| format!("\"{mode}\"")).collect();
    let modes = format!("[{}]", modes.join(","));
    let mut writer = ObjectWriter::with_capacity(text.len());
    json::members(text, |member| {
        let value = match member.key.as_ref() {
            "stream_mode" => modes.as_str(),
            "subgraphs" if asked.subgraphs.forced => asked.subgraphs.asked.echo(),
            "resumable" if asked.resumable.forced => asked.resumable.asked.echo(),
            _ => member.value,
        };
        writer.member(member.raw_key, value);
    })?;
    Ok(writer.finish())
}

/// The members of a run object that matter here.
struct RunText<'t> {
    metadata: Option<&'t str>,
    kwargs: Option<&'t str>,
}

impl<'t> RunText<'t> {
    fn read(text: &'t str) -> Result<Self, Broken> {
        let [metadata, kwargs] = objects(text, ["metadata", "kwargs"])?;
        Ok(Self { metadata, kwargs })
    }

    /// What was asked; where a list was asked for without metadata, `kwargs` has it too.
    fn asked(&self) -> Option<Injected> {
        let own = self.metadata.and_then(asked_in);
        own.or_else(|| {
            let [config] = objects(self.kwargs?, ["config"]).ok()?;
            let [metadata] = objects(config?, ["metadata"]).ok()?;
            asked_in(metadata?)
        })
    }
}

/// The named members of an object, where they are objects.
fn objects<'t, const N: usize>(
    text: &'t str,
    keys: [&str; N],
) -> Result<[Option<&'t str>; N], Broken> {
    let mut found = [None; N];
    json::members(text, |member| {
        if let Some(at) = keys.iter().position(|key| *key == member.key)
            && json::is_object(member.value)
        {
            found[at] = Some(member.value);
        }
    })?;
    Ok(found)
}

fn asked_in(metadata: &str) -> Option<Injected> {
    let mut asked = None;
    json::members(metadata, |member| {
        if member.key == ASKED_KEY {
            asked = json::string(member.value).and_then(|text| Injected::from_text(&text));
        }
    })
    .ok()?;
    asked
}

#[cfg(test)]
mod tests;
