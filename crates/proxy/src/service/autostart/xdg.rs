//! Linux without systemd: a desktop entry in the autostart folder (freedesktop.org, Desktop
//! Application Autostart Specification).

use crate::service::autostart::Entry;

/// The entry.
pub fn entry(entry: &Entry) -> String {
    let words = [entry.program.as_str(), "start"].into_iter();
    let words = words.chain(entry.arguments.iter().map(String::as_str));
    let command: Vec<String> = words.map(quoted).collect();
    format!(
        "\
# Written by `saros-proxy autostart install`; `saros-proxy autostart uninstall` removes it.
[Desktop Entry]
Type=Application
Name=Saros
Comment=One endpoint in front of several OpenCode Go accounts
Exec={}
Terminal=false
NoDisplay=true
X-GNOME-Autostart-enabled=true
",
        command.join(" ")
    )
}

/// A word of `Exec` (Desktop Entry Specification, "The Exec key"): in double quotes, where `"`,
/// `` ` ``, `$` and `\` are escaped; `%` begins a field code; and the whole value is a string, in
/// which a backslash is doubled once more.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut text = String::from('"');
    for letter in word.chars() {
        match letter {
            '"' | '`' | '$' => text.extend(['\\', '\\', letter]),
            '\\' => text.push_str("\\\\\\\\"),
            '%' => text.push_str("%%"),
            '\n' => text.push_str("\\n"),
            _ => text.push(letter),
        }
    }
    text + "\""
}

/// The program of an entry.
pub fn program(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("Exec="))?;
    let line = line.replace("\\\\", "\\").replace("%%", "%");
    let mut word = String::new();
    let mut letters = line.strip_prefix('"').unwrap_or(&line).chars();
    let quoted = line.starts_with('"');
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted => break,
            ' ' if !quoted => break,
            '\\' => word.extend(letters.next()),
            _ => word.push(letter),
        }
    }
    (!word.is_empty()).then_some(word)
}
