//! The client against servers that do what no measurement may count.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use trine_compare::client::Client;
use trine_compare::constants::ANSWER;
use trine_compare::verify::verify;
use trine_compare::workload::{WORKLOADS, Workload};

const SPAN: Duration = Duration::from_millis(100);

/// Serves each connection with `serve` on a thread of its own.
fn server(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (serve, stream) = (serve.clone(), stream.unwrap());
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Answers whole requests, one at a time, until `answer` says that it is over.
fn answering(
    mut stream: TcpStream,
    workload: &Workload,
    mut answer: impl FnMut(&mut TcpStream, usize) -> bool,
) {
    let mut request = vec![0; workload.request().len()];
    for number in 0.. {
        if stream.read_exact(&mut request).is_err() || !answer(&mut stream, number) {
            return;
        }
    }
}

/// What a run of the client against `address` says.
fn load(address: SocketAddr, workload: &Workload) -> Result<u64, String> {
    let run = || {
        let mut client = Client::connect(address, workload, ANSWER.len())?;
        let (answered, times) = client.run(SPAN)?;
        assert_eq!(times.len() * workload.depth as u64, answered);
        client.finish()?;
        Ok(answered)
    };
    run().map_err(|error: std::io::Error| error.to_string())
}

fn few(workload: &Workload) -> Workload {
    Workload {
        connections: 4,
        idle: workload.idle.min(8),
        ..*workload
    }
}

#[test]
fn right_answers_are_counted_under_every_workload() {
    for workload in WORKLOADS.iter().map(few) {
        let closes = workload.letter == 'c';
        let address = server(move |stream| {
            answering(stream, &workload, |stream, _| {
                stream.write_all(ANSWER).is_ok() && !closes
            });
        });
        assert_eq!(verify(address, &workload), Ok(ANSWER.len()));
        assert!(load(address, &workload).unwrap() > 0, "{workload:?}");
    }
}

#[test]
fn a_close_that_comes_when_the_time_is_up_is_waited_for() {
    let workload = WORKLOADS[2];
    let address = server(move |stream| {
        answering(stream, &workload, |stream, _| {
            stream.write_all(ANSWER).unwrap();
            thread::yield_now(); // so that some closes come with their answer, some later
            false
        });
    });
    for _ in 0..50 {
        let mut client = Client::connect(address, &workload, ANSWER.len()).unwrap();
        client.run(Duration::from_millis(1)).unwrap();
        client.finish().unwrap();
    }
}

#[test]
fn a_connection_that_is_closed_fails_the_run() {
    let workload = few(&WORKLOADS[0]);
    let address = server(move |stream| {
        answering(stream, &workload, |stream, number| {
            stream.write_all(ANSWER).is_ok() && number < 5
        });
    });
    let error = load(address, &workload).unwrap_err();
    assert!(error.contains("closed"), "{error}");
}

#[test]
fn an_answer_of_one_octet_too_many_fails_the_run() {
    for workload in [few(&WORKLOADS[0]), few(&WORKLOADS[1])] {
        let address = server(move |stream| {
            answering(stream, &workload, |stream, number| {
                let more = if number == 40 { &b"!"[..] } else { b"" };
                stream.write_all(&[ANSWER, more].concat()).is_ok()
            });
        });
        let error = load(address, &workload).unwrap_err();
        assert!(error.contains("more"), "{error}");
    }
}

#[test]
fn an_answer_that_is_cut_fails_the_run() {
    let workload = few(&WORKLOADS[2]);
    let address = server(move |stream| {
        answering(stream, &workload, |stream, _| {
            let _ = stream.write_all(&ANSWER[1..]);
            false
        });
    });
    let error = load(address, &workload).unwrap_err();
    assert!(error.contains("before its answer was whole"), "{error}");
}

#[test]
fn an_idle_connection_that_is_closed_fails_the_run() {
    let workload = few(&WORKLOADS[4]);
    let address = server(move |stream| {
        let idle = Duration::from_millis(30);
        stream.set_read_timeout(Some(idle)).unwrap();
        answering(stream, &workload, |stream, _| {
            stream.write_all(ANSWER).is_ok()
        });
    });
    let error = load(address, &workload).unwrap_err();
    assert!(error.contains("was idle"), "{error}");
}

#[test]
fn a_server_that_ignores_what_it_is_asked_is_not_measured() {
    let address = server(|stream| {
        answering(stream, &WORKLOADS[2], |stream, _| {
            stream.write_all(ANSWER).is_ok()
        });
    });
    let problem = verify(address, &WORKLOADS[2]).unwrap_err();
    assert!(problem.contains("ignores"), "{problem}");
}
