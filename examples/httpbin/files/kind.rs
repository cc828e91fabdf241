//! What a file is, by its name.

/// The content type for a file of this name.
pub fn content_type(name: &[u8]) -> &'static str {
    let mut parts = name.rsplit(|&octet| octet == b'.');
    let extension = parts.next().filter(|_| parts.next().is_some());
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    let row = TYPES.iter().find(|(own, _)| own.as_bytes() == extension);
    row.map_or("application/octet-stream", |(_, kind)| kind)
}

/// By what browsers need to be told. All else is octets, which they save.
const TYPES: &[(&str, &str)] = &[
    ("avif", "image/avif"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("gif", "image/gif"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("rs", "text/plain; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("toml", "application/toml"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("woff2", "font/woff2"),
    ("xml", "application/xml"),
];
