//! Which endpoint a request means: the legacy paths of upstream.md §1.1, the new layout of §0.2,
//! the dashboard page of §3.6.

use http::Method;

use crate::model::Format;

/// Which of the two upstreams a path belongs to (upstream.md §0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `/zen/go/v1/…`
    Legacy,
    /// `/inference/go/…`
    New,
}

/// What a path stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// An inference endpoint.
    Infer(Layout, Format),
    /// Google's path names model and streaming itself.
    Google { model: String, stream: bool },
    /// `GET /models`.
    Models(Layout),
    /// `GET /usage`.
    Usage(Layout),
    /// Preflight of a legacy endpoint that has one.
    Preflight,
    /// `GET /workspace/<wrk>/go`.
    Dashboard { workspace: String },
    /// `/__emulator/…`, the rest of the path.
    Control(String),
    /// Known path, other method.
    WrongMethod,
    /// Anything else.
    Unknown,
}

impl Target {
    /// What this method and path mean.
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        if let Some(rest) = path.strip_prefix("/__emulator/") {
            return Self::Control(rest.to_owned());
        }
        let target = if let Some(rest) = path.strip_prefix("/zen/go/v1/") {
            Self::legacy(rest)
        } else if let Some(rest) = path.strip_prefix("/inference/go/") {
            Self::new_layout(rest)
        } else {
            let workspace = path.strip_prefix("/workspace/").and_then(|p| p.strip_suffix("/go"));
            workspace.map_or(Self::Unknown, |workspace| Self::Dashboard {
                workspace: workspace.to_owned(),
            })
        };
        target.with(method)
    }

    fn with(self, method: &Method) -> Self {
        let preflight = matches!(
            self,
            Self::Infer(Layout::Legacy, Format::Chat | Format::Messages | Format::Systemone)
                | Self::Models(Layout::Legacy)
        );
        let wanted = match self {
            Self::Infer(..) | Self::Google { .. } => Method::POST,
            _ => Method::GET,
        };
        match self {
            Self::Unknown => Self::Unknown,
            target if *method == wanted => target,
            _ if *method == Method::OPTIONS && preflight => Self::Preflight,
            _ => Self::WrongMethod,
        }
    }

    fn legacy(rest: &str) -> Self {
        match rest {
            "chat/completions" => Self::Infer(Layout::Legacy, Format::Chat),
            "messages" => Self::Infer(Layout::Legacy, Format::Messages),
            "responses" => Self::Infer(Layout::Legacy, Format::Responses),
            "systemone" => Self::Infer(Layout::Legacy, Format::Systemone),
            "models" => Self::Models(Layout::Legacy),
            "usage" => Self::Usage(Layout::Legacy),
            _ => Self::Unknown,
        }
    }

    fn new_layout(rest: &str) -> Self {
        match rest {
            "openai/v1/chat/completions" => Self::Infer(Layout::New, Format::Chat),
            "openai/v1/responses" => Self::Infer(Layout::New, Format::Responses),
            "anthropic/v1/messages" => Self::Infer(Layout::New, Format::Messages),
            "systemone/v1/systemone" => Self::Infer(Layout::New, Format::Systemone),
            "v1/models" => Self::Models(Layout::New),
            "v1/usage" => Self::Usage(Layout::New),
            _ => Self::google(rest).unwrap_or(Self::Unknown),
        }
    }

    fn google(rest: &str) -> Option<Self> {
        let call = rest.strip_prefix("google/v1beta/models/")?;
        let (model, method) = call.split_once(':')?;
        let stream = match method {
            "generateContent" => false,
            "streamGenerateContent" => true,
            _ => return None,
        };
        Some(Self::Google { model: model.to_owned(), stream })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let post = |path| Target::of(&Method::POST, path);
        let get = |path| Target::of(&Method::GET, path);
        assert_eq!(post("/zen/go/v1/messages"), Target::Infer(Layout::Legacy, Format::Messages));
        assert_eq!(
            post("/inference/go/anthropic/v1/messages"),
            Target::Infer(Layout::New, Format::Messages)
        );
        assert_eq!(get("/zen/go/v1/usage"), Target::Usage(Layout::Legacy));
        assert_eq!(post("/zen/go/v1/messages/count_tokens"), Target::Unknown);
        assert_eq!(get("/zen/go/v1/messages"), Target::WrongMethod);
        assert_eq!(Target::of(&Method::OPTIONS, "/zen/go/v1/messages"), Target::Preflight);
        assert_eq!(get("/workspace/wrk_1/go"), Target::Dashboard { workspace: "wrk_1".to_owned() });
        assert_eq!(
            post("/inference/go/google/v1beta/models/gemini-4-argon:streamGenerateContent"),
            Target::Google { model: "gemini-4-argon".to_owned(), stream: true }
        );
    }
}
