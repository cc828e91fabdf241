//! actix-web with one worker. The first argument is the address.

use std::env::args;
use std::io;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, Responder, get};

#[get("/")]
async fn hello() -> impl Responder {
    HttpResponse::Ok().content_type("text/plain").body("hello")
}

#[actix_web::main]
async fn main() -> io::Result<()> {
    let address = args().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    HttpServer::new(|| App::new().service(hello))
        .workers(1)
        .max_connections(15_000)
        .keep_alive(Duration::from_secs(75)) // as long as others have; else 5 s
        .bind(address)?
        .run()
        .await
}
