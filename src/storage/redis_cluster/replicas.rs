//! How many replicas a master has that answer it, so that nobody waits for those that do not.
//!
//! After a failover a shard has a master and nothing else. Each `WAIT` would then last its whole
//! timeout, and say what was known before.

use crate::time::{Span, Tick};

/// How long it is known.
const FRESH: Span = Span::from_secs(1);

/// A replica that has not been heard of for more seconds does not count. It is heard of each second.
const LAG_MAX: u32 = 2;

/// What is known of a master's replicas.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    known: Option<(u8, Tick)>,
}

impl Replicas {
    /// How many there are, if that was found out not long before `now`.
    pub fn count(&self, now: Tick) -> Option<u8> {
        let (count, since) = self.known?;
        (now < since.after(FRESH)).then_some(count)
    }

    /// They were just counted.
    pub fn set(&mut self, count: u8, now: Tick) {
        self.known = Some((count, now));
    }

    /// They did not do what was expected of them.
    pub fn forget(&mut self) {
        self.known = None;
    }
}

/// How many replicas follow, as a master says in `INFO replication`; `None` of what is no master.
pub(super) fn following(info: &str) -> Option<u8> {
    let is_master = info.lines().any(|line| line.trim() == "role:master");
    let count = info.lines().filter(|line| is_following(line)).count();
    is_master.then(|| u8::try_from(count).unwrap_or(u8::MAX))
}

/// `slave0:ip=127.0.0.1,port=7304,state=online,offset=98,lag=1`
fn is_following(line: &str) -> bool {
    let fields = line
        .strip_prefix("slave")
        .and_then(|rest| rest.split_once(':'));
    let Some((number, fields)) = fields else {
        return false;
    };
    let field = |name: &str| {
        let mut pairs = fields
            .trim()
            .split(',')
            .filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let lag = field("lag").and_then(|lag| lag.parse::<u32>().ok());
    number.parse::<u32>().is_ok()
        && field("state") == Some("online")
        && lag.is_some_and(|lag| lag <= LAG_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_replicas_that_are_online_and_answer_are_counted() {
        let info = "# Replication\r\nrole:master\r\nconnected_slaves:4\r\n\
            slave0:ip=127.0.0.1,port=1,state=online,offset=98,lag=1\r\n\
            slave1:ip=127.0.0.1,port=2,state=wait_bgsave,offset=0,lag=0\r\n\
            slave2:ip=127.0.0.1,port=3,state=online,offset=98,lag=3\r\n\
            slave3:ip=127.0.0.1,port=4,state=online,offset=98,lag=0\r\n\
            slave_repl_offset:1\r\nslave_read_only:1\r\nmaster_repl_offset:98\r\n";
        assert_eq!(following(info), Some(2));
        assert_eq!(following("role:master\r\nconnected_slaves:0\r\n"), Some(0));
        assert_eq!(following(&info.replace("role:master", "role:slave")), None);
    }

    #[test]
    fn what_was_found_out_is_known_for_a_second() {
        let mut replicas = Replicas::default();
        assert_eq!(replicas.count(Tick(5)), None);
        replicas.set(1, Tick(5));
        assert_eq!(replicas.count(Tick(1_004)), Some(1));
        assert_eq!(replicas.count(Tick(1_005)), None);
        replicas.set(1, Tick(2_000));
        replicas.forget();
        assert_eq!(replicas.count(Tick(2_000)), None);
    }
}
