//! What an instance of a stage is called among those that share its work.
//!
//! The name differs from its siblings' and is the same after a restart: by it the backbone gives a
//! member its partitions back, and ends what it left open. Where each instance has a host of its own,
//! as containers have, the host's name is such a name, so that instances are added by a number alone.

use std::path::Path;

/// The configuration names no instance, and the machine does not say what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this instance has no name: set `instance`, different from its siblings'")]
pub struct NoInstanceName;

/// The name in the configuration, else the host's.
///
/// # Errors
/// [`NoInstanceName`] if there is neither.
pub fn instance_name(configured: Option<&str>) -> Result<String, NoInstanceName> {
    let configured = configured.filter(|name| !name.is_empty()).map(str::to_owned);
    configured.or_else(|| HOST_NAMES.iter().find_map(first_line)).ok_or(NoInstanceName)
}

fn first_line(file: impl AsRef<Path>) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let name = text.lines().next()?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// What the kernel says, which is the container's own name in a container; then what a machine that
/// is no Linux may keep.
const HOST_NAMES: [&str; 2] = ["/proc/sys/kernel/hostname", "/etc/hostname"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_configuration_comes_first() {
        assert_eq!(instance_name(Some("masker-7")), Ok("masker-7".to_owned()));
    }

    #[test]
    fn without_a_name_an_instance_is_called_as_its_host() {
        let Some(host) = first_line(HOST_NAMES[0]) else { return };
        assert_eq!(instance_name(None), Ok(host.clone()));
        assert_eq!(instance_name(Some("")), Ok(host));
    }
}
