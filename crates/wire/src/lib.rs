//! Reading bytes without changing them.
