//! What the stub upstream answers, rendered once.

use std::sync::LazyLock;

use bytes::Bytes;

/// The path every measured request takes; the case follows as the query.
pub(crate) const PATH: &str = "/zen/go/v1/chat/completions";

/// How many events a burst holds, `[DONE]` not counted.
pub(crate) const BURST_EVENTS: usize = 50;

/// What to answer, chosen by the request's query string so that any proxy passes it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// A small JSON answer.
    Json,
    /// One event every 10 ms until the client leaves.
    Paced,
    /// 50 events and the end, in one TLS record.
    Burst,
    /// The same, one TLS record and one write for each event.
    Split,
    /// One event, then silence until the client leaves.
    Held,
}

impl Case {
    /// Its query string.
    pub(crate) fn query(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Paced => "paced",
            Self::Burst => "burst",
            Self::Split => "split",
            Self::Held => "held",
        }
    }

    /// From a request target; `None`: not a route of the stub.
    pub(crate) fn of_target(target: &str) -> Option<Self> {
        let (path, query) = target.split_once('?')?;
        let cases = [Self::Json, Self::Paced, Self::Burst, Self::Split, Self::Held];
        cases.into_iter().find(|case| path == PATH && query == case.query())
    }
}

/// The small JSON answer, about 500 bytes. `list_cost` 0 keeps quota from binding.
pub(crate) static JSON: LazyLock<Bytes> = LazyLock::new(|| {
    let text = "A proxy in a few words: it takes what comes, chooses who shall answer, and stays out of the way.";
    Bytes::from(format!(
        r#"{{"id":"chatcmpl-bench","object":"chat.completion","created":1770000000,"model":"glm-5.2","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{}}}"#,
        usage()
    ))
});

/// What every route that the stub does not have answers.
pub(crate) static NOT_FOUND: &str =
    r#"{"type":"error","error":{"type":"not_found","message":"not found"}}"#;

/// One streamed event of about 250 bytes, blank line included. `"usage":null` is what several
/// providers send with every event, and the harder case for a proxy that meters.
pub(crate) static EVENT: LazyLock<Bytes> = LazyLock::new(|| {
    Bytes::from_static(
        b"data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1770000000,\"model\":\"glm-5.2\",\"system_fingerprint\":null,\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\" word after word\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
    )
});

/// The event that ends an answer, with its usage.
pub(crate) static LAST_EVENT: LazyLock<Bytes> = LazyLock::new(|| {
    Bytes::from(format!(
        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1770000000,\"model\":\"glm-5.2\",\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}],\"usage\":{}}}\n\n",
        usage()
    ))
});

/// The end of every chat stream.
pub(crate) static DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// The events of a burst, in order, `[DONE]` included.
pub(crate) fn burst() -> Vec<Bytes> {
    let mut events = vec![EVENT.clone(); BURST_EVENTS - 1];
    events.push(LAST_EVENT.clone());
    events.push(DONE.clone());
    events
}

/// One HTTP/1.1 chunk around `data`.
pub(crate) fn chunk(data: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// A request body of `size` bytes: one chat message whose text makes up the length.
pub(crate) fn request_body(size: usize, stream: bool) -> Vec<u8> {
    let head = format!(
        r#"{{"model":"glm-5.2","stream":{stream},"messages":[{{"role":"system","content":"You are a coding agent."}},{{"role":"user","content":""#
    );
    let tail = r#""}]}"#;
    let mut body = head;
    let end = size.saturating_sub(tail.len());
    // Lines with the escapes of real source code, then padding to the exact size.
    let line = r#"fn line() { say(\"hello\"); }\n"#;
    while body.len() + line.len() <= end {
        body.push_str(line);
    }
    body.extend(std::iter::repeat_n(' ', end.saturating_sub(body.len())));
    body.push_str(tail);
    body.into_bytes()
}

fn usage() -> &'static str {
    r#"{"prompt_tokens":512,"completion_tokens":50,"total_tokens":562,"prompt_tokens_details":{"cached_tokens":384},"opencode":{"list_cost":0},"cost":0}"#
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_bodies_are_json_of_the_asked_size() {
        for size in [2048, 2049, 2050, 2051, 2052, 1 << 20] {
            let body = request_body(size, true);
            assert_eq!(body.len(), size);
            assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok(), "{size}");
        }
    }

    #[test]
    fn answers_are_what_the_targets_speak_of() {
        assert!((240..=270).contains(&EVENT.len()), "{}", EVENT.len());
        assert!((400..=600).contains(&JSON.len()), "{}", JSON.len());
        assert!(serde_json::from_slice::<serde_json::Value>(&JSON).is_ok());
        for case in [Case::Json, Case::Paced, Case::Burst, Case::Split, Case::Held] {
            assert_eq!(Case::of_target(&format!("{PATH}?{}", case.query())), Some(case));
        }
        assert_eq!(Case::of_target("/zen/go/v1/usage"), None);
    }
}
