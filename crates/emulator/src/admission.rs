//! The order of checks (upstream.md §2.1): model exists → country → IP limiter → per-key rate
//! limiter → key valid, workspace blocked → training consent → region → quota and billing.
//! What the provider checks follows in [`provider`].

use std::sync::Arc;

use crate::account::Account;
use crate::model::{Format, Model};
use crate::price::Money;
use crate::quota::Plan;
use crate::refusal::Row;
use crate::request::Caller;
use crate::world::World;

/// A request as the checks see it.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) format: Format,
    pub(crate) model: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
    pub(crate) caller: &'a Caller,
    pub(crate) body_len: usize,
}

/// Who pays (upstream.md §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payer {
    /// The model costs nothing.
    Nobody,
    /// The quota.
    Quota,
    /// The prepaid balance.
    Balance,
}

/// A request that passed.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    pub(crate) model: Arc<Model>,
    /// Label of the account; none for anonymous requests.
    pub(crate) account: Option<String>,
    pub(crate) plan: Plan,
    pub(crate) payer: Payer,
}

/// A request that did not.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) row: Row,
    /// A status in place of the row's own.
    pub(crate) status: Option<u16>,
}

impl From<Row> for Refused {
    fn from(row: Row) -> Self {
        Self { row, status: None }
    }
}

/// The legacy handler's checks.
pub(crate) fn legacy(world: &mut World, ask: &Ask<'_>, now: i64) -> Result<Admitted, Refused> {
    let name = named(ask)?;
    let model = world.model(name).cloned().ok_or(Row::ModelUnsupported)?;
    if model.promotion_ended {
        return Err(Row::PromotionEnded.into());
    }
    if model.format_entries && !speaks(&model, ask.format) {
        return Err(Row::FormatUnsupported.into());
    }
    country(world, &model, ask)?;
    let (per_day, per_minute) = (world.settings.free_per_day, world.settings.per_minute);
    if model.anonymous && !world.limits.ip(&ask.caller.ip, per_day, now) {
        return Err(Row::FreeUsage.into());
    }
    let per_minute = model.per_minute.unwrap_or(per_minute);
    if let Some(key) = ask.key
        && !world.limits.key(key, &model.id, per_minute, now)
    {
        return Err(Row::RateLimit.into());
    }
    let Some(key) = ask.key else {
        if model.anonymous {
            return Ok(Admitted { model, account: None, plan: Plan::Go, payer: Payer::Nobody });
        }
        return Err(Row::MissingKey.into());
    };
    let Some((account, _)) = world.owner(key) else { return Err(Row::InvalidKey.into()) };
    if is_blocked(account, &model) {
        return Err(Row::Blocked.into());
    }
    consent(account, &model)?;
    let payer = payer(account, &model, now)?;
    if payer == Payer::Balance && account.disabled_models.contains(&model.id) {
        return Err(Row::ModelDisabled.into());
    }
    Ok(Admitted { account: Some(account.label.clone()), plan: account.plan, model, payer })
}

/// The new inference service's checks. Its source is not public; the order is assumed, the rows
/// are those seen (upstream.md §2.2, second list).
pub(crate) fn inference(
    world: &mut World,
    ask: &Ask<'_>,
    now: i64,
    through_router: bool,
) -> Result<Admitted, Refused> {
    let key = ask.key.ok_or(Row::MissingKey)?;
    let Some((account, _)) = world.owner(key) else { return Err(Row::InvalidKey.into()) };
    if account.blocked {
        return Err(Row::AccessBlocked.into());
    }
    if !account.subscribed {
        return Err(Row::AccountDisabled.into());
    }
    let name = named(ask)?;
    let Some(model) = world.model(name).cloned() else {
        // 404 becomes 400 on the way through the router (upstream.md §0.1).
        let status = if through_router { 400 } else { 404 };
        return Err(Refused { status: Some(status), ..Row::ModelUnsupported.into() });
    };
    country(world, &model, ask)?;
    if account.flagged && is_blocked(account, &model) {
        return Err(Row::AccessBlocked.into());
    }
    consent(account, &model)?;
    let status = world.settings.new_quota_status;
    let payer = payer(account, &model, now).map_err(|refused| match refused.row {
        Row::GoUsage { .. } => Refused { status: Some(status), ..refused },
        _ => refused,
    })?;
    Ok(Admitted { account: Some(account.label.clone()), plan: account.plan, model, payer })
}

/// What the provider has against the request, in no order the service promises.
pub(crate) fn provider(
    world: &World,
    admitted: &Admitted,
    ask: &Ask<'_>,
    demand: &Demand,
) -> Result<(), Row> {
    let model = &admitted.model;
    if model.no_provider {
        return Err(Row::NoProvider);
    }
    // "Zen provider format must match request format" (upstream.md §1.3).
    if !demand.translated && !speaks(model, ask.format) {
        return Err(Row::Internal);
    }
    if world.settings.inference_down {
        return Err(Row::InferenceDown);
    }
    if world.settings.session_required && !demand.session {
        return Err(Row::MissingSession);
    }
    let account = admitted.account.as_deref();
    let served = |label| world.accounts.iter().find(|account| account.label == label);
    if account.and_then(served).is_some_and(|account| account.unserved.contains(&model.id)) {
        return Err(Row::NotServed { status: 403 });
    }
    if model.saturated {
        return Err(Row::ProviderSaturated);
    }
    if let Some(limit) = model.max_body.filter(|limit| ask.body_len as u64 > *limit) {
        return Err(Row::BodyTooLarge { limit });
    }
    let Some(tokens) = demand.tokens else {
        return Err(Row::BadRequest { message: "Invalid JSON in request body".to_owned() });
    };
    if tokens > model.context {
        return Err(Row::ContextOverflow { limit: model.context, tokens });
    }
    Ok(())
}

/// What else the provider looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// Every format works for every text model (upstream.md §0.3).
    pub(crate) translated: bool,
    /// A session id came along.
    pub(crate) session: bool,
    /// Prompt tokens; none if the body is not JSON.
    pub(crate) tokens: Option<u64>,
}

/// Which models `systemone` serves is not known (upstream.md §1.1): here all.
fn speaks(model: &Model, format: Format) -> bool {
    format == Format::Systemone || model.formats.contains(&format)
}

fn named<'a>(ask: &Ask<'a>) -> Result<&'a str, Row> {
    match ask.model {
        Some(name) => Ok(name),
        None if ask.body_len > 0 => Err(Row::ModelUnsupported),
        None if ask.format == Format::Responses => Err(Row::MissingBody),
        None => Err(Row::Internal),
    }
}

fn country(world: &World, model: &Model, ask: &Ask<'_>) -> Result<(), Row> {
    let country = ask.caller.country.as_deref().unwrap_or(&world.settings.country);
    if model.blocked_countries.iter().any(|blocked| blocked == country) {
        return Err(Row::Country);
    }
    Ok(())
}

fn is_blocked(account: &Account, model: &Model) -> bool {
    let sensitive = model.id.starts_with("claude-") || model.id.starts_with("gpt-");
    account.blocked || (account.flagged && sensitive)
}

fn consent(account: &Account, model: &Model) -> Result<(), Refused> {
    if model.needs_training && !account.training {
        return Err(Row::Training.into());
    }
    if model.needs_cn && !account.region_cn {
        return Err(Row::RegionOptIn.into());
    }
    Ok(())
}

/// Quota and billing: weekly, monthly, five-hour; over the limit the balance, if it may be used.
fn payer(account: &Account, model: &Model, now: i64) -> Result<Payer, Refused> {
    if model.price.is_free() {
        return Ok(Payer::Nobody);
    }
    if !account.subscribed {
        return Err(Row::SubscriptionRequired.into());
    }
    let Err(exhausted) = account.quota.admit(now) else { return Ok(Payer::Quota) };
    if !account.use_balance {
        let row = Row::GoUsage { window: exhausted.window, retry_after: exhausted.retry_after };
        return Err(row.into());
    }
    if !account.payment_method {
        return Err(Row::NoPaymentMethod.into());
    }
    if account.balance <= Money::ZERO {
        return Err(Row::InsufficientBalance.into());
    }
    let spent = account.spent_this_month(now);
    let dollars = |limit: Money| limit.0 / 100_000_000;
    if let Some(limit) = account.workspace_limit.filter(|limit| spent >= *limit) {
        return Err(Row::MonthlyLimit { dollars: dollars(limit) }.into());
    }
    if let Some(limit) = account.user_limit.filter(|limit| spent >= *limit) {
        return Err(Row::UserLimit { dollars: dollars(limit) }.into());
    }
    Ok(Payer::Balance)
}
