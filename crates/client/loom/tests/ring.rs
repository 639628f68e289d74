//! Runs the models. `make test-loom`.

#[test]
fn records_arrive_whole_once_and_in_order() {
    tracewell_loom::records_arrive_whole_once_and_in_order();
}

#[test]
fn nothing_is_written_over_unread() {
    tracewell_loom::nothing_is_written_over_unread();
}

#[test]
fn a_span_that_ends_while_the_tracer_closes_is_counted() {
    tracewell_loom::a_span_that_ends_while_the_tracer_closes_is_counted();
}
