use std::collections::BTreeMap;

use super::*;

/// Compares with a file beside this one; `SAROS_WRITE_SNAPSHOTS=1` writes it instead.
fn snapshot(name: &str, text: &str) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/service/autostart/snapshots").join(name);
    if std::env::var_os("SAROS_WRITE_SNAPSHOTS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
}

fn unix() -> Entry {
    Entry {
        program: "/usr/local/bin/saros-proxy".to_owned(),
        arguments: words(&["--port", "4000"]),
        folders: words(&["/home/u/.config/saros", "/home/u/.local/state/saros"]),
        log: "/home/u/.config/saros/daemon.log".to_owned(),
        stop_seconds: 70,
        key_file: None,
        sandbox: true,
    }
}

/// Everything that means something to somebody.
fn odd() -> Entry {
    Entry {
        program: "/home/ü ser/100%/$HOME/a<&>`d/saros-proxy".to_owned(),
        arguments: words(&["--config", "/home/ü ser/my config.yaml"]),
        folders: words(&["/home/ü ser/.config/saros"]),
        key_file: Some("/home/ü ser/100%/master key".to_owned()),
        ..unix()
    }
}

fn windows() -> Entry {
    Entry {
        program: r"C:\Program Files\Saros\saros-proxy.exe".to_owned(),
        arguments: words(&["--port", "4000", "--config", r"C:\Users\Jörg & Co\saros\config.yaml"]),
        folders: words(&[r"C:\Users\Jörg & Co\AppData\Local\saros"]),
        ..unix()
    }
}

fn places() -> Places {
    let home = Path::new("/home/u");
    Places::below(
        home,
        &home.join(".config"),
        Path::new("/roaming"),
        Path::new("/home/u/.config/saros"),
    )
}

#[test]
fn what_is_generated() {
    snapshot("unit.service", &systemd::unit(&unix()));
    snapshot("unit-plain.service", &systemd::unit(&Entry { sandbox: false, ..unix() }));
    snapshot("unit-odd.service", &systemd::unit(&odd()));
    snapshot("entry.desktop", &xdg::entry(&unix()));
    snapshot("entry-odd.desktop", &xdg::entry(&odd()));
    snapshot("agent.plist", &launchd::plist(&unix()));
    snapshot("agent-odd.plist", &launchd::plist(&odd()));
    snapshot("registry.txt", &(windows::registry_add(&windows()).join("\n") + "\n"));
    snapshot("script.vbs", &windows::script(&windows()));
    snapshot("task.xml", &windows::task(&windows()));
}

#[test]
fn the_program_is_found_in_what_was_generated() {
    assert!(!systemd::accepts("/a\"b") && !systemd::accepts("/a\\b") && !systemd::accepts("/a\nb"));
    for entry in [unix(), odd()] {
        assert!(systemd::accepts(&entry.program));
        let found = [
            systemd::program(&systemd::unit(&entry)),
            xdg::program(&xdg::entry(&entry)),
            launchd::program(&launchd::plist(&entry)),
        ];
        assert_eq!(found, [(); 3].map(|()| Some(entry.program.clone())));
    }
    let entry = windows();
    let found = [
        windows::first_word(&windows::command_line(&entry, "start")),
        windows::script_program(&windows::script(&entry)),
        windows::task_program(&windows::task(&entry)),
    ];
    assert_eq!(found, [(); 3].map(|()| Some(entry.program.clone())));
}

#[test]
fn windows_takes_words_apart_as_they_were() {
    let entry = Entry {
        program: r"C:\x.exe".to_owned(),
        arguments: words(&[r"C:\my dir\", r#"a"b"#, r"c\d", ""]),
        ..windows()
    };
    assert_eq!(
        windows::command_line(&entry, "start"),
        r#""C:\x.exe" start "C:\my dir\\" "a\"b" c\d """#
    );
    assert_eq!(windows::text_of(&windows::utf16("Jörg\r\n")), "Jörg\r\n");
    assert_eq!(windows::text_of("Jörg".as_bytes()), "Jörg");
}

#[test]
fn antivirus_programs() {
    for (said, third_party) in [
        ("Windows Defender\r\n", false),
        ("Microsoft Defender Antivirus\r\n", false),
        ("", false),
        ("Windows Defender\r\nNorton 360\r\n", true),
    ] {
        assert_eq!(windows::is_third_party(said), third_party, "{said}");
    }
}

/// A machine that remembers.
#[derive(Default)]
struct Memory {
    files: BTreeMap<PathBuf, Vec<u8>>,
    run_key: Option<String>,
    task: Option<String>,
    enabled: bool,
    ran: Vec<String>,
}

impl Machine for Memory {
    fn run(&mut self, words: &[String]) -> io::Result<Ran> {
        let line = words.join(" ");
        let (success, said) = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice()
        {
            ["reg", "add", .., data, "/f"] => {
                self.run_key = Some((*data).to_owned());
                (true, String::new())
            }
            ["reg", "delete", ..] => (self.run_key.take().is_some(), String::new()),
            ["reg", "query", ..] => match &self.run_key {
                Some(data) => {
                    let key = windows::RUN_KEY;
                    let name = windows::NAME;
                    (true, format!("\r\n{key}\r\n    {name}    REG_SZ    {data}\r\n\r\n"))
                }
                None => (false, String::new()),
            },
            ["schtasks", "/Create", .., file, "/F"] => {
                self.task = self.files.get(Path::new(file)).map(|bytes| windows::text_of(bytes));
                (self.task.is_some(), String::new())
            }
            ["schtasks", "/Delete", ..] => (self.task.take().is_some(), String::new()),
            ["schtasks", "/Query", ..] => {
                (self.task.is_some(), self.task.clone().unwrap_or_default())
            }
            ["systemctl", "--user", "enable", _] => {
                self.enabled = true;
                (true, String::new())
            }
            ["systemctl", "--user", "disable", _] => {
                self.enabled = false;
                (true, String::new())
            }
            ["systemctl", "--user", "is-enabled", _] => (self.enabled, String::new()),
            _ => (true, String::new()),
        };
        self.ran.push(line);
        Ok(Ran { success, said })
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.files.insert(path.to_owned(), bytes.to_owned());
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let removed = self.files.remove(path);
        removed.map(drop).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

#[test]
fn installing_twice_is_installing_once_and_uninstalling_leaves_nothing() {
    for (_, method) in Method::ALL {
        let mut machine = Memory::default();
        let entry = if matches!(method, Method::Registry | Method::Vbs | Method::Task) {
            windows()
        } else {
            unix()
        };
        assert_eq!(installed(method, &places(), &mut machine), None);
        for _ in 0..2 {
            carry_out(&install(method, &entry, &places()), &mut machine).unwrap();
            let found = installed(method, &places(), &mut machine).unwrap();
            assert_eq!(found.program, Some(entry.program.clone()), "{found:?}");
            assert!(found.is_current(&entry) && found.enabled, "{found:?}");
            assert!(!found.is_of_the_original(), "{found:?}");
            let entries = machine.files.len()
                + usize::from(machine.run_key.is_some())
                + usize::from(machine.task.is_some());
            assert_eq!(entries, 1, "{method:?}");
        }
        for _ in 0..2 {
            carry_out(&uninstall(method, &places()), &mut machine).unwrap();
            assert_eq!(installed(method, &places(), &mut machine), None);
            assert!(machine.files.is_empty() && !machine.enabled, "{method:?}");
        }
    }
}

#[test]
fn entries_of_the_original_are_recognised_and_replaced() {
    let node = r#""C:\Program Files\nodejs\node.exe" "C:\npm\node_modules\saros-proxy\dist\index.js" start --port 3000"#;
    let mut machine = Memory { run_key: Some(node.to_owned()), ..Memory::default() };
    let script = format!(
        "Set s = CreateObject(\"WScript.Shell\")\r\ns.Run \"{}\", 0, False\r\n",
        node.replace('"', "\"\"")
    );
    machine.files.insert(places().script, script.into_bytes());
    for method in [Method::Registry, Method::Vbs] {
        let found = installed(method, &places(), &mut machine).unwrap();
        assert!(found.is_of_the_original() && !found.is_current(&windows()), "{found:?}");
        assert_eq!(found.program.as_deref(), Some(r"C:\Program Files\nodejs\node.exe"));
        carry_out(&install(method, &windows(), &places()), &mut machine).unwrap();
        let found = installed(method, &places(), &mut machine).unwrap();
        assert!(!found.is_of_the_original() && found.is_current(&windows()), "{found:?}");
    }
}

#[test]
fn a_step_that_fails_is_told() {
    let mut machine = Memory::default();
    let steps = [Step::Try(windows::task_query()), Step::Run(windows::task_query())];
    let error = carry_out(&steps, &mut machine).unwrap_err();
    assert!(error.starts_with("`schtasks /Query /TN Saros Proxy /XML` failed"), "{error}");
}

#[test]
fn a_unit_without_a_mount_namespace_is_current_too() {
    let plain = Entry { sandbox: false, ..unix() };
    let mut machine = Memory::default();
    carry_out(&install(Method::Systemd, &plain, &places()), &mut machine).unwrap();
    assert!(installed(Method::Systemd, &places(), &mut machine).unwrap().is_current(&unix()));
    let moved = Entry { arguments: Vec::new(), ..unix() };
    assert!(!installed(Method::Systemd, &places(), &mut machine).unwrap().is_current(&moved));
}

/// What systemd itself says of the unit, where it is there to be asked.
#[cfg(target_os = "linux")]
#[test]
fn systemd_finds_no_fault_in_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap().display().to_string();
    let odd = folder.path().join("ü 100% $HOME `<&>");
    fs::create_dir(&odd).unwrap();
    let odd_program = odd.join("saros-proxy");
    fs::hard_link(&program, &odd_program)
        .or_else(|_| fs::copy(&program, &odd_program).map(drop))
        .unwrap();
    for program in [program, odd_program.display().to_string()] {
        for sandbox in [true, false] {
            let entry = Entry { program: program.clone(), sandbox, ..odd_folders() };
            let path = folder.path().join(systemd::UNIT);
            fs::write(&path, systemd::unit(&entry)).unwrap();
            let output = Command::new("systemd-analyze")
                .args(["verify", "--user", "--man=no", "--generators=no"])
                .arg(&path)
                .env("XDG_RUNTIME_DIR", folder.path())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !said.contains("saros-proxy.service"), "{said}");
        }
    }
}

#[cfg(target_os = "linux")]
fn odd_folders() -> Entry {
    Entry { program: unix().program, ..odd() }
}
