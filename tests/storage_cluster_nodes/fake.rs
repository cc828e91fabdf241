//! Nodes that a test plays: they listen on loopback, keep what they are told, and answer what the test
//! says.

use std::collections::VecDeque;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use redis::{Parser, Value};

/// What a node does with a command.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// Answers this, a line or more of the protocol.
    Say(String),
    /// Ends the connection.
    Close,
    /// Answers nothing, for longer than anybody waits.
    Sleep,
}

/// One node.
#[derive(Clone)]
pub struct Fake {
    pub port: u16,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// The connection and the words of each command, but for scripts that are loaded.
    heard: Vec<(u32, Vec<String>)>,
    /// What is done with the next commands that are not of the map, of the scripts or of replicas.
    next: VecDeque<Reaction>,
    /// The answer to `CLUSTER SLOTS`.
    map: String,
    replicas: u32,
    is_replica: bool,
    /// Connections to be ended by the node.
    open: Vec<TcpStream>,
    is_deaf: bool,
}

impl Fake {
    pub fn start() -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Fake {
            port: listener.local_addr().unwrap().port(),
            shared: Arc::default(),
        };
        fake.lock().replicas = 1;
        let node = fake.clone();
        let numbers = AtomicU32::new(0);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, node) = (stream.unwrap(), node.clone());
                if node.lock().is_deaf {
                    return; // and the listener is gone
                }
                node.lock().open.push(stream.try_clone().unwrap());
                let number = numbers.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || node.serve(number, stream));
            }
        });
        fake
    }

    /// Nobody listens here any more, and who is connected is cut off.
    pub fn stop(&self) {
        self.lock().is_deaf = true;
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        self.cut();
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends all connections.
    pub fn cut(&self) {
        for stream in self.lock().open.drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both); // it may be over
        }
    }

    /// What it does next, in order. When there is no more, it says `$-1`, and `:1` to `WAIT`.
    pub fn will(&self, reactions: impl IntoIterator<Item = Reaction>) {
        self.lock().next.extend(reactions);
    }

    pub fn set_replicas(&self, replicas: u32) {
        self.lock().replicas = replicas;
    }

    /// It is no master any more.
    pub fn demote(&self) {
        self.lock().is_replica = true;
    }

    /// It will say that all slots are served by the node at this port.
    pub fn set_owner(&self, port: u16) {
        self.lock().map =
            format!("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:{port}\r\n$2\r\nid\r\n");
    }

    /// The commands it was given: the connection, and the name or the script.
    pub fn heard(&self) -> Vec<(u32, String)> {
        let heard = &self.lock().heard;
        let short = |words: &Vec<String>| match words[0].as_str() {
            "EVALSHA" => words[1].clone(),
            name => name.to_owned(),
        };
        heard
            .iter()
            .map(|(link, words)| (*link, short(words)))
            .collect()
    }

    /// The same without connections.
    pub fn commands(&self) -> Vec<String> {
        self.heard().into_iter().map(|(_, name)| name).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    fn serve(&self, number: u32, stream: TcpStream) {
        let (mut parser, mut scripts) = (Parser::new(), ["put", "touch", "delete", "page"].iter());
        while let Ok(command) = parser.parse_value(&stream) {
            let reaction = self.react(number, &mut scripts, words(command));
            let sent = match reaction {
                Reaction::Say(text) => (&stream).write_all(text.as_bytes()),
                Reaction::Close => break,
                Reaction::Sleep => {
                    thread::sleep(Duration::from_secs(3));
                    break;
                }
            };
            if sent.is_err() {
                break;
            }
        }
        let _ = stream.shutdown(std::net::Shutdown::Both); // there is another handle to it
    }

    fn react<'a>(
        &self,
        number: u32,
        scripts: &mut impl Iterator<Item = &'a &'a str>,
        words: Vec<String>,
    ) -> Reaction {
        let bulk = |text: &str| Reaction::Say(format!("${}\r\n{text}\r\n", text.len()));
        let mut shared = self.lock();
        let name = words[0].clone();
        if name == "SCRIPT" {
            return bulk(scripts.next().expect("as many scripts as there are"));
        }
        shared.heard.push((number, words));
        match name.as_str() {
            "CLUSTER" => Reaction::Say(shared.map.clone()),
            "INFO" => {
                let line =
                    |number| format!("slave{number}:ip=h,port=1,state=online,offset=1,lag=0\r\n");
                let role = if shared.is_replica { "slave" } else { "master" };
                let replicas = (0..shared.replicas).map(line).collect::<String>();
                bulk(&format!("role:{role}\r\n{replicas}"))
            }
            "ASKING" => Reaction::Say("+OK\r\n".to_owned()),
            "WAIT" => shared.next.pop_front().unwrap_or(say(":1")),
            _ => shared.next.pop_front().unwrap_or(say("$-1")),
        }
    }
}

/// One line.
pub fn say(line: &str) -> Reaction {
    Reaction::Say(format!("{line}\r\n"))
}

/// What a script answers that made a new value with the revision 7.
pub fn written() -> Reaction {
    Reaction::Say("$9\r\nN\0\0\0\0\0\0\0\x07\r\n".to_owned())
}

fn words(command: Value) -> Vec<String> {
    let Value::Array(words) = command else {
        panic!("not a command: {command:?}");
    };
    let word = |word| match word {
        Value::BulkString(octets) => String::from_utf8_lossy(&octets).into_owned(),
        other => panic!("not a word: {other:?}"),
    };
    words.into_iter().map(word).collect()
}
