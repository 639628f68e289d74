//! Queries of sqlx, to a database of SQLite in memory: a span each, under the current one.
//!
//! `cargo run -p tracewell-examples --bin sqlx_queries`

use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Pool, Row, Sqlite};
use tracewell::InSpanExt;
use tracewell::middleware::sqlx::SqlTracing;
use tracewell_examples::{report, say, tracer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let tracer = tracer("shop", None)?;
    let sql = SqlTracing::new(&tracer).peer_service("fruit-db");
    // More than one connection would be more than one database.
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;

    let job = tracer.new_trace("inventory");
    let trace = job.context().clone();
    inventory(&pool, &sql).in_span(job).await?;
    report(&[&tracer], &trace).await
}

async fn inventory(pool: &Pool<Sqlite>, sql: &SqlTracing) -> Result<(), sqlx::Error> {
    sqlx::query("CREATE TABLE fruit (name TEXT, pieces INTEGER)").execute(sql.on(pool)).await?;
    let mut transaction = pool.begin().await?;
    for (name, pieces) in [("apple", 3), ("pear", 5)] {
        let insert = sqlx::query("INSERT INTO fruit VALUES (?, ?)").bind(name).bind(pieces);
        insert.execute(sql.on(&mut *transaction)).await?;
    }
    transaction.commit().await?;
    for row in sqlx::query("SELECT name, pieces FROM fruit ORDER BY name").fetch_all(sql.on(pool)).await? {
        say(&format!("{}: {}", row.get::<String, _>("name"), row.get::<i64, _>("pieces")));
    }
    let most = sqlx::query_scalar::<_, i64>("SELECT max(pieces) FROM fruit").fetch_one(sql.on(pool)).await?;
    say(&format!("most: {most}"));
    if let Err(error) = sqlx::query("SELECT taste FROM fruit").fetch_all(sql.on(pool)).await {
        say(&format!("as expected: {error}"));
    }
    Ok(())
}
