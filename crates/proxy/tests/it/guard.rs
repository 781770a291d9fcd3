//! Who may use the proxy, before anything else is done.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use saros_proxy::config::{Config, Origins};
use saros_proxy::secret::Secret;

use crate::stage::{Answer, Dialect, Stage, chat, get, request, send_over};

const TOKEN: &str = "client-token-0123456789";

fn with(mut request: Request<Full<Bytes>>, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

fn token(config: &mut Config) {
    config.client_tokens = vec![Secret::new(TOKEN.to_owned())];
}

#[tokio::test(start_paused = true)]
async fn only_names_can_be_rebound() {
    let stage = Stage::with(1, false, |config| config.allowed_hosts = vec!["box.lan".to_owned()]);
    for (host, status) in [
        ("127.0.0.1:3000", 200),
        ("[::1]", 200),
        ("192.168.7.7:80", 200),
        ("localhost:1", 200),
        ("LOCALHOST", 200),
        ("Box.lan:3000", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("xlocalhost", 421),
        ("", 400),
        ("a b", 421),
    ] {
        for path in ["/", "/health", "/ready", "/v1/models"] {
            let answer = stage.ask(with(get(path), &[("host", host)])).await;
            assert_eq!(answer.status.as_u16(), status, "{host} {path}");
        }
        if status == 421 {
            for dialect in Dialect::ALL {
                let answer = stage.ask(with(dialect.request(true), &[("host", host)])).await;
                assert_eq!(answer.status, 421, "{host}");
                assert!(!answer.message().is_empty());
            }
        }
    }
    assert_eq!(stage.tried_since(0), "a", "the one model list");
}

#[tokio::test(start_paused = true)]
async fn forms_of_the_request_target_and_of_host() {
    let stage = Stage::new(1);
    for (text, status) in [
        ("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", 200),
        ("GET /health HTTP/1.1\r\n\r\n", 400),
        ("GET /health HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n", 400),
        ("GET /health HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n", 400),
        ("GET http://127.0.0.1:3000/health HTTP/1.1\r\nhost: 127.0.0.1:3000\r\n\r\n", 200),
        // The target names whom it is meant for, whatever Host says (RFC 9112 §3.2.2).
        ("GET http://evil.example/health HTTP/1.1\r\nhost: localhost\r\n\r\n", 421),
        ("GET http://localhost/health HTTP/1.1\r\nhost: evil.example\r\n\r\n", 421),
        ("GET http://localhost/v1/../health HTTP/1.1\r\nhost: localhost\r\n\r\n", 400),
        ("GET /v1/%2e%2e/health HTTP/1.1\r\nhost: localhost\r\n\r\n", 400),
        ("GET //v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n", 400),
        ("GET /v1/a\\..\\b HTTP/1.1\r\nhost: localhost\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nhost: localhost\r\n\r\n", 204),
        ("CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n", 421),
        ("CONNECT localhost:443 HTTP/1.1\r\nhost: localhost:443\r\n\r\n", 400),
        ("GET /health HTTP/1.0\r\nhost: localhost\r\n\r\n", 200),
    ] {
        let answer = stage.raw(text.as_bytes()).await;
        let got: u16 = answer.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
        assert_eq!(got, status, "{text:?} -> {answer}");
    }
    assert_eq!(stage.tried_since(0), "");
}

#[tokio::test(start_paused = true)]
async fn pages_need_an_allowed_origin_and_get_what_a_browser_asks_for() {
    let stage = Stage::new(1);
    let cors = "access-control-allow-origin";
    for origin in ["http://localhost:5173", "http://127.0.0.1:8080"] {
        for request in [
            chat("glm-5.2", "hello", true),
            chat("no-such-model", "hello", false),
            get("/v1/models"),
            get("/nothing"),
            get("/health"),
            get("/"),
        ] {
            let path = request.uri().path().to_owned();
            let answer = stage.ask(with(request, &[("origin", origin)])).await;
            assert_eq!(answer.header(cors), origin, "{path}");
            assert!(answer.header("vary").to_ascii_lowercase().contains("origin"), "{path}");
            let exposed = answer.header("access-control-expose-headers");
            assert!(exposed.contains("x-proxy-request-id"), "{path}: {exposed}");
        }
        let preflight = with(
            request(Method::OPTIONS, "/v1/chat/completions", ""),
            &[
                ("origin", origin),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", "content-type, x-own"),
                ("access-control-request-private-network", "true"),
            ],
        );
        let answer = stage.ask(preflight).await;
        assert_eq!((answer.status.as_u16(), answer.header(cors)), (204, origin));
        assert!(answer.header("access-control-allow-methods").contains("POST"));
        assert_eq!(answer.header("access-control-allow-headers"), "content-type, x-own");
        assert_eq!(answer.header("access-control-allow-private-network"), "true");
    }
    let mark = stage.mark();
    for origin in
        ["https://evil.example", "null", "http://localhost.evil.example:1", "https://localhost:1"]
    {
        for request in [
            chat("glm-5.2", "hello", true),
            get("/v1/models"),
            get("/"),
            get("/nothing"),
            request(Method::OPTIONS, "/v1/chat/completions", ""),
        ] {
            let answer = stage.ask(with(request, &[("origin", origin)])).await;
            assert_eq!((answer.status.as_u16(), answer.header(cors)), (403, ""), "{origin}");
        }
    }
    assert_eq!(stage.tried_since(mark), "");
    // Images and links carry no Origin; the browser says all the same where they come from.
    for path in ["/v1/models", "/v1/unknown?x"] {
        let answer = stage.ask(with(get(path), &[("sec-fetch-site", "cross-site")])).await;
        assert_eq!(answer.status, 403, "{path}");
    }
    assert_eq!(stage.tried_since(mark), "");
    for (site, origin) in [("none", None), ("cross-site", Some("http://localhost:5173"))] {
        let mut request = with(get("/v1/models"), &[("sec-fetch-site", site)]);
        if let Some(origin) = origin {
            request = with(request, &[("origin", origin)]);
        }
        assert_eq!(stage.ask(request).await.status, 200, "{site} {origin:?}");
    }
    let open = Stage::with(1, false, |config| config.allowed_origins = Origins::new(vec![]));
    let image = with(get("/v1/models"), &[("sec-fetch-site", "cross-site")]);
    assert_eq!(open.ask(image).await.status, 200);
    let answer = open.ask(with(chat("glm-5.2", "x", false), &[("origin", "https://any.example")]));
    assert_eq!(answer.await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_configured_token_is_needed_for_the_service_and_never_goes_upstream() {
    let stage = Stage::with(1, false, token);
    let bearer = format!("Bearer {TOKEN}");
    for dialect in Dialect::ALL {
        for (headers, status) in [
            (vec![], 401),
            (vec![("authorization", "Bearer wrong-token-0123456789")], 401),
            (vec![("authorization", TOKEN)], 401),
            (vec![("x-api-key", "client-token-012345678")], 401),
            (vec![("authorization", bearer.as_str())], 200),
            (vec![("x-api-key", TOKEN)], 200),
        ] {
            let answer = stage.ask(with(dialect.request(false), &headers)).await;
            assert_eq!(answer.status.as_u16(), status, "{dialect:?} {headers:?}");
            if status == 401 {
                assert_eq!(answer.kind(), "AuthError");
                assert!(!answer.text().contains(TOKEN));
            }
        }
    }
    for (method, path, status) in [
        (Method::GET, "/v1/models", 401),
        (Method::POST, "/v1/messages/count_tokens", 401),
        (Method::POST, "/v1/embeddings", 401),
        (Method::GET, "/", 200),
        (Method::GET, "/health", 200),
        (Method::GET, "/ready", 200),
        (Method::OPTIONS, "/v1/chat/completions", 204),
    ] {
        let answer = stage.ask(request(method.clone(), path, "")).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
    }
    for entry in stage.emulator.log() {
        assert!(!format!("{entry:?}").contains(TOKEN), "{entry:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn beyond_loopback_a_token_is_needed_unless_waived() {
    use saros_proxy::config::RequireClientToken::{Always, Auto, Never};
    for (host, rule, status) in [
        ("127.0.0.1", Auto, 200),
        ("::1", Auto, 200),
        ("localhost", Auto, 200),
        ("0.0.0.0", Auto, 401),
        ("::", Auto, 401),
        ("192.168.1.2", Auto, 401),
        ("0.0.0.0", Never, 200),
        ("127.0.0.1", Always, 401),
    ] {
        let stage = Stage::with(1, false, |config| {
            config.host = host.to_owned();
            config.require_client_token = rule;
        });
        assert_eq!(stage.chat("glm-5.2").await.status.as_u16(), status, "{host} {rule:?}");
    }
}

/// The service, or what stands before it, would show the request with its key (RFC 9110 §9.3.8).
#[tokio::test(start_paused = true)]
async fn a_trace_never_goes_upstream() {
    let stage = Stage::new(1);
    for path in ["/v1/models", "/v1/chat/completions", "/v1/unknown"] {
        let answer = stage.ask(request(Method::TRACE, path, "")).await;
        assert_eq!(answer.status, 501, "{path}");
    }
    assert_eq!(stage.tried_since(0), "");
}

#[tokio::test(start_paused = true)]
async fn upgrades() {
    let stage = Stage::new(1);
    let upgrade = |to| [("upgrade", to), ("connection", "upgrade")];
    for to in ["websocket", "WebSocket", "foo, websocket"] {
        for request in [get("/v1/responses"), chat("glm-5.2", "hello", true), get("/")] {
            let answer = stage.ask(with(request, &upgrade(to))).await;
            assert_eq!(answer.status, 501, "{to}");
        }
    }
    for to in ["h2c", "TLS/1.0", "anything"] {
        let headers = [upgrade(to).to_vec(), vec![("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA")]];
        let answer = stage.ask(with(chat("glm-5.2", "hello", true), &headers.concat())).await;
        assert_eq!((answer.status.as_u16(), answer.complete), (200, true), "{to} is ignored");
        let sent = stage.emulator.log().pop().unwrap();
        assert!(sent.header("upgrade").is_none() && sent.header("http2-settings").is_none());
    }
    // h2c by prior knowledge.
    for request in [get("/health"), get("/v1/models"), chat("glm-5.2", "hello", true)] {
        let answer = Answer::read(stage.send_h2(request).await).await;
        assert_eq!((answer.status.as_u16(), answer.complete), (200, true));
    }
    let answer =
        Answer::read(stage.send_h2(with(get("/health"), &[("host", "evil.example")])).await);
    assert_eq!(answer.await.status, 421);
}

#[tokio::test(start_paused = true)]
async fn health_shows_the_keys_only_to_their_owner() {
    let stage = Stage::with(2, false, |config| {
        token(config);
        config.require_client_token = saros_proxy::config::RequireClientToken::Never;
    });
    let far: SocketAddr = "10.1.2.3:9".parse().unwrap();
    let near: SocketAddr = "[::1]:9".parse().unwrap();
    let mapped: SocketAddr = "[::ffff:127.0.0.1]:9".parse().unwrap();
    let foreign = ("origin", "https://evil.example");
    let shown = ("x-api-key", TOKEN);
    for (peer, headers, keys) in [
        (near, vec![], true),
        (mapped, vec![], true),
        (near, vec![("origin", "http://127.0.0.1:3000")], true),
        (near, vec![foreign], false),
        (near, vec![("origin", "http://localhost:5173")], false),
        (near, vec![foreign, shown], true),
        (far, vec![], false),
        (far, vec![shown], true),
        (far, vec![("x-api-key", "wrong-token-0123456789")], false),
    ] {
        let response =
            send_over(stage.connect_from(peer), with(get("/health"), &headers)).await.unwrap();
        let answer = Answer::read(response).await;
        assert_eq!(answer.status, 200, "{peer} {headers:?}");
        assert_eq!(answer.json()["keyCount"], 2);
        assert_eq!(answer.json().get("keys").is_some(), keys, "{peer} {headers:?}");
    }
}
