//! Makes a table of the files of the built page, `ui/dist`, so that the binary carries them. Without them (the page is built
//! with Node, see `make run`) the table is empty and the server serves a plain page that says so.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui");
    let dist = ui.join("dist");
    if ui.is_dir() && !dist.is_dir() {
        // Cargo can watch a folder that is empty, but runs this every time for one that is not there.
        fs::create_dir(&dist)?;
    }
    println!("cargo:rerun-if-changed={}", dist.display());
    println!("cargo:rerun-if-changed=build.rs");
    let mut table = "&[\n".to_owned();
    for path in files(&dist)? {
        write_file(&mut table, &dist, &path)?;
    }
    table.push(']');
    let out = env::var_os("OUT_DIR").map(PathBuf::from).ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    fs::write(out.join("page_files.rs"), table)
}

/// The files of the page, sorted, without their compressed forms.
fn files(dist: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = vec![];
    for folder in [dist.to_owned(), dist.join("assets")] {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let compressed = path.extension().is_some_and(|extension| extension == "br" || extension == "gz");
            if path.is_file() && !compressed {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn write_file(table: &mut String, dist: &Path, path: &Path) -> io::Result<()> {
    let name = path.strip_prefix(dist).map_err(io::Error::other)?.to_string_lossy().replace('\\', "/");
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(path)?);
    let compressed = |extension: &str| {
        let path = PathBuf::from(format!("{}.{extension}", path.display()));
        if path.is_file() {
            format!("Some(include_bytes!({:?}))", path.display().to_string())
        } else {
            "None".to_owned()
        }
    };
    writeln!(
        table,
        "    File {{ name: {name:?}, hash: {:#018x}, plain: include_bytes!({:?}), brotli: {}, gzip: {} }},",
        hasher.finish(),
        path.display().to_string(),
        compressed("br"),
        compressed("gz"),
    )
    .map_err(io::Error::other)
}
