//! The tools a request offers, in whichever format (clients.md).

use serde_json::Value;

/// A tool the model may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    /// Takes free-form text instead of JSON arguments.
    pub(crate) custom: bool,
}

/// All tools of a body: `tools` of the three formats, and Codex's `additional_tools` items.
pub(crate) fn offered(body: &[u8]) -> Vec<Offered> {
    let mut found = Vec::new();
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return found };
    collect(body.get("tools"), None, &mut found);
    let items = body.get("input").and_then(Value::as_array);
    for item in items.into_iter().flatten() {
        if item.get("type").and_then(Value::as_str) == Some("additional_tools") {
            collect(item.get("tools").or(item.get("namespaces")), None, &mut found);
            // Codex runs this one for the models it knows, whether it names it or not.
            if !found.iter().any(|tool| tool.name == "exec") {
                let namespace = Some("functions".to_owned());
                found.push(Offered { name: "exec".to_owned(), namespace, custom: true });
            }
        }
    }
    found
}

fn collect(tools: Option<&Value>, namespace: Option<&str>, found: &mut Vec<Offered>) {
    for tool in tools.and_then(Value::as_array).into_iter().flatten() {
        let text = |field: &str| tool.get(field).and_then(Value::as_str);
        let function = tool.get("function").and_then(|function| function.get("name"));
        let name = text("name").or_else(|| function.and_then(Value::as_str));
        if let Some(inner) = tool.get("tools") {
            collect(Some(inner), name, found);
        } else if let Some(name) = name {
            found.push(Offered {
                name: name.to_owned(),
                namespace: text("namespace").or(namespace).map(str::to_owned),
                custom: text("type") == Some("custom"),
            });
        }
    }
}
