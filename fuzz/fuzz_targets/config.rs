//! A configuration file from anywhere: loading it ends in a configuration or in problems that can be
//! shown, and changing its keys in a file that means what was asked for, or in words.
#![no_main]

use std::collections::BTreeMap;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use saros_proxy::config::edit::{Document, NewKey};
use saros_proxy::config::{Paths, load_text};
use saros_proxy::secret::Secret;

fuzz_target!(|text: &str| {
    // The key derivation is slow on purpose, and no key fits this one anyway.
    if text.contains("enc:scrypt:") {
        return;
    }
    let nowhere = || PathBuf::from("/nowhere");
    let paths = Paths { config_dir: nowhere(), state_dir: nowhere(), work_dir: nowhere() };
    let problems = match load_text(text, nowhere(), &BTreeMap::new(), paths) {
        Ok(loaded) => loaded.warnings,
        Err(error) => {
            assert!(!error.problems.is_empty());
            error.problems
        }
    };
    for problem in problems {
        assert!(!problem.to_string().contains('\n'));
        let _shown = (problem.render(true), problem.to_json());
    }
    let Ok(document) = Document::parse(text.to_owned()) else { return };
    let key = Secret::new("sk-nnnnnnnnnnnnnnnnnnnn".to_owned());
    let new = NewKey { label: "new".to_owned(), key, base: None, plan: None };
    let mut added = document.clone();
    let count = document.keys().len();
    if added.add(&new).is_ok() {
        assert_eq!(added.keys().len(), count + 1);
        assert!(added.text().len() > text.len());
    }
    for index in 0..count.min(4) {
        let mut removed = document.clone();
        if removed.remove(index).is_ok() {
            assert_eq!(removed.keys().len(), count - 1);
        }
        let mut renamed = document.clone();
        if renamed.rename(index, "other").is_ok() {
            assert_eq!(renamed.keys().len(), count);
        }
    }
});
