//! Who is let in, and what is refused before an account is touched.

use saros_e2e::emulator::Entry;
use saros_e2e::failure::{Outcome, ensure, ensure_eq};
use saros_e2e::stage::{Stage, play};
use serde_json::json;

use crate::requests::CHAT;

const TOKEN: &str = "a-client-token-of-28-letters";

fn nothing_reached_upstream(stage: &Stage) -> Outcome {
    ensure_eq("requests upstream", &stage.emulator.log()?.len(), &0)
}

#[test]
fn foreign_names_are_misdirected() -> Outcome {
    play("", |stage| {
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:3000"] {
            let host = format!("Host: {host}");
            CHAT.send(stage, &CHAT.body(false), &["-H", &host])?.expect_status(421)?;
            stage.proxy.curl(&["-H", &host], "/health")?.expect_status(421)?;
        }
        nothing_reached_upstream(stage)?;
        for host in ["localhost", "localhost:9", "127.0.0.1:1", "[::1]:3000", "192.168.1.7"] {
            let host = format!("Host: {host}");
            stage.proxy.curl(&["-H", &host], "/")?.expect_status(200)?;
        }
        Ok(())
    })
}

#[test]
fn allowed_hosts_are_let_in() -> Outcome {
    play("allowedHosts: [saros.example]", |stage| {
        stage.proxy.curl(&["-H", "Host: saros.example:80"], "/")?.expect_status(200)?;
        stage.proxy.curl(&["-H", "Host: other.example"], "/")?.expect_status(421)
    })
}

#[test]
fn pages_need_an_allowed_origin() -> Outcome {
    play("", |stage| {
        for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
            let origin = format!("Origin: {origin}");
            CHAT.send(stage, &CHAT.body(false), &["-H", &origin])?.expect_status(403)?;
        }
        nothing_reached_upstream(stage)?;
        let origin = "http://localhost:5173";
        let header = format!("Origin: {origin}");
        let answer = CHAT.send(stage, &CHAT.body(true), &["-H", &header])?;
        answer.expect_status(200)?;
        let allowed = answer.header("access-control-allow-origin");
        ensure_eq("allowed origin", &allowed, &Some(origin))?;
        let upstream = stage.emulator.log()?;
        ensure(upstream.iter().all(|entry| entry.header("origin").is_empty()), || {
            "the origin went upstream".to_owned()
        })
    })
}

#[test]
fn preflights_are_answered_here() -> Outcome {
    play("", |stage| {
        let preflight = |origin: &str| {
            let origin = format!("Origin: {origin}");
            let wanted = "Access-Control-Request-Headers: authorization,content-type,x-session-id";
            let method = "Access-Control-Request-Method: POST";
            let arguments = ["-X", "OPTIONS", "-H", &origin, "-H", wanted, "-H", method];
            stage.proxy.curl(&arguments, CHAT.path)
        };
        let allowed = preflight("http://127.0.0.1:8080")?;
        ensure((200..300).contains(&allowed.status), || format!("{allowed:#?}"))?;
        let headers = allowed.header("access-control-allow-headers").unwrap_or_default();
        ensure(headers == "*" || headers.to_lowercase().contains("x-session-id"), || {
            format!("{allowed:#?}")
        })?;
        preflight("https://evil.example")?.expect_status(403)?;
        nothing_reached_upstream(stage)
    })
}

#[test]
fn a_client_token_is_asked_for_in_either_header() -> Outcome {
    play(&format!("clientTokens: [{TOKEN}]"), |stage| {
        let ask = |header: &str| CHAT.send(stage, &CHAT.body(false), &["-H", header]);
        for wrong in
            ["X-Other: 1", "Authorization: Bearer wrong-token-of-some-length", "x-api-key: "]
        {
            ask(wrong)?.expect_status(401)?;
        }
        stage.proxy.curl(&[], "/v1/models")?.expect_status(401)?;
        nothing_reached_upstream(stage)?;
        ask(&format!("Authorization: Bearer {TOKEN}"))?.expect_status(200)?;
        ask(&format!("x-api-key: {TOKEN}"))?.expect_status(200)?;
        let upstream = stage.emulator.log()?;
        let leaked = upstream.iter().flat_map(Entry::headers).any(|(_, v)| v.contains(TOKEN));
        ensure(!leaked, || "the client token went upstream".to_owned())?;
        stage.proxy.curl(&[], "/ready")?.expect_status(200)?;
        ensure(!stage.proxy.told().contains(TOKEN), || "the token is in the log".to_owned())
    })
}

#[test]
fn bodies_over_the_limit_are_refused() -> Outcome {
    play("maxBodyBytes: 20000", |stage| {
        let file = stage.sandbox.write("body.json", &CHAT.body(false))?;
        let padding = " ".repeat(30_000);
        let large = stage.sandbox.write("large.json", &(CHAT.body(false) + &padding))?;
        let data = |path: &std::path::Path| format!("@{}", path.display());
        CHAT.send(stage, &data(&file), &[])?.expect_status(200)?;
        let reached = stage.emulator.log()?.len();
        for transfer in ["X-Plain: 1", "Transfer-Encoding: chunked", "Expect: 100-continue"] {
            let answer = CHAT.send(stage, &data(&large), &["-H", transfer])?;
            answer.expect_status(413)?;
            ensure(answer.body.contains("Request body too large"), || format!("{answer:#?}"))?;
        }
        ensure_eq("requests upstream", &stage.emulator.log()?.len(), &reached)
    })
}

#[test]
fn what_is_not_offered_is_refused() -> Outcome {
    play("", |stage| {
        let upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket"];
        stage.proxy.curl(&upgrade, "/v1/responses")?.expect_status(501)?;
        let encoded = CHAT.send(stage, &CHAT.body(false), &["-H", "Content-Encoding: gzip"])?;
        encoded.expect_status(415)?;
        let counted = r#"{"model":"minimax-m3","messages":[]}"#;
        let counted = stage.proxy.curl(&["--data-binary", counted], "/v1/messages/count_tokens")?;
        counted.expect_status(404)?;
        ensure_eq("its error", &counted.json()?["error"]["type"], &json!("not_found_error"))?;
        nothing_reached_upstream(stage)
    })
}

#[test]
fn paths_cannot_leave_the_service() -> Outcome {
    play("", |stage| {
        for path in [
            "/v1/../__emulator/state",
            "/v1/../../__emulator/state",
            "/v1/%2e%2e/__emulator/state",
            "/v1/..%2f..%2f__emulator/state",
            "/zen/go/v1/..%5c__emulator/state",
            "/v1//../__emulator/state",
        ] {
            let answer = stage.proxy.curl(&["--path-as-is"], path)?;
            ensure(matches!(answer.status, 400 | 404), || format!("{path}: {answer:#?}"))?;
            ensure(!answer.body.contains("accounts"), || format!("{path}: {answer:#?}"))?;
        }
        Ok(())
    })
}

#[test]
fn everything_carries_a_request_id() -> Outcome {
    play("", |stage| {
        let answers = [
            stage.proxy.curl(&[], "/")?,
            stage.proxy.curl(&[], "/nowhere")?,
            stage.proxy.curl(&["-H", "Host: evil.example"], "/")?,
            stage.proxy.curl(&[], "/v1/models")?,
            CHAT.ask(stage)?,
        ];
        let mut ids = Vec::new();
        for answer in &answers {
            let id = answer.header("x-proxy-request-id").unwrap_or_default().to_owned();
            // UUID version 7: its 13th digit.
            let version = id.split('-').nth(2).and_then(|group| group.chars().next());
            ensure(id.len() == 36 && version == Some('7'), || format!("{answer:#?}"))?;
            ids.push(id);
        }
        ids.sort();
        ids.dedup();
        ensure_eq("distinct ids", &ids.len(), &answers.len())
    })
}
