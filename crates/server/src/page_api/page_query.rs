//! What is asked by the query language: which address, and who answers it.

use super::asked::Refused;
use super::{compare, complete, facets, histogram, live, map, parse, percentile, red, search, status};
use crate::answer::Answer;
use crate::zipkin::{Asked, ZipkinApi};

/// An address below `/api/tracewell/v1` that takes queries, or tells of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageQuery {
    Parse,
    Search,
    SearchStream,
    Histogram,
    Facets,
    Complete,
    Services,
    Map,
    Percentile,
    Compare,
    Live,
    Status,
}

impl PageQuery {
    pub(crate) const ALL: [Self; 12] = [
        Self::Parse,
        Self::Search,
        Self::SearchStream,
        Self::Histogram,
        Self::Facets,
        Self::Complete,
        Self::Services,
        Self::Map,
        Self::Percentile,
        Self::Compare,
        Self::Live,
        Self::Status,
    ];

    /// The address, by its segments below `/api/tracewell/v1`.
    pub(crate) fn of(segments: &[&str]) -> Option<Self> {
        let below = |query: &Self| query.route().strip_prefix("/api/tracewell/v1/").map(|path| path.split('/'));
        Self::ALL.into_iter().find(|query| below(query).is_some_and(|path| path.eq(segments.iter().copied())))
    }

    /// Its address, by which it is counted.
    pub(crate) const fn route(self) -> &'static str {
        match self {
            Self::Parse => "/api/tracewell/v1/parse",
            Self::Search => "/api/tracewell/v1/search",
            Self::SearchStream => "/api/tracewell/v1/search/stream",
            Self::Histogram => "/api/tracewell/v1/histogram",
            Self::Facets => "/api/tracewell/v1/facets",
            Self::Complete => "/api/tracewell/v1/complete",
            Self::Services => "/api/tracewell/v1/services",
            Self::Map => "/api/tracewell/v1/map",
            Self::Percentile => "/api/tracewell/v1/percentile",
            Self::Compare => "/api/tracewell/v1/compare",
            Self::Live => "/api/tracewell/v1/live",
            Self::Status => "/api/tracewell/v1/status",
        }
    }

    /// Whether it needs no search.
    const fn is_without_search(self) -> bool {
        matches!(self, Self::Parse | Self::Live | Self::Status)
    }
}

/// Answers it.
pub(crate) async fn query(api: &ZipkinApi, query: PageQuery, asked: &Asked<'_>) -> Answer {
    if !query.is_without_search() && !api.options().search_enabled {
        return super::search_is_off();
    }
    let answered = match query {
        PageQuery::Parse => parse::parse(asked),
        PageQuery::Search => search::search(api, asked).await,
        PageQuery::SearchStream => search::search_stream(api, asked),
        PageQuery::Histogram => histogram::histogram(api, asked).await,
        PageQuery::Facets => facets::facets(api, asked).await,
        PageQuery::Complete => complete::complete(api, asked).await,
        PageQuery::Services => red::services(api, asked).await,
        PageQuery::Map => map::map(api, asked).await,
        PageQuery::Percentile => percentile::percentile(api, asked).await,
        PageQuery::Compare => compare::compare(api, asked).await,
        PageQuery::Live => live::live(api, asked),
        PageQuery::Status => Ok(status::status(api, asked)),
    };
    answered.unwrap_or_else(Refused::answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_by_their_segments() {
        assert_eq!(PageQuery::of(&["search"]), Some(PageQuery::Search));
        assert_eq!(PageQuery::of(&["search", "stream"]), Some(PageQuery::SearchStream));
        assert_eq!((PageQuery::of(&["search", ""]), PageQuery::of(&[])), (None, None));
    }
}
