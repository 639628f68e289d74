//! The command line: which command, and the flags of the options.

use super::{Given, OptionError, Options};
use crate::demo::DemoOptions;
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;

/// What the program is asked to do.
#[derive(Debug, Clone)]
pub enum Command {
    /// Run the server.
    Serve(Box<Options>),
    /// Send the traffic of a shop to a server.
    Demo(DemoOptions),
    /// Look at every byte of a data directory that no server uses.
    Check {
        /// Where it is, and how the server over it is configured.
        options: Box<Options>,
        /// Whether to put right what can be.
        repair: bool,
        /// Whether the answer is JSON.
        json: bool,
    },
    /// Print all options: as the documentation, or as a sample file.
    PrintOptions {
        /// As a sample file.
        toml: bool,
    },
}

/// Reads the command line, the environment and the file that they name. `Err` of the outer result is what clap wants said:
/// an error of usage, or the help.
pub fn parse_command_line(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Result<Command, OptionError>, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    Ok(match matches.subcommand() {
        Some(("options", matches)) => Ok(Command::PrintOptions { toml: matches.get_flag("toml") }),
        Some(("demo", matches)) => Ok(Command::Demo(DemoOptions::from_arg_matches(matches)?)),
        Some(("check", matches)) => resolve(matches, variables).map(|options| Command::Check {
            options: Box::new(options),
            repair: matches.get_flag("repair"),
            json: matches.get_flag("json"),
        }),
        Some((_, matches)) => resolve(matches, variables).map(|options| Command::Serve(Box::new(options))),
        None => resolve(&matches, variables).map(|options| Command::Serve(Box::new(options))),
    })
}

fn resolve(
    matches: &ArgMatches,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Options, OptionError> {
    let variables: HashMap<String, String> = variables.into_iter().collect();
    let mut given = Given { flags: HashMap::new(), variables, ..Given::default() };
    for definition in Options::DEFINITIONS {
        // Not every command has every flag.
        if let Ok(Some(text)) = matches.try_get_one::<String>(definition.name) {
            given.flags.insert(definition.flag(), text.clone());
        }
    }
    let file = matches.get_one::<String>("config").or_else(|| given.variables.get("TRACEWELL_CONFIG")).cloned();
    if let Some(file) = file {
        given.read_file(Path::new(&file))?;
    }
    Options::resolve(&given)
}

fn command() -> clap::Command {
    let serve = clap::Command::new("serve").about("Run the server (this is what happens without a command)");
    // Said twice, the last counts: scripts add to a line that is given to them.
    let serve = serve.args_override_self(true);
    let demo = clap::Command::new("demo").about("Send the traffic of a shop of five services to a server");
    let demo = DemoOptions::augment_args(demo);
    let options = clap::Command::new("options")
        .about("Print all options, as Markdown")
        .arg(Arg::new("toml").long("toml").action(ArgAction::SetTrue).help("Print a sample file for --config"));
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let check = clap::Command::new("check")
        .about("Look at every byte of a data directory that no server uses: is it damaged, and what is lost?")
        .after_help(CHECK_EXIT_CODES)
        .arg(flag("repair", "Put right what can be; damaged files are kept in the folder `damaged`"))
        .arg(flag("json", "Answer as JSON"));
    let check = with_some_options(check, |name| name == "data_dir");
    with_options(
        clap::Command::new("tracewell")
            .about("Collects, keeps, finds and draws traces: a drop-in for Zipkin and Jaeger")
            .version(env!("CARGO_PKG_VERSION"))
            .args_conflicts_with_subcommands(true)
            .args_override_self(true),
    )
    .subcommand(with_options(serve))
    .subcommand(demo)
    .subcommand(check)
    .subcommand(options)
}

const CHECK_EXIT_CODES: &str = "Exit codes: 0 nothing is damaged; 1 something is; 2 it could not be checked; \
    3 something was damaged, and --repair has put it right or aside, so that a server opens the directory";

fn with_options(command: clap::Command) -> clap::Command {
    with_some_options(command, |_| true)
}

fn with_some_options(command: clap::Command, wanted: impl Fn(&str) -> bool) -> clap::Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("Read options from a TOML file [env: TRACEWELL_CONFIG]");
    let definitions = Options::DEFINITIONS.iter().filter(|definition| wanted(definition.name));
    definitions.fold(command.arg(config), |command, definition| {
        let mut notes = vec![];
        if !definition.default.is_empty() {
            notes.push(format!("[default: {}]", definition.default));
        }
        let mut variables = vec![definition.variable()];
        variables.extend(definition.peer_variables.iter().map(|&variable| variable.to_owned()));
        notes.push(format!("[env: {}]", variables.join(", ")));
        command.arg(
            Arg::new(definition.name)
                .long(definition.flag())
                .value_name(definition.value)
                .help(format!("{} {}", definition.help, notes.join(" ")))
                .help_heading(definition.section)
                .allow_hyphen_values(true),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Command {
        let arguments = std::iter::once("tracewell").chain(arguments.iter().copied()).map(OsString::from);
        parse_command_line(arguments, []).unwrap().unwrap()
    }

    #[test]
    fn serve_is_what_happens_without_a_command() {
        for arguments in [&["--query-timeout", "5s"][..], &["serve", "--query-timeout=5s"]] {
            let Command::Serve(options) = parse(arguments) else { panic!("not serve") };
            assert_eq!(options.query_timeout.as_secs(), 5);
        }
    }

    #[test]
    fn check_takes_the_directory_and_two_flags() {
        let Command::Check { options, repair, json } = parse(&["check", "--data-dir", "d", "--repair"]) else {
            panic!("not check")
        };
        assert_eq!((options.data_dir.to_str(), repair, json), (Some("d"), true, false));
    }

    #[test]
    fn the_help_names_every_option() {
        let help = command().render_long_help().to_string();
        for definition in Options::DEFINITIONS {
            assert!(help.contains(&format!("--{} ", definition.flag())), "{}", definition.name);
        }
    }
}
