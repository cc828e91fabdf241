//! ntex with one worker. The first argument is the address.

use std::env::args;
use std::io;

use ntex::SharedCfg;
use ntex::http::{HttpServiceConfig, KeepAlive};
use ntex::time::Seconds;
use ntex::web::{self, App, HttpResponse, HttpServer};

#[web::get("/")]
async fn hello() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("hello")
}

#[ntex::main]
async fn main() -> io::Result<()> {
    let address = args().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    // As long as others have; else 5 s.
    let keep_alive = KeepAlive::Timeout(Seconds(75));
    let http = HttpServiceConfig::new().set_keepalive(keep_alive);
    HttpServer::new(async |_| App::new().service(hello))
        .workers(1)
        .bind(address, SharedCfg::new("hello").add(http))?
        .run()
        .await
}
