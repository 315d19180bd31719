//! Asks a running process, through its admin listener, whether it is ready: the health check of a
//! container that has nothing in it but the stage.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use crate::admin::AdminConfig;
use crate::limits::{PROBE_ANSWER_MAX_BYTES, PROBE_MAX};

/// What a process says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// Whether all its parts are ready.
    pub(crate) is_ready: bool,
    /// A line for each part.
    pub(crate) parts: String,
}

/// Why it can't be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    /// It has no admin listener.
    #[error("admin.listen is not set: there is nobody to ask")]
    NoListener,
    /// Nobody answers there.
    #[error("{address} does not answer: {kind}")]
    Unreachable {
        /// Who was asked.
        address: SocketAddr,
        /// What the operating system says.
        kind: io::ErrorKind,
    },
}

/// Asks the process that runs with this configuration.
pub(crate) fn ask_readiness(config: &AdminConfig) -> Result<Readiness, ProbeError> {
    let address = near(config.listen.ok_or(ProbeError::NoListener)?);
    let unreachable = |error: io::Error| ProbeError::Unreachable { address, kind: error.kind() };
    let answer = ask(address).map_err(unreachable)?;
    let (head, parts) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let is_ready = head.split(' ').nth(1) == Some("200");
    Ok(Readiness { is_ready, parts: parts.to_owned() })
}

// HTTP/1.0: the answer ends with the connection, and is no chunks.
fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PROBE_MAX)?;
    stream.set_read_timeout(Some(PROBE_MAX))?;
    stream.set_write_timeout(Some(PROBE_MAX))?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(PROBE_ANSWER_MAX_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}

/// Who listens everywhere is asked on loopback.
fn near(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Health;
    use crate::metrics::Metrics;
    use crate::stop::Stop;

    async fn asked(listen: SocketAddr) -> Result<Readiness, ProbeError> {
        let config = AdminConfig { listen: Some(listen) };
        tokio::task::spawn_blocking(move || ask_readiness(&config)).await.unwrap()
    }

    #[tokio::test]
    async fn a_process_tells_which_part_is_not_ready() {
        let (health, stop) = (Health::default(), Stop::new());
        let part = health.part("backbone");
        let config = AdminConfig { listen: Some("0.0.0.0:0".parse().unwrap()) };
        let serving = crate::serve_admin(&config, health, Metrics::default(), stop.child());
        let bound = serving.await.unwrap().unwrap();
        let said = asked(bound).await.unwrap();
        assert_eq!(said, Readiness { is_ready: false, parts: "backbone: starting\n".to_owned() });
        part.ready();
        assert!(asked(bound).await.unwrap().is_ready);
        stop.ask();
    }

    #[tokio::test]
    async fn who_does_not_answer_is_not_ready() {
        assert!(matches!(
            asked("127.0.0.1:1".parse().unwrap()).await,
            Err(ProbeError::Unreachable { .. })
        ));
        assert!(matches!(ask_readiness(&AdminConfig::default()), Err(ProbeError::NoListener)));
    }
}
