//! Headers: only what belongs to the conversation goes upstream, and only what belongs to the
//! connection stays behind on the way back.

use std::collections::BTreeMap;

use saros_emulator::{Action, Fault};
use saros_proxy::config::BaseUrl;

use crate::stage::{Answer, Dialect, Stage, chat};

/// Everything that a client may think of, the secrets among it.
const SENT: [(&str, &str); 44] = [
    ("accept", "text/event-stream"),
    ("accept-encoding", "gzip, br"),
    ("accept-language", "de-DE"),
    ("accept-charset", "utf-8"),
    ("anthropic-beta", "one,two"),
    ("anthropic-dangerous-direct-browser-access", "true"),
    ("anthropic-version", "2023-06-01"),
    ("authorization", "Bearer client-secret"),
    ("cache-control", "no-cache"),
    ("cf-connecting-ip", "203.0.113.9"),
    ("connection", "keep-alive, x-codex-hop"),
    ("cookie", "auth=client-secret"),
    ("forwarded", "for=10.0.0.1"),
    ("idempotency-key", "idem"),
    ("keep-alive", "timeout=5"),
    ("openai-beta", "x"),
    ("openai-organization", "org"),
    ("origin", "http://localhost:5173"),
    ("originator", "codex"),
    ("pragma", "no-cache"),
    ("proxy-authorization", "Basic client-secret"),
    ("proxy-connection", "keep-alive"),
    ("referer", "http://localhost:5173/"),
    ("session-id", "s1"),
    ("session_id", "s2"),
    ("te", "trailers"),
    ("thread-id", "t"),
    ("traceparent", "00-1-2-01"),
    ("user-agent", "opencode/1.18.33"),
    ("via", "1.1 other"),
    ("x-api-key", "client-secret"),
    ("x-claude-code-session-id", "c"),
    ("x-client-request-id", "r"),
    ("x-codex-hop", "of this connection"),
    ("x-codex-turn", "k"),
    ("x-forwarded-for", "10.0.0.1"),
    ("x-forwarded-host", "evil.example"),
    ("x-goog-api-key", "client-secret"),
    ("x-opencode-client", "cli"),
    ("x-opencode-project", "p"),
    ("x-parent-session-id", "ses_parent"),
    ("x-real-ip", "10.0.0.1"),
    ("x-session-affinity", "ses_mine"),
    ("x-stainless-os", "Linux"),
];

#[tokio::test(start_paused = true)]
async fn only_the_conversation_goes_upstream() {
    for h2 in [false, true] {
        for client_h2 in [false, true] {
            for dialect in Dialect::ALL {
                let stage = Stage::with(1, h2, |_| {});
                let mut request = dialect.request(true);
                for (name, value) in SENT {
                    let of_h1 = ["connection", "keep-alive", "proxy-connection", "x-codex-hop"];
                    if !(client_h2 && of_h1.contains(&name)) {
                        request.headers_mut().insert(name, value.parse().unwrap());
                    }
                }
                let answer = if client_h2 {
                    Answer::read(stage.send_h2(request).await).await
                } else {
                    stage.ask(request).await
                };
                assert_eq!(answer.status, 200, "{}", answer.text());
                let entry = stage.emulator.log().pop().unwrap();
                let got: BTreeMap<&str, &str> =
                    entry.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                assert_eq!(got.len(), entry.headers.len(), "none twice: {:?}", entry.headers);
                let secret = stage.emulator.keys()[0].secret.clone();
                let bearer = format!("Bearer {secret}");
                let length = entry.body_len.to_string();
                let product = concat!("saros-proxy/", env!("CARGO_PKG_VERSION"));
                let mut expected: BTreeMap<&str, &str> = BTreeMap::from([
                    ("accept", "text/event-stream"),
                    ("accept-encoding", "identity"),
                    ("accept-language", "en"),
                    ("anthropic-beta", "one,two"),
                    ("anthropic-dangerous-direct-browser-access", "true"),
                    ("anthropic-version", "2023-06-01"),
                    ("content-length", length.as_str()),
                    ("content-type", "application/json"),
                    ("idempotency-key", "idem"),
                    ("openai-beta", "x"),
                    ("openai-organization", "org"),
                    ("session-id", "s1"),
                    ("session_id", "s2"),
                    ("thread-id", "t"),
                    ("user-agent", product),
                    ("x-claude-code-session-id", "c"),
                    ("x-client-request-id", "r"),
                    ("x-codex-turn", "k"),
                    ("x-opencode-client", "cli"),
                    ("x-opencode-project", "p"),
                    // The client's own id, by the order of belief.
                    ("x-opencode-session", "c"),
                    ("x-parent-session-id", "ses_parent"),
                    ("x-session-affinity", "ses_mine"),
                ]);
                match dialect {
                    Dialect::Messages => expected.insert("x-api-key", &secret),
                    _ => expected.insert("authorization", &bearer),
                };
                if !h2 {
                    expected.insert("host", "127.0.0.1:1");
                }
                let mut got = got;
                let agent = got.insert("user-agent", product).unwrap();
                assert!(agent.starts_with(product), "the product may have a comment: {agent}");
                assert_eq!(got, expected, "{dialect:?} h2 {h2} client h2 {client_h2}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_the_connection_and_cookies_stay_behind_on_the_way_back() {
    let stage = Stage::new(1);
    stage.network.answers_raw(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close, x-hop\r\n\
         x-hop: 1\r\nkeep-alive: timeout=5\r\nset-cookie: a=b\r\nset-cookie: c=d\r\n\
         proxy-authenticate: Basic\r\nupgrade: h2c\r\nvia: 1.1 edge\r\ncf-ray: 8f\r\n\
         cache-control: no-cache\r\nretry-after: 7\r\nx-request-id: up\r\nserver: cloudflare\r\n\
         date: Thu, 19 Nov 2026 12:00:00 GMT\r\ncontent-length: 2\r\n\r\n{}",
    );
    let answer = stage.chat("glm-5.2").await;
    let mut names: Vec<&str> = answer.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "cache-control",
            "cf-ray",
            "content-length",
            "content-type",
            "date",
            "retry-after",
            "server",
            "via",
            "x-proxy-key-label",
            "x-proxy-request-id",
            "x-request-id"
        ]
    );
    assert_eq!(answer.header("date"), "Thu, 19 Nov 2026 12:00:00 GMT");
}

#[tokio::test(start_paused = true)]
async fn headers_of_refusals_pass_by_the_same_rule() {
    let stage = Stage::new(1);
    let headers = [("set-cookie", "a=b"), ("cf-ray", "8f"), ("content-type", "application/json")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let body = r#"{"error":{"message":"no","type":"invalid_request_error"}}"#.to_owned();
    let action = Action::Answer { status: 422, headers: headers.to_vec(), body: body.clone() };
    stage.fault(Fault::new(action));
    let answer = stage.chat("glm-5.2").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (422, body.as_str()));
    assert_eq!((answer.header("cf-ray"), answer.header("set-cookie")), ("8f", ""));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.label(), "a");
}

#[tokio::test(start_paused = true)]
async fn every_answer_has_an_id_of_its_own_and_attempts_name_their_account() {
    let stage = Stage::new(1);
    let mut seen = std::collections::BTreeSet::new();
    let refused = |mut request: http::Request<_>| {
        request.headers_mut().insert("host", "evil.example".parse().unwrap());
        request
    };
    for (request, label) in [
        (chat("glm-5.2", "hello", false), "a"),
        (chat("glm-5.2", "hello", true), "a"),
        (chat("no-such-model", "hello", true), "a"),
        (crate::stage::get("/v1/usage"), "a"),
        (crate::stage::get("/v1/models"), "a"),
        (crate::stage::get("/"), ""),
        (crate::stage::get("/health"), ""),
        (crate::stage::get("/ready"), ""),
        (crate::stage::get("/nothing"), ""),
        (crate::stage::get("/v1//x"), ""),
        (refused(crate::stage::get("/health")), ""),
        (refused(chat("glm-5.2", "hello", false)), ""),
    ] {
        let answer = stage.ask(request).await;
        let id = answer.header("x-proxy-request-id").to_owned();
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'7'), "UUIDv7: {id}");
        assert_eq!(answer.label(), label, "{}", answer.text());
        assert!(seen.insert(id), "its own");
    }
}

#[tokio::test(start_paused = true)]
async fn both_layouts_are_a_property_of_the_base_url() {
    for (base, paths, bearer_only) in [
        (
            "http://127.0.0.1:1",
            [
                "/zen/go/v1/chat/completions",
                "/zen/go/v1/messages",
                "/zen/go/v1/responses",
                "/zen/go/v1/models",
            ],
            false,
        ),
        (
            "http://127.0.0.1:1/zen/go/v1/",
            [
                "/zen/go/v1/chat/completions",
                "/zen/go/v1/messages",
                "/zen/go/v1/responses",
                "/zen/go/v1/models",
            ],
            false,
        ),
        (
            "http://127.0.0.1:1/inference/go",
            [
                "/inference/go/openai/v1/chat/completions",
                "/inference/go/anthropic/v1/messages",
                "/inference/go/openai/v1/responses",
                "/inference/go/v1/models",
            ],
            true,
        ),
    ] {
        for prefix in ["/v1", "/zen/go/v1"] {
            let stage = Stage::with(1, false, |config| {
                config.keys[0].base = BaseUrl::parse(base).unwrap();
            });
            let mut requests: Vec<_> = Dialect::ALL.map(|d| d.request(true)).into();
            requests.push(crate::stage::get("/v1/models"));
            for (mut request, path) in requests.into_iter().zip(paths) {
                let own = request.uri().path().trim_start_matches("/v1").to_owned();
                *request.uri_mut() = format!("{prefix}{own}").parse().unwrap();
                let answer = stage.ask(request).await;
                assert_eq!(answer.status, 200, "{base} {path}: {}", answer.text());
                assert!(answer.complete);
                let entry = stage.emulator.log().pop().unwrap();
                assert_eq!(entry.path, path, "{base}");
                let bearer = entry.header("authorization").is_some();
                assert_eq!(bearer, bearer_only || !path.ends_with("messages"), "{base} {path}");
                assert_eq!(entry.header("x-api-key").is_none(), bearer);
                assert!(entry.header("x-opencode-session").is_some(), "{path}");
            }
        }
    }
}
