//! HAProxy with one thread.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Contender, Site, first_line};
use crate::Fallible;

pub(super) struct HaProxy;

impl Contender for HaProxy {
    fn name(&self) -> &'static str {
        "haproxy"
    }

    fn binary(&self) -> PathBuf {
        PathBuf::from("/usr/sbin/haproxy")
    }

    fn version(&self) -> Fallible<String> {
        first_line(Command::new(self.binary()).arg("-v"))
    }

    fn speaks_h2(&self) -> bool {
        true
    }

    fn command(&self, site: &Site<'_>) -> Fallible<Command> {
        let log = if site.access_log {
            "log stdout format raw local0\n  option httplog"
        } else {
            "no log"
        };
        let config = format!(
            r#"
global
  nbthread 1
  maxconn 4096

defaults
  mode http
  {log}
  option http-keep-alive
  option http-no-delay
  http-reuse always
  timeout connect 5s
  timeout client 300s
  timeout server 300s

frontend clients
  bind 127.0.0.1:{port} backlog 4096
  default_backend stub

backend stub
  http-request set-header host localhost:{upstream}
  http-request set-header authorization "Bearer sk-bench-bench-bench-bench-0001"
  http-request set-header accept-encoding identity
  http-request del-header cookie
  server stub 127.0.0.1:{upstream} ssl verify required ca-file {ca} sni str(localhost) verifyhost localhost alpn {alpn} pool-max-conn 1024
"#,
            port = site.port,
            upstream = site.upstream,
            ca = site.identity.ca.display(),
            alpn = if site.h2 { "h2" } else { "http/1.1" },
        );
        let path = site.folder.join("haproxy.cfg");
        fs::write(&path, config)?;
        let mut command = Command::new(self.binary());
        command.arg("-db").arg("-f").arg(path);
        Ok(command)
    }
}
