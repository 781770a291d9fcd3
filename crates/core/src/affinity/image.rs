//! Sessions and their seats as plain data.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Affinity, Seat};
use crate::by_model::memorable;
use crate::id::{AccountId, KeyId, SessionKey};
use crate::time::Millis;

/// What survives a restart of [`Affinity`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AffinityImage {
    /// The one used last at the end.
    pub seats: Vec<SeatImage>,
}

/// One strand of a session. Running answers are not part of it: they end with the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SeatImage {
    /// Digest of the session id.
    pub session: u64,
    /// Fingerprint of a key of its account.
    pub key: u64,
    /// Model.
    pub model: Option<String>,
    /// Tokens of its last prompt.
    pub prompt: u64,
    /// Tokens of its last prompt and answer.
    pub prefix: u64,
    /// Bytes of its last body.
    pub body_bytes: u64,
    /// When its last answer ended, in milliseconds since 1970.
    pub at: i64,
    /// Fingerprint of a key of the account where it should not be held.
    pub suspended: Option<u64>,
}

impl Affinity {
    /// What should survive a restart; accounts by one of their keys.
    pub fn image(&self, key_of: impl Fn(AccountId) -> Option<KeyId>) -> AffinityImage {
        let mut seats = Vec::with_capacity(self.strands.len());
        let mut next = self.recency.oldest();
        while let Some(place) = next {
            next = self.recency.newer(place);
            let Some(strand) = self.strand(place) else { continue };
            let Some(seat) = &strand.seat else { continue };
            let Some(key) = key_of(seat.account) else { continue };
            seats.push(SeatImage {
                session: strand.session.0,
                key: key.0,
                model: seat.model.as_ref().map(ToString::to_string),
                prompt: seat.prompt,
                prefix: seat.prefix,
                body_bytes: seat.body_bytes,
                at: seat.at.0,
                suspended: seat.suspended.and_then(&key_of).map(|key| key.0),
            });
        }
        AffinityImage { seats }
    }

    /// Takes over what survived, for keys that there still are.
    pub fn restore(image: AffinityImage, account_of: impl Fn(KeyId) -> Option<AccountId>) -> Self {
        let mut affinity = Self::default();
        for seat in image.seats {
            let Some(account) = account_of(KeyId(seat.key)) else { continue };
            if seat.model.as_deref().is_some_and(|name| !memorable(name)) {
                continue;
            }
            let suspended = seat.suspended.and_then(|key| account_of(KeyId(key)));
            let model = seat.model.map(Arc::from);
            let empty = Seat::new(account, model, seat.body_bytes, Millis(seat.at));
            let (prompt, prefix) = (seat.prompt, seat.prefix);
            affinity.add(SessionKey(seat.session), Seat { prompt, prefix, suspended, ..empty });
        }
        affinity
    }
}
