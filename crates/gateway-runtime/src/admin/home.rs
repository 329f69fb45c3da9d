//! The page at `/`: the process at a glance. Plain HTML and one style sheet of our own, no script, light and dark.

use std::fmt::Display;

use super::{AdminDeps, route};
use crate::metrics::Totals;

/// Content type of the page.
pub(super) const HTML: &str = "text/html; charset=utf-8";
/// Content type of the style.
pub(super) const CSS: &str = "text/css; charset=utf-8";
/// Where the style is: a page of its own, because the policy of the endpoint allows no style within a page.
pub(super) const STYLE_PATH: &str = "/style.css";
/// The style.
pub(super) const STYLE: &str = include_str!("style.css");

pub(super) fn render(deps: &AdminDeps) -> String {
    let title = escaped(deps.pages.title());
    let totals = deps.metrics.totals();
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"{STYLE_PATH}\">\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    readiness(&mut html, deps);
    figures(&mut html, deps, &totals);
    ends(&mut html, &totals);
    pages(&mut html, deps);
    html.push_str("</body>\n</html>\n");
    html
}

fn readiness(html: &mut String, deps: &AdminDeps) {
    match deps.ready.state() {
        Ok(()) => html.push_str("<p class=\"state ready\"><strong>Ready</strong>: traffic is served.</p>\n"),
        Err(unmet) => {
            html.push_str("<div class=\"state not-ready\"><strong>Not ready</strong>\n<ul>\n");
            for (name, why) in unmet {
                html.push_str(&format!("<li>{}: {}</li>\n", escaped(name), escaped(&why)));
            }
            html.push_str("</ul></div>\n");
        }
    }
}

fn figures(html: &mut String, deps: &AdminDeps, totals: &Totals) {
    let metrics = &deps.metrics;
    html.push_str("<h2>Now</h2>\n<table>\n");
    row(html, "Client connections", metrics.open_connections.get());
    row(html, "of these joined to an endpoint", totals.open);
    row(html, "Bytes from clients, ended connections", totals.received);
    row(html, "Bytes to clients, ended connections", totals.sent);
    row(html, "Generation of the snapshot", metrics.catalog_generation.get());
    row(html, "Rejected documents", metrics.catalog_rejected.get());
    row(html, "Log level", deps.log.level());
    html.push_str("</table>\n");
}

fn ends(html: &mut String, totals: &Totals) {
    html.push_str("<h2>How connections ended</h2>\n");
    if totals.ended.is_empty() {
        return html.push_str("<p>None has ended yet.</p>\n");
    }
    html.push_str("<table>\n<tr><th>Reason</th><th>What happened</th><th>Count</th></tr>\n");
    for (reason, count) in &totals.ended {
        let what = escaped(reason.describe());
        html.push_str(&format!(
            "<tr><td><code>{reason}</code></td><td>{what}</td><td class=\"number\">{count}</td></tr>\n"
        ));
    }
    html.push_str("</table>\n");
}

fn pages(html: &mut String, deps: &AdminDeps) {
    html.push_str("<h2>Pages</h2>\n<table>\n");
    for (path, content) in route::OWN.iter().chain(deps.pages.index()) {
        let (path, content) = (escaped(path), escaped(content));
        html.push_str(&format!(
            "<tr><td><a href=\"{path}\"><code>{path}</code></a></td><td>{content}</td></tr>\n"
        ));
    }
    html.push_str("</table>\n");
}

fn row(html: &mut String, name: &str, value: impl Display) {
    let value = escaped(&value.to_string());
    html.push_str(&format!("<tr><td>{}</td><td class=\"number\">{value}</td></tr>\n", escaped(name)));
}

/// Text that cannot become markup, in an element or in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Page, Pages};
    use super::*;
    use crate::metrics::Metrics;
    use crate::ready::Ready;
    use crate::telemetry::LogControl;

    struct Hostile;

    impl Pages for Hostile {
        fn page(&self, _: &str, _: Option<&str>) -> Option<Page> {
            None
        }
        fn index(&self) -> &[(&'static str, &'static str)] {
            &[("/\"><script>", "<b>bold</b>")]
        }
        fn title(&self) -> &str {
            "</title><script>alert(1)</script>"
        }
    }

    #[test]
    fn nothing_that_is_shown_becomes_markup() {
        let ready = Ready::new(&["catalog"]);
        ready.set("catalog", Err("file <img src=x onerror='alert(1)'>".to_owned()));
        let deps = AdminDeps {
            ready,
            metrics: Arc::new(Metrics::new(1)),
            pages: Arc::new(Hostile),
            log: LogControl::detached("info").unwrap(),
            token: None,
        };
        let html = render(&deps);
        for markup in ["<script", "<img", "<b>", "\"><script"] {
            assert!(!html.contains(markup), "{markup} in {html}");
        }
        assert!(html.contains("Not ready") && html.contains("&lt;img src=x onerror=&#39;alert(1)&#39;&gt;"));
        assert!(!html.contains("http://") && !html.contains("https://"), "nothing from elsewhere");
    }
}
