//! The addresses of `trailgate up`. Those of the query stage and the issuer stay what they were, so
//! that tokens and commands outlive a restart.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::net::TcpListener;

use crate::token::DevFile;
use crate::up::UpArguments;

/// The addresses, and the listeners that are bound already.
pub(crate) struct Ports {
    /// The gateway's.
    pub(crate) proxy: SocketAddr,
    /// The query stage's.
    pub(crate) query: SocketAddr,
    /// The issuer's.
    pub(crate) issuer: SocketAddr,
    pub(crate) query_listener: Option<TcpListener>,
    pub(crate) issuer_listener: Option<TcpListener>,
}

/// Binds what can be bound before the stages start. The gateway binds its own address last, when
/// everything behind it is ready.
pub(crate) async fn bind(
    arguments: &UpArguments,
    before: Option<&DevFile>,
) -> anyhow::Result<Ports> {
    let was = |url: &str| url.strip_prefix("http://").and_then(|address| address.parse().ok());
    let query_before = before.and_then(|dev| was(&dev.query_url));
    let issuer_before = before.and_then(|dev| was(&dev.issuer));
    let query = bind_one("query", arguments.query_listen, query_before).await?;
    let issuer = bind_one("issuer", arguments.issuer_listen, issuer_before).await?;
    Ok(Ports {
        proxy: arguments.listen,
        query: query.local_addr()?,
        issuer: issuer.local_addr()?,
        query_listener: Some(query),
        issuer_listener: Some(issuer),
    })
}

async fn bind_one(
    name: &str,
    asked: Option<SocketAddr>,
    before: Option<SocketAddr>,
) -> anyhow::Result<TcpListener> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let wanted = asked.or(before).unwrap_or(any);
    let taken = || format!("{name}: can't listen on {wanted}; choose another with --{name}-listen");
    TcpListener::bind(wanted).await.with_context(taken)
}
