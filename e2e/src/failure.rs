//! Why a test failed, with what the processes had to say.

use std::fmt;

/// What tests and their helpers return.
pub type Outcome<T = ()> = Result<T, Failure>;

/// A failure, in many lines if need be: a test runner prints it as it is.
pub struct Failure(String);

impl Failure {
    /// A failure with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The same failure followed by a titled section, such as the output of a process.
    #[must_use]
    pub fn with(self, title: &str, section: &str) -> Self {
        Self(format!("{}\n\n──── {title} ────\n{}", self.0, section.trim_end()))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("not the JSON that was expected: {error}"))
    }
}

/// Fails with a text unless the condition holds.
///
/// # Errors
/// The failure with that text.
pub fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Failure(otherwise())) }
}

/// Fails unless both are equal, showing both.
///
/// # Errors
/// The failure with both values.
pub fn ensure_eq<T: PartialEq + fmt::Debug>(what: &str, found: &T, expected: &T) -> Outcome {
    ensure(found == expected, || format!("{what}: found {found:?}, expected {expected:?}"))
}
