//! The cryptographic library: aws-lc-rs, with the post-quantum key exchange X25519MLKEM768 preferred.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));

/// The default suites and groups.
pub(crate) fn get() -> &'static Arc<CryptoProvider> {
    &PROVIDER
}
