//! Which node serves which of the 16,384 hash slots, as far as is known.
//!
//! The map is a hint: a node that does not serve a slot says so (`MOVED`), and the map is corrected.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use redis::Value;

/// How many hash slots a cluster has.
pub(super) const SLOTS: u16 = 16_384;

/// In the place of an owner: there is none.
const NOBODY: u16 = u16::MAX;

/// Where a node listens.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Node {
    pub host: Arc<str>,
    pub port: u16,
}

impl Node {
    /// `HOST:PORT`, also with an IPv6 address without brackets; a host of nothing means that of
    /// `asked`, as in the answers of a node that does not know its own address.
    pub fn parse(text: &str, asked: Option<&Node>) -> Option<Node> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Node::new(host, port.parse().ok()?, asked)
    }

    fn new(host: &str, port: u16, asked: Option<&Node>) -> Option<Node> {
        let host = match host {
            "" | "?" => Arc::clone(&asked?.host),
            host => host.into(),
        };
        Some(Node { host, port })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[derive(Clone, Debug)]
struct Master {
    node: Node,
    /// What the cluster calls it; empty when only its address is known.
    id: String,
}

/// The owners of all slots.
#[derive(Clone, Debug)]
pub(super) struct SlotMap {
    /// For each slot the place of its master in `masters`, or [`NOBODY`].
    owners: Box<[u16]>,
    masters: Vec<Master>,
    replicas: Vec<Node>,
}

impl SlotMap {
    /// What `asked` answered to `CLUSTER SLOTS`; `None` when it is something else, or knows no slot.
    pub fn parse(answer: &Value, asked: &Node) -> Option<SlotMap> {
        let mut map = SlotMap {
            owners: vec![NOBODY; SLOTS.into()].into(),
            masters: Vec::new(),
            replicas: Vec::new(),
        };
        for range in items(answer)? {
            let [first, last, master, replicas @ ..] = items(range)? else {
                return None;
            };
            let (first, last) = (number(first)?, number(last)?);
            let (node, id) = member(master, asked)?;
            let place = map.place(node, id)?;
            map.owners.get_mut(first..=last)?.fill(place);
            let replicas = replicas.iter().filter_map(|it| member(it, asked));
            map.replicas.extend(replicas.map(|(node, _)| node));
        }
        (!map.masters.is_empty()).then_some(map)
    }

    fn place(&mut self, node: Node, id: String) -> Option<u16> {
        let known = self.masters.iter().position(|it| it.node == node);
        let place = known.unwrap_or(self.masters.len());
        if known.is_none() {
            self.masters.push(Master { node, id });
        }
        u16::try_from(place).ok().filter(|place| *place != NOBODY)
    }

    /// Who serves `slot`.
    pub fn owner(&self, slot: u16) -> Option<&Node> {
        let shard = self.shard(slot)?;
        Some(&self.masters[usize::from(shard)].node)
    }

    /// The number of the shard that `slot` belongs to, below [`SlotMap::shards`].
    pub fn shard(&self, slot: u16) -> Option<u16> {
        let shard = self.owners.get(usize::from(slot)).copied();
        shard.filter(|shard| *shard != NOBODY)
    }

    /// How many masters serve slots.
    pub fn shards(&self) -> u16 {
        self.masters.len() as u16 // `place` lets no more in
    }

    /// The last slot, `most` or before, up to which all from `slot` on have the same owner.
    pub fn run_end(&self, slot: u16, most: u16) -> u16 {
        let owner = self.shard(slot);
        let same = (slot..=most).take_while(|slot| self.shard(*slot) == owner);
        same.last().unwrap_or(slot)
    }

    /// The address of the master that the cluster calls `id`.
    pub fn by_id(&self, id: &str) -> Option<&Node> {
        let master = self.masters.iter().find(|master| master.id == id);
        master.map(|master| &master.node)
    }

    /// Every node once, masters first.
    pub fn nodes(&self) -> Vec<Node> {
        let masters = self.masters.iter().map(|master| &master.node);
        let mut seen = HashSet::new();
        let all = masters.chain(&self.replicas);
        all.filter(|node| seen.insert(*node)).cloned().collect()
    }

    /// The same, but `slot` is served by `node`.
    pub fn moved(&self, slot: u16, node: &Node) -> SlotMap {
        let mut map = self.clone();
        let place = map.place(node.clone(), String::new());
        if let (Some(place), Some(owner)) = (place, map.owners.get_mut(usize::from(slot))) {
            *owner = place;
        }
        map
    }
}

/// `[host, port, id, ..]`.
fn member(value: &Value, asked: &Node) -> Option<(Node, String)> {
    let [host, port, rest @ ..] = items(value)? else {
        return None;
    };
    let host = match host {
        Value::Nil => "",
        host => text(host)?,
    };
    let port = number(port)?;
    let id = rest.first().and_then(text).unwrap_or_default();
    Some((Node::new(host, port, Some(asked))?, id.to_owned()))
}

pub(super) fn items(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

pub(super) fn number<N: TryFrom<i64>>(value: &Value) -> Option<N> {
    match value {
        Value::Int(number) => N::try_from(*number).ok(),
        _ => None,
    }
}

pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(octets) => str::from_utf8(octets).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The slot of `key`: CRC16 (XMODEM) of what stands between the first brace and the next closing one,
/// if that is anything, or of the whole key.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    crc16(tag(key).unwrap_or(key)) % SLOTS
}

fn tag(key: &[u8]) -> Option<&[u8]> {
    let inner = &key[key.iter().position(|octet| *octet == b'{')? + 1..];
    let tag = &inner[..inner.iter().position(|octet| *octet == b'}')?];
    (!tag.is_empty()).then_some(tag)
}

fn crc16(octets: &[u8]) -> u16 {
    const TABLE: [u16; 256] = table();
    octets.iter().fold(0, |crc, octet| {
        crc << 8 ^ TABLE[usize::from((crc >> 8) as u8 ^ octet)]
    })
}

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let mut crc = (octet as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x1021
            };
            bit += 1;
        }
        table[octet] = crc;
        octet += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        Node::parse(text, None).unwrap()
    }

    fn map(answer: &[u8]) -> Option<SlotMap> {
        let answer = redis::parse_redis_value(answer).unwrap();
        SlotMap::parse(&answer, &node("seed:7000"))
    }

    const TWO: &[u8] = b"*3\r\n\
        *4\r\n:0\r\n:99\r\n*3\r\n$1\r\na\r\n:1\r\n$2\r\nia\r\n*3\r\n$1\r\nr\r\n:3\r\n$2\r\nir\r\n\
        *3\r\n:200\r\n:16383\r\n*3\r\n$0\r\n\r\n:2\r\n$2\r\nib\r\n\
        *3\r\n:150\r\n:150\r\n*3\r\n$1\r\na\r\n:1\r\n$2\r\nia\r\n";

    #[test]
    fn slots_are_those_of_the_specification() {
        let rows: [(&[u8], u16); 7] = [
            (b"", 0),
            (b"123456789", 0x31c3 % SLOTS),
            (b"foo", 12_182),
            (b"{foo}bar", 12_182),
            (b"a{foo}{bar}", 12_182),
            (b"{}foo", slot_of(b"{}foo")),
            (b"foo{", crc16(b"foo{") % SLOTS),
        ];
        for (key, slot) in rows {
            assert_eq!(slot_of(key), slot, "{key:?}");
        }
        assert_ne!(slot_of(b"{}foo"), slot_of(b"foo"), "an empty tag is none");
    }

    #[test]
    fn a_map_knows_owners_gaps_and_nodes_without_a_host() {
        let map = map(TWO).unwrap();
        assert_eq!(map.shards(), 2);
        assert_eq!(map.owner(99), Some(&node("a:1")));
        assert_eq!(map.owner(150), Some(&node("a:1")));
        assert_eq!(map.owner(100), None);
        assert_eq!(map.owner(16_383), Some(&node("seed:2")));
        assert_eq!(map.by_id("ib"), Some(&node("seed:2")));
        assert_eq!(map.nodes(), ["a:1", "seed:2", "r:3"].map(node));
        assert_eq!((map.run_end(0, 50), map.run_end(0, 16_383)), (50, 99));
    }

    #[test]
    fn a_slot_that_moved_is_found_at_its_new_place_and_no_other_is() {
        let map = map(TWO).unwrap().moved(7, &node("new:9"));
        assert_eq!(map.owner(7), Some(&node("new:9")));
        assert_eq!(map.owner(8), Some(&node("a:1")));
        assert_eq!(
            map.moved(SLOTS, &node("a:1")).owner(7),
            Some(&node("new:9"))
        );
    }

    #[test]
    fn what_is_no_map_is_none() {
        let rows: [&[u8]; 5] = [
            b"*0\r\n",
            b"-ERR This instance has cluster support disabled\r\n",
            b"*1\r\n*2\r\n:0\r\n:1\r\n",
            b"*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:1\r\n",
            b"*1\r\n*3\r\n:9\r\n:-1\r\n*2\r\n$1\r\na\r\n:1\r\n",
        ];
        for answer in rows {
            assert!(map(answer).is_none(), "{answer:?}");
        }
    }

    #[test]
    fn addresses_may_have_colons_and_brackets() {
        assert_eq!(node("::1:7000"), node("[::1]:7000"));
        assert_eq!(node("::1:7000").to_string(), "[::1]:7000");
        assert_eq!(
            Node::parse(":7000", Some(&node("h:1"))),
            Some(node("h:7000"))
        );
        assert_eq!(Node::parse("h", None).or(Node::parse("h:x", None)), None);
    }
}
