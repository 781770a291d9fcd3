//! The language of the service's own error texts (upstream.md §2.1).
//!
//! The service knows 21 languages; the emulator plays three of them, enough that a reader of
//! English texts is found out.

use http::HeaderMap;
use http::header::{ACCEPT_LANGUAGE, COOKIE};

/// A language of error texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locale {
    /// English, also for every language not played here.
    #[default]
    En,
    /// German.
    De,
    /// Chinese.
    Zh,
}

impl Locale {
    /// From `x-opencode-locale`, else the cookie `oc_locale`, else `accept-language`.
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(locale) = text("x-opencode-locale") {
            return Self::named(locale);
        }
        let cookies = text(COOKIE.as_str()).unwrap_or_default();
        let cookie = cookies.split(';').find_map(|pair| pair.trim().strip_prefix("oc_locale="));
        if let Some(locale) = cookie {
            return Self::named(locale);
        }
        Self::named(text(ACCEPT_LANGUAGE.as_str()).unwrap_or_default())
    }

    fn named(text: &str) -> Self {
        let first = text.split([',', ';']).next().unwrap_or_default().trim();
        match first.split(['-', '_']).next().unwrap_or_default() {
            "de" => Self::De,
            "zh" | "zht" => Self::Zh,
            _ => Self::En,
        }
    }

    /// The text of this language.
    pub(crate) fn say(self, en: &str, de: &str, zh: &str) -> String {
        match self {
            Self::En => en,
            Self::De => de,
            Self::Zh => zh,
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_sources() {
        let mut headers = HeaderMap::new();
        assert_eq!(Locale::of(&headers), Locale::En);
        headers.insert(ACCEPT_LANGUAGE, "de-CH,de;q=0.9,en;q=0.8".parse().unwrap());
        assert_eq!(Locale::of(&headers), Locale::De);
        headers.insert(COOKIE, "a=b; oc_locale=zh".parse().unwrap());
        assert_eq!(Locale::of(&headers), Locale::Zh);
        headers.insert("x-opencode-locale", "en".parse().unwrap());
        assert_eq!(Locale::of(&headers), Locale::En);
    }
}
