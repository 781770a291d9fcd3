//! The providers' prompt caches: a prefix seen before in the session, within a lifetime, counts
//! as cached (upstream.md §5.3).

use std::collections::HashMap;

use crate::conversation::Block;
use crate::price::Tokens;
use crate::settings::Cache;

/// Whose cache: what is cached for one is unknown to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) model: String,
    pub(crate) session: String,
    /// Set where the cache does not survive a switch of account.
    pub(crate) account: Option<String>,
}

/// All prompt caches.
#[derive(Debug, Default)]
pub(crate) struct PromptCache {
    known: HashMap<Owner, Prefixes>,
}

#[derive(Debug, Default)]
struct Prefixes {
    last_used: HashMap<u64, i64>,
    touched: i64,
}

/// Above this many owners, expired ones are forgotten.
const CROWDED: usize = 10_000;

impl PromptCache {
    /// Looks a prompt up and remembers it: how its tokens divide into cached and new.
    pub(crate) fn prompt(
        &mut self,
        owner: Owner,
        blocks: &[Block],
        settings: &Cache,
        now: i64,
    ) -> Tokens {
        if self.known.len() > CROWDED {
            self.known.retain(|_, known| now - known.touched <= settings.lifetime_ms);
        }
        let known = self.known.entry(owner).or_default();
        known.last_used.retain(|_, used| now - *used <= settings.lifetime_ms);
        known.touched = now;
        let mut cached = 0;
        let mut total = 0;
        for block in blocks {
            total += block.tokens;
            if known.last_used.contains_key(&block.prefix) {
                cached = total;
            }
        }
        for block in blocks {
            known.last_used.insert(block.prefix, now);
        }
        if cached < settings.min_tokens {
            cached = 0;
        }
        // At least one token is always read anew.
        let cached = cached.min(total.saturating_sub(1));
        Tokens { input: total - cached, cached, ..Tokens::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(session: &str) -> Owner {
        Owner { model: "m".to_owned(), session: session.to_owned(), account: None }
    }

    const BLOCKS: [Block; 3] = [
        Block { prefix: 1, tokens: 100 },
        Block { prefix: 2, tokens: 10 },
        Block { prefix: 3, tokens: 5 },
    ];

    #[test]
    fn a_known_prefix_is_cached_within_its_session_and_lifetime() {
        let mut cache = PromptCache::default();
        let settings = Cache { lifetime_ms: 1_000, ..Cache::default() };
        let mut ask = |session, blocks, now| {
            let tokens = cache.prompt(owner(session), blocks, &settings, now);
            (tokens.input, tokens.cached)
        };
        assert_eq!(ask("s", &BLOCKS[..2], 0), (110, 0));
        assert_eq!(ask("s", &BLOCKS, 900), (5, 110));
        assert_eq!(ask("other", &BLOCKS, 900), (115, 0));
        assert_eq!(ask("s", &BLOCKS, 1_900), (1, 114), "used at 900: still warm");
        assert_eq!(ask("s", &BLOCKS, 2_901), (115, 0), "expired");
    }
}
