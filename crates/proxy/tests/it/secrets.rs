//! No key ever leaves the proxy but towards the service.

use std::fmt::Write as _;

use saros_emulator::{Account, Action, After, Fault, Row, Then, Window};
use saros_proxy::secret::Secret;
use saros_proxy::server::shutdown::shutdown;

use crate::captured::Captured;
use crate::network::Road;
use crate::stage::{Answer, Dialect, Stage, get};

const TOKEN: &str = "client-token-QWERTYUIOPASDFGH";

/// Upstream answers that quote the key, in every place where text is read.
fn echoes(key: &str) -> Vec<Action> {
    let json = "application/json";
    let answer = |status, kind: &str, body: String| Action::Answer {
        status,
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body,
    };
    vec![
        answer(
            401,
            json,
            format!(
                r#"{{"type":"error","error":{{"type":"AuthError","message":"Invalid API key: {key}"}}}}"#
            ),
        ),
        answer(
            500,
            json,
            format!(r#"{{"error":{{"message":"Bearer {key} failed","type":"error"}}}}"#),
        ),
        answer(502, "text/html", format!("<html><title>{key}</title>{key}</html>")),
        answer(
            429,
            json,
            format!(
                r#"{{"type":"error","error":{{"type":"GoUsageLimitError","message":"{key}"}},"metadata":{{"workspace":"{key}","limitName":"{key}"}}}}"#
            ),
        ),
        answer(
            503,
            json,
            format!(r#"{{"error":{{"message":"{key}","type":"{key}","code":"{key}"}}}}"#),
        ),
        answer(521, "text/plain", format!("no route for {key}")),
    ]
}

#[tokio::test(start_paused = true)]
async fn no_output_holds_a_key() {
    let log = Captured::log();
    let owner = Account::new("a");
    let accounts = vec![owner, Account::new("b"), Account::new("c")];
    let stage = Stage::of(accounts, false, |config| {
        config.client_tokens = vec![Secret::new(TOKEN.to_owned())];
    });
    let keys: Vec<String> = stage.emulator.keys().into_iter().map(|key| key.secret).collect();
    let mut said = String::new();
    let mut faults: Vec<Fault> = Vec::new();
    for row in [
        Row::InvalidKey,
        Row::Internal,
        Row::RoutingDown,
        Row::GoUsage { window: Window::FiveHour, retry_after: 100 },
        Row::NotServed { status: 403 },
        Row::ProviderSaturated,
    ] {
        faults.push(Fault::new(Action::Row(row)));
    }
    faults.push(Fault::new(Action::Hang));
    faults.push(Fault::new(Action::Close));
    faults.push(Fault::new(Action::Stream { after: After::Events(2), then: Then::Cut }));
    for key in &keys {
        faults.extend(echoes(key).into_iter().map(Fault::new));
    }
    for fault in faults {
        for (number, label) in ["a", "b", "c"].into_iter().enumerate() {
            let fault = stage.fault(fault.clone().key(label).times(2));
            for dialect in Dialect::ALL {
                let mut request = dialect.request(number % 2 == 0);
                let token = if number == 2 { "wrong-token-0123456789abc" } else { TOKEN };
                request.headers_mut().insert("x-api-key", token.parse().unwrap());
                let answer: Answer = stage.ask(request).await;
                // What the service itself writes into a 4xx passes unchanged, as promised.
                let own = answer.status.is_server_error() && answer.status != 503;
                if own || answer.status == 200 {
                    said.push_str(answer.text());
                }
                writeln!(said, "{:?}", answer.headers).unwrap();
            }
            stage.emulator.clear_fault(fault);
            said.push_str(&stage.health().await.to_string());
            stage.sleep(90_000).await;
        }
    }
    for road in [Road::Closed, Road::BadTls, Road::Silent] {
        stage.network.set(road);
        for dialect in Dialect::ALL {
            let mut request = dialect.request(true);
            request.headers_mut().insert("x-api-key", TOKEN.parse().unwrap());
            said.push_str(stage.ask(request).await.text());
        }
    }
    for path in ["/", "/health", "/ready", "/v1/models", "/nothing"] {
        said.push_str(stage.ask(get(path)).await.text());
    }
    writeln!(said, "{:?}", stage.app.setup().config).unwrap();
    writeln!(said, "{:?}", stage.app.keys()).unwrap();
    writeln!(said, "{:?}", stage.app.pool()).unwrap();
    shutdown(&stage.app, std::future::pending()).await;
    let log = log.until(|log| log.contains("Stopping: "));
    // The log took over the panic hook too, so what is wrong is printed.
    let mut wrong = Vec::new();
    if log.lines().count() < 100 || !log.contains("Attempt failed") {
        wrong.push(format!("the log was not on: {log}"));
    }
    for (what, text) in [("log", &log), ("answers", &said)] {
        for secret in keys.iter().map(String::as_str).chain([TOKEN]) {
            // Not even most of one.
            let part = &secret[4..secret.len() - 4];
            if let Some(at) = text.find(part) {
                let near = &text[at.saturating_sub(300)..(at + 100).min(text.len())];
                wrong.push(format!("a secret in the {what}: {near}"));
            }
        }
    }
    println!("{wrong:#?}");
    assert!(wrong.is_empty());
}
