//! `proxy`: a small request through the gateway, strict (durable before it moves on), beside none and
//! beside nginx with upstream keep-alive and its access log off. The load is wrk, the upstream nginx.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::Context;
use trailgate_benches::{Figures, process_cpu};
use trailgate_envelope::KeysFolder;
use trailgate_testkit::{Child, OidcProvider, Recipe, TokenRequest, free_port, until};

const SECONDS: u64 = 8;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let figures = Figures::of("proxy");
    let folder = tempfile::tempdir()?;
    let (upstream_port, nginx_port) = (free_port(), free_port());
    let _upstream = nginx(folder.path(), "upstream", &answering(upstream_port)).await?;
    let peer = nginx(folder.path(), "peer", &passing_on(nginx_port, upstream_port)).await?;
    let oidc = OidcProvider::start().await;
    let token = oidc.token(&TokenRequest::of("bench").groups(&["agents"])).await;
    let (port, admin) = (free_port(), free_port());
    let keys = folder.path().join("keys");
    KeysFolder::new(&keys).create_missing()?;
    let config = gateway(folder.path(), &oidc, (port, admin), upstream_port);
    let recipe = Recipe::of("trailgate-ingest-proxy").config(&config);
    let mut gateway = recipe.ready_at(&format!("http://127.0.0.1:{admin}/readyz")).start().await;

    let direct = load(upstream_port, &token, "direct", None)?;
    let through_nginx = load(nginx_port, &token, "nginx", Some(workers_of(peer.pid())))?;
    let through = load(port, &token, "gateway", Some(vec![gateway.process().pid()]))?;
    for (name, run) in [("@direct", &direct), ("@nginx", &through_nginx), ("", &through)] {
        figures.print(&format!("requests{name}"), run.per_second, "1/s");
        figures.print(&format!("p50{name}"), run.alone.p50, "us");
        figures.print(&format!("p99{name}"), run.alone.p99, "us");
        if let Some(cpu) = run.cpu_per_request {
            figures.print(&format!("cpu_per_request{name}"), cpu, "us");
            figures.print(&format!("requests_per_core{name}"), 1e6 / cpu, "1/s");
        }
        if name != "@direct" {
            figures.print(&format!("added_p50{name}"), run.alone.p50 - direct.alone.p50, "us");
            figures.print(&format!("added_p99{name}"), run.alone.p99 - direct.alone.p99, "us");
        }
    }
    acknowledgements(&figures, admin).await
}

/// What one load showed.
struct Run {
    per_second: f64,
    cpu_per_request: Option<f64>,
    /// With one connection: what a request waits when nothing else is there.
    alone: Waits,
}

#[derive(Clone, Copy)]
struct Waits {
    p50: f64,
    p99: f64,
}

fn load(port: u16, token: &str, name: &str, pids: Option<Vec<u32>>) -> anyhow::Result<Run> {
    wrk(port, token, 1, 2)?;
    let alone = waits(&wrk(port, token, 1, SECONDS)?).with_context(|| format!("wrk on {name}"))?;
    let spent = || -> Duration { pids.iter().flatten().map(|pid| process_cpu(*pid)).sum() };
    let before = spent();
    let said = wrk(port, token, 32, SECONDS)?;
    let cpu = spent() - before;
    let requests = number_before(&said, " requests in").context("wrk's requests")?;
    let failed = said.contains("Non-2xx");
    anyhow::ensure!(!failed, "{name} answered with errors:\n{said}");
    let cpu_per_request = pids.map(|_| cpu.as_secs_f64() * 1e6 / requests);
    Ok(Run { per_second: requests / SECONDS as f64, cpu_per_request, alone })
}

fn wrk(port: u16, token: &str, connections: u32, seconds: u64) -> anyhow::Result<String> {
    let Output { status, stdout, .. } = Command::new("wrk")
        .args(["--latency", "-t1", &format!("-c{connections}"), &format!("-d{seconds}s")])
        .args(["-H", &format!("authorization: Bearer {token}")])
        .arg(format!("http://127.0.0.1:{port}/small"))
        .output()
        .context("wrk is needed")?;
    anyhow::ensure!(status.success(), "wrk failed");
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

fn waits(said: &str) -> Option<Waits> {
    let share = |name: &str| {
        let line = said.lines().find(|line| line.trim_start().starts_with(name))?;
        micros(line.split_whitespace().nth(1)?)
    };
    Some(Waits { p50: share("50%")?, p99: share("99%")? })
}

fn micros(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    units
        .iter()
        .find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

fn number_before(said: &str, words: &str) -> Option<f64> {
    let (before, _) = said.split_once(words)?;
    before.split_whitespace().next_back()?.parse().ok()
}

async fn acknowledgements(figures: &Figures, admin: u16) -> anyhow::Result<()> {
    let metrics = reqwest::get(format!("http://127.0.0.1:{admin}/metrics")).await?.text().await?;
    let mut buckets: Vec<(f64, f64)> = metrics
        .lines()
        .filter(|line| line.contains("proxy_acknowledged_seconds_bucket"))
        .filter_map(|line| {
            let (_, rest) = line.split_once("le=\"")?;
            let (bound, rest) = rest.split_once('"')?;
            let count =
                rest.split_whitespace().nth(1).or_else(|| rest.split_whitespace().last())?;
            Some((bound.parse().unwrap_or(f64::INFINITY), count.parse().ok()?))
        })
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (_, total) = *buckets.last().context("no acknowledgements among the metrics")?;
    for (name, share) in [("ack_p50", 0.5), ("ack_p99", 0.99)] {
        let at = buckets.iter().find(|(_, count)| *count >= total * share);
        // The upper bound of the bucket that it lies in.
        figures.print(name, at.map_or(0.0, |(bound, _)| bound * 1e6), "us");
    }
    Ok(())
}

fn gateway(folder: &Path, oidc: &OidcProvider, (port, admin): (u16, u16), upstream: u16) -> String {
    let (log, keys) = (folder.join("log"), folder.join("keys"));
    let (log, keys, issuer) = (log.display(), keys.display(), oidc.issuer());
    format!(
        "[backbone]\nkind = \"embedded\"\nfolder = \"{log}\"\n[keys]\nfolder = \"{keys}\"\n\
         [[identity.issuers]]\nissuer = \"{issuer}\"\naudiences = [\"trailgate\"]\n\
         [connections.bench]\nkind = \"http\"\nlisten = \"127.0.0.1:{port}\"\n\
         upstream = \"http://127.0.0.1:{upstream}\"\nallow_groups = [\"agents\"]\n\
         [admin]\nlisten = \"127.0.0.1:{admin}\"\n"
    )
}

fn answering(port: u16) -> String {
    let body = "x".repeat(1000);
    format!("server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"{body}\"; }} }}")
}

fn passing_on(port: u16, upstream: u16) -> String {
    format!(
        "upstream up {{ server 127.0.0.1:{upstream}; keepalive 64; }}\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://up;\n\
         proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }}"
    )
}

async fn nginx(folder: &Path, name: &str, servers: &str) -> anyhow::Result<Child> {
    let folder: PathBuf = folder.join(name);
    std::fs::create_dir_all(&folder)?;
    let mut config = String::new();
    write!(
        config,
        "daemon off; master_process on; worker_processes 1; pid {0}/pid; error_log {0}/errors;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 1000000000;\n{servers}\n}}\n",
        folder.display()
    )?;
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config)?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&file).arg("-p").arg(&folder);
    let child = Child::start(name, command, &folder.join("log"));
    until("nginx's workers", async || (!workers_of(child.pid()).is_empty()).then_some(())).await;
    Ok(child)
}

/// The processes that an nginx has started: they do its work.
fn workers_of(pid: u32) -> Vec<u32> {
    let file = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(file).unwrap_or_default();
    children.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}
