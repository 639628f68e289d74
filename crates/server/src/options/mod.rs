//! What the server can be told: every option is defined once, in [`Options`], and that definition feeds the command line,
//! `--help`, the environment, the file given by `--config`, the sample file and docs/options.md.

mod command_line;
mod documents;
mod given;
mod value;

pub use command_line::{Command, parse_command_line};
pub use documents::{options_markdown, options_toml};
pub use given::{Given, OptionError};
pub(crate) use value::Value;
pub use value::{ByteSize, Durability, KeyValues, Listen, LogFormat, Rate, SamplingMode, StorageKind};

use std::path::PathBuf;
use std::time::Duration;

/// One option: its names, its default and what it means.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// The name: `query_timeout` is `--query-timeout`, `TRACEWELL_QUERY_TIMEOUT` and `query-timeout` in the file.
    pub name: &'static str,
    /// Which heading it stands under.
    pub section: &'static str,
    /// What its value looks like.
    pub value: &'static str,
    /// The value it has when nothing is said, as it would be written.
    pub default: &'static str,
    /// Zipkin's and Jaeger's variables that set it too.
    pub peer_variables: &'static [&'static str],
    /// What it does.
    pub help: &'static str,
}

impl Definition {
    /// As a flag without its dashes, and in the file.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// As a variable of the environment.
    pub fn variable(&self) -> String {
        format!("TRACEWELL_{}", self.name.to_uppercase())
    }
}

macro_rules! options {
    ($($section:literal { $(
        $field:ident: $type:ty = $default:literal, $value:literal, [$($variable:literal),*], $help:literal;
    )* })*) => {
        /// All options, resolved.
        #[derive(Debug, Clone)]
        pub struct Options {
            $($(#[doc = $help] pub $field: $type,)*)*
        }

        impl Options {
            /// Every option, in the order of the documents.
            pub const DEFINITIONS: &'static [Definition] = &[
                $($(Definition {
                    name: stringify!($field),
                    section: $section,
                    value: $value,
                    default: $default,
                    peer_variables: &[$($variable),*],
                    help: $help,
                },)*)*
            ];

            /// Takes each option from where it was given first: flag, `TRACEWELL_*`, the peers' variables, file, default.
            pub fn resolve(given: &Given) -> Result<Self, OptionError> {
                Ok(Self { $($($field: given.value(stringify!($field))?,)*)* })
            }
        }
    };
}

options! {
    "Listeners" {
        zipkin: Listen = "9411", "PORT|HOST:PORT|off", ["QUERY_PORT", "COLLECTOR_ZIPKIN_HOST_PORT"],
            "Zipkin's HTTP API, its gRPC collector and the page; port 0 picks a free one.";
        jaeger_query: Listen = "16686", "PORT|HOST:PORT|off", ["QUERY_HTTP_SERVER_HOST_PORT"],
            "Jaeger's query API over HTTP.";
        jaeger_query_grpc: Listen = "16685", "PORT|HOST:PORT|off", ["QUERY_GRPC_SERVER_HOST_PORT"],
            "Jaeger's query API over gRPC.";
        otlp_grpc: Listen = "4317", "PORT|HOST:PORT|off", ["COLLECTOR_OTLP_GRPC_HOST_PORT"],
            "OpenTelemetry's collector over gRPC.";
        otlp_http: Listen = "4318", "PORT|HOST:PORT|off", ["COLLECTOR_OTLP_HTTP_HOST_PORT"],
            "OpenTelemetry's collector over HTTP.";
        jaeger_grpc: Listen = "14250", "PORT|HOST:PORT|off", ["COLLECTOR_GRPC_SERVER_HOST_PORT"],
            "Jaeger's collector over gRPC.";
        jaeger_http: Listen = "14268", "PORT|HOST:PORT|off", ["COLLECTOR_HTTP_SERVER_HOST_PORT"],
            "Jaeger's collector over HTTP.";
        jaeger_udp_compact: Listen = "6831", "PORT|HOST:PORT|off", ["PROCESSOR_JAEGER_COMPACT_SERVER_HOST_PORT"],
            "Jaeger's agent, UDP: packets of jaeger.thrift, compact.";
        jaeger_udp_binary: Listen = "6832", "PORT|HOST:PORT|off", ["PROCESSOR_JAEGER_BINARY_SERVER_HOST_PORT"],
            "Jaeger's agent, UDP: packets of jaeger.thrift, binary.";
        zipkin_udp: Listen = "5775", "PORT|HOST:PORT|off", ["PROCESSOR_ZIPKIN_COMPACT_SERVER_HOST_PORT"],
            "Jaeger's agent, UDP: packets of zipkin.thrift, compact.";
        sampling: Listen = "5778", "PORT|HOST:PORT|off", ["HTTP_SERVER_HOST_PORT"],
            "Jaeger's agent, HTTP: what services ask for their sampling.";
        admin: Listen = "14269", "PORT|HOST:PORT|off", ["ADMIN_HTTP_HOST_PORT"],
            "Health and metrics, as Jaeger's admin port.";
        host: String = "127.0.0.1", "HOST", [],
            "The address of listeners that name none; 0.0.0.0 is every interface.";
        udp_receive_buffer_bytes: ByteSize = "8MiB", "BYTES", [],
            "How much the system is asked to hold of packets that wait to be read, a UDP socket; it may grant less.";
    }
    "Storage" {
        memory_budget: ByteSize = "256MiB", "BYTES", [],
            "Memory of the whole server, from which its parts have their shares: spans that are not yet in segments (store-memory-bytes-max), bodies on their way in (bodies-memory-bytes-max) and what was read of segments (block-cache-bytes-max) a quarter each, what queries hold three sixteenths (traces of more than 100,000 spans are drawn one at a time and may hold more); the last is for segments in the making and the program itself.";
        data_dir: PathBuf = "tracewell-data", "DIR", [],
            "Where the spans are kept.";
        storage: Option<StorageKind> = "", "disk|memory", ["STORAGE_TYPE"],
            "Whether spans are kept in the data directory, or in memory alone and lost with the process; on disk when it is not said, unless mem-max-spans is. Zipkin's mem is memory, its other storages are disk.";
        mem_max_spans: Option<usize> = "", "NUMBER", ["MEM_MAX_SPANS"],
            "With spans in memory: how many are kept, the oldest traces give way; 500000 when it is not said. Said alone it means storage=memory, as with Zipkin.";
        durability: Durability = "fsync", "fsync|os", [],
            "When spans are acknowledged: once they are on the disk (fsync), or once the operating system has them (os), which a power cut may lose.";
        store_memory_bytes_max: Option<ByteSize> = "", "BYTES", [],
            "Memory for spans that are not yet in segments, of each tenant; when it is spent, senders are asked to try again. A quarter of memory-budget when it is not said.";
        block_cache_bytes_max: Option<ByteSize> = "", "BYTES", [],
            "Memory for what was read of segments lately. A quarter of memory-budget when it is not said.";
        retention_age: Duration = "7d", "DURATION", [],
            "How long spans are kept.";
        retention_bytes_max: Option<ByteSize> = "", "BYTES", [],
            "How much room the spans may take on the disk with their log, the oldest give way; at least 64MiB, and no limit when it is not said.";
        disk_free_bytes_min: Option<ByteSize> = "", "BYTES", [],
            "How much of the disk stays free, the oldest spans give way; 1 GiB, at most a tenth of the disk, when it is not said.";
    }
    "Collecting" {
        collector_http_enabled: bool = "true", "true|false", ["COLLECTOR_HTTP_ENABLED"],
            "Whether spans are taken over HTTP on Zipkin's port.";
        collector_grpc_enabled: bool = "true", "true|false", ["COLLECTOR_GRPC_ENABLED"],
            "Whether spans are taken over gRPC on Zipkin's port.";
        collector_otlp_enabled: bool = "true", "true|false", ["COLLECTOR_OTLP_ENABLED"],
            "Whether OpenTelemetry's collectors run; when not, that is --otlp-grpc off and --otlp-http off.";
        collector_sample_rate: f32 = "1", "0..1", ["COLLECTOR_SAMPLE_RATE"],
            "The share of traces that is kept, by trace id; debug spans are always kept.";
        body_bytes_max: ByteSize = "10MiB", "BYTES", [],
            "The largest body of spans as it comes over the wire; more is answered with 413.";
        body_decompressed_bytes_max: ByteSize = "32MiB", "BYTES", [],
            "The largest body of spans after decompression; more is answered with 413.";
        bodies_memory_bytes_max: Option<ByteSize> = "", "BYTES", [],
            "Memory for all bodies on their way in; when it is spent, senders are answered 503 and asked to try again. A quarter of memory-budget when it is not said.";
    }
    "Sampling" {
        sampling_mode: SamplingMode = "file", "file|adaptive", ["SAMPLING_CONFIG_TYPE"],
            "What services are told to sample: what a file says, or what brings so many traces a second from each operation. With adaptive, a file decides on the services that it names.";
        sampling_strategies: Option<PathBuf> = "", "FILE", ["SAMPLING_STRATEGIES_FILE"],
            "Jaeger's file of sampling strategies, JSON.";
        sampling_strategies_reload_interval: Duration = "5s", "DURATION", ["SAMPLING_STRATEGIES_RELOAD_INTERVAL"],
            "How often the file is looked at for changes; 0 is never. While it is broken, the last good one stays in force.";
        sampling_default_probability: f64 = "0.001", "0..1", ["SAMPLING_DEFAULT_SAMPLING_PROBABILITY"],
            "The share of traces where the file says nothing, or there is none.";
        sampling_target_traces_per_second: Rate = "1", "NUMBER", ["SAMPLING_TARGET_SAMPLES_PER_SECOND"],
            "Adaptive: how many traces a second there should be of each operation.";
        sampling_initial_probability: f64 = "0.001", "0..1", ["SAMPLING_INITIAL_SAMPLING_PROBABILITY"],
            "Adaptive: the share of traces of an operation of which nothing is known.";
        sampling_min_probability: f64 = "0.00001", "0..1", ["SAMPLING_MIN_SAMPLING_PROBABILITY"],
            "Adaptive: the smallest share of traces.";
        sampling_min_traces_per_second: Rate = "0.0167", "NUMBER", ["SAMPLING_MIN_SAMPLES_PER_SECOND"],
            "Adaptive: how many traces a second clients sample of each operation at least, whatever the share.";
        sampling_delta_tolerance: f64 = "0.3", "0..1", ["SAMPLING_DELTA_TOLERANCE"],
            "Adaptive: how far from the target, in parts of it, is near enough.";
        sampling_calculation_interval: Duration = "1m", "DURATION", ["SAMPLING_CALCULATION_INTERVAL"],
            "Adaptive: how often the shares are calculated; at least 1s, and better not more often than clients ask.";
        debug_credits_per_second: Rate = "1", "NUMBER", [],
            "How many debug traces a second the throttlers of jaeger-clients may let pass, an operation of a service.";
        debug_credits_max: Rate = "10", "NUMBER", [],
            "How many of these gather while nobody asks.";
    }
    "Querying" {
        query_enabled: bool = "true", "true|false", ["QUERY_ENABLED"],
            "Whether queries are answered and the page is served.";
        search_enabled: bool = "true", "true|false", ["SEARCH_ENABLED"],
            "Whether traces can be searched; when not, only traces by id and dependencies are answered.";
        strict_trace_id: bool = "true", "true|false", ["STRICT_TRACE_ID"],
            "Whether all 128 bits of a trace id count; when not, only the lower 64 do.";
        query_timeout: Duration = "11s", "DURATION", ["QUERY_TIMEOUT"],
            "How long a query may take.";
        query_lookback: Duration = "1d", "DURATION", ["QUERY_LOOKBACK"],
            "How far a search or a dependency query looks back when it does not say.";
        queries_max: usize = "0", "NUMBER", [],
            "How many queries run at the same time; others wait. 0 is twice the number of processors.";
        allowed_origins: Vec<String> = "*", "ORIGIN,...", ["ZIPKIN_QUERY_ALLOWED_ORIGINS"],
            "Which web sites may ask this server (CORS); * is all.";
        autocomplete_keys: Vec<String> = "", "KEY,...", ["AUTOCOMPLETE_KEYS"],
            "Tags whose values are offered in the search form.";
        names_max_age: Duration = "5m", "DURATION", [],
            "How long browsers may keep the names of services, spans and tag values.";
    }
    "Jaeger" {
        jaeger_max_clock_skew_adjustment: Duration = "0", "DURATION", ["QUERY_MAX_CLOCK_SKEW_ADJUSTMENT"],
            "How far spans are moved at most in Jaeger's answers because the clocks of hosts differ; 0 moves none and says so in warnings.";
        jaeger_collector_tags: KeyValues = "", "KEY=VALUE,...", ["COLLECTOR_TAGS"],
            "Tags that are added to the process of every span that comes in Jaeger's or OpenTelemetry's formats.";
        jaeger_base_path: String = "/", "PATH", ["QUERY_BASE_PATH"],
            "Below which path Jaeger's query API and the page are served on the port of jaeger-query, for a proxy that leaves it on.";
        jaeger_metrics: bool = "true", "true|false", [],
            "Whether /api/metrics is computed from the spans; when not, it answers as a Jaeger without a store of metrics.";
        jaeger_archive: bool = "false", "true|false", [],
            "Whether traces can be archived: they are kept in the folder archive of the data directory, whatever the retention says.";
    }
    "Tenants" {
        tenancy_enabled: bool = "false", "true|false", ["MULTI_TENANCY_ENABLED"],
            "Whether tenants are kept apart: what comes over HTTP and gRPC has to name its tenant and sees nothing of others; no packets are taken.";
        tenancy_header: String = "x-tenant", "NAME", ["MULTI_TENANCY_HEADER"],
            "The header that names the tenant.";
        tenancy_tenants: Vec<String> = "", "NAME,...", ["MULTI_TENANCY_TENANTS"],
            "The tenants there are; each has a store of its own in the folder tenants of the data directory, with the limits that are set for one.";
    }
    "Page" {
        ui_enabled: bool = "true", "true|false", ["UI_ENABLED"],
            "Whether the page is served.";
        ui_basepath: String = "/zipkin", "PATH", ["ZIPKIN_UI_BASEPATH"],
            "The page's path as browsers see it, when a proxy serves it under another one.";
        ui_environment: String = "", "TEXT", ["ZIPKIN_UI_ENVIRONMENT"],
            "A label in the page's corner, such as production.";
        ui_query_limit: u32 = "10", "NUMBER", ["ZIPKIN_UI_QUERY_LIMIT"],
            "How many traces the page asks for when nothing else is said.";
        ui_default_lookback: Duration = "15m", "DURATION", ["ZIPKIN_UI_DEFAULT_LOOKBACK"],
            "How far back the page looks when nothing else is said.";
        ui_search_enabled: Option<bool> = "", "true|false", ["ZIPKIN_UI_SEARCH_ENABLED"],
            "Whether the page offers the search; when it is not said, as search-enabled.";
        ui_logs_url: String = "", "URL", ["ZIPKIN_UI_LOGS_URL"],
            "Where the logs of a trace are; {traceId} stands for its id.";
        ui_support_url: String = "", "URL", ["ZIPKIN_UI_SUPPORT_URL"],
            "Where help is to be had.";
        ui_archive_post_url: String = "", "URL", ["ZIPKIN_UI_ARCHIVE_POST_URL"],
            "Where the page sends a trace that is to be archived.";
        ui_archive_url: String = "", "URL", ["ZIPKIN_UI_ARCHIVE_URL"],
            "Where an archived trace is shown; {traceId} stands for its id.";
        ui_dependency_enabled: bool = "true", "true|false", ["ZIPKIN_UI_DEPENDENCY_ENABLED"],
            "Whether the page draws the dependencies.";
        ui_dependency_low_error_rate: f64 = "0.5", "0..1", ["ZIPKIN_UI_DEPENDENCY_LOW_ERROR_RATE"],
            "From which share of failed calls on a link is drawn as troubled.";
        ui_dependency_high_error_rate: f64 = "0.75", "0..1", ["ZIPKIN_UI_DEPENDENCY_HIGH_ERROR_RATE"],
            "From which share of failed calls on a link is drawn as failing.";
    }
    "Connections" {
        connections_max: usize = "4096", "NUMBER", [],
            "How many connections a listener has open at the same time; more wait to be taken.";
        header_timeout: Duration = "30s", "DURATION", [],
            "How long the head of a request may take, and how long a connection may be idle.";
        body_timeout: Duration = "60s", "DURATION", [],
            "How long a body may take to arrive.";
        stop_timeout: Duration = "10s", "DURATION", [],
            "How long requests that are being answered may take when the server is told to stop.";
    }
    "Log" {
        log_level: String = "info", "LEVEL", [],
            "What is logged: error, warn, info, debug or trace, also by module (info,tracewell_store=debug).";
        log_format: LogFormat = "text", "text|json", [],
            "How it is logged.";
    }
}

impl Options {
    /// Bytes for spans that are not yet in segments, of each store.
    pub(crate) fn store_memory_bytes_max(&self) -> usize {
        self.memory_share(self.store_memory_bytes_max)
    }

    /// Bytes for bodies on their way in.
    pub(crate) fn bodies_memory_bytes_max(&self) -> usize {
        self.memory_share(self.bodies_memory_bytes_max)
    }

    /// Bytes for the spans that queries hold.
    pub(crate) fn queries_memory_bytes_max(&self) -> usize {
        self.memory_budget.0 / 16 * 3
    }

    /// Bytes for what was read of segments lately.
    pub(crate) fn block_cache_bytes_max(&self) -> usize {
        self.memory_share(self.block_cache_bytes_max)
    }

    /// What was said, or the share that each of these parts has of the budget.
    fn memory_share(&self, said: Option<ByteSize>) -> usize {
        said.map_or(self.memory_budget.0 / 4, |said| said.0)
    }
}

impl Default for Options {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a test holds every default to its own parser")]
        Self::resolve(&Given::default()).expect("every default is a valid value")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_default_is_valid() {
        let options = Options::default();
        assert_eq!(options.body_bytes_max.0, 10 << 20);
        assert_eq!(options.query_lookback, Duration::from_millis(86_400_000), "as Zipkin");
        assert_eq!(options.allowed_origins, ["*"]);
        assert!(options.autocomplete_keys.is_empty());
    }

    #[test]
    fn one_option_divides_the_memory() {
        let options = Options::default();
        assert_eq!((options.store_memory_bytes_max(), options.block_cache_bytes_max()), (64 << 20, 64 << 20));
        let options = Options { memory_budget: ByteSize(100), bodies_memory_bytes_max: Some(ByteSize(7)), ..options };
        assert_eq!((options.store_memory_bytes_max(), options.bodies_memory_bytes_max()), (25, 7));
    }

    #[test]
    fn no_name_comes_twice() {
        let mut names = BTreeSet::new();
        for definition in Options::DEFINITIONS {
            assert!(names.insert(definition.variable()), "{}", definition.name);
            for variable in definition.peer_variables {
                assert!(names.insert((*variable).to_owned()), "{variable}");
            }
        }
    }
}
