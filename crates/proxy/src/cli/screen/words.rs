//! The words of documents, as sentences say them.

/// What a fault means, by its name in logs and documents.
pub fn fault(name: &str) -> &str {
    match name {
        "key-refused" => "the service does not know the key",
        "blocked" => "the service has blocked its workspace",
        "credits" => "no quota and no balance",
        "entitlement" => "no subscription",
        "spending-limit" => "its spending limit is reached",
        "quota" => "its quota is used up",
        "rate-limit" => "too many requests at once",
        "free-limit" => "the limit of free models is reached",
        "saturated" => "the model is overloaded",
        "model" => "the model has trouble",
        "wrong-format" => "the model is served in another format",
        "not-for-account" => "the account may not use the model",
        "request" => "the service refused the request itself",
        "refused" => "the service refused it",
        "server-error" => "the service had an error",
        "unavailable" => "the service was unavailable",
        "gateway" => "the service's gateway had an error",
        "origin-down" => "the service was down",
        "connect" => "no connection came about",
        "unstarted" => "the connection closed before the request was taken",
        "reset" => "the connection broke before an answer",
        "timeout" => "no answer came in time",
        "cut" => "the answer broke off",
        // Of keys with which the service was asked directly.
        "untold" => "the service does not tell its usage here",
        "trouble" => "its usage could not be asked for, try again later",
        other => other,
    }
}

/// How a key or an account stands.
pub fn state(name: &str) -> &str {
    match name {
        "ready" => "ready",
        "trial" => "on trial after a failure",
        "cooling" => "cooling down",
        "outOfQuota" => "out of quota",
        "dead" => "not usable",
        "unknown" => "not known",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use saros_core::fault::FaultKind;

    use super::*;

    #[test]
    fn every_fault_has_its_words() {
        for kind in FaultKind::ALL {
            assert_ne!(fault(kind.name()), kind.name());
        }
        assert_eq!((fault("new"), state("new")), ("new", "new"));
    }
}
