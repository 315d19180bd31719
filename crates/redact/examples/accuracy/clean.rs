//! Traces in which nothing is to be masked.

use std::path::Path;

use trailgate_redact::{Redactor, Shape};

use crate::files;

/// Prints what was masked, and says how much that is for each megabyte.
pub(crate) fn measure(redactor: &Redactor, folder: &Path) -> anyhow::Result<Option<String>> {
    let (mut bytes, mut masks) = (0, 0);
    for file in files(folder, "")? {
        let text = String::from_utf8_lossy(&std::fs::read(&file)?).into_owned();
        bytes += text.len();
        let masked = redactor.body(Shape::Unknown, &text);
        masks += masked.findings.len();
        for finding in &masked.findings {
            let start = masked.text.floor_char_boundary(finding.start.saturating_sub(60));
            let end = masked.text.ceil_char_boundary(masked.text.len().min(finding.start + 60));
            println!("{}: {} in {:?}", file.display(), finding.rule, &masked.text[start..end]);
        }
    }
    let each = masks as f64 / (bytes as f64 / 1e6);
    println!("\n{masks} masks in {:.2} MB of clean traces", bytes as f64 / 1e6);
    Ok((bytes > 0).then(|| format!("clean.masks_per_megabyte {each:.2}")))
}
