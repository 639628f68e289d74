//! The options as documents: docs/options.md and a sample file, both made from the definitions.

use super::{Definition, Options};
use std::fmt::Write;

const INTRODUCTION: &str = "# Options of the server

Made by `tracewell options`; a test holds it to the definitions in `crates/server/src/options/mod.rs`.

An option is taken from where it is given first: its flag, its `TRACEWELL_*` variable, Zipkin's or Jaeger's variable where there is one,
the file named by `--config FILE` (or `TRACEWELL_CONFIG`; TOML, keys are the flags without their dashes; `tracewell options --toml` prints a
sample), its default. A variable that is set to nothing counts as not set.

Durations are written `500ms`, `11s`, `15m`, `2h`, `7d`; a number alone is milliseconds, as Zipkin has it. Sizes are written `1000`,
`64KiB`, `10MiB`, `2GiB`.

`tracewell check` looks whether the data directory is whole: [check.md](check.md).
";

const WITHOUT_EFFECT: &str = "
## Variables of Zipkin that change nothing here

`AUTOCOMPLETE_TTL` and `AUTOCOMPLETE_CARDINALITY` (values are read from the store's index, not from a cache) and
`STORAGE_THROTTLE_*` (back pressure is always on). Zipkin listens on every interface; this
server on `127.0.0.1` unless `--host 0.0.0.0` says so. So does Jaeger: where its variables say `:4317` without a host, here that is
`--host` too.
";

/// docs/options.md.
pub fn options_markdown() -> String {
    let mut out = INTRODUCTION.to_owned();
    for (section, definitions) in sections() {
        write_line(&mut out, format_args!("\n## {section}\n"));
        write_line(&mut out, format_args!("| option | default | also set by | what it does |\n|---|---|---|---|"));
        for definition in definitions {
            let Definition { default, help, .. } = definition;
            let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
            let value = definition.value.replace('|', "\\|");
            let variables: Vec<_> = definition.peer_variables.iter().map(|name| format!("`{name}`")).collect();
            let flag = definition.flag();
            write_line(
                &mut out,
                format_args!("| `--{flag} {value}` | {default} | {} | {help} |", variables.join(", ")),
            );
        }
    }
    out.push_str(WITHOUT_EFFECT);
    out
}

/// A file for `--config` in which everything has its default and is commented out.
pub fn options_toml() -> String {
    let mut out = "# A sample for `tracewell --config FILE`: every option with its default.\n".to_owned();
    for (section, definitions) in sections() {
        write_line(&mut out, format_args!("\n# ---- {section}"));
        for definition in definitions {
            let Definition { default, help, value, .. } = definition;
            write_line(&mut out, format_args!("\n# {help} ({value})\n# {} = \"{default}\"", definition.flag()));
        }
    }
    out
}

fn sections() -> impl Iterator<Item = (&'static str, &'static [Definition])> {
    Options::DEFINITIONS
        .chunk_by(|a, b| a.section == b.section)
        .map(|definitions| (definitions[0].section, definitions))
}

fn write_line(out: &mut String, line: std::fmt::Arguments<'_>) {
    #[expect(clippy::expect_used, reason = "writing to a text cannot fail")]
    writeln!(out, "{line}").expect("a text takes everything");
}
