//! gRPC's status codes: by number, by name, and which of them are failures of whom.

/// By number, as `grpc-status` has them (gRPC core, statuscodes).
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What a call ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GrpcStatus(u8);

impl GrpcStatus {
    /// From the trailer `grpc-status`. A number that is none of gRPC's reads as unknown, as the specification says.
    pub(crate) fn read(value: &[u8]) -> Self {
        let number = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<u8>().ok());
        Self(number.filter(|&number| usize::from(number) < NAMES.len()).unwrap_or(2))
    }

    pub(crate) const fn number(self) -> u8 {
        self.0
    }

    pub(crate) fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }

    /// For a client everything but OK; for a server only what is its own fault (OpenTelemetry's rule for gRPC).
    pub(crate) const fn is_failure(self, of_server: bool) -> bool {
        if of_server { matches!(self.0, 2 | 4 | 12 | 13 | 14 | 15) } else { self.0 != 0 }
    }
}

/// The text of the trailer `grpc-message`, which comes percent-encoded. What is no such code stays as it is.
pub(crate) fn message(value: &[u8]) -> String {
    let digit = |at: usize| char::from(*value.get(at)?).to_digit(16);
    let (mut bytes, mut at) = (Vec::with_capacity(value.len()), 0);
    while at < value.len() {
        match (value[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{GrpcStatus, message};

    #[test]
    fn messages_are_decoded() {
        for (value, expected) in [("no%20pear", "no pear"), ("100%", "100%"), ("%zz %C3%BC", "%zz ü"), ("", "")] {
            assert_eq!(message(value.as_bytes()), expected);
        }
    }

    #[test]
    fn statuses_are_read_from_trailers() {
        assert_eq!(GrpcStatus::read(b"5").name(), "NOT_FOUND");
        assert_eq!(GrpcStatus::read(b"99").name(), "UNKNOWN");
        assert_eq!(GrpcStatus::read(b"x").number(), 2);
    }

    #[test]
    fn a_server_is_not_to_blame_for_what_was_asked() {
        let not_found = GrpcStatus::read(b"5");
        assert!(not_found.is_failure(false) && !not_found.is_failure(true));
        assert!(GrpcStatus::read(b"13").is_failure(true) && !GrpcStatus::read(b"0").is_failure(false));
    }
}
