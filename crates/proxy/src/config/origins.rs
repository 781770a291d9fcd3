//! Which web pages may use the proxy.

/// The patterns of `allowedOrigins`; `*` stands for any run of characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Takes the patterns as they are written; none means every origin is allowed.
    pub fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    /// The patterns as they were written.
    pub fn patterns(&self) -> &[String] {
        &self.0
    }

    /// Whether a page of this origin (the value of its `Origin` header) may use the proxy.
    pub fn allows(&self, origin: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| fits(pattern, origin))
    }

    /// Whether every page may.
    pub fn open(&self) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.bytes().all(|byte| byte == b'*'))
    }
}

impl Default for Origins {
    fn default() -> Self {
        Self(vec!["http://localhost:*".to_owned(), "http://127.0.0.1:*".to_owned()])
    }
}

/// Scheme and host of an origin are compared without regard to case, as browsers send them in
/// lower case whatever the user typed into the file.
fn fits(pattern: &str, origin: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let origin = origin.to_ascii_lowercase();
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| origin.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    // Between the fixed ends the leftmost match of each part leaves most room for the next.
    let mut rest = rest;
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, origin: &str, allowed: bool) {
        let origins = Origins::new(vec![pattern.to_owned()]);
        assert_eq!(origins.allows(origin), allowed, "{pattern} and {origin}");
    }

    #[test]
    fn a_star_is_a_wildcard() {
        check("http://localhost:*", "http://localhost:5173", true);
        check("http://localhost:*", "http://LOCALHOST:5173", true);
        check("http://localhost:*", "http://localhost", false);
        check("http://localhost:*", "https://localhost:5173", false);
        check("http://localhost:*", "http://localhost.evil.example:1", false);
        check("http://localhost:*", "http://evil.example/http://localhost:1", false);
        check("https://*.example.com", "https://a.example.com", true);
        check("https://*.example.com", "https://example.com", false);
        check("https://*.example.com", "https://a.example.com.evil", false);
        check("*://a*b*c", "http://aXbYbZc", true);
        check("*://a*b*c", "http://aXcYb", false);
        check("https://a.b", "https://a.b", true);
        check("https://a.b", "https://a.bc", false);
        check("ab*ba", "aba", false);
        check("*", "null", true);
        check("http://localhost:*", "null", false);
    }

    #[test]
    fn none_allows_all() {
        assert!(Origins::new(Vec::new()).allows("https://evil.example"));
        assert!(Origins::new(Vec::new()).open());
        assert!(Origins::new(vec!["*".to_owned()]).open());
        assert!(!Origins::default().open());
        assert!(Origins::default().allows("http://127.0.0.1:8080"));
        assert!(!Origins::default().allows("https://evil.example"));
    }
}
