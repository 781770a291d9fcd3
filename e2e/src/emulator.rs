//! `saros-proxy emulator` as a process, and its control API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::curl::curl;
use crate::failure::{Failure, Outcome, ensure};
use crate::process::Running;
use crate::proxy::product;
use crate::sandbox::Sandbox;

/// From the start to the line that says where it listens.
const START: Duration = Duration::from_secs(30);

/// A key of an account of the emulator.
#[derive(Clone, Debug)]
pub struct Key {
    /// The account's label.
    pub label: String,
    /// The credential.
    pub secret: String,
}

/// How the emulator is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1 without TLS.
    Plain,
    /// TLS with HTTP/2, as the real service.
    Tls,
}

/// A running emulator.
pub struct Emulator {
    process: Running,
    base_url: String,
    keys: Vec<Key>,
    /// The authority to trust, with TLS.
    certificate: Option<PathBuf>,
}

/// A request as it reached the emulator.
pub struct Entry(Value);

impl Emulator {
    /// Starts it with these accounts; every model speaks the script.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(
        sandbox: &Sandbox,
        transport: Transport,
        accounts: &[&str],
        script: &Value,
    ) -> Outcome<Self> {
        let accounts: Vec<Value> = accounts.iter().map(|label| json!({"label": label})).collect();
        let scenario = json!({
            "accounts": accounts,
            "scripts": {"*": script},
            "settings": {
                "log": {"answers": true, "bodyBytes": 1_000_000},
                "pace": {"headersMs": 20, "firstMs": 10, "gapMs": 2},
            },
        });
        let file = sandbox.write("scenario.json", &scenario.to_string())?;
        let mut command = sandbox.command(product()?);
        command.args(["emulator", "--port", "0", "--scenario"]).arg(file);
        let certificate = (transport == Transport::Tls).then(|| sandbox.path("authority.pem"));
        if let Some(certificate) = &certificate {
            command.args(["--tls", "--certificate-file"]).arg(certificate);
        }
        let process = Running::start(&mut command)?;
        let first = process.line(START, |line| line.starts_with('{').then(|| line.to_owned()))?;
        let ready: Value = serde_json::from_str(&first)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let key = |value: &Value| {
            Some(Key { label: text(&value["label"])?, secret: text(&value["secret"])? })
        };
        let keys = ready["keys"].as_array().and_then(|keys| keys.iter().map(key).collect());
        match (text(&ready["baseUrl"]), keys) {
            (Some(base_url), Some(keys)) => Ok(Self { process, base_url, keys, certificate }),
            _ => Err(Failure::new(format!("the emulator's first line makes no sense: {ready}"))),
        }
    }

    /// Where it listens, without a path.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The certificate of the authority to trust, with TLS.
    pub fn certificate(&self) -> Option<&Path> {
        self.certificate.as_deref()
    }

    /// Arguments with which curl trusts it.
    pub fn trust(&self) -> Vec<String> {
        let trust = |path: &PathBuf| vec!["--cacert".to_owned(), path.display().to_string()];
        self.certificate.as_ref().map(trust).unwrap_or_default()
    }

    /// Its keys, in the order of the accounts.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The requests for answers of a model, in the order of their arrival.
    ///
    /// # Errors
    /// When the emulator does not say.
    pub fn log(&self) -> Outcome<Vec<Entry>> {
        let log = self.control("GET", "log", None)?;
        let entries = log.as_array().or_else(|| log["entries"].as_array());
        let entries = entries.ok_or_else(|| Failure::new(format!("no log: {log}")))?;
        Ok(entries.iter().cloned().map(Entry).filter(Entry::is_inference).collect())
    }

    /// One request to the control API.
    ///
    /// # Errors
    /// When it is not accepted.
    pub fn control(&self, method: &str, path: &str, body: Option<&Value>) -> Outcome<Value> {
        let url = format!("{}/__emulator/{path}", self.base_url);
        let body = body.map(Value::to_string);
        let trust = self.trust();
        let mut arguments = vec!["--request", method];
        arguments.extend(trust.iter().map(String::as_str));
        if let Some(body) = &body {
            arguments.extend(["--header", "content-type: application/json", "--data-binary", body]);
        }
        arguments.push(&url);
        let answer = curl(&arguments)?;
        ensure((200..300).contains(&answer.status), || format!("{method} {url}: {answer:#?}"))?;
        if answer.body.trim().is_empty() { Ok(Value::Null) } else { answer.json() }
    }

    /// What happened here, for a failure's text: the log without bodies, and its own output.
    pub fn told(&self) -> String {
        let log = match self.log() {
            Ok(entries) => entries.iter().map(Entry::line).collect::<Vec<_>>().join("\n"),
            Err(failure) => format!("{failure:?}"),
        };
        format!("{log}\n{}{}", self.process.stdout(), self.process.stderr())
    }
}

impl Entry {
    /// The status of the answer; none while it runs.
    pub fn status(&self) -> Option<u64> {
        self.0["status"].as_u64()
    }

    /// The session id it came under.
    pub fn session(&self) -> Option<&str> {
        self.0["session"].as_str()
    }

    /// The label of the account whose key it carried.
    pub fn account(&self) -> Option<&str> {
        self.0["account"].as_str()
    }

    /// The model it named.
    pub fn model(&self) -> Option<&str> {
        self.0["model"].as_str()
    }

    /// The path, with its query.
    pub fn path(&self) -> &str {
        self.0["path"].as_str().unwrap_or_default()
    }

    /// The client left, or a fault cut the answer.
    pub fn aborted(&self) -> bool {
        self.0["aborted"] == true
    }

    /// The request body's SHA-256, in hex.
    pub fn body_digest(&self) -> Option<&str> {
        self.0["bodySha256"].as_str()
    }

    /// The body of the answer.
    pub fn answer(&self) -> Option<&str> {
        self.0["answer"].as_str()
    }

    /// The protocol it came by, such as `HTTP/2.0`.
    pub fn version(&self) -> &str {
        self.0["version"].as_str().unwrap_or_default()
    }

    /// All values of a request header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers().filter(|(found, _)| *found == name).map(|(_, value)| value).collect()
    }

    /// All request headers: lower-case name, value.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0["headers"].as_array().map(Vec::as_slice).unwrap_or_default();
        pairs.iter().filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?)))
    }

    fn is_inference(&self) -> bool {
        let path = self.path().split('?').next().unwrap_or_default();
        ["/chat/completions", "/messages", "/responses"].iter().any(|end| path.ends_with(end))
    }

    /// One line, for people.
    fn line(&self) -> String {
        let field = |name: &str| self.0[name].to_string();
        let fields =
            ["index", "method", "path", "account", "model", "session", "status", "bytesOut"];
        fields.map(field).join(" ")
    }
}
