//! What was wrong with the headers that came: a small set that costs nothing where it is empty.

use std::fmt;

/// One thing that could not be read.
///
/// ```
/// use tracewell_wire::propagation::{Problem, Propagation};
/// let problems = Propagation::default().extract(&[("traceparent", "garbage")][..]).problems;
/// assert!(problems.contains(Problem::TraceParent));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum Problem {
    /// `x-b3-traceid`, `x-b3-spanid`: one is missing, all zero, or not 16 (trace id: or 32) hexadecimal digits.
    B3Ids = 1,
    /// B3's parent id is all zero or not 16 hexadecimal digits; the rest of the context is kept.
    B3ParentId = 1 << 1,
    /// `x-b3-sampled` is none of `1`, `0`, `true`, `false`: taken as if it had not come.
    B3Sampled = 1 << 2,
    /// `b3` does not have the form `trace-span[-state[-parent]]` or `state`.
    B3Single = 1 << 3,
    /// `uber-trace-id` does not have the form `trace:span:parent:flags`, or came twice.
    UberTraceId = 1 << 4,
    /// `traceparent` breaks the W3C's rules, or came twice.
    TraceParent = 1 << 5,
    /// `tracestate` breaks the W3C's rules: dropped.
    TraceState = 1 << 6,
    /// A baggage item has no key, no value or characters it must not have: that item is left out.
    BaggageItem = 1 << 7,
    /// More baggage than the limits allow: what is beyond is left out.
    BaggageTooLarge = 1 << 8,
}

impl Problem {
    /// Every problem.
    ///
    /// ```
    /// use tracewell_wire::propagation::Problem;
    /// // A counter for each.
    /// let names: Vec<&str> = Problem::ALL.iter().map(|problem| problem.name()).collect();
    /// assert!(names.contains(&"traceparent"));
    /// ```
    pub const ALL: [Self; 9] = [
        Self::B3Ids,
        Self::B3ParentId,
        Self::B3Sampled,
        Self::B3Single,
        Self::UberTraceId,
        Self::TraceParent,
        Self::TraceState,
        Self::BaggageItem,
        Self::BaggageTooLarge,
    ];

    /// A word for a metric's label.
    ///
    /// ```
    /// use tracewell_wire::propagation::Problem;
    /// assert_eq!(Problem::BaggageTooLarge.name(), "baggage_too_large");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::B3Ids => "b3_ids",
            Self::B3ParentId => "b3_parent_id",
            Self::B3Sampled => "b3_sampled",
            Self::B3Single => "b3_single",
            Self::UberTraceId => "uber_trace_id",
            Self::TraceParent => "traceparent",
            Self::TraceState => "tracestate",
            Self::BaggageItem => "baggage_item",
            Self::BaggageTooLarge => "baggage_too_large",
        }
    }
}

/// A set of [`Problem`]s.
///
/// ```
/// use tracewell_wire::propagation::{Format, Problem, Propagation};
/// let extracted = Propagation::new(&[Format::Jaeger]).extract(&[("uber-trace-id", "garbage")][..]);
/// assert!(extracted.problems.contains(Problem::UberTraceId));
/// assert_eq!(extracted.problems.to_string(), "uber_trace_id");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Problems(u16);

impl Problems {
    /// Whether there is none.
    ///
    /// ```
    /// use tracewell_wire::propagation::Propagation;
    /// let nothing: [(&str, &str); 0] = [];
    /// assert!(Propagation::default().extract(&nothing[..]).problems.is_empty());
    /// ```
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is there.
    ///
    /// ```
    /// use tracewell_wire::propagation::{Problem, Propagation};
    /// let problems = Propagation::default().extract(&[("b3", "garbage")][..]).problems;
    /// assert!(problems.contains(Problem::B3Single) && !problems.contains(Problem::TraceParent));
    /// ```
    pub const fn contains(self, problem: Problem) -> bool {
        self.0 & problem as u16 != 0
    }

    /// Each one that is there.
    ///
    /// ```
    /// use tracewell_wire::propagation::{Problem, Propagation};
    /// let problems = Propagation::default().extract(&[("b3", "garbage")][..]).problems;
    /// assert_eq!(problems.iter().collect::<Vec<_>>(), [Problem::B3Single]);
    /// ```
    pub fn iter(self) -> impl Iterator<Item = Problem> {
        Problem::ALL.into_iter().filter(move |&problem| self.contains(problem))
    }

    pub(super) const fn add(&mut self, problem: Problem) {
        self.0 |= problem as u16;
    }
}

/// The names, separated by commas.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(problem.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
