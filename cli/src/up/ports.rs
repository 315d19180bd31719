//! The addresses of `trailgate up`. Those of the query stage, the approver and the issuer stay what
//! they were, so that tokens and commands outlive a restart.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use serde_json::json;
use tokio::net::TcpListener;
use trailgate_approver::ApproverConfig;
use trailgate_query::QueryConfig;

use crate::token::DevFile;
use crate::up::UpArguments;
use crate::up::stages::GROUP;

/// The addresses, and the listeners that are bound already.
pub(crate) struct Ports {
    /// The gateway's.
    pub(crate) proxy: SocketAddr,
    /// The query stage's.
    pub(crate) query: SocketAddr,
    /// The approver's.
    pub(crate) approver: SocketAddr,
    /// The issuer's.
    pub(crate) issuer: SocketAddr,
    pub(crate) bound_query: Option<trailgate_query::Bound>,
    pub(crate) bound_approver: Option<trailgate_approver::Bound>,
    pub(crate) issuer_listener: Option<TcpListener>,
}

/// Binds what can be bound before the stages start. The gateway binds its own address last, when
/// everything behind it is ready.
pub(crate) async fn bind(
    arguments: &UpArguments,
    data: &Path,
    before: Option<&DevFile>,
) -> anyhow::Result<Ports> {
    let was = |url: &str| url.strip_prefix("http://").and_then(|address| address.parse().ok());
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let query_before = before.and_then(|dev| was(&dev.query_url));
    let query = arguments.query_listen.or(query_before).unwrap_or(any);
    let query = trailgate_query::Bound::bind(query_config(query, data)?).await;
    let query = query.context("query can't listen; choose another address with --query-listen")?;
    let approver_before = before.and_then(|dev| was(&dev.approver_url));
    let approver = arguments.approver_listen.or(approver_before).unwrap_or(any);
    let approver = trailgate_approver::Bound::bind(ApproverConfig::new(approver)).await;
    let taken = "the approver can't listen; choose another address with --approver-listen";
    let approver = approver.context(taken)?;
    let issuer_before = before.and_then(|dev| was(&dev.issuer));
    let issuer = arguments.issuer_listen.or(issuer_before).unwrap_or(any);
    let taken =
        || format!("the issuer can't listen on {issuer}; choose another with --issuer-listen");
    let issuer = TcpListener::bind(issuer).await.with_context(taken)?;
    if arguments.langgraph.is_some() && arguments.listen.port() != 0 {
        // Let go at once: a taken address is said now, not when half of everything has started.
        let listen = arguments.listen;
        let taken =
            || format!("the gateway can't listen on {listen}; choose another with --listen");
        drop(TcpListener::bind(listen).await.with_context(taken)?);
    }
    Ok(Ports {
        proxy: arguments.listen,
        query: query.address()?,
        approver: approver.address()?,
        issuer: issuer.local_addr()?,
        bound_query: Some(query),
        bound_approver: Some(approver),
        issuer_listener: Some(issuer),
    })
}

fn query_config(listen: SocketAddr, data: &Path) -> anyhow::Result<QueryConfig> {
    let scratch = data.join("scratch");
    Ok(serde_json::from_value(json!({
        "listen": listen, "allow_groups": [GROUP], "scratch": scratch,
    }))?)
}
