//! What `trailgate up` says once it is ready.

use std::path::Path;

use crate::dev_issuer::TOKEN_LIFE;
use crate::token::DevFile;

#[expect(clippy::print_stdout, reason = "this is what the command answers")]
pub(crate) fn say(data: &Path, dev: &DevFile, langgraph: Option<&str>, holds: bool) {
    println!("Trailgate is up; its data is in {}\n", data.display());
    match langgraph {
        Some(upstream) => println!("  LangGraph   {}  before {upstream}", dev.proxy_url),
        None => println!("  LangGraph   none: start again with --langgraph http://HOST:PORT"),
    }
    println!("  SQL         {}", dev.query_url);
    if holds {
        println!("  approvals   {}", dev.approver_url);
    }
    println!("  issuer      {}  for development only: it vouches for anybody", dev.issuer);
    if langgraph.is_some() {
        say_what_to_set(dev);
    }
    if holds {
        say_how_to_decide(data);
    }
    println!("\nAsk what happened:\n");
    println!(
        "  trailgate sql --data {} \"SELECT actor, node, status, started_at FROM nodes\"",
        data.display()
    );
}

#[expect(clippy::print_stdout, reason = "this is what the command answers")]
fn say_how_to_decide(data: &Path) {
    let data = data.display();
    println!("\nDecide what is held, as somebody in a group of its rule who did not ask for it:\n");
    println!("  trailgate token --data {data} --subject rita --group reviewers > rita.token");
    println!("  trailgate approvals list --data {data} --token-file rita.token");
    println!("  trailgate approvals approve ID --data {data} --token-file rita.token");
}

#[expect(clippy::print_stdout, reason = "this is what the command answers")]
fn say_what_to_set(dev: &DevFile) {
    let hours = TOKEN_LIFE.as_secs() / 3600;
    println!(
        "\nSet these where your LangGraph client runs (the token lasts {hours} h; `trailgate token` makes more):\n"
    );
    println!("  export LANGGRAPH_API_URL={}", dev.proxy_url);
    println!("  export TRAILGATE_TOKEN={}", dev.token);
    println!("\n  import os");
    println!("  from langgraph_sdk import get_client");
    println!("  client = get_client(url=os.environ[\"LANGGRAPH_API_URL\"], api_key=None,");
    println!("      headers={{\"authorization\": \"Bearer \" + os.environ[\"TRAILGATE_TOKEN\"]}})");
}
