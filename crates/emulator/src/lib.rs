//! A faithful OpenCode Go.
