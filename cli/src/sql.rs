//! `trailgate sql`: asks the query stage and prints a table.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use arrow::ipc::reader::StreamReader;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use comfy_table::Table;
use http_body_util::BodyExt;

use crate::place::{Place, PlaceArguments};
use crate::terminal::{printable, refusal, table};

/// The arguments of `trailgate sql`.
#[derive(Args)]
pub(crate) struct SqlArguments {
    /// The statement.
    statement: String,
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
    /// A JSON object a row; the last one says until when the answer is complete.
    Json,
    /// CSV.
    Csv,
}

/// Runs it.
///
/// # Errors
/// If the query stage can't be reached or refuses the statement: then with what it says.
pub(crate) fn run(arguments: &SqlArguments) -> anyhow::Result<()> {
    trailgate_service::install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ask(arguments))
}

async fn ask(arguments: &SqlArguments) -> anyhow::Result<()> {
    let Place { url, token } = arguments.place.find(|dev| &dev.query_url)?;
    let accept = match arguments.format {
        Print::Table => "application/vnd.apache.arrow.stream",
        Print::Json => "application/x-ndjson",
        Print::Csv => "text/csv",
    };
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let asked = client
        .post(format!("{url}/v1/sql"))
        .bearer_auth(token)
        .header("accept", accept)
        .header("content-type", "application/sql")
        .header("te", "trailers")
        .body(arguments.statement.clone());
    let answer = asked.send().await.map_err(reqwest::Error::without_url);
    let answer = answer.with_context(|| format!("{url} can't be reached"))?;
    if !answer.status().is_success() {
        let status = answer.status();
        let told = answer.text().await.unwrap_or_default();
        bail!("{}", refusal("query", status.as_u16(), &told));
    }
    // A length that somebody else's answer seems to begin with must not decide how much memory is
    // taken.
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with(accept)) {
        bail!("{url} is not where a query stage answers");
    }
    let answer = Answer::read(answer).await?;
    match arguments.format {
        Print::Table => print_table(&answer),
        Print::Json | Print::Csv => Ok(std::io::stdout().write_all(&answer.body)?),
    }?;
    // JSON lines say so themselves.
    if answer.is_cut && arguments.format == Print::Csv {
        bail!("there are more rows than an answer may have: these are the first");
    }
    Ok(())
}

/// A whole answer, and what it says of itself.
struct Answer {
    body: Bytes,
    complete_until: Option<String>,
    tail: Option<String>,
    is_cut: bool,
}

impl Answer {
    async fn read(answer: reqwest::Response) -> anyhow::Result<Self> {
        let (head, body) = http::Response::from(answer).into_parts();
        let read = body.collect().await.map_err(|_| anyhow::anyhow!(BROKE_OFF))?;
        let trailer = |name: &str| read.trailers()?.get(name)?.to_str().ok().map(str::to_owned);
        if let Some(code) = trailer("trailgate-error") {
            bail!("{BROKE_OFF}: {code}");
        }
        let header = |name: &str| head.headers.get(name)?.to_str().ok().map(str::to_owned);
        Ok(Self {
            complete_until: header("trailgate-complete-until"),
            tail: header("trailgate-tail"),
            is_cut: trailer("trailgate-cut").as_deref() == Some("true"),
            body: read.to_bytes(),
        })
    }
}

#[expect(clippy::print_stdout, reason = "this is what the command answers")]
fn print_table(answer: &Answer) -> anyhow::Result<()> {
    let body = answer.body.as_ref();
    let reader = StreamReader::try_new(body, None).context("the answer is no Arrow stream")?;
    let mut table = table();
    table.set_header(reader.schema().fields().iter().map(|field| field.name().clone()));
    let mut rows = 0;
    for batch in reader {
        let batch = batch.context(BROKE_OFF)?;
        rows += batch.num_rows();
        add_rows(&mut table, &batch)?;
    }
    println!("{table}");
    println!("{}", last_line(rows, answer));
    Ok(())
}

/// How much there is, and how complete it is.
fn last_line(rows: usize, answer: &Answer) -> String {
    let ones = if rows == 1 { "row" } else { "rows" };
    let cut = if answer.is_cut { ", cut off there" } else { "" };
    let until = answer.complete_until.as_deref().unwrap_or("an unknown moment");
    let tail = answer.tail.as_deref().filter(|tail| *tail != "following");
    let tail = tail.map_or_else(String::new, |tail| format!("; the tail is {tail}"));
    format!("{rows} {ones}{cut}, complete until {until}{tail}")
}

fn add_rows(table: &mut Table, batch: &RecordBatch) -> anyhow::Result<()> {
    let options = FormatOptions::default().with_null("");
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns: Vec<ArrayFormatter<'_>> = columns.collect::<Result<_, _>>()?;
    for row in 0..batch.num_rows() {
        table.add_row(columns.iter().map(|column| printable(&column.value(row).to_string())));
    }
    Ok(())
}

const BROKE_OFF: &str = "the answer broke off: it is not whole";
/// Longer than the query stage lets a statement run.
const PATIENCE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_not_all_says_so() {
        let answer = Answer {
            body: Bytes::new(),
            complete_until: Some("2026-11-23T12:00:00.000000Z".to_owned()),
            tail: Some("full".to_owned()),
            is_cut: true,
        };
        let said =
            "1 row, cut off there, complete until 2026-11-23T12:00:00.000000Z; the tail is full";
        assert_eq!(last_line(1, &answer), said);
    }
}
