//! `tracewell check`: looks at the stores of a data directory (the main one, the archive, the tenants') and writes down what
//! was found, for people or as JSON. See docs/check.md.

use crate::options::Options;
use crate::{archive, tenants};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracewell_store::{CheckError, CheckOptions, CheckReport, Disk, Lost, RealDisk, SystemClock};

/// Nothing is damaged.
const WHOLE: u8 = 0;
/// Something is, and nothing was done about it.
const DAMAGED: u8 = 1;
/// A store could not be looked at, or not repaired.
const NOT_CHECKED: u8 = 2;
/// Something was, and was put right or aside.
const REPAIRED: u8 = 3;

/// Checks the data directory of these options; answers what to print, and the exit code.
pub fn check(options: &Options, repair: bool, json: bool) -> (String, u8) {
    let found: Vec<_> = stores(&options.data_dir)
        .into_iter()
        .map(|folder| {
            let report = check_store(&options.data_dir.join(&folder), options, repair);
            (folder.display().to_string(), report)
        })
        .collect();
    let code = exit_code(&found);
    let text = if json { to_json(options, &found, code) } else { to_text(options, &found, code) };
    (text, code)
}

type Found = (String, Result<CheckReport, String>);

/// The folders of stores that are there, relative to the data directory; the main one always.
fn stores(data_dir: &Path) -> Vec<PathBuf> {
    let folder = data_dir.join(tenants::FOLDER);
    // Opening would make it.
    let names = folder.is_dir().then(|| RealDisk::open(&folder).and_then(|disk| disk.list("")));
    let names = names.and_then(Result::ok).unwrap_or_default();
    let mut tenants: Vec<_> = names.into_iter().map(|name| Path::new(tenants::FOLDER).join(name)).collect();
    tenants.sort();
    let others = std::iter::once(PathBuf::from(archive::FOLDER)).chain(tenants);
    let others = others.filter(|folder| is_store(&data_dir.join(folder)));
    std::iter::once(PathBuf::new()).chain(others).collect()
}

fn is_store(folder: &Path) -> bool {
    ["catalog", "log", "segments"].iter().any(|name| folder.join(name).exists())
}

fn check_store(folder: &Path, options: &Options, repair: bool) -> Result<CheckReport, String> {
    // Nothing is made where nothing is.
    if !folder.is_dir() {
        return Err(format!("{} is not a directory", folder.display()));
    }
    if !is_store(folder) {
        return Err(format!("{} is not a data directory of Tracewell: it has no catalog and no log", folder.display()));
    }
    let check = || {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder)?);
        let tag_keys = options.autocomplete_keys.clone();
        tracewell_store::check(&disk, &SystemClock, &CheckOptions { repair, tag_keys, ..CheckOptions::default() })
    };
    check().map_err(|error: CheckError| error.to_string())
}

fn exit_code(found: &[Found]) -> u8 {
    let code = |report: &Result<CheckReport, String>| match report {
        Err(_) => NOT_CHECKED,
        Ok(report) if report.findings.is_empty() => WHOLE,
        Ok(report) if report.repaired => REPAIRED,
        Ok(_) => DAMAGED,
    };
    let codes: Vec<u8> = found.iter().map(|(_, report)| code(report)).collect();
    // What needs attention most comes first.
    [NOT_CHECKED, DAMAGED, REPAIRED].into_iter().find(|code| codes.contains(code)).unwrap_or(WHOLE)
}

fn to_text(options: &Options, found: &[Found], code: u8) -> String {
    let mut text = String::new();
    for (folder, report) in found {
        let path = options.data_dir.join(folder);
        match report {
            Err(error) => text.push_str(&format!("{}: not checked: {error}\n", path.display())),
            Ok(report) => store_to_text(&mut text, &path, report),
        }
    }
    text.push_str(match code {
        WHOLE => "Nothing is damaged.\n",
        DAMAGED => {
            "There is damage. `tracewell check --repair` puts right what can be and keeps damaged files in `damaged`.\n"
        }
        REPAIRED => "There was damage. It is put right or aside; damaged files are in `damaged`.\n",
        _ => "Not everything could be checked.\n",
    });
    text
}

fn store_to_text(text: &mut String, path: &Path, report: &CheckReport) {
    let CheckReport { files, bytes, segments, log_records, spans, findings, notes, .. } = report;
    let path = path.display();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line(format!(
        "{path}: {files} files, {bytes} bytes; {segments} segments and {log_records} log records with {spans} whole spans"
    ));
    findings.iter().for_each(|finding| line(format!("  damaged: {finding}")));
    notes.iter().for_each(|note| line(format!("  note: {}: {}", note.file, note.what)));
    if !findings.is_empty() {
        line(format!("  {} damaged places; {}", findings.len(), report.lost()));
    }
}

fn to_json(options: &Options, found: &[Found], code: u8) -> String {
    let stores: Vec<Value> = found.iter().map(|(folder, report)| store_to_json(folder, report)).collect();
    let answer = json!({"data_dir": options.data_dir.display().to_string(), "exit_code": code, "stores": stores});
    format!("{answer:#}\n")
}

fn store_to_json(folder: &str, report: &Result<CheckReport, String>) -> Value {
    let report = match report {
        Err(error) => return json!({"folder": folder, "error": error}),
        Ok(report) => report,
    };
    let damaged = report.findings.iter().map(|finding| {
        json!({
            "file": finding.file,
            "offset": finding.offset,
            "bytes": finding.bytes,
            "what": finding.what,
            "lost": lost_to_json(finding.lost),
            "mended": finding.mended,
        })
    });
    let notes = report.notes.iter().map(|note| json!({"file": note.file, "what": note.what}));
    json!({
        "folder": folder,
        "files": report.files,
        "bytes": report.bytes,
        "meaningless_bytes": report.meaningless_bytes,
        "segments": report.segments,
        "log_records": report.log_records,
        "spans": report.spans,
        "damaged": damaged.collect::<Vec<_>>(),
        "lost": lost_to_json(report.lost()),
        "notes": notes.collect::<Vec<_>>(),
        "repaired": report.repaired,
    })
}

fn lost_to_json(lost: Lost) -> Value {
    let Lost { spans, traces, blocks, batches } = lost;
    json!({"spans": spans, "traces": traces, "blocks": blocks, "batches": batches})
}
