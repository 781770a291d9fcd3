//! What passes through, in both directions.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use saros_e2e::emulator::{Entry, Transport};
use saros_e2e::failure::{Failure, Outcome, ensure, ensure_eq};
use saros_e2e::stage::{Stage, play, play_over};
use serde_json::json;

use crate::requests::{CHAT, FORMATS, Format};

fn last(stage: &Stage) -> Outcome<Entry> {
    stage.emulator.log()?.pop().ok_or_else(|| Failure::new("nothing reached upstream"))
}

/// The SHA-256 of some bytes, by the system's own program.
fn digest(bytes: &str) -> Outcome<String> {
    let (input, output) = (Stdio::piped(), Stdio::piped());
    let mut child = Command::new("sha256sum").stdin(input).stdout(output).spawn()?;
    child.stdin.take().ok_or_else(|| Failure::new("no stdin"))?.write_all(bytes.as_bytes())?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

#[test]
fn bodies_pass_unchanged_in_all_formats() -> Outcome {
    bodies_pass_unchanged(Transport::Plain)
}

#[test]
fn bodies_pass_unchanged_over_tls_and_http2() -> Outcome {
    bodies_pass_unchanged(Transport::Tls)
}

#[test]
fn a_large_body_passes_unchanged() -> Outcome {
    for transport in [Transport::Plain, Transport::Tls] {
        play_over(transport, "", |stage| {
            let body = CHAT.body(true).replace("Gr", &"0123456789abcdef".repeat(128 * 1_024));
            let file = stage.sandbox.write("body.json", &body)?;
            CHAT.send(stage, &format!("@{}", file.display()), &[])?.expect_status(200)?;
            let found = last(stage)?.body_digest().map(str::to_owned);
            ensure_eq("request body", &found, &Some(digest(&body)?))
        })?;
    }
    Ok(())
}

fn bodies_pass_unchanged(transport: Transport) -> Outcome {
    play_over(transport, "", |stage| {
        for format in FORMATS {
            for stream in [false, true] {
                let body = format.body(stream);
                let answer = format.send(stage, &body, &[])?;
                answer.expect_status(200)?;
                ensure(answer.body.contains("data:") == stream, || format!("{answer:#?}"))?;
                let entry = last(stage)?;
                let (found, sent) = (entry.body_digest().map(str::to_owned), digest(&body)?);
                ensure_eq("request body", &found, &Some(sent))?;
                ensure_eq("answer's body", &Some(answer.body.as_str()), &entry.answer())?;
            }
        }
        Ok(())
    })
}

#[test]
fn what_follows_the_end_mark_is_relayed() -> Outcome {
    play("", |stage| {
        let answer = CHAT.send(stage, &CHAT.body(true), &[])?;
        let after = answer.body.split_once("data: [DONE]").map(|(_, after)| after.to_owned());
        let after = after.ok_or_else(|| Failure::new(format!("no [DONE] in {answer:#?}")))?;
        ensure(after.contains("\"cost\""), || format!("no cost after the end: {after:?}"))
    })
}

#[test]
fn only_listed_headers_go_upstream() -> Outcome {
    play("", |stage| {
        let private = [
            "-H",
            "Authorization: Bearer the-clients-own-credential",
            "-H",
            "Cookie: a=b",
            "-H",
            "x-api-key: the-clients-own-key",
            "-H",
            "x-goog-api-key: the-clients-third",
            "-H",
            "X-Forwarded-For: 10.1.1.1",
            "-H",
            "Forwarded: for=10.1.1.1",
            "-H",
            "Referer: http://localhost/secret",
            "-H",
            "Accept-Encoding: gzip, br",
            "-H",
            "Accept-Language: de",
            "-H",
            "User-Agent: my-agent/3",
            "-H",
            "Connection: x-private",
            "-H",
            "X-Private: yes",
            "-H",
            "Proxy-Authorization: Basic eA==",
            "-H",
            "TE: trailers",
        ];
        let kept = [
            "-H",
            "anthropic-beta: one",
            "-H",
            "x-session-id: ses_1234",
            "-H",
            "idempotency-key: k1",
            "-H",
            "X-Codex-Turn: t",
        ];
        for format in FORMATS {
            format
                .send(stage, &format.body(false), &[&private[..], &kept].concat())?
                .expect_status(200)?;
            check_headers(format, &last(stage)?)?;
        }
        Ok(())
    })
}

fn check_headers(format: Format, entry: &Entry) -> Outcome {
    let told = format!("{:#?}", entry.headers().collect::<Vec<_>>());
    let is = |name: &str, value: &str| entry.header(name) == [value];
    let credential = if format.path.ends_with("/messages") {
        ensure(entry.header("authorization").is_empty(), || told.clone())?;
        entry.header("x-api-key")
    } else {
        ensure(entry.header("x-api-key").is_empty(), || told.clone())?;
        entry.header("authorization")
    };
    ensure(matches!(credential[..], [one] if one.contains("sk-")), || told.clone())?;
    ensure(
        entry.header("user-agent").iter().all(|agent| agent.starts_with("saros-proxy/")),
        || told.clone(),
    )?;
    ensure(is("accept-encoding", "identity") && is("accept-language", "en"), || told.clone())?;
    ensure(is("x-opencode-session", "ses_1234") && is("anthropic-beta", "one"), || told.clone())?;
    ensure(is("idempotency-key", "k1") && is("x-codex-turn", "t"), || told.clone())?;
    let allowed = [
        "host",
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "content-length",
        "content-type",
        "idempotency-key",
        "user-agent",
        "x-api-key",
        "x-client-request-id",
    ];
    let families = ["anthropic-", "openai-", "x-opencode-", "x-codex-", "x-session-"];
    for (name, _) in entry.headers() {
        let listed =
            allowed.contains(&name) || families.iter().any(|start| name.starts_with(start));
        ensure(listed, || format!("{name} went upstream: {told}"))?;
    }
    ensure(!told.contains("the-clients"), || told.clone())
}

#[test]
fn single_requests_rotate() -> Outcome {
    play("", |stage| {
        let mut labels = Vec::new();
        for number in 0..7 {
            let answer = CHAT.send(stage, &CHAT.body(number % 2 == 0), &[])?;
            answer.expect_status(200)?;
            labels.push(answer.header("x-proxy-key-label").unwrap_or_default().to_owned());
        }
        ensure_eq("accounts", &labels.join(""), &"abcabca".to_owned())
    })
}

#[test]
fn old_and_new_http_are_spoken() -> Outcome {
    play("", |stage| {
        for version in ["--http1.0", "--http1.1", "--http2-prior-knowledge"] {
            for stream in [false, true] {
                let answer = CHAT.send(stage, &CHAT.body(stream), &[version])?;
                answer.expect_status(200)?;
                let entry = last(stage)?;
                ensure_eq(version, &Some(answer.body.as_str()), &entry.answer())?;
            }
        }
        Ok(())
    })
}

#[test]
fn a_stream_that_breaks_ends_with_an_error() -> Outcome {
    for (format, mark) in FORMATS.into_iter().zip(["\"error\"", "event: error", "response.failed"])
    {
        play("", |stage| {
            let action = json!({"type": "stream", "after": {"events": 2}, "then": "cut"});
            let fault = json!({"times": 1, "action": action});
            stage.emulator.control("POST", "faults", Some(&fault))?;
            let answer = format.send(stage, &format.body(true), &[])?;
            answer.expect_status(200)?;
            ensure(answer.body.contains(mark), || format!("no {mark} in {answer:#?}"))?;
            ensure(!answer.body.contains("[DONE]"), || format!("a clean end: {answer:#?}"))?;
            ensure_eq("requests upstream", &stage.emulator.log()?.len(), &1)?;
            ensure_eq("disabled", &stage.proxy.health()?["disabledCount"], &json!(0))
        })?;
    }
    Ok(())
}

#[test]
fn a_failure_before_the_first_byte_is_not_seen() -> Outcome {
    for action in [
        json!({"type": "html", "status": 502}),
        json!({"type": "close"}),
        json!({"type": "reset"}),
        json!({"type": "row", "row": "internal"}),
        json!({"type": "row", "row": "invalidKey"}),
        json!({"type": "row", "row": "subscriptionRequired"}),
        json!({"type": "row", "row": "goUsage", "window": "weekly", "retryAfter": 600}),
    ] {
        play("", |stage| {
            let fault = json!({"times": 1, "action": action});
            stage.emulator.control("POST", "faults", Some(&fault))?;
            let answer = CHAT.send(stage, &CHAT.body(true), &[])?;
            ensure(answer.status == 200 && answer.body.contains("[DONE]"), || {
                format!("after {action}: {answer:#?}")
            })?;
            ensure_eq("requests upstream", &stage.emulator.log()?.len(), &2)
        })?;
    }
    Ok(())
}

#[test]
fn a_client_that_leaves_is_followed_at_once() -> Outcome {
    play("", |stage| {
        let slow = json!({"pace": {"gapMs": 2_000}});
        stage.emulator.control("PATCH", "settings", Some(&slow))?;
        let left = CHAT.send(stage, &CHAT.body(true), &["--max-time", "1"]);
        ensure(left.is_err(), || "the stream was not slow".to_owned())?;
        // The control API has nothing to wait on: ask it until the entry has ended.
        let deadline = Instant::now() + Duration::from_secs(10);
        while !last(stage)?.aborted() {
            ensure(Instant::now() < deadline, || "upstream still streams".to_owned())?;
        }
        ensure_eq("running requests", &stage.proxy.health()?["activeRequests"], &json!(0))
    })
}
