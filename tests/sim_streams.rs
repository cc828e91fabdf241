//! Streams of another protocol on the simulated machine: an echo for many clients under faults, in
//! order and to the octet, however the bytes are cut.
#![cfg(feature = "testing")]

use std::time::Duration;

use trine::Sources;
use trine::reactor::{Link, StreamOptions};
use trine::testing::{Client, Dice, Faults, Sim};

/// One client: what it has sent, and how much of it came back.
struct Echoed {
    client: Client,
    sent: Vec<u8>,
    returned: usize,
    reads: bool,
}

impl Echoed {
    fn send(&mut self, dice: &mut Dice) {
        if !self.client.ends().is_open || self.sent.len() > 50_000 {
            return;
        }
        let most = [4, 300, 9_000][dice.below(3)];
        let more: Vec<u8> = (0..dice.up_to(most)).map(|_| dice.number() as u8).collect();
        self.client.send(&more);
        self.sent.extend(more);
    }

    fn look(&mut self) {
        let came = self.client.take_received();
        let expected = self.sent.get(self.returned..self.returned + came.len());
        assert_eq!(expected, Some(&came[..]), "after {} octets", self.returned);
        self.returned += came.len();
    }

    fn pause_or_resume(&mut self) {
        self.reads = !self.reads;
        match self.reads {
            true => self.client.resume(),
            false => self.client.pause(),
        }
    }
}

fn run(seed: u64) {
    let mut sim = Sim::seeded(seed);
    sim.set_faults(Faults::swarm(seed));
    let (listener, address) = sim.listen();
    let echo = |_: &mut (), link: &mut Link<'_, '_, ()>, bytes: &[u8]| {
        link.write(bytes);
    };
    let served = sim.with(|events, ()| events.streams(listener, StreamOptions::default(), echo));
    assert!(served.is_ok());
    let mut dice = sim.dice();
    let mut clients: Vec<Echoed> = Vec::new();
    for _ in 0..1_000 {
        let act = dice.below(40);
        if act < 3 && clients.len() < 8 {
            clients.push(Echoed {
                client: sim.connect(address),
                sent: Vec::new(),
                returned: 0,
                reads: true,
            });
        }
        let index = dice.below(clients.len().max(1));
        match (act, clients.get_mut(index)) {
            (3..25, Some(client)) => client.send(&mut dice),
            (25, Some(client)) => client.pause_or_resume(),
            (26, Some(_)) => drop(clients.swap_remove(index)),
            (27..32, _) => sim.advance(Duration::from_millis(dice.below(20) as u64)),
            _ => {}
        }
        sim.turn();
        clients.iter_mut().for_each(Echoed::look);
    }
    sim.set_faults(Faults::none());
    for client in &mut clients {
        client.client.resume();
        client.client.finish();
    }
    sim.advance(Duration::from_secs(5));
    for client in &mut clients {
        client.look();
        let ends = client.client.ends();
        let all_came = client.returned == client.sent.len();
        // Out of descriptors, clients are turned away at the door.
        let was_turned_away = ends.moments.accepted == ends.moments.closed;
        assert!(all_came || ends.was_struck || was_turned_away, "{ends:?}");
    }
    assert_eq!(sim.open_connections(), 0);
}

#[test]
fn an_echo_returns_every_octet_in_order_on_any_network() {
    for seed in 0..100 {
        run(seed);
    }
}
