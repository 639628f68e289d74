//! How many cases passed, and what failed.

/// Counts cases.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: usize,
    failures: Vec<String>,
    left_out: Vec<String>,
}

impl Tally {
    /// One case; `failure` says what was wrong with it.
    pub(crate) fn case(&mut self, name: impl Into<String>, failure: Option<String>) {
        match failure {
            None => self.passed += 1,
            Some(failure) => self.failures.push(format!("{}: {failure}", name.into())),
        }
    }

    /// Something in the file that is no case for us, and why.
    pub(crate) fn leave_out(&mut self, what: impl Into<String>) {
        self.left_out.push(what.into());
    }

    pub(crate) fn passed(&self) -> usize {
        self.passed
    }

    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    pub(crate) fn left_out(&self) -> &[String] {
        &self.left_out
    }
}
