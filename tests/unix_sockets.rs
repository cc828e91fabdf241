//! The files of Unix sockets: whose they are, and who removes them.

use std::fs;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::PathBuf;

use trine::reactor::StreamListener;

fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("trine-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

#[test]
fn a_socket_that_a_dead_program_left_is_replaced_and_removed_in_the_end() {
    let path = path("left");
    drop(UnixListener::bind(&path).unwrap()); // std leaves the file
    let listener = StreamListener::bind_unix(&path).unwrap();
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_no_socket_and_a_socket_that_is_served_are_left_alone() {
    let file = path("file");
    fs::write(&file, "precious").unwrap();
    assert!(StreamListener::bind_unix(&file).is_err());
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");

    let served = path("served");
    let _owner = UnixListener::bind(&served).unwrap();
    assert!(StreamListener::bind_unix(&served).is_err());

    let datagrams = path("datagrams");
    let _owner = UnixDatagram::bind(&datagrams).unwrap();
    assert!(StreamListener::bind_unix(&datagrams).is_err());

    for path in [file, served, datagrams] {
        assert!(path.exists());
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_listener_does_not_remove_the_socket_of_its_successor() {
    let path = path("successor");
    let old = StreamListener::bind_unix(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let successor = StreamListener::bind_unix(&path).unwrap();
    drop(old);
    assert!(path.exists());
    drop(successor);
    assert!(!path.exists());
}
