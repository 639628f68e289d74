//! The columns of a block by number. A column of which every entry would be zero is left out.

/// A row's upper half of the trace id; only where it differs from that of the trace's first span for some row.
pub(crate) const HIGH: u32 = 0;
/// A row's span id.
pub(crate) const ID: u32 = 1;
/// A row's parent: [`NO_PARENT`], [`FAR_PARENT`] or [`NEAR_PARENT`] plus a distance.
pub(crate) const PARENT: u32 = 2;
/// The ids of the parents that are not among the trace's rows of this block.
pub(crate) const FAR_PARENTS: u32 = 3;
/// A row's start, as the bits of the model's time; that of the row before where it has none.
pub(crate) const START: u32 = 4;
/// A row's duration, likewise; zero where it has none.
pub(crate) const DURATION: u32 = 5;
/// A row's kind in the lower three bits, above them its flags.
pub(crate) const KIND: u32 = 6;
/// A row's name: its text.
pub(crate) const NAME: u32 = 7;
/// A row's local endpoint.
pub(crate) const LOCAL: u32 = 8;
/// A row's remote endpoint.
pub(crate) const REMOTE: u32 = 9;
/// A row's list of tags.
pub(crate) const SHAPE: u32 = 10;
/// How many annotations a row has.
pub(crate) const ANNOTATION_COUNT: u32 = 11;
/// An annotation's time, as the bits of the model's time.
pub(crate) const ANNOTATION_TIME: u32 = 12;
/// An annotation's list of attributes.
pub(crate) const ANNOTATION_SHAPE: u32 = 13;
/// A row's resource.
pub(crate) const RESOURCE: u32 = 14;
/// A row's scope.
pub(crate) const SCOPE: u32 = 15;
/// A row's rare fields, as bytes.
pub(crate) const EXTRA: u32 = 16;
/// A row's local endpoint, where its resource does not tell it; see [`Prediction`].
pub(crate) const LOCAL_UNLESS_RESOURCE: u32 = 17;
/// A row's scope, where its name does not tell it.
pub(crate) const SCOPE_UNLESS_NAME: u32 = 18;
/// A row's kind and flags, where its list of tags does not tell them.
pub(crate) const KIND_UNLESS_SHAPE: u32 = 19;
/// A row's list of tags, where its name does not tell it.
pub(crate) const SHAPE_UNLESS_NAME: u32 = 20;
/// A row's remote endpoint, where its name does not tell it.
pub(crate) const REMOTE_UNLESS_NAME: u32 = 21;
/// How long after the end of the row before a row starts: its start, less the start and the duration of that one.
pub(crate) const START_AFTER_END: u32 = 22;
/// The values of attribute 0; those of the others follow.
pub(crate) const FIRST_ATTRIBUTE: u32 = 32;

/// In [`PARENT`]: a root.
pub(crate) const NO_PARENT: u32 = 0;
/// In [`PARENT`]: the next of [`FAR_PARENTS`].
pub(crate) const FAR_PARENT: u32 = 1;
/// In [`PARENT`]: from here on zigzag distances in rows, back to the parent.
pub(crate) const NEAR_PARENT: u32 = 2;

/// A column that another one mostly tells. Of codes each entry is 0 where it is what the last row of the block with the same
/// entry in that column had (0 for the first), else one more than the code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prediction {
    /// The column that is stored instead.
    pub(crate) number: u32,
    /// The one that tells.
    pub(crate) by: u32,
}

impl Prediction {
    /// How a column may be stored.
    pub(crate) const fn of(number: u32) -> Option<Self> {
        Some(match number {
            LOCAL => Self { number: LOCAL_UNLESS_RESOURCE, by: RESOURCE },
            SCOPE => Self { number: SCOPE_UNLESS_NAME, by: NAME },
            KIND => Self { number: KIND_UNLESS_SHAPE, by: SHAPE },
            SHAPE => Self { number: SHAPE_UNLESS_NAME, by: NAME },
            START => Self { number: START_AFTER_END, by: DURATION },
            REMOTE => Self { number: REMOTE_UNLESS_NAME, by: NAME },
            _ => return None,
        })
    }
}

/// What a column holds, of those that are no attribute's.
pub(crate) const fn name(number: u32) -> Option<&'static str> {
    Some(match number {
        HIGH => "upper halves of trace ids",
        ID => "span ids",
        PARENT => "parents",
        FAR_PARENTS => "parents elsewhere",
        START | START_AFTER_END => "starts",
        DURATION => "durations",
        KIND | KIND_UNLESS_SHAPE => "kinds and flags",
        NAME => "names",
        LOCAL | LOCAL_UNLESS_RESOURCE => "local endpoints",
        REMOTE | REMOTE_UNLESS_NAME => "remote endpoints",
        SHAPE | SHAPE_UNLESS_NAME => "shapes",
        ANNOTATION_COUNT => "annotations of a span",
        ANNOTATION_TIME => "annotation times",
        ANNOTATION_SHAPE => "annotation shapes",
        RESOURCE => "resources",
        SCOPE | SCOPE_UNLESS_NAME => "scopes",
        EXTRA => "rare fields",
        _ => return None,
    })
}
