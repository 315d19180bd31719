//! Logs: one line an event, to standard error. Never payload text.

use std::io::IsTerminal;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// The `[log]` section, the same in every stage's file.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// How much is told.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// How much is told of what Trailgate does. Of the libraries below only warnings are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Where a person must act.
    Error,
    /// And what surprises.
    Warn,
    /// And starts and stops.
    #[default]
    Info,
    /// And each step.
    Debug,
}

/// The text names no level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a log level is error, warn, info or debug")]
pub struct UnknownLogLevel;

impl LogLevel {
    const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl std::str::FromStr for LogLevel {
    type Err = UnknownLogLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLogLevel> {
        let levels = [Self::Error, Self::Warn, Self::Info, Self::Debug];
        levels.into_iter().find(|level| level.word() == text).ok_or(UnknownLogLevel)
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For a person.
    Text,
    /// For a collector.
    Json,
}

/// Begins to write logs. A second call in one process changes nothing.
pub fn start_log(config: &LogConfig) {
    let others = if config.level == LogLevel::Error { "error" } else { "warn" };
    let filter = EnvFilter::new(format!("{others},trailgate={}", config.level.word()));
    let json = match config.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let base = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE);
    // Fails only if a log was started before.
    let _ = if json {
        base.json().flatten_event(true).try_init()
    } else {
        base.with_target(false).try_init()
    };
}
