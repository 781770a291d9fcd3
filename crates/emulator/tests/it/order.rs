//! The order of checks (upstream.md §2.1): with everything wrong at once, each error shows only
//! when all before it are mended.

use saros_emulator::{Account, Action, Fault, Model, Price, Rate, Row, Stage, Window};

use crate::client::*;

#[tokio::test(start_paused = true)]
async fn one_after_the_other() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    emulator.account("a", |a| {
        *a = Account { blocked: true, subscribed: false, ..a.clone() };
        a.keys[0].deleted = true;
        a.quota.set_percent(Window::FiveHour, 100.0, NOON);
        a.quota.set_percent(Window::Monthly, 100.0, NOON);
        a.quota.set_percent(Window::Weekly, 100.0, NOON);
    });
    let model = Model {
        id: "odd".to_owned(),
        anonymous: true,
        needs_training: true,
        needs_cn: true,
        blocked_countries: vec!["DE".to_owned()],
        per_minute: Some(0),
        saturated: true,
        price: Price::flat(Rate::new(1.0, 1.0, 1.0)),
        ..Model::default()
    };
    emulator.settings(|s| s.free_per_day = 0);
    emulator.fault(Fault::new(Action::Row(Row::Overloaded)).stage(Stage::Provider));

    let mut kinds = Vec::new();
    macro_rules! mend {
        ($($mend:expr),* $(,)?) => {
            $(
                let answer = client.chat(&key, "odd").await;
                let limit = answer.json()["metadata"]["limitName"].as_str().unwrap_or("").to_owned();
                kinds.push(format!("{} {limit}", answer.kind()).trim().to_owned());
                $mend;
            )*
        };
    }
    mend!(
        emulator.add_model(model.clone()),
        emulator.model("odd", |m| m.blocked_countries.clear()),
        emulator.settings(|s| s.free_per_day = 1_000),
        emulator.model("odd", |m| m.per_minute = None),
        emulator.account("a", |a| a.keys[0].deleted = false),
        emulator.account("a", |a| a.blocked = false),
        emulator.account("a", |a| a.training = true),
        emulator.account("a", |a| a.region_cn = true),
        emulator.account("a", |a| a.subscribed = true),
        emulator.account("a", |a| a.quota.set_percent(Window::Weekly, 0.0, NOON)),
        emulator.account("a", |a| a.quota.set_percent(Window::Monthly, 0.0, NOON)),
        emulator.account("a", |a| a.quota.set_percent(Window::FiveHour, 0.0, NOON)),
        emulator.clear_faults(),
        emulator.model("odd", |m| m.saturated = false),
    );
    assert_eq!(
        kinds,
        [
            "ModelError",
            "RegionError",
            "FreeUsageLimitError",
            "RateLimitError",
            "AuthError",
            "AuthError",
            "DataPolicyError",
            "RegionError",
            "CreditsError",
            "GoUsageLimitError weekly",
            "GoUsageLimitError monthly",
            "GoUsageLimitError 5 hour",
            "overloaded_error",
            "rate_limit_error",
        ]
    );
    assert_eq!(client.chat(&key, "odd").await.status, 200);
}

/// The missing session is the provider's complaint, so quota comes first.
#[tokio::test(start_paused = true)]
async fn quota_before_session() {
    let (emulator, key) = emulator();
    let mut client = Client::pipe(&emulator).await;
    let bare = vec![("authorization", format!("Bearer {}", key.secret))];
    emulator.account("a", |a| a.quota.set_percent(Window::Weekly, 100.0, NOON));
    assert_eq!(client.post(CHAT, &bare, &ask("glm-5.2")).await.kind(), "GoUsageLimitError");
    emulator.account("a", |a| a.quota.set_percent(Window::Weekly, 0.0, NOON));
    assert_eq!(client.post(CHAT, &bare, &ask("glm-5.2")).await.kind(), "MissingSessionID");
}
