//! Seeds of the simulation for what stands behind a loop: workers, and a store on a disk, on simulated
//! threads. The queues, the workers' steps, the lanes and the store are those of production.
//!
//! `TRINE_SIM_WORKERS` and `TRINE_SIM_STORES` choose the seeds as `FROM..TO`; a seed that fails prints
//! itself.
#![cfg(feature = "testing")]

mod asker;
#[cfg(trine_planted)]
#[path = "../sim_suite/planted.rs"]
mod planted;
#[path = "../sim_suite/seeds.rs"]
mod seeds;
#[cfg(feature = "durable")]
mod store;
mod workers;

use seeds::run_seeds;

/// What a service says when it panics on purpose; such panics are not printed.
const MEANT: &str = "meant";

fn hide_meant_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<&str>();
            let is_meant = text == Some(&MEANT) || info.payload().is::<workers::Bomb>();
            if !is_meant {
                others(info);
            }
        }));
    });
}

#[test]
fn no_job_of_a_worker_is_lost_or_answered_twice_in_any_seed() {
    hide_meant_panics();
    run_seeds("TRINE_SIM_WORKERS", 0..60, |seed, steps| {
        workers::Run::new(seed).run(steps);
    });
}

#[test]
fn workers_take_the_same_steps_with_the_same_seed() {
    hide_meant_panics();
    for seed in 0..5 {
        let trace = workers::Run::new(seed).run(500);
        assert_eq!(workers::Run::new(seed).run(500), trace, "seed {seed}");
        assert_ne!(workers::Run::new(seed + 1).run(500), trace, "seed {seed}");
    }
}

#[cfg(feature = "durable")]
#[test]
fn what_was_acknowledged_is_there_after_the_loss_of_power_in_any_seed() {
    run_seeds("TRINE_SIM_STORES", 0..40, |seed, steps| {
        store::Run::new(seed).run(steps);
    });
}

#[cfg(feature = "durable")]
#[test]
fn stores_take_the_same_steps_with_the_same_seed() {
    for seed in 0..5 {
        let trace = store::Run::new(seed).run(600);
        assert_eq!(store::Run::new(seed).run(600), trace, "seed {seed}");
    }
}

#[cfg(trine_planted)]
#[test]
fn each_planted_bug_of_workers_and_stores_is_found_within_2000_seeds() {
    use trine::planted::Bug;

    planted::find_all(&Bug::WORKERS, |seed| {
        workers::Run::new(seed).run(seeds::STEPS);
    });
    #[cfg(feature = "durable")]
    planted::find_all(&Bug::STORE, |seed| {
        store::Run::new(seed).run(seeds::STEPS);
    });
}
