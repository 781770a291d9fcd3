//! What people read about options: the reference page and the example file, derived from the table.

use crate::config::options::{
    Field, Holds, KEY_FIELDS, Kind, PRICE_FIELDS, SETTINGS, Setting, either, range,
};

/// `docs/configuration.md`.
pub fn page() -> String {
    let mut page = PREFACE.to_owned();
    page.push_str("\n## Overview\n\n| option | flag | environment | default | reload |\n|---|---|---|---|---|\n");
    for setting in SETTINGS {
        let code = |text: Option<&str>| text.map_or_else(String::new, |text| format!("`{text}`"));
        let default = Some(setting.default).filter(|text| !text.is_empty());
        page.extend([format!(
            "| [{name}](#{anchor}) | {} | {} | {} | {} |\n",
            code(setting.flag),
            code(setting.env),
            code(default),
            if setting.live { "yes" } else { "restart" },
            name = setting.name,
            anchor = setting.name.to_lowercase(),
        )]);
    }
    page.push_str("\n## Options\n");
    for setting in SETTINGS {
        page.extend([format!("\n### {}\n\n{}\n\n", setting.name, setting.help)]);
        page.extend([format!("Allowed: {}.\n", setting.allowed())]);
        if !setting.live {
            page.push_str("\nA change takes effect with the next start.\n");
        }
        fields(setting, &mut page);
    }
    page.push_str(CLOSING);
    page
}

fn fields(setting: &Setting, page: &mut String) {
    let (title, fields): (&str, &[Field]) = match &setting.kind {
        Kind::Keys => ("Each entry of the list", KEY_FIELDS),
        Kind::Prices(_) => ("For each model", PRICE_FIELDS),
        Kind::Block(fields) => ("In the block", fields),
        _ => return,
    };
    table(title, fields, page);
    for field in fields {
        if let Holds::List(inner) = &field.holds {
            table(&format!("Each entry of `{}`", field.name), inner, page);
        }
    }
}

fn table(title: &str, fields: &[Field], page: &mut String) {
    page.extend([format!("\n{title}:\n\n| name | holds | |\n|---|---|---|\n")]);
    for Field { name, help, required, holds } in fields {
        let must = if *required { "" } else { ", optional" };
        page.extend([format!("| {name} | {}{must} | {help} |\n", in_words(holds))]);
    }
}

fn in_words(holds: &Holds) -> String {
    match holds {
        Holds::Text => "text".to_owned(),
        Holds::Secret => "a secret".to_owned(),
        Holds::Base => "a URL".to_owned(),
        Holds::Word(words) => either(words),
        Holds::Switch => either(&["true", "false"]),
        Holds::Number(from, to) => range(*from, *to),
        Holds::Dollars => "dollars".to_owned(),
        Holds::Balance => "`true`, `false` or dollars".to_owned(),
        Holds::List(_) => "a list".to_owned(),
    }
}

/// `config.example.yaml`: keys to fill in, and every other option with its default, commented out.
pub fn example() -> String {
    let mut file = EXAMPLE_PREFACE.to_owned();
    for setting in SETTINGS {
        if matches!(setting.kind, Kind::Keys) {
            file.push_str(EXAMPLE_KEYS);
            continue;
        }
        file.push('\n');
        for line in wrapped(setting.help) {
            file.extend([format!("# {line}\n")]);
        }
        file.extend([match (setting.name, setting.default) {
            ("usageThreshold", _) => "# usageThreshold: 70\n".to_owned(),
            ("prices", _) => {
                "# prices:\n#   glm-5.2: { input: 0.6, output: 2.2, cacheRead: 0.11 }\n".to_owned()
            }
            ("scraping", _) => EXAMPLE_SCRAPING.to_owned(),
            (name, default) => format!("# {name}: {default}\n"),
        }]);
    }
    file
}

/// Lines of at most 96 characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 96 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

const PREFACE: &str = "\
# Configuration

<!-- Derived from the table of options in crates/proxy/src/config/options: edit that, then run
     SAROS_BLESS=1 cargo test -p saros-proxy reference -->

Every option can stand in `config.yaml`; some also in the environment or in a flag. Flags go before
the file, the file before the environment, the environment before defaults. An empty variable counts
as none.

The file is looked for at

| | |
|---|---|
| Linux, macOS | `$XDG_CONFIG_HOME/saros/config.yaml`, else `~/.config/saros/config.yaml` |
| Windows | `%LOCALAPPDATA%\\saros\\config.yaml` |
| else | `./config.yaml`, with a warning |

and `--config PATH` names another. `saros-proxy check` finds every problem in it, `saros-proxy config`
shows what is in effect and where each value comes from, and `saros-proxy config schema` prints a JSON
Schema for editors.

A running proxy takes over changes of the file by itself, on SIGHUP, and on `saros-proxy reload`,
without dropping a stream. A file with an error is reported and changes nothing. Options marked
\"restart\" need one.

What was written for the original, npm's saros-proxy, works unchanged: bad values of its options are
warned about and the default is used. A bad value of any other option stops the start. Unknown names
are warned about.
";

const CLOSING: &str = "
## Keys at rest

A key, or the cookie of a `scraping` account, may be encrypted: `enc:scrypt:<salt>:<iv>:<ciphertext>:<tag>`,
each part in base64; AES-256-GCM under a key derived from the master key by scrypt (N=16384, r=8, p=1).
`saros-proxy keys encrypt` does it, and `keys decrypt` undoes it. The master key comes from

1. `OPENCODE_GO_ENCRYPTION_KEY`,
2. the file that `OPENCODE_GO_ENCRYPTION_KEY_FILE` names (mode 0600),
3. the operating system's keyring, if one was chosen.

A new master key has at least 16 characters. Keys in `OPENCODE_GO_KEYS` are always plain.
";

const EXAMPLE_PREFACE: &str = "\
# Configuration of saros-proxy. Copy it to ~/.config/saros/config.yaml and put in your keys;
# all else is a default that you need not touch. Everything is explained in docs/configuration.md.
#
# Derived from the table of options: edit crates/proxy/src/config/options, then run
# SAROS_BLESS=1 cargo test -p saros-proxy reference
";

const EXAMPLE_KEYS: &str = "
# The API keys, each with a name of yours: `sk-…` or `oc_sk_…`. Keep this file to yourself: chmod 600.
keys:
  - label: primary
    key: sk-your-primary-key-here-12345678
  - label: secondary
    key: sk-your-secondary-key-here-87654321
    # upstreamBaseUrl: https://opencode.ai
    # allowBalance: false
    # plan: go
";

const EXAMPLE_SCRAPING: &str = "\
# scraping:
#   enabled: false
#   intervalMs: 90000
#   usageThreshold: 70
#   accounts:
#     - workspaceId: wrk_…
#       authCookie: …
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::config::schema::schema;
    use crate::config::{Loaded, Overrides, Paths, Problem, load};

    /// Compares a committed file with what is generated, or writes it with `SAROS_BLESS=1`.
    fn check(path: &str, generated: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        if std::env::var_os("SAROS_BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, generated).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == generated,
            "{} is not what the table of options says: SAROS_BLESS=1 cargo test -p saros-proxy \
             reference",
            path.display()
        );
    }

    #[test]
    fn the_committed_files_are_what_the_table_says() {
        check("docs/configuration.md", &page());
        check("config.example.yaml", &example());
        let mut schema = serde_json::to_string_pretty(&schema()).unwrap();
        schema.push('\n');
        check("docs/config.schema.json", &schema);
    }

    #[test]
    fn the_example_is_a_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let loaded = |text: &str| {
            let file = folder.path().join("config.yaml");
            fs::write(&file, text).unwrap();
            let paths = Paths {
                config_dir: PathBuf::from("/nowhere"),
                state_dir: PathBuf::from("/nowhere"),
                work_dir: PathBuf::from("/nowhere"),
            };
            let cli = Overrides { config: Some(file), ..Overrides::default() };
            let Loaded { warnings, config, .. } = load(&cli, &BTreeMap::new(), paths).unwrap();
            let told = |warning: &Problem| !warning.what.contains("can be read by others");
            (warnings.into_iter().filter(told).collect::<Vec<_>>(), config.keys.len())
        };
        assert_eq!(loaded(&example()), (Vec::new(), 2));
        // With every option that is commented out, too.
        let all: Vec<String> = example()
            .lines()
            .map(|line| match line.strip_prefix("# ").or_else(|| line.strip_prefix("    # ")) {
                Some(rest) if rest.starts_with(' ') => rest.to_owned(),
                Some(rest) => {
                    let name = rest.split(':').next().unwrap_or_default();
                    let known = crate::config::options::is_known_name(name) && rest.contains(':');
                    let indent = &line[..line.len() - line.trim_start().len()];
                    if known { format!("{indent}{rest}") } else { String::new() }
                }
                None => line.to_owned(),
            })
            .collect();
        let (warnings, keys) = loaded(&all.join("\n"));
        let warnings: Vec<String> = warnings.iter().map(|w| w.what.clone()).collect();
        assert_eq!(warnings, [""; 0], "{all:?}");
        assert_eq!(keys, 2);
        for setting in SETTINGS {
            assert!(all.iter().any(|line| line.starts_with(setting.name)), "{}", setting.name);
        }
    }
}
