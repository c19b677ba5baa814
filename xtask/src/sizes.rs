//! Sizes of production files, and how many statements differ between the engines.

use std::{fs, path::Path};

/// A file may be longer than the guide of 300 lines, but not than this.
const LIMIT: usize = 900;
/// Statements that are written once for each engine.
const VARIANTS: usize = 5;

/// Checks the workspace.
///
/// # Errors
/// One line for each fault.
pub fn check() -> Result<String, String> {
    let mut files = Vec::new();
    collect(Path::new("crates"), &mut files)?;
    let mut long: Vec<&(String, usize, usize)> =
        files.iter().filter(|(_, lines, _)| *lines > 300).collect();
    long.sort_by_key(|(_, lines, _)| std::cmp::Reverse(*lines));
    for (path, lines, _) in &long {
        println!("{lines:5} lines  {path}");
    }
    let variants: usize = files.iter().map(|(_, _, variants)| variants).sum();
    let mut faults: Vec<String> = long
        .iter()
        .filter(|(_, lines, _)| *lines > LIMIT)
        .map(|(path, lines, _)| format!("{path} has {lines} lines, more than {LIMIT}"))
        .collect();
    if variants > VARIANTS {
        faults.push(format!(
            "{variants} statements differ between the engines, more than {VARIANTS}"
        ));
    }
    if faults.is_empty() {
        Ok(format!(
            "sizes: {} files, {} above 300 lines, {variants} statements differ between the engines",
            files.len(),
            long.len()
        ))
    } else {
        Err(faults.join("\n"))
    }
}

fn collect(folder: &Path, files: &mut Vec<(String, usize, usize)>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "tests" && name != "target" {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            files.push((
                path.display().to_string(),
                text.lines().count(),
                text.lines()
                    .filter(|line| !line.trim_start().starts_with("//"))
                    .filter(|line| {
                        line.contains("sql!(sqlite ")
                            || line.contains("sql!(postgres")
                            || line.trim_start().starts_with("sqlite ")
                    })
                    .count(),
            ));
        }
    }
    Ok(())
}
