//! `/zipkin/config.json`: what the page, ours or Zipkin's, is told about this server.

use crate::options::Options;
use serde_json::{Value, to_string};

/// The file's text, laid out as Zipkin's.
pub(super) fn ui_config(options: &Options) -> String {
    let optional = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
    let quoted = |text: &str| to_string(text).unwrap_or_default();
    format!(
        r#"{{
  "environment" : {},
  "queryLimit" : {},
  "defaultLookback" : {},
  "searchEnabled" : {},
  "logsUrl" : {},
  "supportUrl" : {},
  "archivePostUrl" : {},
  "archiveUrl" : {},
  "dependency" : {{
    "enabled" : {},
    "lowErrorRate" : {:?},
    "highErrorRate" : {:?}
  }}
}}"#,
        quoted(&options.ui_environment),
        options.ui_query_limit,
        options.ui_default_lookback.as_millis(),
        options.ui_search_enabled.unwrap_or(options.search_enabled),
        optional(&options.ui_logs_url),
        optional(&options.ui_support_url),
        optional(&options.ui_archive_post_url),
        optional(&options.ui_archive_url),
        options.ui_dependency_enabled,
        options.ui_dependency_low_error_rate,
        options.ui_dependency_high_error_rate,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let options = Options {
            ui_environment: "a\"b".to_owned(),
            ui_logs_url: "http://logs/{traceId}".to_owned(),
            ..Options::default()
        };
        let config: Value = serde_json::from_str(&ui_config(&options)).unwrap();
        assert_eq!(config["environment"], "a\"b");
        assert_eq!(config["logsUrl"], "http://logs/{traceId}");
        assert_eq!(config["supportUrl"], Value::Null);
        assert_eq!(config["dependency"]["highErrorRate"], 0.75);
    }
}
