//! Queries of sqlx: an executor around an executor, with a span around each query.

use std::pin::Pin;
use std::task::{Context, Poll};

use either::Either;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use sqlx_core::database::Database;
use sqlx_core::error::{BoxDynError, Error};
use sqlx_core::executor::{Execute, Executor};
use sqlx_core::sql_str::SqlStr;

use super::in_flight::current_context;
use super::server::with_name;
use crate::propagation::TraceContext;
use crate::{Kind, OwnedEndpoint, Span, Tracer};

/// How queries become spans: children of the current span, named by their first word and tagged with their text, in
/// which values stand for themselves only if you put them there. Outside of a trace there is no span.
///
/// Tags: `db.system` (`sqlite`), `sql.query` (Zipkin's name for it, as Brave has it), `db.rows` (how many were read).
///
/// ```
/// use tracewell::middleware::sqlx::SqlTracing;
/// # use tracewell::{InMemoryReporter, Tracer};
/// # let tracer = Tracer::builder("shop").build(InMemoryReporter::default());
/// let sql = SqlTracing::new(&tracer).peer_service("orders-db");
/// // sqlx::query("SELECT name FROM fruit").fetch_all(sql.on(&pool)).await?;
/// # let _ = sql;
/// ```
#[derive(Debug, Clone)]
pub struct SqlTracing {
    tracer: Tracer,
    peer: OwnedEndpoint,
    query_text: bool,
}

impl SqlTracing {
    /// With the text of queries as a tag.
    ///
    /// ```
    /// use tracewell::middleware::sqlx::SqlTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let sql = SqlTracing::new(&tracer);
    /// # let _ = sql;
    /// ```
    pub fn new(tracer: &Tracer) -> Self {
        Self { tracer: tracer.clone(), peer: OwnedEndpoint::default(), query_text: true }
    }

    /// The name of the database as a service, so that it is on the map of services.
    ///
    /// ```
    /// use tracewell::middleware::sqlx::SqlTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let sql = SqlTracing::new(&tracer).peer_service("orders-db");
    /// # let _ = sql;
    /// ```
    #[must_use]
    pub fn peer_service(mut self, service: &str) -> Self {
        service.clone_into(&mut self.peer.service);
        self
    }

    /// The name and the address of the database.
    ///
    /// ```
    /// use tracewell::OwnedEndpoint;
    /// use tracewell::middleware::sqlx::SqlTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let peer = OwnedEndpoint { service: "orders-db".into(), port: 5432, ..OwnedEndpoint::default() };
    /// let sql = SqlTracing::new(&tracer).peer(peer);
    /// # let _ = sql;
    /// ```
    #[must_use]
    pub fn peer(mut self, endpoint: OwnedEndpoint) -> Self {
        self.peer = endpoint;
        self
    }

    /// Whether the text of a query is kept.
    ///
    /// ```
    /// use tracewell::middleware::sqlx::SqlTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let sql = SqlTracing::new(&tracer).query_text(false);
    /// # let _ = sql;
    /// ```
    #[must_use]
    pub const fn query_text(mut self, keep: bool) -> Self {
        self.query_text = keep;
        self
    }

    /// An executor that traces one query under the current span.
    ///
    /// ```
    /// use tracewell::middleware::sqlx::{SqlTracing, Traced};
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// # struct Pool;
    /// # let pool = Pool;
    /// let sql = SqlTracing::new(&tracer);
    /// let executor: Traced<'_, &Pool> = sql.on(&pool);
    /// // sqlx::query("SELECT 1").execute(executor).await?;
    /// # drop(executor);
    /// ```
    pub fn on<E>(&self, executor: E) -> Traced<'_, E> {
        Traced { inner: executor, settings: self, parent: current_context() }
    }

    /// An executor that traces one query under this span.
    ///
    /// ```
    /// use tracewell::middleware::sqlx::SqlTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// # struct Pool;
    /// # let pool = Pool;
    /// let (sql, job) = (SqlTracing::new(&tracer), tracer.new_trace("job"));
    /// let executor = sql.under(job.context(), &pool);
    /// // sqlx::query("SELECT 1").execute(executor).await?;
    /// # drop(executor);
    /// ```
    pub fn under<E>(&self, parent: &TraceContext, executor: E) -> Traced<'_, E> {
        Traced { inner: executor, settings: self, parent: Some(parent.clone()) }
    }

    fn begin<D: Database>(&self, parent: Option<&TraceContext>, sql: &str) -> Option<Span> {
        let parent = parent?;
        if parent.sampled() == Some(false) {
            return None;
        }
        let verb = sql.split_whitespace().next().unwrap_or("query");
        let name = |name: &mut String| name.push_str(verb);
        let mut span = with_name(name, |name| self.tracer.new_child(parent, name));
        span.kind(Kind::Client).tag("db.system", D::NAME.to_ascii_lowercase().as_str());
        if self.query_text {
            span.tag("sql.query", sql.trim());
        }
        if self.peer != OwnedEndpoint::default() {
            span.remote_endpoint(&self.peer);
        }
        Some(span)
    }
}

/// An executor of sqlx whose query is traced; made by [`SqlTracing::on`] and [`SqlTracing::under`].
///
/// ```
/// use tracewell::middleware::sqlx::{SqlTracing, Traced};
/// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
/// # struct Pool;
/// # let pool = Pool;
/// let sql = SqlTracing::new(&tracer);
/// fn keep<E>(executor: Traced<'_, E>) -> Traced<'_, E> {
///     executor
/// }
/// keep(sql.on(&pool));
/// ```
#[derive(Debug)]
pub struct Traced<'t, E> {
    inner: E,
    settings: &'t SqlTracing,
    parent: Option<TraceContext>,
}

impl<'c, E: Executor<'c>> Executor<'c> for Traced<'_, E> {
    type Database = E::Database;

    fn fetch_many<'e, 'q: 'e, Q>(self, query: Q) -> BoxStream<'e, Result<Step<E::Database>, Error>>
    where
        'c: 'e,
        Q: 'q + Execute<'q, E::Database>,
    {
        let is_recorded = self.parent.as_ref().is_some_and(|parent| parent.sampled() != Some(false));
        if !is_recorded {
            return self.inner.fetch_many(query);
        }
        let query = Taken::from(query);
        match self.settings.begin::<E::Database>(self.parent.as_ref(), query.sql.as_str()) {
            Some(span) => Box::pin(TracedRows::<E::Database> { inner: self.inner.fetch_many(query), span, rows: 0 }),
            None => self.inner.fetch_many(query),
        }
    }

    fn fetch_optional<'e, 'q: 'e, Q>(self, query: Q) -> BoxFuture<'e, Result<Option<Row<E::Database>>, Error>>
    where
        'c: 'e,
        Q: 'q + Execute<'q, E::Database>,
    {
        let query = Taken::from(query);
        let span = self.settings.begin::<E::Database>(self.parent.as_ref(), query.sql.as_str());
        let result = self.inner.fetch_optional(query);
        let Some(mut span) = span else { return result };
        Box::pin(async move {
            let result = result.await;
            match &result {
                Ok(row) => drop(span.tag("db.rows", i64::from(row.is_some()))),
                Err(error) => drop(span.error(error)),
            }
            result
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [<E::Database as Database>::TypeInfo],
    ) -> BoxFuture<'e, Result<<E::Database as Database>::Statement, Error>>
    where
        'c: 'e,
    {
        self.inner.prepare_with(sql, parameters)
    }

    #[cfg(feature = "sqlx-offline")]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx_core::describe::Describe<E::Database>, Error>>
    where
        'c: 'e,
    {
        self.inner.describe(sql)
    }
}

type Row<D> = <D as Database>::Row;
type Step<D> = Either<<D as Database>::QueryResult, Row<D>>;

/// A query in its parts: sqlx gives its text only to who takes it apart.
struct Taken<D: Database> {
    sql: SqlStr,
    statement: Option<D::Statement>,
    arguments: Option<Result<Option<D::Arguments>, BoxDynError>>,
    persistent: bool,
}

impl<D: Database> Taken<D> {
    fn from<'q>(mut query: impl Execute<'q, D>) -> Self {
        let arguments = Some(query.take_arguments());
        let (statement, persistent) = (query.statement().cloned(), query.persistent());
        Self { sql: query.sql(), statement, arguments, persistent }
    }
}

impl<D: Database> Execute<'_, D> for Taken<D> {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&D::Statement> {
        self.statement.as_ref()
    }

    fn take_arguments(&mut self) -> Result<Option<D::Arguments>, BoxDynError> {
        self.arguments.take().unwrap_or(Ok(None))
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

/// The rows, with the span that ends with the last of them, or when they are dropped.
struct TracedRows<'e, D: Database> {
    inner: BoxStream<'e, Result<Step<D>, Error>>,
    span: Span,
    rows: i64,
}

impl<D: Database> Stream for TracedRows<'_, D> {
    type Item = Result<Step<D>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let polled = this.inner.as_mut().poll_next(context);
        match &polled {
            Poll::Ready(Some(Ok(Either::Right(_)))) => this.rows += 1,
            Poll::Ready(Some(Err(error))) => {
                this.span.error(error).finish();
            }
            Poll::Ready(None) => {
                this.span.tag("db.rows", this.rows).finish();
            }
            Poll::Pending | Poll::Ready(Some(Ok(Either::Left(_)))) => {}
        }
        polled
    }
}
