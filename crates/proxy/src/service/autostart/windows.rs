//! Windows: a value under the user's `Run` key, a script in the Startup folder, or a task.
//!
//! The names of the first two are those that the tool that this one replaces used, so its entries
//! are found, replaced and removed.

use crate::service::autostart::launchd::{escaped, unescaped};
use crate::service::autostart::{Entry, Places, Step, words};

/// The name of the value, and of the task.
pub const NAME: &str = "Saros Proxy";
/// What Windows runs when the user logs in.
pub const RUN_KEY: &str = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run";

/// The command line, as programs of Microsoft's C library take it apart.
pub fn command_line(entry: &Entry, command: &str) -> String {
    let words = [entry.program.as_str()].into_iter().chain(command.split_whitespace());
    let words = words.chain(entry.arguments.iter().map(String::as_str));
    // The program always in quotes: without them Windows tries `C:\Program.exe` first.
    let quoted: Vec<String> =
        words.enumerate().map(|(number, word)| quoted(word, number == 0)).collect();
    quoted.join(" ")
}

/// Backslashes count only before a quote, and are doubled there.
fn quoted(word: &str, always: bool) -> String {
    if !always && !word.is_empty() && !word.contains([' ', '\t', '"']) {
        return word.to_owned();
    }
    let mut text = String::from('"');
    let mut backslashes = 0;
    for letter in word.chars() {
        match letter {
            '\\' => backslashes += 1,
            '"' => {
                text.push_str(&"\\".repeat(backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        text.push(letter);
    }
    text + &"\\".repeat(backslashes) + "\""
}

/// The first word of a command line.
pub fn first_word(line: &str) -> Option<String> {
    let line = line.trim();
    let word = match line.strip_prefix('"') {
        Some(rest) => rest.split('"').next()?,
        None => line.split_whitespace().next()?,
    };
    (!word.is_empty()).then(|| word.to_owned())
}

/// Sets the value.
pub fn registry_add(entry: &Entry) -> Vec<String> {
    let data = command_line(entry, "start");
    words(&["reg", "add", RUN_KEY, "/v", NAME, "/t", "REG_SZ", "/d", &data, "/f"])
}

/// Removes the value.
pub fn registry_delete() -> Vec<String> {
    words(&["reg", "delete", RUN_KEY, "/v", NAME, "/f"])
}

/// Asks for the value.
pub fn registry_query() -> Vec<String> {
    words(&["reg", "query", RUN_KEY, "/v", NAME])
}

/// The value in `reg`'s answer: a line of name, type and data.
pub fn registry_data(said: &str) -> Option<String> {
    let line = said.lines().map(str::trim).find(|line| line.starts_with(NAME))?;
    let kinds = ["REG_SZ", "REG_EXPAND_SZ"];
    let data = kinds.iter().find_map(|kind| line.split_once(kind)).map(|(_, data)| data.trim())?;
    Some(data.to_owned())
}

/// The script: runs the command without a window and does not wait for it.
pub fn script(entry: &Entry) -> String {
    let command = command_line(entry, "start").replace('"', "\"\"");
    format!(
        "' Written by `saros-proxy autostart install`; `saros-proxy autostart uninstall` removes it.\r\n\
         CreateObject(\"WScript.Shell\").Run \"{command}\", 0, False\r\n"
    )
}

/// The program of a script, ours or the original's: the first path in the text that is run.
pub fn script_program(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(".Run ")?;
    let rest = rest.trim_start().strip_prefix('"')?;
    first_word(&rest.replace("\"\"", "\""))
}

/// Registers the task, from a file that is removed again.
pub fn task_install(entry: &Entry, places: &Places) -> Vec<Step> {
    let file = places.task.display().to_string();
    vec![
        Step::Write(places.task.clone(), utf16(&task(entry))),
        Step::Run(words(&["schtasks", "/Create", "/TN", NAME, "/XML", &file, "/F"])),
        Step::Remove(places.task.clone()),
    ]
}

/// Removes the task.
pub fn task_delete() -> Vec<String> {
    words(&["schtasks", "/Delete", "/TN", NAME, "/F"])
}

/// Asks for the task.
pub fn task_query() -> Vec<String> {
    words(&["schtasks", "/Query", "/TN", NAME, "/XML"])
}

/// The task: at the user's login, with the user's rights.
pub fn task(entry: &Entry) -> String {
    let program = escaped(&entry.program);
    let line = command_line(entry, "start");
    let arguments = line.strip_prefix(&quoted(&entry.program, true)).unwrap_or_default();
    let arguments = escaped(arguments.trim());
    format!(
        "\
<?xml version=\"1.0\" encoding=\"UTF-16\"?>
<Task version=\"1.2\" xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\">
  <RegistrationInfo>
    <Description>Saros, one endpoint in front of several OpenCode Go accounts</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id=\"Author\">
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <Hidden>true</Hidden>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>3</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context=\"Author\">
    <Exec>
      <Command>{program}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"
    )
}

/// The program of a task.
pub fn task_program(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("<Command>")?;
    let (word, _) = rest.split_once("</Command>")?;
    Some(unescaped(word.trim().trim_matches('"')))
}

/// Asks which antivirus programs there are. One from a third party often takes scripts in the
/// Startup folder for malware.
pub fn antivirus_query() -> Vec<String> {
    let script = "Get-CimInstance -Namespace root/SecurityCenter2 -ClassName AntiVirusProduct \
                  | ForEach-Object { $_.displayName }";
    words(&["powershell", "-NoProfile", "-NonInteractive", "-Command", script])
}

/// Whether one of these, a name a line, is not Windows' own.
pub fn is_third_party(said: &str) -> bool {
    said.lines().map(str::trim).any(|line| {
        !line.is_empty()
            && !line.ends_with("Windows Defender")
            && !line.contains("Microsoft Defender")
    })
}

/// UTF-16, little endian, with a mark: what Windows reads whatever letters a path has.
pub fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

/// The text of a file that may be UTF-16 with a mark, or UTF-8.
pub fn text_of(bytes: &[u8]) -> String {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => {
            let units = rest.chunks_exact(2).map(|pair| match pair {
                [low, high] => u16::from_le_bytes([*low, *high]),
                _ => 0,
            });
            String::from_utf16_lossy(&units.collect::<Vec<_>>())
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}
