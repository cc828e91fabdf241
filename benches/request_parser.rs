//! The request parser beside its peers, whole heads and octet by octet.
//!
//! All parsers take turns within one round, many rounds are run, and the ratio of medians is what
//! counts: a shared machine moves everything by a fifth from minute to minute. `--quick` runs a
//! tenth of the rounds.
//!
//! picohttpparser uses SSE4.2 only where its compiler is told to:
//! `CFLAGS=-msse4.2 cargo bench --bench request_parser`.

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr::null;
use std::time::Instant;

use trine::http::{Limits, Progress, RequestParser};

const SMALL: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
const MEDIUM: &str = "GET /plaintext HTTP/1.1\r\nHost: serve:8080\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8\r\n\
    Connection: keep-alive\r\nUser-Agent: wrk\r\n\r\n";
/// The request picohttpparser is measured with.
const LARGE: &str = "GET /wp-content/uploads/2010/03/hello-kitty-darth-vader-pink.jpg HTTP/1.1\r\n\
    Host: www.kittyhell.com\r\n\
    User-Agent: Mozilla/5.0 (Macintosh; U; Intel Mac OS X 10.6; ja-JP-mac; rv:1.9.2.3) \
    Gecko/20100401 Firefox/3.6.3 Pathtraq/0.9\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: ja,en-us;q=0.7,en;q=0.3\r\n\
    Accept-Encoding: gzip,deflate\r\n\
    Accept-Charset: Shift_JIS,utf-8;q=0.7,*;q=0.7\r\n\
    Keep-Alive: 115\r\n\
    Connection: keep-alive\r\n\
    Cookie: wp_ozh_wsa_visits=2; wp_ozh_wsa_visit_lasttime=xxxxxxxxxx; \
    __utma=xxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.x; \
    __utmz=xxxxxxxxx.xxxxxxxxxx.x.x.utmccn=(referral)|utmcsr=reader.livedoor.com|\
    utmcct=/reader/|utmcmd=referral\r\n\r\n";

/// Parses the text once, in the way its name says.
type Parse = Box<dyn FnMut(&[u8])>;

fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--quick") {
        20
    } else {
        200
    };
    println!("request heads: median of {rounds} interleaved rounds, ratio to trine");
    for text in [SMALL, MEDIUM, LARGE] {
        println!("\n{} bytes, whole", text.len());
        compare(
            text.as_bytes(),
            rounds,
            200_000,
            &mut whole(text.as_bytes()),
        );
        println!("{} bytes, one by one", text.len());
        compare(text.as_bytes(), rounds, 2_000, &mut dripped());
    }
    compare_mixed(rounds);
}

fn compare(text: &[u8], rounds: usize, octets: usize, parsers: &mut [(&str, Parse)]) {
    let turns = octets / text.len() + 1;
    let mut times = vec![Vec::new(); parsers.len()];
    for _ in 0..rounds {
        for ((_, parse), times) in parsers.iter_mut().zip(&mut times) {
            let begin = Instant::now();
            for _ in 0..turns {
                parse(black_box(text));
            }
            times.push(begin.elapsed().as_nanos() as f64 / turns as f64);
        }
    }
    let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
    for ((name, _), time) in parsers.iter().zip(&medians) {
        let (each, ratio) = (time / text.len() as f64, time / medians[0]);
        println!(
            "  {name:<24} {time:>10.1} ns {each:>8.2} ns/B {:>7.3} GB/s {ratio:>7.2}",
            1.0 / each
        );
    }
}

/// Heads of which no two are alike, so that no branch can be foreseen by the length of a token.
fn compare_mixed(rounds: usize) {
    let mut random = fastrand::Rng::with_seed(1);
    let heads: Vec<Vec<u8>> = (0..2_000).map(|_| mixed_head(&mut random)).collect();
    let bytes: usize = heads.iter().map(Vec::len).sum();
    println!(
        "\n{} different heads, {} bytes on average",
        heads.len(),
        bytes / heads.len()
    );
    // As a connection has them: the buffer goes on behind the head.
    let pad = |head: &Vec<u8>| ([&head[..], &[0; 128]].concat(), head.len());
    let padded: Vec<(Vec<u8>, usize)> = heads.iter().map(pad).collect();
    let (mut parser, limits) = (RequestParser::default(), Limits::default());
    let mut trine = || {
        for (buffer, len) in &padded {
            let progress = parser.feed_within(black_box(buffer), *len, &limits);
            assert_eq!(progress, Ok(Progress::Complete));
            black_box(parser.head());
            parser.reset();
        }
    };
    let mut httparse = || {
        heads
            .iter()
            .for_each(|head| httparse_uninitialised(black_box(head)))
    };
    let mut pico = || {
        heads
            .iter()
            .for_each(|head| assert!(pico(black_box(head), 0)))
    };
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        let parsers: [&mut dyn FnMut(); 3] = [&mut trine, &mut httparse, &mut pico];
        for (parse, times) in parsers.into_iter().zip(&mut times) {
            let begin = Instant::now();
            parse();
            times.push(begin.elapsed().as_nanos() as f64 / heads.len() as f64);
        }
    }
    let medians = times.each_mut().map(|times| median(times));
    let names = ["trine", "httparse, uninitialised", "picohttpparser"];
    for (name, time) in names.iter().zip(medians) {
        println!("  {name:<24} {time:>10.1} ns {:>29.2}", time / medians[0]);
    }
}

/// A head with a path and fields of random lengths.
fn mixed_head(random: &mut fastrand::Rng) -> Vec<u8> {
    const NAMES: [&str; 12] = [
        "Accept",
        "Accept-Encoding",
        "Accept-Language",
        "Cache-Control",
        "Cookie",
        "If-None-Match",
        "Referer",
        "User-Agent",
        "X-Forwarded-For",
        "X-Request-Id",
        "Connection",
        "Authorization",
    ];
    let mut text = |most: usize| -> String {
        let len = random.usize(1..=most);
        (0..len).map(|_| random.alphanumeric()).collect()
    };
    let mut head = format!("GET /{} HTTP/1.1\r\nHost: {}\r\n", text(60), text(25));
    for name in NAMES {
        if text(2).len() == 1 {
            head += &format!("{name}: {}\r\n", text(80));
        }
    }
    (head + "\r\n").into_bytes()
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn whole(text: &[u8]) -> Vec<(&'static str, Parse)> {
    let (limits, bare_limits) = (Limits::default(), Limits::default());
    let (mut parser, mut bare) = (RequestParser::default(), RequestParser::default());
    // As a connection has it: the buffer goes on behind the head.
    let mut buffer = vec![0; 4096];
    buffer[..text.len()].copy_from_slice(text);
    let trine = move |text: &[u8]| {
        let progress = parser.feed_within(black_box(&buffer), text.len(), &limits);
        assert_eq!(progress, Ok(Progress::Complete));
        black_box(parser.head());
        parser.reset();
    };
    let trine_bare = move |text: &[u8]| {
        assert_eq!(bare.feed(text, &bare_limits), Ok(Progress::Complete));
        black_box(bare.head());
        bare.reset();
    };
    vec![
        ("trine", Box::new(trine)),
        ("trine, nothing behind", Box::new(trine_bare)),
        ("httparse", Box::new(httparse_initialised)),
        ("httparse, uninitialised", Box::new(httparse_uninitialised)),
        ("picohttpparser", Box::new(|text| assert!(pico(text, 0)))),
    ]
}

fn dripped() -> Vec<(&'static str, Parse)> {
    let (mut parser, limits) = (RequestParser::default(), Limits::default());
    let trine = move |text: &[u8]| {
        for end in 1..text.len() {
            assert_eq!(parser.feed(&text[..end], &limits), Ok(Progress::Partial));
        }
        assert_eq!(parser.feed(text, &limits), Ok(Progress::Complete));
        parser.reset();
    };
    let httparse = |text: &[u8]| {
        for end in 1..=text.len() {
            let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
            let mut request = httparse::Request::new(&mut []);
            let _ = black_box(request.parse_with_uninit_headers(&text[..end], &mut fields));
        }
    };
    let pico = |text: &[u8]| {
        for end in 1..text.len() {
            assert!(!pico(&text[..end], end - 1));
        }
        assert!(pico(text, text.len() - 1));
    };
    vec![
        ("trine", Box::new(trine)),
        ("httparse, uninitialised", Box::new(httparse)),
        ("picohttpparser, last_len", Box::new(pico)),
    ]
}

const FIELDS: usize = 32;

fn httparse_initialised(text: &[u8]) {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    assert!(request.parse(text).is_ok_and(|status| status.is_complete()));
    black_box(&request);
}

fn httparse_uninitialised(text: &[u8]) {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let status = request.parse_with_uninit_headers(text, &mut fields);
    assert!(status.is_ok_and(|status| status.is_complete()));
    black_box(&request);
}

/// Whether `text` is a complete head; `last_len` octets of it were incomplete before.
fn pico(text: &[u8], last_len: usize) -> bool {
    let (mut method, mut path) = (null(), null());
    let (mut method_len, mut path_len, mut minor) = (0, 0, 0);
    let mut fields = [const { MaybeUninit::<picohttpparser_sys::phr_header>::uninit() }; FIELDS];
    let mut count = FIELDS;
    // SAFETY: all pointers are valid for the call; the lengths given are those of the memory
    // behind them.
    let result = unsafe {
        picohttpparser_sys::phr_parse_request(
            text.as_ptr().cast(),
            text.len(),
            &mut method,
            &mut method_len,
            &mut path,
            &mut path_len,
            &mut minor,
            fields.as_mut_ptr().cast(),
            &mut count,
            last_len,
        )
    };
    black_box((&fields, count, method, path));
    result > 0
}
