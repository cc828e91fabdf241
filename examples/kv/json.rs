//! The little JSON that is written here.

use std::fmt::Write;

/// A JSON string (RFC 8259, 7).
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\0'..' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(character)); // strings take all
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}
