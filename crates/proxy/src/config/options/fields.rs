//! The names within blocks: an entry of `keys`, of `prices`, `scraping` and its accounts.

/// A name within a block.
#[derive(Debug)]
pub struct Field {
    /// The name.
    pub name: &'static str,
    /// What it is for, as sentences.
    pub help: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it holds.
    pub holds: Holds,
}

/// What a name within a block holds.
#[derive(Debug)]
pub enum Holds {
    /// Text.
    Text,
    /// Text that is shown to nobody; it may be encrypted.
    Secret,
    /// The base URL of an upstream.
    Base,
    /// One of some words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// An amount of dollars.
    Dollars,
    /// `false`, `true` or an amount of dollars.
    Balance,
    /// A list of blocks.
    List(&'static [Field]),
}

/// The words of `plan`.
pub const PLANS: &[&str] = &["go", "go-plus"];

/// Within an entry of `keys`.
pub const KEY_FIELDS: &[Field] = &[
    Field {
        name: "label",
        help: "Your name for it, in logs and in the X-Proxy-Key-Label header.",
        required: true,
        holds: Holds::Text,
    },
    Field {
        name: "key",
        help: "The key: `sk-…` or `oc_sk_…`, at least 20 characters, or encrypted, `enc:scrypt:…`.",
        required: true,
        holds: Holds::Secret,
    },
    Field {
        name: "upstreamBaseUrl",
        help: "Where this key is used, instead of the `upstreamBaseUrl` of all.",
        required: false,
        holds: Holds::Base,
    },
    Field {
        name: "allowBalance",
        help: "May this account spend prepaid balance? Instead of the `allowBalance` of all.",
        required: false,
        holds: Holds::Balance,
    },
    Field {
        name: "plan",
        help: "The subscription, where the service does not tell it.",
        required: false,
        holds: Holds::Word(PLANS),
    },
];

/// Within `scraping`.
pub const SCRAPING_FIELDS: &[Field] = &[
    Field {
        name: "enabled",
        help: "Whether the dashboard is read at all.",
        required: false,
        holds: Holds::Switch,
    },
    Field {
        name: "intervalMs",
        help: "Milliseconds between two readings, 90000 unless written.",
        required: false,
        holds: Holds::Number(10_000, 3_600_000),
    },
    Field {
        name: "usageThreshold",
        help: "70 unless written. Counts only while `enabled`; the `usageThreshold` outside goes before it.",
        required: false,
        holds: Holds::Number(1, 100),
    },
    Field {
        name: "accounts",
        help: "The n-th entry belongs to the n-th key.",
        required: false,
        holds: Holds::List(ACCOUNT_FIELDS),
    },
];

/// Within an entry of `scraping.accounts`.
pub const ACCOUNT_FIELDS: &[Field] = &[
    Field {
        name: "workspaceId",
        help: "The workspace whose page is read, `wrk_…`.",
        required: true,
        holds: Holds::Text,
    },
    Field {
        name: "authCookie",
        help: "The cookie that opens the page; it may be encrypted, `enc:scrypt:…`.",
        required: true,
        holds: Holds::Secret,
    },
];

/// Within an entry of `prices`.
pub const PRICE_FIELDS: &[Field] = &[
    Field {
        name: "input",
        help: "Dollars for a million tokens of prompt.",
        required: false,
        holds: Holds::Dollars,
    },
    Field {
        name: "output",
        help: "Dollars for a million tokens of answer.",
        required: false,
        holds: Holds::Dollars,
    },
    Field {
        name: "cacheRead",
        help: "Dollars for a million tokens read from the prompt cache.",
        required: false,
        holds: Holds::Dollars,
    },
    Field {
        name: "cacheWrite",
        help: "Dollars for a million tokens written to the prompt cache.",
        required: false,
        holds: Holds::Dollars,
    },
    Field {
        name: "monthlyLimit",
        help: "Dollars of this model that a subscription holds in a month.",
        required: false,
        holds: Holds::Dollars,
    },
];
