//! How the whole emulator behaves; everything has a default and can be changed while it runs.

use serde::{Deserialize, Serialize};

/// Settings of one emulator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the service's own")]
pub struct Settings {
    /// The rhythm of answers, unless a model has its own.
    pub pace: Pace,
    /// What unscripted answers say, unless a model has its own.
    pub speech: Speech,
    /// The prompt cache of the providers.
    pub cache: Cache,
    /// `MissingSessionID` is enforced, as since 2026-09-06 (upstream.md §2.2).
    pub session_required: bool,
    /// The caller's country where no `cf-ipcountry` header says it (upstream.md §5.1).
    pub country: String,
    /// Requests to free models per IP and UTC day (`FreeUsageLimitError`).
    pub free_per_day: u32,
    /// Requests per key, model and clock minute (`RateLimitError`).
    pub per_minute: u32,
    /// `/usage` exists; without it the path answers 404.
    pub usage_api: bool,
    /// `/usage` names `workspaceID` and `userID` (upstream.md §3.2).
    pub usage_ids: bool,
    /// The migration router fails every legacy request with 503 (upstream.md §0.1).
    pub routing_down: bool,
    /// The inference service answers 503 `Inference is temporarily unavailable` (upstream.md §2.2).
    pub inference_down: bool,
    /// Status of a quota refusal on the new layout, which is not known (upstream.md §10.1).
    pub new_quota_status: u16,
    /// Requests that were aborted or cut are charged in full too. The legacy handler records
    /// nothing for them (upstream.md §4, last point); the new service is not known.
    pub charge_aborted: bool,
    /// Content type of the service's own errors.
    pub error_content_type: String,
    /// Connections.
    pub connection: Connection,
    /// The request log.
    pub log: LogSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pace: Pace::default(),
            speech: Speech::default(),
            cache: Cache::default(),
            session_required: true,
            country: "DE".to_owned(),
            free_per_day: 200,
            per_minute: 1_000,
            usage_api: true,
            usage_ids: false,
            routing_down: false,
            inference_down: false,
            new_quota_status: 429,
            charge_aborted: false,
            error_content_type: "application/json".to_owned(),
            connection: Connection::default(),
            log: LogSettings::default(),
        }
    }
}

/// The rhythm of an answer, in virtual time. The default is instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Pace {
    /// From the request's last byte to the headers.
    pub headers_ms: u64,
    /// From the headers to the first event.
    pub first_ms: u64,
    /// Between two events.
    pub gap_ms: u64,
    /// How events are cut into chunks.
    pub chunk: Chunk,
}

impl Pace {
    /// About what the service does: 0.6 s to the headers, 0.3 s to the first event, 60 events a
    /// second.
    pub const fn realistic() -> Self {
        Self { headers_ms: 600, first_ms: 300, gap_ms: 16, chunk: Chunk::Event }
    }
}

/// How the bytes of a stream are cut into chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Chunk {
    /// One event a chunk.
    #[default]
    Event,
    /// So many events a chunk (the gap is between chunks).
    Events(usize),
    /// So many bytes a chunk, wherever that cuts; the gap is between events still.
    Bytes(usize),
}

/// What unscripted answers say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Speech {
    /// Said as it is; empty: `output_tokens` of filler.
    pub text: String,
    /// Length of the filler, reasoning excluded; a smaller limit in the request wins.
    pub output_tokens: u64,
    /// The request's own `max_tokens` is spoken in full instead.
    pub up_to_max: bool,
    /// Reasoning before the text.
    pub reasoning_tokens: u64,
    /// Tokens per delta event.
    pub tokens_per_event: u64,
    /// Not more delta events than this; the usage still counts all tokens.
    pub max_events: u64,
}

impl Default for Speech {
    fn default() -> Self {
        Self {
            text: String::new(),
            output_tokens: 24,
            up_to_max: false,
            reasoning_tokens: 0,
            tokens_per_event: 4,
            max_events: 100_000,
        }
    }
}

/// The providers' prompt caches (upstream.md §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Cache {
    /// How long a prefix stays known in its session after its last use.
    pub lifetime_ms: i64,
    /// The cache does not survive a switch of account.
    pub lost_on_switch: bool,
    /// Shorter prefixes are not cached.
    pub min_tokens: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self { lifetime_ms: 600_000, lost_on_switch: false, min_tokens: 0 }
    }
}

/// How connections behave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Connection {
    /// HTTP/2 `SETTINGS_MAX_CONCURRENT_STREAMS`.
    pub max_streams: u32,
    /// A connection without a running request is closed after so long.
    pub idle_close_ms: Option<u64>,
    /// A connection is closed silently once it has answered so many requests.
    pub max_requests: Option<u64>,
    /// What TLS offers.
    pub alpn: Alpn,
    /// What becomes of new connections.
    pub accept: Accept,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            max_streams: 100,
            idle_close_ms: None,
            max_requests: None,
            alpn: Alpn::Both,
            accept: Accept::Serve,
        }
    }
}

/// What becomes of new connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Accept {
    /// They are served.
    #[default]
    Serve,
    /// They are closed before a byte was read, also before any TLS.
    Close,
    /// They are left without an answer, also to a TLS greeting.
    Hang,
}

/// Protocols offered in TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Alpn {
    /// `h2`, `http/1.1`.
    #[default]
    Both,
    /// `http/1.1` only.
    H1,
    /// `h2` only.
    H2,
}

/// What the request log keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LogSettings {
    /// The newest so many requests are kept.
    pub capacity: usize,
    /// Bodies up to this size are kept whole; of larger ones length and SHA-256.
    pub body_bytes: usize,
    /// SHA-256 is computed.
    pub sha256: bool,
    /// Bodies of answers are kept too, up to `body_bytes`.
    pub answers: bool,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { capacity: 4_096, body_bytes: 64 * 1024, sha256: true, answers: false }
    }
}
