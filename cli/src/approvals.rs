//! `trailgate approvals`: what is held, and deciding it.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::ColumnConstraint;
use serde::Deserialize;
use serde_json::{Value, json};
use trailgate_schemas::{Approval, HoldId, HoldState, Micros, Verdict};
use trailgate_service::{Clock, SystemClock};

use crate::place::{Place, PlaceArguments};
use crate::terminal::{printable, printable_json, printable_whole, refusal, table};

/// The arguments of `trailgate approvals`.
#[derive(Args)]
pub(crate) struct ApprovalsArguments {
    #[command(subcommand)]
    command: ApprovalsCommand,
}

#[derive(Subcommand)]
enum ApprovalsCommand {
    /// List held operations that you may decide or asked for, newest first.
    List {
        /// Only those in this state; `all` for every one.
        #[arg(long, default_value = "pending")]
        state: String,
        #[command(flatten)]
        common: Common,
    },
    /// Show one held operation, as far as it may be seen.
    Show {
        /// Its id.
        id: HoldId,
        #[command(flatten)]
        common: Common,
    },
    /// Let a held operation happen, once.
    Approve {
        /// Its id.
        id: HoldId,
        #[command(flatten)]
        vote: VoteArguments,
        #[command(flatten)]
        common: Common,
    },
    /// Do not let a held operation happen.
    Deny {
        /// Its id.
        id: HoldId,
        #[command(flatten)]
        vote: VoteArguments,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args)]
struct VoteArguments {
    /// Why. It is kept, with secrets masked.
    #[arg(long)]
    reason: Option<String>,
    /// The digest that `show` shows: then nothing else is voted about.
    #[arg(long)]
    digest: Option<String>,
}

#[derive(Args)]
struct Common {
    #[command(flatten)]
    place: PlaceArguments,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t = Print::Table)]
    format: Print,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Print {
    /// For a person.
    Table,
    /// As the approver answers.
    Json,
}

/// A list as the approver answers it.
#[derive(Deserialize)]
struct Listed {
    holds: Vec<Approval>,
    complete: bool,
}

/// Runs it.
///
/// # Errors
/// If the approver can't be reached or refuses: then with what it says.
pub(crate) fn run(arguments: &ApprovalsArguments) -> anyhow::Result<()> {
    trailgate_service::install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &arguments.command {
            ApprovalsCommand::List { state, common } => list(state, common).await,
            ApprovalsCommand::Show { id, common } => show(*id, common).await,
            ApprovalsCommand::Approve { id, vote, common } => {
                cast(*id, (Verdict::Approve, vote), common).await
            }
            ApprovalsCommand::Deny { id, vote, common } => {
                cast(*id, (Verdict::Deny, vote), common).await
            }
        }
    })
}

async fn list(state: &str, common: &Common) -> anyhow::Result<()> {
    let query = match state {
        "all" => String::new(),
        word => {
            let state: HoldState = word.parse().context("--state")?;
            format!("?state={state}")
        }
    };
    let answer = ask(common, reqwest::Method::GET, &format!("/v1/holds{query}"), None).await?;
    if common.format == Print::Json {
        return print(&printable_json(&answer));
    }
    let listed: Listed = understood(&answer)?;
    print(&listing(&listed, SystemClock.now()))
}

async fn show(id: HoldId, common: &Common) -> anyhow::Result<()> {
    let answer = ask(common, reqwest::Method::GET, &format!("/v1/holds/{id}"), None).await?;
    if common.format == Print::Json {
        return print(&printable_json(&answer));
    }
    print(&showing(&understood(&answer)?))
}

async fn cast(
    id: HoldId,
    (verdict, vote): (Verdict, &VoteArguments),
    common: &Common,
) -> anyhow::Result<()> {
    let mut ballot = serde_json::Map::new();
    let said = [("reason", &vote.reason), ("digest", &vote.digest)];
    ballot.extend(
        said.into_iter()
            .filter_map(|(name, text)| text.as_ref().map(|text| (name.to_owned(), json!(text)))),
    );
    let path = format!("/v1/holds/{id}/{verdict}");
    let answer = ask(common, reqwest::Method::POST, &path, Some(Value::Object(ballot))).await?;
    if common.format == Print::Json {
        return print(&printable_json(&answer));
    }
    print(&following(&understood(&answer)?))
}

/// The body of an answer.
async fn ask(
    common: &Common,
    method: reqwest::Method,
    path: &str,
    body: Option<Value>,
) -> anyhow::Result<String> {
    let Place { url, token } = common.place.find(|dev| &dev.approver_url)?;
    if url.is_empty() {
        bail!("the folder knows no approver: start `trailgate up` again");
    }
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let mut asked = client.request(method, format!("{url}{path}")).bearer_auth(token);
    if let Some(body) = body {
        asked = asked.json(&body);
    }
    let answer = asked.send().await.map_err(reqwest::Error::without_url);
    let answer = answer.with_context(|| format!("{url} can't be reached"))?;
    let status = answer.status();
    let told = answer.text().await.map_err(|_| anyhow::anyhow!("the answer broke off"))?;
    if !status.is_success() {
        bail!("{}", refusal("the approver", status.as_u16(), &told));
    }
    Ok(told)
}

fn understood<'a, T: Deserialize<'a>>(answer: &'a str) -> anyhow::Result<T> {
    serde_json::from_str(answer).map_err(|_| anyhow::anyhow!("the answer is not understood"))
}

/// A list for a person.
fn listing(listed: &Listed, now: Micros) -> String {
    let mut table = table();
    table.set_header(["id", "state", "asked by", "what", "rule", "left"]);
    for Approval { hold, state, .. } in &listed.holds {
        let what = [hold.method.as_deref(), Some(&hold.resource)];
        let what: Vec<&str> = what.into_iter().flatten().collect();
        let left = match state {
            HoldState::Pending => seconds(hold.expires_at.since(now)),
            _ => String::new(),
        };
        table.add_row([
            hold.hold_id.to_string(),
            state.to_string(),
            printable(&hold.requester.subject),
            printable(&what.join(" ")),
            printable(&hold.rule),
            left,
        ]);
    }
    // An id that is cut into lines can't be copied.
    if let Some(ids) = table.column_mut(0) {
        ids.set_constraint(ColumnConstraint::ContentWidth);
    }
    let count = listed.holds.len();
    let ones = if count == 1 { "hold" } else { "holds" };
    let more = if listed.complete { "" } else { ", and there are more that are not shown" };
    format!("{table}\n{count} {ones}{more}")
}

/// One hold for a person.
fn showing(approval: &Approval) -> String {
    let hold = &approval.hold;
    let mut lines = Vec::new();
    let mut line = |name: &str, text: Option<&str>| {
        lines.extend(text.map(|text| format!("{name:<12} {}", behind(13, &printable(text)))));
    };
    line("id", Some(&hold.hold_id.to_string()));
    line("state", Some(approval.state.word()));
    line("asked by", Some(&hold.requester.subject));
    line("issuer", Some(&hold.requester.issuer));
    line("groups", Some(&hold.requester_groups.join(", ")));
    line("from", Some(&hold.source_address));
    line("connection", Some(&hold.connection));
    line("operation", hold.operation.as_deref());
    line("method", hold.method.as_deref());
    line("path", hold.path.as_deref());
    line("thread", hold.thread_id.map(|id| id.to_string()).as_deref());
    line("rule", Some(&hold.rule));
    line("reviewers", Some(&hold.reviewers.join(", ")));
    line("digest", Some(&hold.digest));
    if let Some(decision) = &approval.decision {
        let by = decision.decided_by.as_ref().map_or("nobody", |person| &person.subject);
        line("decided by", Some(by));
        line("reason", decision.reason.as_deref());
    }
    let headers = hold.headers.as_deref().map(printable_whole);
    lines.extend(headers.map(|headers| format!("\nheaders\n  {}", behind(2, &headers))));
    lines.push(body(approval));
    lines.join("\n")
}

/// Text whose own lines stand behind so many spaces: none of them looks like a line of ours.
fn behind(spaces: usize, text: &str) -> String {
    text.replace('\n', &format!("\n{:spaces$}", ""))
}

fn body(approval: &Approval) -> String {
    let hold = &approval.hold;
    let masked = match hold.redactions {
        0 => String::new(),
        count => format!(", {count} places masked"),
    };
    let cut = if hold.truncated { ", less is shown than is held" } else { "" };
    let of = hold.payload_type.as_deref().map(printable).unwrap_or_default();
    match (&hold.payload, &hold.payload_reason, hold.payload_bytes) {
        (Some(payload), _, bytes) => {
            let bytes = bytes.map(|bytes| format!(", {bytes} bytes")).unwrap_or_default();
            let shown = printable_whole(payload);
            format!("\nbody {of}{bytes}{masked}{cut}\n  {}", behind(2, &shown))
        }
        (None, Some(reason), _) => format!("\nbody {of}, not shown: {}", printable(reason)),
        (None, None, Some(0) | None) => "\nno body".to_owned(),
        (None, None, Some(bytes)) => format!("\nbody {of}, {bytes} bytes, not shown"),
    }
}

/// What followed from a vote, for a person.
fn following(approval: &Approval) -> String {
    let id = approval.hold.hold_id;
    match approval.state {
        HoldState::Pending => format!("{id}: your vote is on the record; nothing is decided yet"),
        state => format!("{id}: {state}"),
    }
}

fn seconds(left: Duration) -> String {
    match left.as_secs() {
        0 => "0 s".to_owned(),
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

#[expect(clippy::print_stdout, reason = "this is what the command answers")]
fn print(text: &str) -> anyhow::Result<()> {
    println!("{text}");
    Ok(())
}

/// Longer than the approver keeps who votes waiting.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn approval() -> Approval {
        let hold = json!({
            "hold_id": "01a207e7-3b33-7212-8090-ee2cd8226ffe",
            "claim": "01a207e7-3b33-7212-8090-ee2cd8226fff",
            "digest": "d1", "requester": {"issuer": "https://id", "subject": "alice\u{1b}[2J"},
            "requester_groups": [], "rule": "payments", "rule_version": "v1",
            "reviewers": ["reviewers"], "held_at": 0, "expires_at": 60_000_000,
            "tenant": "default", "connection": "payments",
            "session_id": "01a207e7-3b33-7212-8090-ee2cd8226ffd", "session_rule": "caller",
            "stream_id": "01a207e7-3b33-7212-8090-ee2cd8226ffc", "source_address": "192.0.2.1",
            "resource": "payments/transfers", "method": "POST", "path": "/transfers",
            "headers": null, "payload_type": "application/json",
            "payload": "{\"to\":\"\u{202e}\u{1b}]0;x\u{7}\"}", "payload_bytes": 20,
            "redactions": 2, "truncated": true,
        });
        let approval = json!({"hold": hold, "state": "pending", "changed_at": 0});
        serde_json::from_value(approval).unwrap()
    }

    #[test]
    fn what_is_held_can_not_steer_the_terminal_of_who_decides() {
        let listed = Listed { holds: vec![approval()], complete: false };
        for shown in [showing(&approval()), listing(&listed, Micros(0)), following(&approval())] {
            let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!shown.contains(steers), "{shown}");
        }
    }

    #[test]
    fn a_person_sees_what_is_held_by_whom_and_that_not_all_is_shown() {
        let shown = showing(&approval());
        for wanted in ["alice", "POST", "/transfers", "payments", "d1", "2 places masked"] {
            assert!(shown.contains(wanted), "{wanted}: {shown}");
        }
        assert!(shown.contains("less is shown than is held"), "{shown}");
        let listed = Listed { holds: vec![approval()], complete: false };
        let shown = listing(&listed, Micros(1_000_000));
        assert!(shown.contains("59 s") && shown.contains("there are more"), "{shown}");
    }

    #[test]
    fn who_voted_is_told_what_followed() {
        let mut approval = approval();
        assert!(following(&approval).ends_with("nothing is decided yet"));
        approval.state = HoldState::Approved;
        assert!(following(&approval).ends_with(": approved"));
    }
}
