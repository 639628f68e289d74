//! The repository's text files, as git knows them: tracked ones and new ones that it does not ignore.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Paths relative to the root, with `/`, and their text.
pub(crate) struct Repository {
    files: BTreeMap<String, String>,
    binary: Vec<String>,
}

impl Repository {
    pub(crate) fn read() -> Self {
        let root = root();
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root)
            .output()
            .expect("git lists the files");
        assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
        let (mut files, mut binary) = (BTreeMap::new(), Vec::new());
        for path in String::from_utf8(listed.stdout).unwrap().split_terminator('\0') {
            // A file that is deleted but still tracked is not there to be read.
            let Ok(bytes) = std::fs::read(root.join(path)) else { continue };
            match String::from_utf8(bytes) {
                Ok(text) => drop(files.insert(path.to_owned(), text)),
                Err(_) => binary.push(path.to_owned()),
            }
        }
        assert!(files.contains_key("Cargo.toml"), "{} is not the repository", root.display());
        Self { files, binary }
    }

    /// A repository of samples.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let owned = |&(path, text): &(&str, &str)| (path.to_owned(), text.to_owned());
        Self { files: files.iter().map(owned).collect(), binary: Vec::new() }
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether there is a file or a folder of this path.
    pub(crate) fn contains(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let is_it =
            |file: &String| file.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        path.is_empty() || self.files.keys().chain(&self.binary).any(is_it)
    }
}

fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the package lies in the repository").to_owned()
}
