//! Tests of the metrics: values, bounds, and that the text is a valid exposition.
