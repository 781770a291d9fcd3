//! `keys add`.

use saros_core::pool::NoUsage;
use saros_core::report::Report;
use serde_json::json;

use crate::cli::keys::store::{Store, error};
use crate::cli::keys::verify::{Verify, refusal, same_account, standing};
use crate::cli::keys::{Outcome, Said, ask, crypt};
use crate::config::edit::NewKey;
use crate::config::keys::malformed;
use crate::config::{BaseUrl, Env, KeyConfig, Overrides, Paths, Problem, load};
use crate::secret::Secret;

/// What was asked for.
pub struct Wish<'a> {
    /// The new key's name.
    pub label: &'a str,
    /// Where it is used, if not where all are.
    pub upstream: Option<&'a str>,
    /// Its subscription.
    pub plan: Option<&'a str>,
}

/// Adds a key.
pub fn add(mut store: Store, wish: &Wish<'_>, service: &dyn Verify, env: &dyn Env) -> Outcome {
    store.free(wish.label)?;
    let own = wish.upstream.map(|text| {
        BaseUrl::parse(text).map_err(|why| {
            error(format!("--upstream is {why}"), "an https URL, or http to loopback")
        })
    });
    let own = own.transpose()?;
    let secret = ask::secret(&format!("Key for {}", wish.label))?;
    if let Some(why) = malformed(secret.expose()) {
        return Err(error(
            format!("this is no key: {why}"),
            "keys begin with `sk-` or `oc_sk_` and have at least 20 characters",
        ));
    }
    let known = Known::read(&store, env);
    if let Some(twin) = known.twin(&secret) {
        return Err(error(
            format!("this key is in {} already, as {twin}", store.path.display()),
            "nothing was changed",
        ));
    }
    let mut key = KeyConfig::new(wish.label, secret, own.unwrap_or_else(|| known.upstream.clone()));
    let verified = Verified::of(std::slice::from_mut(&mut key), &known, service)?;
    let new = NewKey {
        label: wish.label.to_owned(),
        key: crypt::like_the_others(&store, &key.secret, env)?,
        base: wish.upstream.map(str::to_owned),
        plan: wish.plan.map(str::to_owned),
    };
    store.edit(|document| document.add(&new))?;
    let path = store.save()?;
    let mut said = Said::new(
        format!("Added {} ({}) to {}.", wish.label, key.secret, path.display()),
        json!({ "added": [wish.label], "shared": verified.shared, "verified": verified.asked }),
    );
    said.lines.extend(verified.lines);
    Ok(said)
}

/// What the configuration holds already.
pub struct Known {
    /// Its keys, as far as they can be read.
    pub keys: Vec<KeyConfig>,
    /// Where keys are used.
    pub upstream: BaseUrl,
}

impl Known {
    /// Reads it. Without a master key encrypted ones stay unknown; that is no reason to stop.
    pub fn read(store: &Store, env: &dyn Env) -> Self {
        let cli = Overrides { config: Some(store.path.clone()), ..Overrides::default() };
        match load(&cli, env, Paths::of_this_process(env)) {
            Ok(loaded) => Self { keys: loaded.config.keys, upstream: loaded.config.upstream },
            Err(_) => Self { keys: Vec::new(), upstream: BaseUrl::default() },
        }
    }

    /// The name of the same key.
    pub fn twin(&self, secret: &Secret) -> Option<&str> {
        self.keys.iter().find(|key| key.secret == *secret).map(|key| &*key.label)
    }
}

/// What the service says of new keys.
pub struct Verified {
    /// For people.
    pub lines: Vec<String>,
    /// New keys that share an account with another, with that one's name.
    pub shared: Vec<(String, String)>,
    /// Whether it was asked.
    pub asked: bool,
}

impl Verified {
    /// Asks; refuses unless the service accepts every new key.
    pub fn of(
        new: &mut [KeyConfig],
        known: &Known,
        service: &dyn Verify,
    ) -> Result<Self, Box<Problem>> {
        let all: Vec<KeyConfig> = new.iter().chain(&known.keys).cloned().collect();
        let Some(reports) = service.ask(&all) else {
            return Ok(Self { lines: Vec::new(), shared: Vec::new(), asked: false });
        };
        let asked: Vec<(&KeyConfig, &Result<Report, NoUsage>)> = all.iter().zip(&reports).collect();
        let (fresh, _) = asked.split_at(new.len().min(asked.len()));
        let refused: Vec<String> = fresh
            .iter()
            .filter_map(|(key, said)| {
                Some(format!("{} ({}): {}", key.label, key.secret, refusal(said)?))
            })
            .collect();
        if !refused.is_empty() {
            return Err(error(
                format!("not added: {}", refused.join("; ")),
                "nothing was changed; --no-verify adds it all the same",
            ));
        }
        let (mut lines, mut shared) = (Vec::new(), Vec::new());
        for (index, (key, said)) in fresh.iter().enumerate() {
            let Ok(report) = said else {
                lines.push(format!(
                    "{}: this upstream has no usage API, so it was not verified.",
                    key.label
                ));
                continue;
            };
            lines.push(format!("{}: accepted; used: {}.", key.label, standing(report)));
            let others = asked.iter().enumerate().filter(|(other, _)| *other != index);
            let twin = others
                .filter_map(|(_, (other, said))| Some((*other, said.as_ref().ok()?)))
                .find(|(_, other)| same_account(report, other));
            if let Some((other, _)) = twin {
                lines.push(format!(
                    "{} shares its account with {}: together they have one account's quota.",
                    key.label, other.label
                ));
                shared.push((key.label.to_string(), other.label.to_string()));
            }
        }
        Ok(Self { lines, shared, asked: true })
    }
}
