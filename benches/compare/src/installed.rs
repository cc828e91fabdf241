//! Servers of the machine: nginx, haproxy and h2o, each one process with one thread, in the
//! foreground, its files in a folder of its own.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

/// Those that can be set up here, as packages of Debian too.
pub const PROGRAMS: [&str; 3] = ["nginx", "haproxy", "h2o"];

/// The command of `program`, to answer at `address`; its configuration is written into `folder`.
///
/// # Errors
///
/// When the folder cannot be written, or the program is not one of [`PROGRAMS`].
pub fn command(program: &str, address: SocketAddr, folder: &Path) -> io::Result<Vec<String>> {
    let file = folder.join("config");
    let (text, flags): (String, &[&str]) = match program {
        "nginx" => (nginx(address, folder), &["-c"]),
        "haproxy" => (haproxy(address), &["-db", "-f"]),
        "h2o" => {
            let content = folder.join("hello.txt");
            fs::write(&content, "hello")?;
            (h2o(address, &content), &["-c"])
        }
        _ => return Err(io::ErrorKind::NotFound.into()),
    };
    fs::write(&file, text)?;
    let mut command = vec![program.to_owned()];
    command.extend(flags.iter().map(|&flag| flag.to_owned()));
    command.push(file.display().to_string());
    Ok(command)
}

/// The flag with which `program` says its version and ends.
#[must_use]
pub fn version_flag(program: &str) -> &'static str {
    match program {
        "h2o" => "--version",
        _ => "-v",
    }
}

/// Whether `program` can be started.
#[must_use]
pub fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    let command = command.arg(version_flag(program)).stdin(Stdio::null());
    let ran = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    ran.is_ok_and(|status| status.success())
}

/// Installs those of [`PROGRAMS`] that are missing, with apt-get, as root.
///
/// # Errors
///
/// When apt-get is not there or fails.
pub fn install() -> Result<(), String> {
    let missing: Vec<&str> = PROGRAMS
        .into_iter()
        .filter(|name| !is_there(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let runs = [
        vec!["update", "-qq"],
        [
            &["install", "-y", "-qq", "--no-install-recommends"],
            &missing[..],
        ]
        .concat(),
    ];
    for arguments in runs {
        let ran = Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(&arguments)
            .stdout(Stdio::null())
            .status();
        if !ran.is_ok_and(|status| status.success()) {
            let line = arguments.join(" ");
            return Err(format!(
                "apt-get {line} failed: it needs root, and packages to take"
            ));
        }
    }
    Ok(())
}

fn nginx(address: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; worker_processes 1; pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 15000; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 75s;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {address}; default_type text/plain;
        location / {{ return 200 hello; }}
    }}
}}
"
    )
}

fn haproxy(address: SocketAddr) -> String {
    format!(
        "global
    nbthread 1
    maxconn 11000
    no strict-limits
defaults
    mode http
    timeout client 75s
    timeout http-request 75s
    timeout http-keep-alive 75s
frontend hello
    bind {address}
    http-request return status 200 content-type text/plain string hello \
hdr Date \"%[date,http_date]\"
"
    )
}

fn h2o(address: SocketAddr, content: &Path) -> String {
    let (host, port, content) = (address.ip(), address.port(), content.display());
    format!(
        "num-threads: 1
max-connections: 15000
http1-request-timeout: 75
listen:
  host: {host}
  port: {port}
hosts:
  default:
    paths:
      /:
        file.file: {content}
"
    )
}
