//! What is private to the proactor: the table's own rules.

mod table_model;
