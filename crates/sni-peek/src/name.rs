//! Which bytes may be a server name.
//!
//! The rule is wider than that of DNS: any visible ASCII character passes, and so do an IP address and a trailing dot.
//! They are valid TLS that no table of host names can hold, so the connection is refused one step later, with a record
//! that shows the name. Refused here is what could be read in two ways (NUL), forge a log line (control characters,
//! blanks) or slip under a wildcard without being a host (empty and over-long labels).

use crate::Malformed;

/// Longest server name in bytes: the limit of DNS in wire format, also that of other TLS implementations.
const MAX_NAME: usize = 255;
const MAX_LABEL: usize = 63;

pub(crate) fn check(name: &[u8]) -> Result<(), Malformed> {
    if name.is_empty() {
        return Err(Malformed::NameEmpty);
    }
    if name.len() > MAX_NAME {
        return Err(Malformed::NameLength { length: name.len() });
    }
    if let Some(&byte) = name.iter().find(|byte| !byte.is_ascii_graphic()) {
        return Err(Malformed::NameByte { byte });
    }
    let labels = name.strip_suffix(b".").unwrap_or(name).split(|&byte| byte == b'.');
    for length in labels.map(<[u8]>::len) {
        if length == 0 || length > MAX_LABEL {
            return Err(Malformed::NameLabel { length });
        }
    }
    Ok(())
}
