//! The access log of httpbin: each request is a line, whatever clients send and whatever becomes of
//! the file.

mod support;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use support::client::get;
use support::eventually;
use support::program::{Folder, Program, executable};

fn program(log: &str) -> Program {
    Program::start("httpbin", &["--access-log", log])
}

/// With what it says of the log, in a file.
fn complaining(log: &str, complaints: &str) -> Program {
    let mut command = Command::new(executable("httpbin"));
    command.args(["--listen", "127.0.0.1:0", "--access-log", log]);
    Program::run(command.stderr(File::create(complaints).unwrap()))
}

fn hang_up(program: &Program) {
    let id = Pid::from_raw(i32::try_from(program.id()).unwrap()).unwrap();
    kill_process(id, Signal::Hup).unwrap();
}

fn lines(path: &str) -> Vec<String> {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8(text).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn awaits_lines(path: &str, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines"), || lines(path).len() >= count);
    let lines = lines(path);
    assert_eq!(lines.len(), count, "{lines:#?}");
    lines
}

#[test]
fn whatever_is_sent_is_one_line_of_printable_ascii() {
    let folder = Folder::new("log-injection");
    let log = folder.path("access.log");
    let program = program(&log);
    let long = vec![b'u'; 1 << 20];
    let cases: &[(&[u8], &[u8], &str)] = &[
        (
            b"/hello",
            b"curl",
            "\"GET /hello HTTP/1.1\" 200 5 \"-\" \"curl\" ",
        ),
        (
            b"/none",
            b"\xff\"\\\xc2\x9b31m",
            "404 10 \"-\" \"\\xFF\\x22\\x5C\\xC2\\x9B31m\"",
        ),
        (b"/\x1b[2Jx", b"x", "\"GET /\\x1B[2Jx HTTP/1.1\" 400 "),
        (b"/", b"\x1b]0;owned\x07", "\" 400 "),
        (b"/", b"a\r\n127.0.0.1 - - forged", "\" 400 "),
        (b"/", b"a\nforged", "\" 400 "),
        (b"/", &long, "\" 431 "),
    ];
    for (target, agent, _) in cases {
        let mut client = program.client();
        let sent = [
            b"GET ",
            *target,
            b" HTTP/1.1\r\nHost: a\r\nUser-Agent: ",
            agent,
            b"\r\n\r\n",
        ];
        client.try_send(sent.concat()); // what is too long is not read to its end
        client.finish();
        client.rest();
    }
    let lines = awaits_lines(&log, cases.len());
    for ((_, _, expected), line) in cases.iter().zip(&lines) {
        assert!(line.contains(expected), "{expected} in {line}");
        assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
        assert!(line.ends_with(" \"whole\""), "{line}");
        assert!(
            line.bytes().all(|octet| (b' '..=b'~').contains(&octet)),
            "{line:?}"
        );
        assert!(line.len() < 3 * 1024, "{}", line.len());
    }
    let mode = fs::metadata(&log).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "others read it: {mode:o}");
}

#[test]
fn every_answer_before_the_end_has_its_line() {
    const PIPELINES: usize = 20;
    const DEPTH: usize = 100;
    let folder = Folder::new("log-end");
    let log = folder.path("access.log");
    let program = program(&log);
    for _ in 0..PIPELINES {
        let mut client = program.client();
        client.send(get("/hello").repeat(DEPTH));
        client.finish();
        client.rest();
    }
    program.terminate();
    assert!(program.ended().success());
    let lines = lines(&log);
    assert_eq!(lines.len(), PIPELINES * DEPTH);
    assert!(
        lines
            .iter()
            .all(|line| line.contains("\"GET /hello HTTP/1.1\" 200 5 "))
    );
}

#[test]
fn a_renamed_log_is_opened_anew_on_sighup_and_no_line_is_lost() {
    let folder = Folder::new("log-rotation");
    let log = folder.path("access.log");
    let program = program(&log);
    let mut client = program.client();
    for round in 1..=3 {
        assert_eq!(
            client.get(&format!("/status/20{round}")).status,
            200 + round
        );
        awaits_lines(&log, 1);
        let rotated = folder.path(&format!("access.log.{round}"));
        fs::rename(&log, &rotated).unwrap();
        assert_eq!(client.get("/status/418").status, 418); // still goes to the old one
        awaits_lines(&rotated, 2);
        hang_up(&program);
        eventually("the new file", || fs::metadata(&log).is_ok());
    }
    for round in 1..=3 {
        let lines = lines(&folder.path(&format!("access.log.{round}")));
        assert!(
            lines[0].contains(&format!("/status/20{round} ")),
            "{lines:#?}"
        );
        assert!(lines[1].contains("/status/418 "), "{lines:#?}");
    }
}

#[test]
fn a_log_that_cannot_be_opened_anew_stays_the_old_one() {
    let folder = Folder::new("log-kept");
    let (log, said) = (folder.path("sub/access.log"), folder.path("said"));
    fs::create_dir(folder.path("sub")).unwrap();
    let program = complaining(&log, &said);
    fs::rename(folder.path("sub"), folder.path("moved")).unwrap();
    hang_up(&program);
    eventually("the complaint", || {
        lines(&said)
            .iter()
            .any(|line| line.contains("old one is kept"))
    });
    assert_eq!(program.client().get("/hello").status, 200);
    awaits_lines(&folder.path("moved/access.log"), 1);
}

#[test]
fn a_full_disk_loses_lines_and_no_answer_and_is_said_once() {
    let folder = Folder::new("log-full");
    let (log, said) = (folder.path("access.log"), folder.path("said"));
    symlink("/dev/full", &log).unwrap();
    let program = complaining(&log, &said);
    let mut client = program.client();
    assert_eq!(client.get("/hello").status, 200);
    eventually("the complaint", || !lines(&said).is_empty());
    for _ in 0..200 {
        assert_eq!(client.get("/hello").status, 200);
    }
    let complaints = lines(&said);
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(
        complaints[0].contains("1 lines lost: No space left on device"),
        "{complaints:?}"
    );
    // There is room again, and it goes on.
    fs::remove_file(&log).unwrap();
    hang_up(&program);
    eventually("the new file", || fs::metadata(&log).is_ok());
    assert_eq!(client.get("/status/204").status, 204);
    let lines = awaits_lines(&log, 1);
    assert!(
        lines[0].contains("\"GET /status/204 HTTP/1.1\" 204 0 "),
        "{lines:?}"
    );
}

#[test]
fn a_log_goes_on_when_nobody_can_be_told_what_it_lost() {
    let folder = Folder::new("log-mute");
    let log = folder.path("access.log");
    symlink("/dev/full", &log).unwrap();
    let mut command = Command::new(executable("httpbin"));
    command.args(["--listen", "127.0.0.1:0", "--access-log", &log]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let program = Program::run(command.stderr(full));
    let mut client = program.client();
    assert_eq!(client.get("/hello").status, 200);
    fs::remove_file(&log).unwrap();
    hang_up(&program);
    eventually("the new file", || fs::metadata(&log).is_ok());
    assert_eq!(client.get("/status/204").status, 204);
    eventually("its line", || {
        lines(&log).iter().any(|line| line.contains("/status/204 "))
    });
}

#[test]
fn what_follows_a_line_that_was_cut_off_stands_on_a_line_of_its_own() {
    let folder = Folder::new("log-torn");
    let (log, said) = (folder.path("access.log"), folder.path("said"));
    // No file may be longer than 4 KiB; what does not fit is an error.
    let mut command = Command::new("bash");
    command.args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$@\"", "bash"]);
    command.arg(executable("httpbin"));
    command.args(["--listen", "127.0.0.1:0", "--access-log", &log]);
    let program = Program::run(command.stderr(File::create(&said).unwrap()));
    let mut client = program.client();
    for _ in 0..100 {
        assert_eq!(client.get("/hello").status, 200);
    }
    eventually("the complaint", || !lines(&said).is_empty());
    assert!(
        lines(&said)[0].contains("File too large"),
        "{:?}",
        lines(&said)
    );
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.len() == 4096 && !text.ends_with('\n'), "{text}");
    // Somebody makes room, in the middle of a line.
    let half = text[..2048].rfind('\n').unwrap() + 20;
    File::options()
        .write(true)
        .open(&log)
        .unwrap()
        .set_len(half as u64)
        .unwrap();
    assert_eq!(client.get("/status/299").status, 299);
    eventually("the next line", || {
        fs::read_to_string(&log).unwrap().contains("/status/299")
    });
    let lines = lines(&log);
    let is_whole =
        |line: &&String| line.starts_with("127.0.0.1 - - [") && line.ends_with("\"whole\"");
    let torn: Vec<&String> = lines.iter().filter(|line| !is_whole(line)).collect();
    assert_eq!(torn.len(), 1, "{lines:#?}");
    assert_eq!(torn[0].len(), 19, "{torn:?}");
    assert!(lines.last().unwrap().contains("/status/299 "), "{lines:#?}");
}

/// What there is now.
fn drained(reader: &mut File) -> String {
    let mut text = Vec::new();
    let _ = reader.read_to_end(&mut text); // until there is nothing more, which is an error
    String::from_utf8(text).unwrap()
}

#[test]
fn a_log_that_nobody_reads_makes_nobody_wait() {
    let folder = Folder::new("log-pipe");
    let (log, said) = (folder.path("access.pipe"), folder.path("said"));
    let mode = Mode::from_raw_mode(0o600);
    mknodat(CWD, log.as_str(), FileType::Fifo, mode, 0).unwrap();
    // Without a reader it does not begin, and says why.
    let mut command = Command::new(executable("httpbin"));
    command.args(["--listen", "127.0.0.1:0", "--access-log", &log]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(&format!("--access-log {log}: ")), "{text}");
    // With one that does not read, lines are lost when the pipe is full.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    let mut reader = File::options()
        .read(true)
        .custom_flags(flags)
        .open(&log)
        .unwrap();
    let program = complaining(&log, &said);
    for _ in 0..3 {
        let mut client = program.client();
        client.send(get("/hello").repeat(900));
        client.finish();
        client.rest();
    }
    eventually("the complaint", || !lines(&said).is_empty());
    // With room again, lines come again.
    let mut text = drained(&mut reader);
    assert_eq!(program.client().get("/status/299").status, 299);
    eventually("the next line", || {
        text += &drained(&mut reader);
        text.contains("/status/299")
    });
    drop(reader); // the next write has nobody to write to
    let mut client = program.client();
    for _ in 0..10 {
        assert_eq!(client.get("/hello").status, 200);
    }
    std::thread::sleep(Duration::from_millis(50));
    program.terminate();
    assert!(program.ended().success());
}

#[test]
fn a_log_in_no_folder_is_an_error_at_the_start() {
    let folder = Folder::new("log-nowhere");
    for (flag, path) in [("--access-log", "none/access.log"), ("--root", "none")] {
        let path = folder.path(path);
        let mut command = Command::new(executable("httpbin"));
        command.args(["--listen", "127.0.0.1:0", flag, &path]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            text,
            format!("httpbin: {flag} {path}: No such file or directory (os error 2)\n")
        );
    }
}
