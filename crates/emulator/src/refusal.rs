//! Every error of upstream.md §2.2, one [`Row`] each, with its exact status, body and headers.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use serde::{Deserialize, Serialize};

use crate::calendar;
use crate::json::quoted;
use crate::locale::Locale;
use crate::model::Format;
use crate::quota::Window;

/// A row of upstream.md §2.2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Row {
    /// 401 `AuthError`: no key.
    MissingKey,
    /// 401 `AuthError`: unknown or deleted key.
    InvalidKey,
    /// 401 `AuthError` of `/usage` only: unknown or deleted key (§3.3).
    Unauthorized,
    /// 401 `AuthError`: the workspace is blocked.
    Blocked,
    /// 401 `AuthError`: the same in July and August 2026.
    BlockedByProvider,
    /// 401 `CreditsError`: no Go subscription.
    SubscriptionRequired,
    /// 401 `CreditsError`: quota used up, "Use balance" on, balance empty.
    InsufficientBalance,
    /// 401 `CreditsError`: the same without a payment method.
    NoPaymentMethod,
    /// 401 `MonthlyLimitError`: the workspace's spending limit.
    MonthlyLimit {
        /// In whole dollars.
        dollars: i64,
    },
    /// 401 `UserLimitError`: the member's spending limit.
    UserLimit {
        /// In whole dollars.
        dollars: i64,
    },
    /// 401 `ModelError`: unknown model.
    ModelUnsupported,
    /// 401 `ModelError`: known model, wrong endpoint.
    FormatUnsupported,
    /// 401 `ModelError`.
    NoProvider,
    /// 401 `ModelError`.
    ProviderUnsupported,
    /// 401 `ModelError`: switched off by the workspace.
    ModelDisabled,
    /// 401 `ModelError`.
    PromotionEnded,
    /// 403 `RegionError`: hosted in China, needs opt-in.
    RegionOptIn,
    /// 403 `RegionError`: not in this country.
    Country,
    /// 403 `DataPolicyError`: needs "allow training".
    Training,
    /// 403 `EntitlementError` of `/usage` only.
    Entitlement,
    /// 429 `GoUsageLimitError`.
    GoUsage {
        /// Which window is used up.
        window: Window,
        /// Seconds until it resets.
        retry_after: i64,
    },
    /// 429 `RateLimitError`: per key, model and minute.
    RateLimit,
    /// 429 `FreeUsageLimitError`: per IP and day.
    FreeUsage,
    /// 429 `BlackUsageLimitError`.
    BlackUsage {
        /// Seconds until the reset.
        retry_after: i64,
    },
    /// 400 `MissingSessionID`.
    MissingSession,
    /// 400 of a provider: the conversation is too long.
    ContextOverflow {
        /// Tokens the model can hold.
        limit: u64,
        /// Tokens of this prompt.
        tokens: u64,
    },
    /// 400 of Alibaba: the body is too large (§1.2).
    BodyTooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// 400 of a provider with any message.
    BadRequest {
        /// What the provider said.
        message: String,
    },
    /// 429 of a provider: its pool is saturated (#34898).
    ProviderSaturated,
    /// 429 of a provider, the other form (#47747).
    ProviderRateLimited,
    /// 529 of a provider.
    Overloaded,
    /// 500 `error`.
    Internal,
    /// 502 `upstream_error`: GLM through `/responses`.
    NoAssistantMessage,
    /// 503 `api_error`: the migration router is down (§0.1).
    RoutingDown,
    /// 503 of the new inference service.
    InferenceDown,
    /// 400 in plain text: no body.
    MissingBody,
    /// 401 of the new service: the account is blocked.
    AccessBlocked,
    /// 403 of the new service: no subscription.
    AccountDisabled,
    /// 403 (or 400) with the bare body `{"model":"…"}`.
    NotServed {
        /// 403 or 400.
        #[serde(default = "forbidden")]
        status: u16,
    },
    /// 403 of the new service: region.
    NotInRegion,
}

fn forbidden() -> u16 {
    403
}

/// What a row needs to know of the request it answers.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    /// The model as the request named it.
    pub model: &'a str,
    /// Display name of the model's provider.
    pub provider: &'a str,
    /// The endpoint's format.
    pub format: Format,
    /// `wrk_…`, empty if the key is unknown.
    pub workspace: &'a str,
    /// Language of the text.
    pub locale: Locale,
    /// Now.
    pub now: i64,
    /// Content type of JSON errors.
    pub content_type: &'a str,
}

/// An answer that is complete from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status code.
    pub status: StatusCode,
    /// Headers except `content-length`.
    pub headers: Vec<(HeaderName, String)>,
    /// Body.
    pub body: String,
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: StatusCode, body: impl Into<String>) -> Self {
        Self::text(status, "application/json", body.into())
    }

    /// An answer of another type.
    pub fn text(status: StatusCode, content_type: &str, body: String) -> Self {
        Self { status, headers: vec![(CONTENT_TYPE, content_type.to_owned())], body }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Row {
    /// The row's answer.
    pub fn reply(&self, scene: &Scene<'_>) -> Reply {
        match self {
            Self::MissingKey
            | Self::InvalidKey
            | Self::Unauthorized
            | Self::Blocked
            | Self::BlockedByProvider => self.own(scene, 401, "AuthError"),
            Self::SubscriptionRequired | Self::InsufficientBalance | Self::NoPaymentMethod => {
                self.own(scene, 401, "CreditsError")
            }
            Self::MonthlyLimit { .. } => self.own(scene, 401, "MonthlyLimitError"),
            Self::UserLimit { .. } => self.own(scene, 401, "UserLimitError"),
            Self::ModelUnsupported
            | Self::FormatUnsupported
            | Self::NoProvider
            | Self::ProviderUnsupported
            | Self::ModelDisabled
            | Self::PromotionEnded => self.own(scene, 401, "ModelError"),
            Self::RegionOptIn | Self::Country => self.own(scene, 403, "RegionError"),
            Self::Training => self.own(scene, 403, "DataPolicyError"),
            Self::Entitlement => self.own(scene, 403, "EntitlementError"),
            Self::GoUsage { window, retry_after } => {
                let metadata = format!(
                    r#"{{"workspace":{},"limitName":"{}"}}"#,
                    quoted(scene.workspace),
                    window.limit_name()
                );
                self.limited(scene, "GoUsageLimitError", *retry_after, &metadata)
            }
            Self::RateLimit => self.limited(scene, "RateLimitError", 60, "{}"),
            Self::FreeUsage => {
                let ms = calendar::next_midnight(scene.now) - scene.now;
                let seconds = (ms + calendar::SECOND - 1) / calendar::SECOND;
                self.limited(scene, "FreeUsageLimitError", seconds, "{}")
            }
            Self::BlackUsage { retry_after } => {
                self.limited(scene, "BlackUsageLimitError", *retry_after, "{}")
            }
            Self::Internal => self.own(scene, 500, "error"),
            _ => self.foreign(scene),
        }
    }

    /// Errors that are not the legacy handler's own.
    fn foreign(&self, scene: &Scene<'_>) -> Reply {
        let provider = |text: &str| format!("Error from provider ({}): {text}", scene.provider);
        match self {
            Self::MissingSession => self.own(scene, 400, "MissingSessionID"),
            Self::ContextOverflow { limit, tokens } => {
                let text = provider(&format!(
                    "This model's maximum context length is {limit} tokens. However, your \
                     messages resulted in {tokens} tokens. Please reduce the length of the messages."
                ));
                if scene.format == Format::Messages {
                    return anthropic(400, "invalid_request_error", &text);
                }
                openai(400, "invalid_request_error", Some("context_length_exceeded"), &text)
            }
            Self::BodyTooLarge { limit } => {
                let text = format!("Exceeded limit on max bytes to request body : {limit}");
                openai(400, "BadRequest.TooLarge", None, &provider(&text))
            }
            Self::BadRequest { message } => {
                openai(400, "invalid_request_error", None, &provider(message))
            }
            Self::ProviderSaturated => openai(
                429,
                "rate_limit_error",
                Some("provider_rate_limit_exceeded"),
                &provider("Provider rate limit exceeded"),
            ),
            Self::ProviderRateLimited => openai(
                429,
                "rate_limit_error",
                Some("rate_limit_exceeded"),
                &provider(
                    "Upstream request failed: [rate_limit_exceeded] Rate limit exceeded. \
                     Please retry after a brief wait.",
                ),
            ),
            Self::Overloaded => match scene.format {
                Format::Messages => anthropic(529, "overloaded_error", &provider("Overloaded")),
                _ => openai(529, "overloaded_error", None, &provider("Overloaded")),
            },
            Self::NoAssistantMessage => Reply::json(
                code_of(502),
                r#"{"error":{"type":"upstream_error","message":"Chat upstream returned no assistant message"}}"#,
            ),
            Self::RoutingDown => Reply::json(
                code_of(503),
                r#"{"error":{"type":"api_error","message":"Inference routing is unavailable. Please retry later."}}"#,
            )
            .with(CACHE_CONTROL, "no-store"),
            Self::InferenceDown => Reply::json(
                code_of(503),
                r#"{"error":{"message":"Inference is temporarily unavailable"}}"#,
            ),
            Self::MissingBody => Reply::text(
                code_of(400),
                "text/plain;charset=UTF-8",
                "Missing request body".to_owned(),
            ),
            Self::AccessBlocked => openai(
                401,
                "authentication_error",
                Some("INFERENCE_ACCESS_BLOCKED"),
                "Access to inference is blocked for this account.",
            ),
            Self::AccountDisabled => openai(
                403,
                "permission_error",
                Some("Account.Disabled"),
                "An active OpenCode Go subscription is required to use Go models.",
            ),
            Self::NotServed { status } => {
                Reply::json(code_of(*status), format!(r#"{{"model":{}}}"#, quoted(scene.model)))
            }
            _ => openai(
                403,
                "permission_error",
                None,
                "This model is not available in your region.",
            ),
        }
    }

    /// `{"type":"error","error":{"type","message"}}` (upstream.md §2.1).
    fn own(&self, scene: &Scene<'_>, status: u16, class: &str) -> Reply {
        let message = quoted(&self.message(scene));
        let body =
            format!(r#"{{"type":"error","error":{{"type":"{class}","message":{message}}}}}"#);
        Reply::text(code_of(status), scene.content_type, body)
    }

    /// A 429 of the service's own: `retry-after` in whole seconds and `metadata`.
    fn limited(&self, scene: &Scene<'_>, class: &str, seconds: i64, metadata: &str) -> Reply {
        let message = quoted(&self.message(scene));
        let body = format!(
            r#"{{"type":"error","error":{{"type":"{class}","message":{message}}},"metadata":{metadata}}}"#
        );
        Reply::text(code_of(429), scene.content_type, body).with(RETRY_AFTER, seconds.to_string())
    }

    fn message(&self, scene: &Scene<'_>) -> String {
        crate::wording::message(self, scene)
    }
}

/// The error shape of OpenAI-compatible providers, fields in the order of the captured answers.
fn openai(status: u16, kind: &str, code: Option<&str>, message: &str) -> Reply {
    let code = code.map_or_else(|| "null".to_owned(), quoted);
    let message = quoted(message);
    Reply::json(
        code_of(status),
        format!(
            r#"{{"error":{{"message":{message},"type":"{kind}","param":null,"code":{code}}}}}"#
        ),
    )
}

/// The error shape of Anthropic-compatible providers.
fn anthropic(status: u16, kind: &str, message: &str) -> Reply {
    let message = quoted(message);
    Reply::json(
        code_of(status),
        format!(r#"{{"type":"error","error":{{"type":"{kind}","message":{message}}}}}"#),
    )
}

fn code_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
