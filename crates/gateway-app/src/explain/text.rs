//! The explanation for a person.

use std::io::{self, Write};

use super::model::{Explanation, Refusal, Routed, Sourced};

pub(super) fn write(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", explanation.asked)?;
    if explanation.name != explanation.asked {
        row(out, "looked up as", &explanation.name)?;
    }
    for part in &explanation.parts {
        row(out, &part.part.replace('_', " "), &part.value)?;
    }
    if let Some(why) = &explanation.not_of_the_mesh {
        row(out, "form", why)?;
    }
    match (&explanation.routed, &explanation.refused) {
        (Some(routed), _) => write_routed(routed, out)?,
        (None, Some(refusal)) => write_refusal(refusal, out)?,
        (None, None) => {}
    }
    explanation.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))
}

pub(crate) fn write_routed(routed: &Routed, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "routed")?;
    row(out, "by", &format!("{} {}: {}", routed.rule, routed.name, routed.because))?;
    row(out, "service label", &routed.service)?;
    row(out, "balancer", &routed.balancer)?;
    sourced(out, "connect timeout", &routed.connect_timeout)?;
    sourced(out, "max connections", &routed.max_connections)?;
    sourced(out, "max pending", &routed.max_pending)?;
    row(out, "ejection", &routed.ejection)?;
    writeln!(out, "endpoints: {}, healthy {}", routed.endpoints_total, routed.endpoints_healthy)?;
    for endpoint in &routed.endpoints {
        let used = if endpoint.used { "used    " } else { "not used" };
        writeln!(
            out,
            "  {used}  {:<24} weight {:<3}  {}  ({})",
            endpoint.address, endpoint.weight, endpoint.instance, endpoint.why
        )?;
    }
    if routed.endpoints_total > routed.endpoints.len() {
        writeln!(out, "  … and {} more", routed.endpoints_total - routed.endpoints.len())?;
    }
    routed.live.as_ref().map_or(Ok(()), |live| write_live(live, out))
}

fn write_live(live: &serde_json::Value, out: &mut dyn Write) -> io::Result<()> {
    let number = |value: &serde_json::Value, key: &str| value.get(key).cloned().unwrap_or_default();
    writeln!(
        out,
        "live: open {}, pending {}, ejections {}",
        number(live, "open"),
        number(live, "pending"),
        number(live, "ejections")
    )?;
    for endpoint in live.get("endpoints").and_then(|rows| rows.as_array()).into_iter().flatten() {
        let address = endpoint.get("address").and_then(|address| address.as_str()).unwrap_or("-");
        let ejected = match number(endpoint, "ejected_for_seconds").as_f64() {
            Some(seconds) => format!(", ejected for another {seconds:.0} s"),
            None => String::new(),
        };
        writeln!(
            out,
            "  {address:<34} in flight {}, failures in a row {}{ejected}",
            number(endpoint, "in_flight"),
            number(endpoint, "consecutive_failures")
        )?;
    }
    Ok(())
}

fn write_refusal(refusal: &Refusal, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "refused")?;
    row(out, "reason", &format!("{}: {}", refusal.reason, refusal.meaning))?;
    row(out, "because", &refusal.because)?;
    if !refusal.near.is_empty() {
        row(out, "near", &refusal.near.join("\n                   "))?;
    }
    Ok(())
}

pub(crate) fn row(out: &mut dyn Write, label: &str, value: &str) -> io::Result<()> {
    writeln!(out, "  {label:<15}  {value}")
}

fn sourced(out: &mut dyn Write, label: &str, value: &Sourced) -> io::Result<()> {
    row(out, label, &format!("{}  ({})", value.value, value.from))
}
