//! Truth values as Go's `strconv.ParseBool` reads them, because the variables are Consul's.

/// Reads `1 t T TRUE true True` and `0 f F FALSE false False`; anything else is `None`.
#[must_use]
pub fn parse_go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse_go_bool;

    #[test]
    fn reads_what_go_reads_and_nothing_else() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(parse_go_bool(text), Some(true), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(parse_go_bool(text), Some(false), "{text}");
        }
        for text in ["", "maybe", "yes", "on", "tRUE", " true", "2", "null"] {
            assert_eq!(parse_go_bool(text), None, "{text}");
        }
    }
}
