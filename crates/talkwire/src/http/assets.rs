//! The console, as built into the binary.

use axum::body::Body;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

mod files {
    include!(concat!(env!("OUT_DIR"), "/console_files.rs"));
}

const MISSING: &str = "<!doctype html><meta charset=utf-8><title>Talkwire</title><h1>Talkwire is running</h1><p>The console was not built into this binary. Run <code>cargo xtask build</code>, then start it again. The API works at <code>/api/v1</code>.";

/// A file of the console; paths without a file are pages of it.
pub async fn serve(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let find = |name: &str| files::FILES.iter().find(|(file, _)| *file == name);
    let is_page = !path.rsplit('/').next().unwrap_or_default().contains('.');
    let (name, bytes) = match find(path) {
        Some((name, bytes)) if !path.is_empty() => (*name, *bytes),
        _ if is_page => match find("index.html") {
            Some((name, bytes)) => (*name, *bytes),
            None => ("index.html", MISSING.as_bytes()),
        },
        _ => return (StatusCode::NOT_FOUND, "not found").into_response(),
    };
    // Names of built files carry a hash of their content; pages do not.
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    ([(header::CONTENT_TYPE, content_type(name)), (header::CACHE_CONTROL, cache)], Body::from(bytes)).into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}
