//! Pages of a scan: whole slots, one after the other.
//!
//! `SCAN` of Redis gives an entry twice when its table grows meanwhile, and its cursor is worth nothing
//! on another node. Slots are better pages: a node hands out all keys of a slot at one moment, sorted
//! here they make an order that nothing changes, and [`Place`] says how far one is. So what is there
//! all the time is seen exactly once, whatever is written and wherever slots move meanwhile.
//!
//! While a slot moves its keys are on two nodes, and go over one by one. The old node is asked first,
//! then the new one: a key that has left the old one by then is on the new one.
//!
//! The price: a scan looks at all slots, also for few keys, about a microsecond each on the node; and
//! the keys of one slot are read as a whole for each page that begins or ends in it, which is little
//! unless hash tags crowd many keys into a slot.

use std::collections::BTreeSet;

use bytes::Bytes;
use redis::{Cmd, Value};

use super::script::{Script, call};
use super::session::{ClusterSession, Findings, Open, Work};
use super::slot_map::{Node, SLOTS, items, number, slot_of, text};
use super::token::Place;
use super::wire::Part;
use crate::storage::{Durability, Fault, Operation, Outcome, Outcomes, Page, Reply, Request};

/// Slots looked at in one go: a node is busy with them for about 2 ms.
const SLOTS_MAX: u16 = 2_048;
/// Keys looked at for one page, at least, if there are so many: of those not meant, too.
const KEYS_MIN: u32 = 256;
/// Entries of one page at most, whatever is asked for.
const ENTRIES_MAX: u32 = 1_024;
/// Values are fetched so many at a time, until a page has so many octets.
const FETCHED: usize = 32;
const PAGE_BYTES: usize = 1 << 20;

/// Keys of slots that were looked at, in the order of a scan.
struct Found {
    /// All slots before this one.
    before: u16,
    keys: Vec<(u16, Bytes)>,
}

impl ClusterSession {
    /// One page.
    pub(super) fn scan(&mut self, request: &Request) -> Outcome {
        let Operation::Scan {
            from,
            until,
            limit,
            keys_only,
        } = &request.operation
        else {
            return Err(Fault::Refused("not a scan"));
        };
        let place = Place::of(from);
        let limit = (*limit).min(ENTRIES_MAX);
        let (looked, Found { before, keys }) = self.find(request, &place, limit.max(KEYS_MIN))?;
        let is_new = |slot: u16, key: &Bytes| match &place.after {
            Some(after) => slot != place.slot() || key > after,
            None => true,
        };
        let is_meant =
            |key: &Bytes| *key >= place.from && until.as_ref().is_none_or(|until| key < until);
        let mut keys: Vec<(u16, Bytes)> = keys
            .into_iter()
            .filter(|(slot, key)| is_new(*slot, key) && is_meant(key))
            .collect();
        let is_all = keys.len() <= limit as usize;
        keys.truncate(limit as usize);
        let part = if *keys_only { Part::Head } else { Part::Whole };
        let (entries, fetched) = self.fetch(&keys, part, request)?;
        let next = match keys.get(fetched.wrapping_sub(1)) {
            Some((slot, last)) if fetched < keys.len() || !is_all => {
                looked.behind(*slot).map(|place| Place {
                    after: Some(last.clone()),
                    ..place
                })
            }
            _ => looked.behind(before),
        };
        let next = next.map(|place| place.token());
        Ok(Reply::Page(Page { entries, next }))
    }

    /// The values of as many of `keys` as make a page, and how many keys that were: some are gone.
    fn fetch(
        &mut self,
        keys: &[(u16, Bytes)],
        part: Part,
        request: &Request,
    ) -> Result<(Vec<crate::storage::Entry>, usize), Fault> {
        let (mut entries, mut fetched, mut bytes) = (Vec::new(), 0, 0);
        for keys in keys.chunks(FETCHED) {
            let gets = keys.iter().map(|(_, key)| Request {
                operation: Operation::Get { key: key.clone() },
                durability: Durability::Memory,
                deadline: request.deadline,
            });
            let batch: Vec<Request> = gets.collect();
            let mut outcomes = vec![None; batch.len()];
            let open = (0..batch.len()).map(Open::new).collect();
            let mut work = Work::new(&batch, part);
            self.settle(&mut work, open, &mut Outcomes::new(&mut outcomes));
            for outcome in outcomes {
                if let Reply::Got(Some(entry)) = outcome.unwrap_or(Err(Fault::LATE))? {
                    bytes += entry.key.len() + entry.value.len();
                    entries.push(entry);
                }
            }
            fetched += keys.len();
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok((entries, fetched))
    }

    /// The keys of the slots from `place` on, whole slots, until there are `enough`; or from a later place
    /// on, if there is none before it.
    fn find(
        &mut self,
        request: &Request,
        place: &Place,
        enough: u32,
    ) -> Result<(Place, Found), Fault> {
        let mut place = place.clone();
        let mut persistence = self.persistence();
        let mut why = "";
        loop {
            let fault = persistence.fault(self.now(), request.deadline, why);
            if let Some(fault) = fault {
                return Err(fault);
            }
            match self.look(&place, enough) {
                Ok(found) => match self.further(&place, &found) {
                    None => return Ok((place, found)),
                    Some(further) => {
                        place = further;
                        continue;
                    }
                },
                Err(obstacle) => why = obstacle,
            }
            let mut findings = Findings::default();
            findings.node_is_down();
            self.heed(&findings, &mut persistence);
        }
    }

    /// Where to look for the same page when nothing was found: at the same node, and at no other.
    fn further(&self, place: &Place, found: &Found) -> Option<Place> {
        let further = place.behind(found.before)?;
        let map = self.cluster.map();
        let is_same_node = map.shard(further.slot()) == map.shard(place.slot());
        (found.keys.is_empty() && is_same_node).then_some(further)
    }

    /// One look, at the node that serves the first slot and at no other: a page holds up nobody who has
    /// to do with other shards.
    fn look(&mut self, place: &Place, enough: u32) -> Result<Found, &'static str> {
        let map = self.cluster.map();
        let slot = place.slot();
        let rest = SLOTS - place.done;
        let most = slot.saturating_add(rest.min(SLOTS_MAX) - 1).min(SLOTS - 1);
        let node = map.owner(slot).ok_or("nobody serves the slot")?;
        let seen = self.ask_for_keys(node, slot, map.run_end(slot, most), enough)?;
        let mut before = seen.before;
        let mut keys = seen.keys;
        // What the node says of itself is of the same moment as its keys; the map may be older.
        let owned = (slot..before).take_while(|slot| seen.itself.owns(*slot));
        before = owned.last().map_or(slot, |last| last + 1);
        let moving = (slot..before).find(|slot| seen.itself.leaves(*slot).is_some());
        match moving {
            _ if before == slot => return Err("the slot has moved"),
            Some(moving) if moving == slot => {
                before = slot + 1;
                let to = seen.itself.leaves(slot).and_then(|id| map.by_id(id));
                let to = to.ok_or("the slot is moving to a node that is not known yet")?;
                let other = self.ask_for_keys(to, slot, slot, enough)?;
                if !other.itself.has_some_of(slot) {
                    return Err("the slot is moving");
                }
                keys.extend(other.keys);
            }
            Some(moving) => before = moving,
            None => {}
        }
        keys.retain(|(slot, _)| *slot < before);
        let keys: BTreeSet<(u16, Bytes)> = keys.into_iter().collect(); // in order, each once
        let keys = keys.into_iter().collect();
        Ok(Found { before, keys })
    }

    /// What `node` has of the slots from `first` to `last`.
    fn ask_for_keys(
        &mut self,
        node: &Node,
        first: u16,
        last: u16,
        enough: u32,
    ) -> Result<Seen, &'static str> {
        const UNREACHABLE: &str = "the node that serves the slot cannot be reached";
        let link = self.links.to(node).map_err(|_| UNREACHABLE)?;
        let mut command: Cmd = call(Script::Page, &link.names, None);
        command.arg(first).arg(last).arg(enough);
        let answer = self.links.ask(node, &command).map_err(|_| UNREACHABLE)?;
        let seen = Seen::parse(&answer);
        let is_of_slots = |seen: &Seen| {
            let mut slots = seen.keys.iter().map(|(slot, _)| *slot);
            let within = first..=last;
            slots.all(|slot| within.contains(&slot))
                && seen.before > first
                && seen.before <= last + 1
        };
        seen.filter(is_of_slots)
            .ok_or("the node gave an answer that is none")
    }
}

/// What the script says.
struct Seen {
    itself: Itself,
    before: u16,
    keys: Vec<(u16, Bytes)>,
}

impl Seen {
    fn parse(answer: &Value) -> Option<Seen> {
        let [itself, before, slots @ ..] = items(answer)? else {
            return None;
        };
        let mut keys = Vec::new();
        for pair in slots.chunks(2) {
            let [slot, names] = pair else {
                return None;
            };
            let slot: u16 = number(slot)?;
            for name in items(names)? {
                let Value::BulkString(key) = name else {
                    return None;
                };
                if slot_of(key) != slot {
                    return None;
                }
                keys.push((slot, Bytes::copy_from_slice(key)));
            }
        }
        Some(Seen {
            itself: Itself::parse(text(itself)?)?,
            before: number(before)?,
            keys,
        })
    }
}

/// What a node says of itself in `CLUSTER NODES`:
/// `ID ADDRESS FLAGS MASTER PING PONG EPOCH LINK SLOTS..`, where slots are `7`, `8-99`,
/// `[7->-ID]` for one that leaves and `[7-<-ID]` for one that comes.
struct Itself {
    owned: Vec<(u16, u16)>,
    leaving: Vec<(u16, String)>,
    coming: Vec<u16>,
}

impl Itself {
    fn parse(line: &str) -> Option<Itself> {
        let mut itself = Itself {
            owned: Vec::new(),
            leaving: Vec::new(),
            coming: Vec::new(),
        };
        for word in line.split_whitespace().skip(8) {
            let moving = word.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
            if let Some((slot, to)) = moving.and_then(|it| it.split_once("->-")) {
                itself.leaving.push((slot.parse().ok()?, to.to_owned()));
            } else if let Some((slot, _)) = moving.and_then(|it| it.split_once("-<-")) {
                itself.coming.push(slot.parse().ok()?);
            } else {
                let (first, last) = word.split_once('-').unwrap_or((word, word));
                itself.owned.push((first.parse().ok()?, last.parse().ok()?));
            }
        }
        Some(itself)
    }

    fn owns(&self, slot: u16) -> bool {
        let mut ranges = self.owned.iter();
        ranges.any(|(first, last)| (*first..=*last).contains(&slot))
    }

    /// The node to which `slot` goes.
    fn leaves(&self, slot: u16) -> Option<&str> {
        let leaving = self.leaving.iter().find(|(leaving, _)| *leaving == slot);
        leaving.map(|(_, to)| to.as_str())
    }

    /// Whether keys of `slot` may be here.
    fn has_some_of(&self, slot: u16) -> bool {
        self.owns(slot) || self.coming.contains(&slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_says_which_slots_it_has_and_which_come_and_go() {
        let line = "id 127.0.0.1:1@2,host myself,master - 0 0 3 connected \
            0-9 20 [5->-to] [30-<-from]";
        let itself = Itself::parse(line).unwrap();
        let owned = (0..40).filter(|slot| itself.owns(*slot));
        assert!(owned.eq((0..=9).chain([20])));
        assert_eq!((itself.leaves(5), itself.leaves(6)), (Some("to"), None));
        assert!(itself.has_some_of(30) && itself.has_some_of(20));
        assert!(!itself.has_some_of(31));
        assert!(Itself::parse("id a:1 myself,master - 0 0 3 connected 0-x").is_none());
        assert!(
            !Itself::parse("id a:1 myself,slave id 0 0 3 connected")
                .unwrap()
                .owns(0)
        );
    }

    #[test]
    fn keys_that_are_not_of_their_slot_are_no_answer() {
        let slot = slot_of(b"k");
        for (slot, is_right) in [(slot, true), (slot + 1, false)] {
            let answer = format!(
                "*4\r\n$25\r\ni a:1 myself,master - 0 0\r\n:9\r\n:{slot}\r\n*1\r\n$1\r\nk\r\n"
            );
            let answer = redis::parse_redis_value(answer.as_bytes()).unwrap();
            assert_eq!(Seen::parse(&answer).is_some(), is_right);
        }
    }
}
