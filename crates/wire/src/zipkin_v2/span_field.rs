//! The fields of a span in Zipkin's JSON, by their names.

#[derive(Clone, Copy)]
pub(super) enum SpanField {
    TraceId,
    ParentId,
    Id,
    Kind,
    Name,
    Timestamp,
    Duration,
    LocalEndpoint,
    RemoteEndpoint,
    Annotations,
    Tags,
    Debug,
    Shared,
}

impl SpanField {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "traceId" => Self::TraceId,
            "parentId" => Self::ParentId,
            "id" => Self::Id,
            "kind" => Self::Kind,
            "name" => Self::Name,
            "timestamp" => Self::Timestamp,
            "duration" => Self::Duration,
            "localEndpoint" => Self::LocalEndpoint,
            "remoteEndpoint" => Self::RemoteEndpoint,
            "annotations" => Self::Annotations,
            "tags" => Self::Tags,
            "debug" => Self::Debug,
            "shared" => Self::Shared,
            _ => return None,
        })
    }

    /// The field whose name and closing quote these bytes begin with, and how many they are. By the first eight, which tell
    /// all names apart.
    #[inline]
    pub(super) fn at_start_of(bytes: &[u8]) -> Option<(Self, usize)> {
        const fn word(name: [u8; 8]) -> u64 {
            u64::from_le_bytes(name)
        }
        const fn first(len: u32) -> u64 {
            u64::MAX >> (64 - 8 * len)
        }
        const TRACE_ID: u64 = word(*b"traceId\"");
        const PARENT_ID: u64 = word(*b"parentId");
        const TIMESTAMP: u64 = word(*b"timestam");
        const DURATION: u64 = word(*b"duration");
        const LOCAL_ENDPOINT: u64 = word(*b"localEnd");
        const REMOTE_ENDPOINT: u64 = word(*b"remoteEn");
        const ANNOTATIONS: u64 = word(*b"annotati");
        let eight = u64::from_le_bytes(*bytes.first_chunk()?);
        let long = |field: Self, name: &[u8]| bytes.starts_with(name).then_some((field, name.len()));
        match eight {
            TRACE_ID => return Some((Self::TraceId, 8)),
            PARENT_ID => return long(Self::ParentId, b"parentId\""),
            TIMESTAMP => return long(Self::Timestamp, b"timestamp\""),
            DURATION => return long(Self::Duration, b"duration\""),
            LOCAL_ENDPOINT => return long(Self::LocalEndpoint, b"localEndpoint\""),
            REMOTE_ENDPOINT => return long(Self::RemoteEndpoint, b"remoteEndpoint\""),
            ANNOTATIONS => return long(Self::Annotations, b"annotations\""),
            _ => {}
        }
        const ID: u64 = word(*b"id\"\0\0\0\0\0");
        const KIND: u64 = word(*b"kind\"\0\0\0");
        const NAME: u64 = word(*b"name\"\0\0\0");
        const TAGS: u64 = word(*b"tags\"\0\0\0");
        const DEBUG: u64 = word(*b"debug\"\0\0");
        const SHARED: u64 = word(*b"shared\"\0");
        match eight & first(5) {
            KIND => return Some((Self::Kind, 5)),
            NAME => return Some((Self::Name, 5)),
            TAGS => return Some((Self::Tags, 5)),
            short if short & first(3) == ID => return Some((Self::Id, 3)),
            _ => {}
        }
        if eight & first(7) == SHARED {
            return Some((Self::Shared, 7));
        }
        (eight & first(6) == DEBUG).then_some((Self::Debug, 6))
    }
}
