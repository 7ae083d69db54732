//! Live pages: server-sent events that carry the page's body anew, once a second at most.
//!
//! A stream is one of `CONSOLE_STREAMS_MAX`; it ends when the session does, when the daemon stops, or with its connection.
//! The body is made from the snapshot alone, so that a stream never asks the loop for anything.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::response::sse::{Event, KeepAlive, Sse};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::door::{Client, Problem};
use super::page::Words;
use super::pages;
use super::routes::{Answer, Console};
use crate::domain::code::Code;

type Body = fn(Words<'_>) -> maud::Markup;

/// The body of a live page.
fn body_of(page: &str) -> Option<Body> {
    match page {
        "now" => Some(pages::now::body),
        "sync" => Some(pages::sync::body),
        _ => None,
    }
}

/// The stream of one page.
pub(super) async fn stream(
    State(console): State<Arc<Console>>,
    Extension(client): Extension<Client>,
    Path(page): Path<String>,
) -> Answer {
    let body = body_of(&page).ok_or_else(|| Problem::new(Code::ConsoleNoSuchPage, ""))?;
    let place = Arc::clone(&console.streams).try_acquire_owned();
    let place = place.map_err(|_| Problem::new(Code::ConsoleBusy, "too many live pages are open"))?;
    let (out, events) = mpsc::channel(1);
    tokio::spawn(tell(console, client, body, place, out));
    Ok(Sse::new(ReceiverStream::new(events)).keep_alive(KeepAlive::default()).into_response())
}

/// Sends the body with each new picture of the shop, until nobody looks or may look.
async fn tell(
    console: Arc<Console>,
    client: Client,
    body: Body,
    place: OwnedSemaphorePermit,
    out: mpsc::Sender<Result<Event, Infallible>>,
) {
    let (mut snapshots, mut stop) = (console.snapshots.clone(), console.stop.clone());
    loop {
        let changed = tokio::select! {
            changed = snapshots.changed() => changed.is_ok(),
            _ = stop.wait_for(|stop| *stop) => false,
            () = out.closed() => false,
        };
        if !changed || console.session(client.token.as_deref(), console.clock.now()).is_none() {
            break;
        }
        let snapshot = snapshots.borrow_and_update().clone();
        let text = body(Words::new(&client, &snapshot)).into_string();
        if out.send(Ok(Event::default().data(text))).await.is_err() {
            break;
        }
    }
    drop(place);
}
