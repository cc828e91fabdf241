//! Which requests are taken, which are refused, and what is read from those taken.

mod http_cases;

use http_cases::{ACCEPTED, BAD_BODIES, REFUSED, limits};
use trine::http::{Limits, Method, ParseError, Progress, Request, RequestParser, Version};

fn parsed(message: &[u8], limits: &Limits) -> Result<RequestParser, ParseError> {
    let mut parser = RequestParser::default();
    match parser.feed(message, limits)? {
        Progress::Complete => Ok(parser),
        Progress::Partial => panic!("{:?} is not complete", message.escape_ascii().to_string()),
    }
}

fn with_request<T>(message: &str, look: impl FnOnce(Request<'_>) -> T) -> T {
    let parser = parsed(message.as_bytes(), &Limits::default()).expect(message);
    look(Request::new(message.as_bytes(), parser.head(), b""))
}

#[test]
fn requests_within_the_rules_are_taken() {
    for row in ACCEPTED {
        let parser = parsed(row.head.as_bytes(), &limits());
        let parser = parser.unwrap_or_else(|error| panic!("{}: {error}", row.why));
        let head = parser.head();
        assert_eq!(head.framing(), row.framing, "{}", row.why);
        assert_eq!(head.is_persistent(), row.persistent, "{}", row.why);
        assert_eq!(head.len(), row.head.len(), "{}", row.why);
    }
}

#[test]
fn requests_outside_the_rules_are_refused_with_the_status_of_the_rule() {
    for row in REFUSED {
        let mut parser = RequestParser::default();
        let shown = row.head.escape_ascii();
        assert_eq!(
            parser.feed(row.head, &limits()),
            Err(row.error),
            "RFC {} {shown}",
            row.section
        );
        assert_eq!(
            row.error.status().code(),
            row.status,
            "RFC {} {shown}",
            row.section
        );
    }
}

#[test]
fn every_rule_and_limit_has_a_request_that_breaks_it_and_names_its_section() {
    let heads = REFUSED.iter().map(|row| (row.error, row.section));
    let bodies = BAD_BODIES.iter().map(|row| (row.error, row.section));
    let rows: Vec<_> = heads.chain(bodies).collect();
    let mut names: Vec<_> = rows.iter().map(|(error, _)| variant(*error)).collect();
    names.sort();
    names.dedup();
    assert_eq!(
        names.len(),
        30,
        "a variant has no row, or this number is old: {names:?}"
    );
    for (error, _) in &rows {
        let sections: Vec<_> = rows
            .iter()
            .filter(|row| variant(row.0) == variant(*error))
            .collect();
        let named = |(_, section): &&&(ParseError, &str)| {
            error.to_string().contains(&section.replace(' ', ", "))
        };
        assert!(
            sections.iter().any(|row| named(&row)),
            "{error} stands in none of {sections:?}"
        );
    }
}

fn variant(error: ParseError) -> String {
    let text = format!("{error:?}");
    text.split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn an_error_is_final_until_the_next_message() {
    let mut parser = RequestParser::default();
    let bad = b"GET / HTTP/1.1\nHost: a\r\n\r\n";
    assert_eq!(parser.feed(bad, &limits()), Err(ParseError::BareLf));
    assert_eq!(
        parser.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &limits()),
        Err(ParseError::BareLf)
    );
    assert!(parser.started());
    parser.reset();
    assert!(!parser.started());
    assert_eq!(
        parser.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &limits()),
        Ok(Progress::Complete)
    );
}

#[test]
fn a_request_begins_with_the_first_octet_that_is_not_an_empty_line() {
    let message = b"\r\n\r\nG";
    let mut parser = RequestParser::default();
    for end in 1..message.len() {
        assert_eq!(
            parser.feed(&message[..end], &limits()),
            Ok(Progress::Partial)
        );
        assert!(!parser.started(), "{end}");
    }
    assert_eq!(parser.feed(message, &limits()), Ok(Progress::Partial));
    assert!(parser.started());
}

#[test]
fn octets_behind_the_head_are_not_looked_at() {
    let message = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\0\n\r not HTTP";
    let parser = parsed(message, &limits()).unwrap();
    assert_eq!(parser.head().len(), message.len() - "\0\n\r not HTTP".len());
}

#[test]
fn nothing_of_one_message_is_left_in_the_next() {
    let first = b"PUT /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n";
    let second = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let mut parser = parsed(first, &limits()).unwrap();
    assert!(parser.head().expects_continue());
    parser.reset();
    assert_eq!(parser.feed(second, &limits()), Ok(Progress::Complete));
    let fresh = parsed(second, &limits()).unwrap();
    assert_eq!(
        format!("{:?}", parser.head()),
        format!("{:?}", fresh.head())
    );
}

#[test]
fn expectations_wait_only_where_there_is_a_body_and_a_client_of_1_1() {
    let expects =
        |message: &str| with_request(message, |request| request.head().expects_continue());
    assert!(expects(
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
    ));
    assert!(expects(
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    // Empty elements of a list are no expectations (RFC 9110, 5.6.1.2).
    assert!(expects(
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: , 100-continue ,\r\nContent-Length: 1\r\n\r\n"
    ));
    assert!(!expects(
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect:\r\nContent-Length: 1\r\n\r\n"
    ));
    assert!(!expects(
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"
    ));
    assert!(!expects(
        "PUT / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
    ));
}

#[test]
fn an_upgrade_is_offered_only_with_the_connection_option_and_by_1_1() {
    let offers = |message: &str| with_request(message, |request| request.head().offers_upgrade());
    assert!(offers(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: a, Upgrade\r\n\r\n"
    ));
    assert!(!offers("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n"));
    assert!(!offers(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n"
    ));
    assert!(!offers(
        "GET / HTTP/1.0\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    ));
}

#[test]
fn a_request_is_read_through_the_bytes_it_came_in() {
    let message = "\r\nPATCH /a/b?c=d?e HTTP/1.2\r\nhost: x:1\r\nA: 1 \r\na:\t2\r\n\r\n";
    with_request(message, |request| {
        assert_eq!(
            (request.method(), request.method_name()),
            (Method::Patch, "PATCH")
        );
        assert_eq!((request.target(), request.path()), ("/a/b?c=d?e", "/a/b"));
        assert_eq!(
            (request.query(), request.version()),
            (Some("c=d?e"), Version::Http11)
        );
        assert_eq!(request.host(), Some("x:1"));
        assert_eq!(request.field("A"), Some(&b"1"[..]));
        assert_eq!(request.field("HOST"), Some(&b"x:1"[..]));
        assert_eq!(request.field("b"), None);
        let fields: Vec<_> = request.fields().collect();
        assert_eq!(fields, [("host", &b"x:1"[..]), ("A", b"1"), ("a", b"2")]);
    });
}

#[test]
fn each_form_of_target_has_its_path_query_and_host() {
    for (line, path, query, host) in [
        ("GET /", "/", None, "h"),
        ("GET //evil/..?", "//evil/..", Some(""), "h"),
        ("GET /http://x/y", "/http://x/y", None, "h"),
        ("OPTIONS *", "*", None, "h"),
        ("CONNECT b:1", "b:1", None, "h"),
        ("GET http://b", "/", None, "b"),
        ("GET http://b?q", "/", Some("q"), "b"),
        ("GET http://b:1/c?d://e", "/c", Some("d://e"), "b:1"),
        ("GET HttpS://[::1]/c", "/c", None, "[::1]"),
    ] {
        with_request(&format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n"), |request| {
            assert_eq!((request.path(), request.query()), (path, query), "{line}");
            assert_eq!(request.host(), Some(host), "{line}");
        });
    }
}

#[test]
fn an_owned_request_says_the_same_as_the_borrowed_one() {
    let message = b"\r\nPOST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET";
    let parser = parsed(message, &limits()).unwrap();
    let request = Request::new(message, parser.head(), b"hello");
    let owned = request.to_owned();
    let moved = std::thread::spawn(move || owned).join().unwrap();
    let again = moved.as_request();
    assert_eq!(
        (again.method(), again.target(), again.body()),
        (Method::Post, "/x", &b"hello"[..])
    );
    assert!(again.fields().eq(request.fields()));
    assert_eq!(again.host(), request.host());
}

#[test]
fn a_name_or_value_longer_than_16_bits_count_keeps_all_its_octets() {
    let limits = Limits {
        head_bytes_max: 1 << 20,
        ..limits()
    };
    for len in [255, 256, 65_535, 65_536, 65_551] {
        let (name, value) = ("n".repeat(len), "v".repeat(len + 1));
        let message = format!("GET / HTTP/1.1\r\nHost: a\r\n{name}:{value}\r\nB: c\r\n\r\n");
        let parser = parsed(message.as_bytes(), &limits).unwrap();
        let request = Request::new(message.as_bytes(), parser.head(), b"");
        let fields: Vec<_> = request.fields().skip(1).collect();
        assert_eq!(fields, [(&name[..], value.as_bytes()), ("B", b"c")]);
    }
}
