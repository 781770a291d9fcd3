//! nginx as one would set it up for streams of events: nothing buffered, connections kept.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Contender, Site, first_line};
use crate::Fallible;

pub(super) struct Nginx;

impl Contender for Nginx {
    fn name(&self) -> &'static str {
        "nginx"
    }

    fn binary(&self) -> PathBuf {
        PathBuf::from("/usr/sbin/nginx")
    }

    fn version(&self) -> Fallible<String> {
        first_line(Command::new(self.binary()).arg("-v"))
    }

    fn speaks_h2(&self) -> bool {
        false
    }

    fn command(&self, site: &Site<'_>) -> Fallible<Command> {
        let folder = site.folder.display();
        let access = if site.access_log {
            format!("{folder}/access.log combined")
        } else {
            "off".to_owned()
        };
        let config = format!(
            r#"
user root;
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections 8192; }}
http {{
  access_log {access};
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
  client_max_body_size 32m;
  upstream stub {{
    server 127.0.0.1:{upstream};
    keepalive 1024;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass https://stub;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 300s;
      proxy_ssl_protocols TLSv1.3;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate {ca};
      proxy_ssl_server_name on;
      proxy_ssl_name localhost;
      proxy_set_header Connection "";
      proxy_set_header Host localhost:{upstream};
      proxy_set_header Authorization "Bearer sk-bench-bench-bench-bench-0001";
      proxy_set_header Accept-Encoding identity;
      proxy_set_header Cookie "";
    }}
  }}
}}
"#,
            upstream = site.upstream,
            port = site.port,
            ca = site.identity.ca.display(),
        );
        let path = site.folder.join("nginx.conf");
        fs::write(&path, config)?;
        let mut command = Command::new(self.binary());
        command.arg("-c").arg(path).arg("-e").arg(site.folder.join("error.log"));
        Ok(command)
    }
}
