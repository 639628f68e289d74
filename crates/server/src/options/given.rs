//! Where the values of options come from, and which of them counts.

use super::value::Value;
use super::{Definition, Options};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Why the options cannot be used. The text names the option as the user gave it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// A value is not of the option's kind.
    #[error("{given}: \"{text}\": {problem}")]
    #[expect(missing_docs, reason = "the text says it")]
    Value { given: String, text: String, problem: String },
    /// The file cannot be read.
    #[error("--config {file}: {problem}")]
    #[expect(missing_docs, reason = "the text says it")]
    File { file: String, problem: String },
}

/// What was said, as texts, by who said it.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// By flag, without its dashes.
    pub flags: HashMap<String, String>,
    /// The environment.
    pub variables: HashMap<String, String>,
    /// The file: its name, and what it says by key.
    pub file: (String, BTreeMap<String, String>),
}

impl Given {
    /// Reads the file of `--config`, TOML: keys are the flags' names.
    pub fn read_file(&mut self, file: &Path) -> Result<(), OptionError> {
        let name = file.display().to_string();
        let wrong = |problem: String| OptionError::File { file: name.clone(), problem };
        let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
        for (key, value) in &table {
            if !Options::DEFINITIONS.iter().any(|definition| definition.flag() == *key) {
                return Err(wrong(format!("there is no option \"{key}\"")));
            }
            let text = toml_text(value)
                .ok_or_else(|| wrong(format!("{key}: expected a text, a number, true, false or a list of texts")))?;
            self.file.1.insert(key.clone(), text);
        }
        self.file.0 = name;
        Ok(())
    }

    pub(super) fn value<T: Value>(&self, name: &str) -> Result<T, OptionError> {
        #[expect(clippy::expect_used, reason = "the names come from the macro that makes the definitions")]
        let definition = Options::DEFINITIONS.iter().find(|definition| definition.name == name).expect("defined");
        let (given, text) = self.text(definition);
        T::parse(text).map_err(|problem| OptionError::Value { given, text: text.to_owned(), problem })
    }

    /// Who says it, and what. A variable that is set to nothing says nothing.
    fn text<'a>(&'a self, definition: &'a Definition) -> (String, &'a str) {
        let flag = definition.flag();
        if let Some(text) = self.flags.get(&flag) {
            return (format!("--{flag}"), text);
        }
        let own = definition.variable();
        for variable in std::iter::once(own.as_str()).chain(definition.peer_variables.iter().copied()) {
            if let Some(text) = self.variables.get(variable).filter(|text| !text.is_empty()) {
                return (variable.to_owned(), text);
            }
        }
        match self.file.1.get(&flag) {
            Some(text) => (format!("{} in {}", flag, self.file.0), text),
            None => (format!("--{flag}"), definition.default),
        }
    }
}

fn toml_text(value: &toml::Value) -> Option<String> {
    Some(match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(value) => value.to_string(),
        toml::Value::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            items?.join(",")
        }
        toml::Value::Datetime(_) | toml::Value::Table(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Listen;
    use std::io::Write;

    fn port(given: &Given) -> u16 {
        match Options::resolve(given).unwrap().zipkin {
            Listen::At { port, .. } => port,
            Listen::Off => panic!("off"),
        }
    }

    #[test]
    fn flag_then_own_variable_then_zipkins_then_file_then_default() {
        let mut given = Given::default();
        assert_eq!(port(&given), 9411);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"zipkin = 1\nautocomplete-keys = [\"a\", \"b\"]\nsearch-enabled = false\n").unwrap();
        given.read_file(file.path()).unwrap();
        assert_eq!(port(&given), 1);
        assert_eq!(Options::resolve(&given).unwrap().autocomplete_keys, ["a", "b"]);
        assert!(!Options::resolve(&given).unwrap().search_enabled);
        given.variables.insert("QUERY_PORT".to_owned(), "2".to_owned());
        assert_eq!(port(&given), 2);
        given.variables.insert("TRACEWELL_ZIPKIN".to_owned(), "3".to_owned());
        assert_eq!(port(&given), 3);
        given.flags.insert("zipkin".to_owned(), "4".to_owned());
        assert_eq!(port(&given), 4);
    }

    #[test]
    fn a_wrong_value_is_told_by_the_name_it_was_given_under() {
        let mut given = Given::default();
        given.variables.insert("QUERY_PORT".to_owned(), "http".to_owned());
        let error = Options::resolve(&given).unwrap_err().to_string();
        assert_eq!(error, "QUERY_PORT: \"http\": expected PORT, HOST:PORT or off");
    }

    #[test]
    fn an_unknown_key_in_the_file_is_an_error() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"zipkn = 1\n").unwrap();
        let error = Given::default().read_file(file.path()).unwrap_err().to_string();
        assert!(error.ends_with("there is no option \"zipkn\""), "{error}");
    }
}
