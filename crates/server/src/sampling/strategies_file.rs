//! The strategies file on the disk: read at the start, read again while the server runs, and the last good one kept.

use super::lock;
use super::strategies::{Strategies, StrategiesError};
use crate::metrics::Metrics;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// A file is this long at most.
const FILE_BYTES_MAX: usize = 16 << 20;

/// The strategies in force, and where they come from.
pub(super) struct StrategiesFile {
    path: Option<PathBuf>,
    default_probability: f64,
    current: RwLock<Arc<Strategies>>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Of the content that is in force.
    hash: u64,
    /// What is wrong with the file now, as it was told.
    problem: Option<String>,
}

impl StrategiesFile {
    /// Reads the file, where there is one; without one every service samples the default probability.
    pub(super) fn open(path: Option<PathBuf>, default_probability: f64) -> Result<Self, StrategiesError> {
        let mut seen = Seen::default();
        let strategies = match &path {
            None => Strategies::without_file(default_probability),
            Some(path) => {
                let bytes = read(path)?;
                seen.hash = hash(&bytes);
                parse(&bytes, default_probability)?
            }
        };
        let current = RwLock::new(Arc::new(strategies));
        Ok(Self { path, default_probability, current, seen: Mutex::new(seen) })
    }

    pub(super) fn current(&self) -> Arc<Strategies> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn is_there(&self) -> bool {
        self.path.is_some()
    }

    /// Takes the file's strategies where its content is another one. A file that cannot be used changes nothing; what is wrong
    /// with it is logged once.
    pub(super) fn reload(&self, metrics: &Metrics) {
        let Some(path) = &self.path else { return };
        let mut seen = lock(&self.seen);
        let file = path.display();
        match self.read_changed(path, seen.hash) {
            Ok(None) if seen.problem.is_some() => {
                tracing::info!(%file, "--sampling-strategies: the file is again what it was; its strategies stayed in force");
                seen.problem = None;
            }
            Ok(None) => {}
            Ok(Some((hash, strategies))) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(strategies);
                *seen = Seen { hash, problem: None };
                metrics.sampling_strategies_loaded.add(1);
                tracing::info!(%file, "--sampling-strategies: the file has changed; its strategies are in force");
            }
            Err(error) => {
                let problem = Some(error.to_string());
                if problem != seen.problem {
                    metrics.sampling_strategies_refused.add(1);
                    tracing::error!(%file, %error, "--sampling-strategies: the file cannot be used; the last good one stays in force");
                }
                seen.problem = problem;
            }
        }
        metrics.sampling_strategies_broken.set(u64::from(seen.problem.is_some()));
    }

    fn read_changed(&self, path: &Path, known: u64) -> Result<Option<(u64, Strategies)>, StrategiesError> {
        let bytes = read(path)?;
        let hash = hash(&bytes);
        if hash == known {
            return Ok(None);
        }
        Ok(Some((hash, parse(&bytes, self.default_probability)?)))
    }
}

fn parse(bytes: &[u8], default_probability: f64) -> Result<Strategies, StrategiesError> {
    let (strategies, warnings) = Strategies::parse(bytes, default_probability)?;
    for warning in warnings {
        tracing::warn!("--sampling-strategies: {warning}");
    }
    Ok(strategies)
}

fn read(path: &Path) -> Result<Vec<u8>, StrategiesError> {
    let mut file = File::open(path).map_err(StrategiesError::Read)?;
    let (mut bytes, mut buffer) = (vec![], vec![0; 64 << 10]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(count) if bytes.len() + count > FILE_BYTES_MAX => {
                return Err(StrategiesError::TooLarge { bytes_max: FILE_BYTES_MAX });
            }
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(StrategiesError::Read(error)),
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::JaegerVersion;
    use tracewell_wire::jaeger::SamplingRule;

    fn content(share: f64) -> String {
        format!(r#"{{"default_strategy":{{"type":"probabilistic","param":{share}}}}}"#)
    }

    #[test]
    fn a_broken_file_leaves_the_last_good_one_in_force() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("strategies.json");
        std::fs::write(&path, content(0.25)).unwrap();
        let file = StrategiesFile::open(Some(path.clone()), 0.001).unwrap();
        let metrics = Metrics::new();
        let look = || {
            file.reload(&metrics);
            let rule = file.current().of_service("any", JaegerVersion::V1_76).rule;
            let Metrics { sampling_strategies_loaded, sampling_strategies_refused, .. } = &metrics;
            let broken = metrics.sampling_strategies_broken.get();
            (rule, sampling_strategies_loaded.get(), sampling_strategies_refused.get(), broken)
        };
        let share = SamplingRule::Probabilistic;
        assert_eq!(look(), (share(0.25), 0, 0, 0));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(look(), (share(0.25), 0, 1, 1));
        assert_eq!(look(), (share(0.25), 0, 1, 1), "the same problem is told once");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(look(), (share(0.25), 0, 2, 1));
        std::fs::write(&path, content(0.25)).unwrap();
        assert_eq!(look(), (share(0.25), 0, 2, 0));
        std::fs::write(&path, content(0.75)).unwrap();
        assert_eq!(look(), (share(0.75), 1, 2, 0));
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let error = StrategiesFile::open(Some(directory.path().join("none.json")), 0.001).err().unwrap();
        assert!(matches!(error, StrategiesError::Read(_)));
    }
}
