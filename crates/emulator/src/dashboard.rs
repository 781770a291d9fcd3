//! The older dashboard page (upstream.md §3.6).

use http::header::{COOKIE, LOCATION};
use http::{HeaderMap, StatusCode};

use crate::quota::{Reported, Usage};
use crate::refusal::Reply;
use crate::usage::status;
use crate::world::Shared;

/// The page of a workspace for whoever has its cookie `auth`: the hydration text and the markup.
pub(crate) fn reply(shared: &Shared, headers: &HeaderMap, workspace: &str) -> Reply {
    let now = shared.clock.now_ms();
    let world = shared.world();
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let auth = cookies
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix("auth="));
    let known = auth.is_some_and(|auth| world.accounts.iter().any(|a| a.cookie == auth));
    if !known {
        return Reply::text(StatusCode::FOUND, "text/html", String::new())
            .with(LOCATION, "/auth/authorize");
    }
    let found = world.accounts.iter().find(|account| account.workspace == workspace);
    let Some(account) = found.filter(|account| Some(account.cookie.as_str()) == auth) else {
        return Reply::text(StatusCode::NOT_FOUND, "text/html", "<html>404</html>".to_owned());
    };
    let Usage { rolling, weekly, monthly } = account.quota.usage(now);
    let flag = |set: bool| if set { "!0" } else { "!1" };
    let hydration = format!(
        "_$HY.r[\"lite.subscription.get[\\\"{workspace}\\\"]\"]=$R[2]=$R[3]={{mine:!0,useBalance:{},\
         allowTraining:{},region:$R[7]=[{}],rollingUsage:$R[4]={},weeklyUsage:$R[5]={},\
         monthlyUsage:$R[6]={}}};",
        flag(account.use_balance),
        flag(account.training),
        if account.region_cn { "\"cn\"" } else { "" },
        hydrated(rolling),
        hydrated(weekly),
        hydrated(monthly)
    );
    let items = [("Rolling Usage", rolling), ("Weekly Usage", weekly), ("Monthly Usage", monthly)]
        .map(|(name, reported)| item(name, reported))
        .concat();
    Reply::text(
        StatusCode::OK,
        "text/html; charset=utf-8",
        format!(
            "<!DOCTYPE html><html><head><title>OpenCode Go</title></head><body>\
             <div data-slot=\"usage\">{items}</div><script>{hydration}</script></body></html>"
        ),
    )
}

fn hydrated(reported: Reported) -> String {
    format!(
        "{{status:\"{}\",resetInSec:{},usagePercent:{}}}",
        status(reported),
        reported.resets_in,
        reported.percent
    )
}

fn item(name: &str, reported: Reported) -> String {
    let (hours, minutes) = (reported.resets_in / 3_600, reported.resets_in % 3_600 / 60);
    format!(
        "<div data-slot=\"usage-item\"><div data-slot=\"usage-header\">\
         <span data-slot=\"usage-label\">{name}</span>\
         <span data-slot=\"usage-value\">{percent}%</span></div>\
         <div data-slot=\"progress\"><div data-slot=\"progress-bar\" style=\"width:{percent}%\">\
         </div></div><span data-slot=\"reset-time\">Resets in {hours} hours {minutes} minutes\
         </span></div>",
        percent = reported.percent
    )
}
