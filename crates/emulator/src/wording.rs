//! The texts of the service's own errors (upstream.md §2.2), in the languages of [`Locale`].
//!
//! [`Locale`]: crate::locale::Locale

use crate::quota::Window;
use crate::refusal::{Row, Scene};

/// The text of an own error.
pub(crate) fn message(row: &Row, scene: &Scene<'_>) -> String {
    let say = |en: &str, de: &str, zh: &str| scene.locale.say(en, de, zh);
    let page = |what: &str| format!("https://opencode.ai/workspace/{}/{what}", scene.workspace);
    let model = scene.model;
    match row {
        Row::MissingKey => say("Missing API key.", "API-Schlüssel fehlt.", "缺少 API 密钥。"),
        Row::InvalidKey => say("Invalid API key.", "Ungültiger API-Schlüssel.", "API 密钥无效。"),
        Row::Unauthorized => "Unauthorized".to_owned(),
        Row::Blocked => say(
            "This account has found to be committing fraud or is in breach of terms of services \
             and has been blocked. If you think this is a mistake, contact help@anoma.ly",
            "Dieses Konto wurde wegen Betrugs oder Verstoßes gegen die Bedingungen gesperrt. \
             help@anoma.ly",
            "该账户因欺诈或违反服务条款已被封禁。help@anoma.ly",
        ),
        Row::BlockedByProvider => "Request blocked by upstream provider.".to_owned(),
        Row::SubscriptionRequired => link(
            &say(
                "An active OpenCode Go subscription is required. Manage it here:",
                "Ein aktives OpenCode-Go-Abo ist erforderlich. Hier verwalten:",
                "需要有效的 OpenCode Go 订阅。在此管理：",
            ),
            &page("go"),
        ),
        Row::InsufficientBalance => link(
            &say(
                "Insufficient balance. Manage your billing here:",
                "Guthaben reicht nicht aus. Abrechnung hier verwalten:",
                "余额不足。在此管理账单：",
            ),
            &page("billing"),
        ),
        Row::NoPaymentMethod => link(
            &say(
                "No payment method. Add a payment method here:",
                "Keine Zahlungsmethode. Hier hinzufügen:",
                "没有付款方式。在此添加：",
            ),
            &page("billing"),
        ),
        Row::MonthlyLimit { dollars } => link(
            &say(
                &format!(
                    "Your workspace has reached its monthly spending limit of ${dollars}. \
                     Manage your limits here:"
                ),
                &format!("Dein Workspace hat sein monatliches Limit von ${dollars} erreicht:"),
                &format!("您的工作区已达到每月 ${dollars} 的支出上限："),
            ),
            &page("billing"),
        ),
        Row::UserLimit { dollars } => link(
            &say(
                &format!(
                    "You have reached your monthly spending limit of ${dollars}. \
                     Manage your limits here:"
                ),
                &format!("Du hast dein monatliches Limit von ${dollars} erreicht:"),
                &format!("您已达到每月 ${dollars} 的支出上限："),
            ),
            &page("members"),
        ),
        Row::ModelUnsupported => say(
            &format!("Model {model} is not supported"),
            &format!("Modell {model} wird nicht unterstützt"),
            &format!("不支持模型 {model}"),
        ),
        Row::FormatUnsupported => {
            let format = scene.format.name();
            say(
                &format!("Model {model} is not supported for format {format}"),
                &format!("Modell {model} wird für Format {format} nicht unterstützt"),
                &format!("模型 {model} 不支持格式 {format}"),
            )
        }
        Row::NoProvider => {
            say("No provider available", "Kein Anbieter verfügbar", "没有可用的提供商")
        }
        Row::ProviderUnsupported => {
            let provider = scene.provider;
            say(
                &format!("Provider {provider} not supported"),
                &format!("Anbieter {provider} wird nicht unterstützt"),
                &format!("不支持提供商 {provider}"),
            )
        }
        Row::ModelDisabled => say("Model is disabled", "Modell ist deaktiviert", "模型已禁用"),
        Row::PromotionEnded => say(
            &format!(
                "Free promotion has ended for {model}. You can continue using the model by \
                 subscribing to OpenCode Go - https://opencode.ai/go"
            ),
            &format!("Die kostenlose Aktion für {model} ist beendet. https://opencode.ai/go"),
            &format!("{model} 的免费推广已结束。https://opencode.ai/go"),
        ),
        Row::RegionOptIn => link(
            &say(
                "The latest version of this model is only available hosted in China and requires \
                 explicit opt in:",
                "Die neueste Version dieses Modells läuft nur in China und braucht Zustimmung:",
                "此模型的最新版本仅在中国托管，需要明确选择加入：",
            ),
            &page("go"),
        ),
        Row::Country => say(
            "This model is not available in your country.",
            "Dieses Modell ist in deinem Land nicht verfügbar.",
            "此模型在您的国家/地区不可用。",
        ),
        Row::Training => link(
            &say(
                "This model collects data used to improve its quality and requires explicit \
                 opt in:",
                "Dieses Modell sammelt Daten zur Verbesserung und braucht Zustimmung:",
                "此模型会收集数据以提升质量，需要明确选择加入：",
            ),
            &page("go"),
        ),
        Row::Entitlement => "OpenCode Go subscription required.".to_owned(),
        Row::GoUsage { window, retry_after } => go_usage(scene, *window, *retry_after),
        Row::RateLimit | Row::FreeUsage => say(
            "Rate limit exceeded. Please try again later.",
            "Anfragelimit überschritten. Bitte später erneut versuchen.",
            "超出速率限制。请稍后重试。",
        ),
        Row::BlackUsage { retry_after } => {
            let wait = duration(*retry_after);
            say(
                &format!("Subscription quota exceeded. Retry in {wait}."),
                &format!("Abo-Kontingent überschritten. Erneut in {wait}."),
                &format!("订阅配额已用尽。{wait} 后重试。"),
            )
        }
        // The new service answers in English only.
        Row::MissingSession => {
            "Error from provider (Console Go): Request is missing x-opencode-session and cannot \
             be routed efficiently. Please see https://opencode.ai/docs/go/#where-can-i-use-it"
                .to_owned()
        }
        _ => say("Internal server error", "Interner Serverfehler", "内部服务器错误"),
    }
}

fn link(text: &str, page: &str) -> String {
    format!("{text} {page}")
}

fn go_usage(scene: &Scene<'_>, window: Window, retry_after: i64) -> String {
    let (en, de, zh) = match window {
        Window::FiveHour => ("5-hour", "5-Stunden", "5 小时"),
        Window::Weekly => ("Weekly", "Wöchentliches", "每周"),
        Window::Monthly => ("Monthly", "Monatliches", "每月"),
    };
    let wait = duration(retry_after);
    let page = format!("https://opencode.ai/workspace/{}/go", scene.workspace);
    scene.locale.say(
        &format!(
            "{en} usage limit reached. Resets in {wait}. To continue using this model now, enable \
             usage from your available balance: {page}"
        ),
        &format!("{de} Nutzungslimit erreicht. Zurückgesetzt in {wait}. {page}"),
        &format!("已达到{zh}使用上限。{wait} 后重置。{page}"),
    )
}

/// `{retryIn}`: days, else hours and minutes, else minutes.
fn duration(seconds: i64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600);
    let minutes = (seconds % 3_600 + 59) / 60;
    match (days, hours) {
        (1, _) => "1 day".to_owned(),
        (2.., _) => format!("{days} days"),
        (_, 1..) => format!("{hours}hr {minutes}min"),
        _ => format!("{minutes}min"),
    }
}
