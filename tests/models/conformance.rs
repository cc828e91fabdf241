//! The tables of requests over sockets: what is right is taken and what is wrong refused, however it is cut.

use trine::Server;
use trine::http::Framing;

use crate::Behaviour;
use crate::combination::{Combination, Running};
use crate::http_cases::{ACCEPTED, BAD_BODIES, CHUNKED, REFUSED, limits};
use crate::site::Site;

pub const GROUP: &[Behaviour] = &[
    ("what is right is taken", what_is_right_is_taken),
    (
        "what is wrong is refused once",
        what_is_wrong_is_refused_once,
    ),
    (
        "content in chunks arrives as it was meant",
        content_in_chunks_arrives,
    ),
    (
        "what is wrong in a body is refused once",
        what_is_wrong_in_a_body_is_refused_once,
    ),
];

const BEFORE: &str = "GET /before HTTP/1.1\r\nHost: a\r\n\r\n";
const AFTER: &str = "GET /after HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKED_HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

fn start(combination: &Combination) -> Running {
    let configure = |mut server: Server| {
        server.config_mut().limits = limits();
        server
    };
    combination.serve(
        configure,
        Site {
            is_anything: true,
            ..Site::default()
        },
    )
}

/// Sends `message` whole, and in the middle cut at random; the answers to each.
fn answers(server: &Running, message: &[u8], random: &mut fastrand::Rng) -> [String; 2] {
    [0, random.usize(0..message.len())].map(|cut| {
        let mut client = server.client();
        for piece in [&message[..cut], &message[cut..]] {
            if !client.try_send(piece) {
                break; // it was refused before all of it came
            }
        }
        client.finish();
        String::from_utf8(client.rest().0).unwrap()
    })
}

/// The statuses of all final answers, in order.
fn statuses(answers: &str) -> Vec<u16> {
    let heads = answers.split("HTTP/1.1 ").skip(1);
    let statuses = heads.map(|head| head[..3].parse().unwrap());
    statuses.filter(|status| *status != 100).collect()
}

fn what_is_right_is_taken(combination: &Combination) {
    let (server, mut random) = (start(combination), fastrand::Rng::with_seed(3));
    for row in ACCEPTED
        .iter()
        .filter(|row| !row.head.starts_with("CONNECT"))
    {
        let body: Vec<u8> = match row.framing {
            Framing::None => Vec::new(),
            Framing::Length(length) if length > 1000 => continue, // refused with 413
            Framing::Length(length) => vec![b'x'; length as usize],
            Framing::Chunked => b"3\r\nabc\r\n0\r\n\r\n".to_vec(),
        };
        let parts = [
            BEFORE.as_bytes(),
            row.head.as_bytes(),
            &body,
            AFTER.as_bytes(),
        ];
        for said in answers(&server, &parts.concat(), &mut random) {
            let wanted = if row.persistent { 3 } else { 2 };
            assert_eq!(statuses(&said), vec![200; wanted], "{}: {said}", row.why);
            assert_eq!(said.contains("target=/after"), row.persistent);
        }
    }
}

/// One answer with the right status behind a good one, which says close; then silence.
fn assert_refused(server: &Running, message: &[u8], status: u16, random: &mut fastrand::Rng) {
    let message = [BEFORE.as_bytes(), message, AFTER.as_bytes()].concat();
    for said in answers(server, &message, random) {
        let shown = message.escape_ascii();
        assert_eq!(statuses(&said), [200, status], "{shown}: {said}");
        let last = said.rsplit("HTTP/1.1 ").next().unwrap();
        assert!(
            last.contains("\r\nConnection: close\r\n"),
            "{shown}: {last}"
        );
    }
}

fn what_is_wrong_is_refused_once(combination: &Combination) {
    let (server, mut random) = (start(combination), fastrand::Rng::with_seed(5));
    for row in REFUSED {
        assert_refused(&server, row.head, row.status, &mut random);
    }
}

fn content_in_chunks_arrives(combination: &Combination) {
    let (server, mut random) = (start(combination), fastrand::Rng::with_seed(4));
    for (body, content) in CHUNKED {
        let message = [CHUNKED_HEAD, body, AFTER.as_bytes()].concat();
        for said in answers(&server, &message, &mut random) {
            assert_eq!(statuses(&said), [200, 200], "{said}");
            let octets = format!("octets={};", content.len());
            assert!(said.contains(&octets), "{said}");
        }
    }
}

fn what_is_wrong_in_a_body_is_refused_once(combination: &Combination) {
    let (server, mut random) = (start(combination), fastrand::Rng::with_seed(6));
    for row in BAD_BODIES {
        let message = [CHUNKED_HEAD, row.body].concat();
        assert_refused(&server, &message, row.status, &mut random);
    }
}
