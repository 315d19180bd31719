//! `trailgate sql`: asks the query stage and prints a table.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use arrow::ipc::reader::StreamReader;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use http_body_util::BodyExt;

use crate::place::{Place, PlaceArguments};
use crate::terminal::{printable, printable_json, printable_whole, refusal, table};

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
        Print::Json => write(&answer.body, printable_json),
        Print::Csv => write(&answer.body, printable_whole),
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

/// Byte for byte into a file or a program; a terminal gets it so that it can't be steered by it.
fn write(body: &[u8], printable: fn(&str) -> String) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    if out.is_terminal() {
        out.write_all(printable(&String::from_utf8_lossy(body)).as_bytes())?;
    } else {
        out.write_all(body)?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what the command answers")]
fn print_table(answer: &Answer) -> anyhow::Result<()> {
    let body = answer.body.as_ref();
    let reader = StreamReader::try_new(body, None).context("the answer is no Arrow stream")?;
    let names: Vec<String> =
        reader.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut rows = Vec::new();
    for batch in reader {
        add_rows(&mut rows, &batch.context(BROKE_OFF)?)?;
    }
    let count = rows.len();
    let mut table = table();
    if table.width().is_some_and(|width| names.len() * COLUMN_MIN_CHARS > usize::from(width)) {
        print!("{}", one_below_the_other(&names, &rows));
    } else {
        table.set_header(names).add_rows(rows);
        println!("{table}");
    }
    println!("{}", last_line(count, answer));
    Ok(())
}

/// Too many columns for a table: each row's values below each other, without those that are not
/// there.
fn one_below_the_other(names: &[String], rows: &[Vec<String>]) -> String {
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        out.push_str(&format!("── row {} ──\n", number + 1));
        for (name, value) in names.iter().zip(row).filter(|(_, value)| !value.is_empty()) {
            let value = value.replace('\n', &format!("\n{:width$}  ", ""));
            out.push_str(&format!("{name:width$}  {value}\n"));
        }
    }
    out
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

fn add_rows(rows: &mut Vec<Vec<String>>, batch: &RecordBatch) -> anyhow::Result<()> {
    let options = FormatOptions::default().with_null("");
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns: Vec<ArrayFormatter<'_>> = columns.collect::<Result<_, _>>()?;
    for row in 0..batch.num_rows() {
        let cells = columns.iter().map(|column| printable(&column.value(row).to_string()));
        rows.push(cells.collect());
    }
    Ok(())
}

/// The narrowest column of a table that can be read, with its edges.
const COLUMN_MIN_CHARS: usize = 12;

const BROKE_OFF: &str = "the answer broke off: it is not whole";
/// Longer than the query stage lets a statement run.
const PATIENCE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_wide_for_a_table_stands_one_below_the_other() {
        let names = ["kind".to_owned(), "connection".to_owned(), "payload".to_owned()];
        let row = ["request".to_owned(), String::new(), "a\nb".to_owned()];
        let said = "── row 1 ──\nkind        request\npayload     a\n            b\n";
        assert_eq!(one_below_the_other(&names, &[row.to_vec()]), said);
    }

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
