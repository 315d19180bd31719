//! `trailgate refused`: what the masker did not take, and sending it again.
//!
//! Only headers and reasons are shown: what is sealed stays sealed. A retry is a record of its own on
//! `audit.raw`, under the operator's key, that carries the sealed original; the masker reads that anew.

mod retry;
mod shelf;

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};
use comfy_table::ColumnConstraint;
use serde_json::{Value, json};

use self::retry::retry;
use self::shelf::{Found, PlaceOf, Shelf};
use crate::terminal::{printable, table};

/// The arguments of `trailgate refused`.
#[derive(Args)]
pub(crate) struct RefusedArguments {
    #[command(subcommand)]
    command: RefusedCommand,
}

#[derive(Subcommand)]
enum RefusedCommand {
    /// List what was refused, newest last.
    List {
        /// Only what was refused for this reason.
        #[arg(long)]
        reason: Option<String>,
        /// At most so many, the newest.
        #[arg(long, default_value_t = LIST_DEFAULT)]
        limit: usize,
        #[command(flatten)]
        common: Common,
    },
    /// Show header and reason of one.
    Show {
        /// Its place on `audit.refused`, as `list` tells it: PARTITION-OFFSET.
        place: PlaceOf,
        #[command(flatten)]
        common: Common,
    },
    /// Send sealed originals to the masker again, once the rule or key is mended.
    Retry {
        /// Their places on `audit.refused`.
        #[arg(required_unless_present = "reason")]
        places: Vec<PlaceOf>,
        /// All that were refused for this reason.
        #[arg(long, conflicts_with = "places")]
        reason: Option<String>,
        #[command(flatten)]
        common: Common,
    },
}

/// Where the topics are.
#[derive(Args)]
pub(crate) struct Common {
    /// A configuration file with the sections `[backbone]` and `[keys]`, such as a stage's.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The folder of a `trailgate up` that does not run now.
    #[arg(long, default_value = "trailgate-data", conflicts_with = "config")]
    data: PathBuf,
    /// As JSON, an object for each line.
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// If the topics can't be read, a place holds nothing, or something was not sent again.
pub(crate) fn run(arguments: &RefusedArguments) -> anyhow::Result<()> {
    trailgate_service::install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        match &arguments.command {
            RefusedCommand::List { reason, limit, common } => {
                let found = Shelf::open(common).await?.newest(reason.as_deref(), *limit).await?;
                print(&if common.json { lines(&found) } else { listing(&found) })
            }
            RefusedCommand::Show { place, common } => {
                let found = Shelf::open(common).await?.at(&[*place]).await?;
                print(&if common.json { lines(&found) } else { showing(&found) })
            }
            RefusedCommand::Retry { places, reason, common } => {
                let mut shelf = Shelf::open(common).await?;
                let places = match reason {
                    Some(reason) => shelf.places(reason).await?,
                    None => places.clone(),
                };
                if places.is_empty() {
                    bail!("nothing was refused for that reason");
                }
                let sent = retry(&mut shelf, &places).await?;
                print(&format!("{sent} sent again; what comes of it is an event payload_recovered"))
            }
        }
    });
    runtime.shutdown_background();
    done
}

fn listing(found: &[Found]) -> String {
    let mut table = table();
    table.set_header(["place", "refused at", "reason", "kind", "event", "session"]);
    for one in found {
        let header = one.header.as_ref();
        let of = |text: Option<String>| text.unwrap_or_default();
        table.add_row([
            one.place.to_string(),
            one.time(),
            printable(&one.refused.reason),
            of(header.map(|header| header.kind.to_string())),
            of(header.map(|header| header.event_id.to_string())),
            of(header.map(|header| header.session_id.to_string())),
        ]);
    }
    for column in [0, 4] {
        if let Some(ids) = table.column_mut(column) {
            ids.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    format!("{table}\n{} refused", found.len())
}

fn showing(found: &[Found]) -> String {
    let mut lines = Vec::new();
    for one in found {
        let Value::Object(fields) = told(one) else { continue };
        for (name, value) in fields {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            lines.push(format!("{name:<16} {}", printable(&text)));
        }
    }
    lines.join("\n")
}

fn lines(found: &[Found]) -> String {
    found.iter().map(|one| told(one).to_string()).collect::<Vec<_>>().join("\n")
}

/// What may be told of one. Nothing of a header proves itself: it is as somebody wrote it.
fn told(one: &Found) -> Value {
    let mut told = json!({
        "place": one.place.to_string(),
        "refused_at": one.time(),
        "reason": one.refused.reason,
        "raw_partition": one.refused.partition,
        "raw_offset": one.refused.offset,
        "sealed_bytes": one.refused.sealed.len(),
    });
    if let (Some(header), Value::Object(told)) = (&one.header, &mut told) {
        let header = json!({
            "kind": header.kind,
            "event_id": header.event_id,
            "session_id": header.session_id,
            "stream_id": header.stream_id,
            "stream_seq": header.stream_seq,
            "producer_id": header.producer_id,
            "producer_number": header.producer_number,
            "gateway_time": header.gateway_time,
            "sender_key_id": header.sender_key_id,
            "opening_key_id": header.opening_key_id,
            "schema_id": header.schema_id,
        });
        if let Value::Object(header) = header {
            told.extend(header);
        }
    }
    told
}

#[expect(clippy::print_stdout, reason = "this is what the command answers")]
fn print(text: &str) -> anyhow::Result<()> {
    println!("{text}");
    Ok(())
}

/// As many as a person reads.
const LIST_DEFAULT: usize = 100;
