//! Pages that may use the proxy get no credentials by it: neither does an answer let a page send a
//! browser's cookies along, nor does it set any, whatever the service says of its own address.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use saros_emulator::{Action, Fault};
use saros_proxy::config::Origins;

use crate::stage::{Answer, Dialect, Stage, get, request};

const PAGE: &str = "http://localhost:5173";

fn from_page(mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    for (name, value) in [("origin", PAGE), ("cookie", "session=1"), ("sec-fetch-mode", "cors")] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

/// The values of a header, in order.
fn all<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    answer.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

fn check(answer: &Answer, name: &str) {
    assert_eq!(all(answer, "access-control-allow-credentials"), [""; 0], "{name}");
    assert_eq!(all(answer, "set-cookie"), [""; 0], "{name}");
    assert_eq!(all(answer, "access-control-allow-origin"), [PAGE], "{name}");
    let exposed = all(answer, "access-control-expose-headers");
    assert_eq!(exposed, ["x-proxy-request-id, x-proxy-key-label, retry-after"], "{name}");
    assert!(all(answer, "vary").contains(&"origin"), "{name}");
}

/// The service, or what stands before it, allows everything to everybody.
fn generous(stage: &Stage, status: u16, content_type: &str, body: &str) {
    let headers = [
        ("content-type", content_type),
        ("access-control-allow-origin", "*"),
        ("access-control-allow-origin", "https://opencode.ai"),
        ("access-control-allow-credentials", "true"),
        ("Access-Control-Allow-Credentials", "true"),
        ("access-control-expose-headers", "*"),
        ("set-cookie", "session=2; SameSite=None; Secure"),
        ("vary", "accept-encoding"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    stage.fault(Fault::new(Action::Answer { status, headers, body: body.to_owned() }));
}

#[tokio::test(start_paused = true)]
async fn what_the_service_allows_at_its_own_address_is_not_kept() {
    let error = r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#;
    let answers = [
        (200, "application/json", "{}"),
        (200, "text/event-stream", "data: [DONE]\n\n"),
        (400, "application/json", error),
        (404, "text/html", "<p>nothing</p>"),
    ];
    for (h2, open) in [(false, false), (false, true), (true, false)] {
        for (status, content_type, body) in answers {
            let stage = Stage::with(1, h2, |config| {
                if open {
                    config.allowed_origins = Origins::new(vec![]);
                }
            });
            generous(&stage, status, content_type, body);
            for dialect in Dialect::ALL {
                let name = format!("{dialect:?} {status} {content_type} h2 {h2} open {open}");
                let answer = stage.ask(from_page(dialect.request(true))).await;
                assert_eq!(answer.status, status, "{name}: {}", answer.text());
                check(&answer, &name);
            }
            // Over HTTP/2, and on a route that we know nothing of.
            let answer = stage.send_h2(from_page(get("/v1/files"))).await;
            check(&Answer::read(answer).await, content_type);
            let sent = stage.emulator.log();
            assert_eq!(sent.len(), 4);
            for header in ["cookie", "origin"] {
                assert!(sent.iter().all(|entry| entry.header(header).is_none()), "{header}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn our_own_answers_allow_no_credentials() {
    for open in [false, true] {
        let stage = Stage::with(1, false, |config| {
            config.max_body_bytes = 1_024;
            if open {
                config.allowed_origins = Origins::new(vec![]);
            }
        });
        let mut preflight = request(Method::OPTIONS, "/v1/chat/completions", "");
        preflight
            .headers_mut()
            .insert("access-control-request-headers", "authorization, cookie".parse().unwrap());
        for (request, status) in [
            (preflight, 204),
            (get("/"), 200),
            (get("/health"), 200),
            (get("/v1/models"), 200),
            (get("/nothing"), 404),
            (request(Method::POST, "/v1/chat/completions", &"x".repeat(2_000)), 413),
        ] {
            let name = format!("{} open {open}", request.uri());
            let answer = stage.ask(from_page(request)).await;
            assert_eq!(answer.status, status, "{name}");
            check(&answer, &name);
        }
    }
}
