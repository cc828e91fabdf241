//! What the store counts, behind what the server and its loop count.

use trine::server::Exposition;
use trine::storage::{Health, StorageUnit};

/// Adds the store to the page.
pub fn storage(page: &mut Exposition, unit: &StorageUnit) {
    let storage = unit.metrics();
    let is_ready = u64::from(unit.health() == Health::Ready);
    page.gauge("kv_ready", "Whether the store does its work.", is_ready);
    let rows = [
        ("accepted", "Operations put into a queue.", storage.accepted),
        (
            "done",
            "Operations with an outcome from the store.",
            storage.done,
        ),
        (
            "late",
            "Operations not begun before their deadline.",
            storage.late,
        ),
        (
            "cancelled",
            "Operations that nobody waited for.",
            storage.cancelled,
        ),
        (
            "busy",
            "Operations turned away by a full queue.",
            storage.busy,
        ),
        ("in_place", "Operations done by the loop.", storage.in_place),
        ("batches", "Batches given to the store.", storage.batches),
        ("panics", "Panics of the store.", storage.panics),
        ("reopens", "Attempts to reopen the store.", storage.reopens),
    ];
    for (name, help, value) in rows {
        page.counter(&format!("kv_storage_{name}_total"), help, value);
    }
    page.gauge("kv_storage_queued", "Operations that wait.", storage.queued);
    page.gauge(
        "kv_storage_running",
        "Operations being done.",
        storage.running,
    );
}
