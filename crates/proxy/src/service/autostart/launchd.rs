//! macOS: an agent of launchd (launchd.plist(5)).

use std::fmt::Write as _;

use crate::config::master::MASTER_KEY_FILE;
use crate::service::autostart::Entry;

/// The agent's name.
pub const LABEL: &str = "saros-proxy";
/// Its file.
pub const FILE: &str = "saros-proxy.plist";

/// The agent. It is told to keep its log as `start` does, so that the log has a limit and `stop`
/// finds it: ended that way it ends well, and is not started again before the next login.
pub fn plist(entry: &Entry) -> String {
    let mut command = String::new();
    let words = [entry.program.as_str(), "serve", "--daemon"].into_iter();
    for word in words.chain(entry.arguments.iter().map(String::as_str)) {
        let _ = writeln!(command, "    <string>{}</string>", escaped(word));
    }
    let key_file = entry.key_file.as_ref().map(|file| {
        format!("    <key>{MASTER_KEY_FILE}</key>\n    <string>{}</string>\n", escaped(file))
    });
    let key_file = key_file.unwrap_or_default();
    let log = escaped(&entry.log);
    let stop = entry.stop_seconds;
    format!(
        "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">
<!-- Written by `saros-proxy autostart install`; `saros-proxy autostart uninstall` removes it. -->
<plist version=\"1.0\">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
{command}  </array>
  <key>EnvironmentVariables</key>
  <dict>
    <key>NODE_ENV</key>
    <string>production</string>
{key_file}  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>10</integer>
  <key>ExitTimeOut</key>
  <integer>{stop}</integer>
  <key>Umask</key>
  <integer>63</integer>
  <key>StandardOutPath</key>
  <string>{log}</string>
  <key>StandardErrorPath</key>
  <string>{log}</string>
</dict>
</plist>
"
    )
}

/// Starts it now.
pub fn start(user: u32, file: &str) -> Vec<String> {
    super::words(&["launchctl", "bootstrap", &format!("gui/{user}"), file])
}

/// The program of an agent.
pub fn program(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("<key>ProgramArguments</key>")?;
    let (_, rest) = rest.split_once("<string>")?;
    let (word, _) = rest.split_once("</string>")?;
    Some(unescaped(word))
}

/// Text inside an element.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The other way round.
pub(crate) fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}
