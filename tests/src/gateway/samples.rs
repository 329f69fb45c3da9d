//! `/metrics` as a list of samples that can be asked for by name and labels.

use std::collections::BTreeMap;

/// The samples of one reading.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples(Vec<Sample>);

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Samples {
    /// Reads Prometheus' text form; a line that is none of its samples is passed over.
    pub fn parse(text: &str) -> Self {
        Samples(text.lines().filter(|line| !line.starts_with('#')).filter_map(Sample::parse).collect())
    }

    /// The sum of all series of `metric` that have these labels; 0 without any.
    pub fn sum(&self, metric: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(metric, labels).map(|sample| sample.value).sum()
    }

    /// How many series of `metric` have these labels.
    pub fn series(&self, metric: &str, labels: &[(&str, &str)]) -> usize {
        self.matching(metric, labels).count()
    }

    fn matching(&self, metric: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Sample> {
        let has = move |sample: &&Sample| {
            sample.name == metric
                && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|v| v == value))
        };
        self.0.iter().filter(has)
    }
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let (series, value) = match line.find('{') {
            Some(_) => line.rsplit_once("} ")?,
            None => line.split_once(' ')?,
        };
        let value = value.split_whitespace().next()?.parse().ok()?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        Some(Sample { name: name.to_owned(), labels: parse_labels(labels)?, value })
    }
}

/// `a="x",b="y \" \\"`
fn parse_labels(mut text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (label, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.insert(label.to_owned(), value);
        text = rest[end + 1..].trim_start_matches(',');
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_name_and_labels() {
        let samples = Samples::parse(concat!(
            "# HELP connections_total Ended.\n# TYPE connections_total counter\n",
            "connections_total{service=\"a\",reason=\"closed\"} 3\n",
            "connections_total{service=\"a\",reason=\"idle_limit\"} 2\n",
            "connections_total{service=\"b} \\\"x\\\"\",reason=\"closed\"} 1\n",
            "resident_bytes 1.5e6\n# EOF\n",
        ));
        assert_eq!(samples.sum("connections_total", &[("service", "a")]), 5.0);
        assert_eq!(samples.sum("connections_total", &[("reason", "closed")]), 4.0);
        assert_eq!(samples.sum("connections_total", &[("service", "b} \"x\"")]), 1.0);
        assert_eq!(samples.sum("resident_bytes", &[]), 1.5e6);
        assert_eq!(samples.series("connections_total", &[]), 3);
        assert_eq!(samples.sum("absent", &[]), 0.0);
    }
}
