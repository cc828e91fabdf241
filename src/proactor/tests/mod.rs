//! What is private to the proactor: the table's own rules, and the order of completions.

mod table_model;

use crate::reactor::Completed;

#[test]
fn the_numbers_of_completions_keep_their_order_when_they_wrap() {
    let numbers = [u32::MAX - 1, u32::MAX, 0, 1];
    for (place, one) in numbers.into_iter().enumerate() {
        for (other_place, other) in numbers.into_iter().enumerate() {
            assert_eq!(Completed::precedes(one, other), place < other_place);
        }
    }
}
