//! The smallest service: answers each request with its own payload, over the same broker and link as the daemon.
//!
//! What a round trip through it costs is the plumbing; `aisled bench` compares the daemon with it in the same
//! run, so that the ratio means the same on every machine. It decides nothing and remembers nothing. What it answers may
//! be of another size than what it was asked, as the daemon's answers are.

use tokio::sync::oneshot;

use crate::devices::link::{Happening, Link, LinkConfig, LinkError, Outgoing, Received};
use crate::devices::topic::{INSTANCE_V3, Topic, Topics};

/// Answers requests until it is dropped or the link cannot take an answer; says on `ready` when it hears them.
pub async fn echo_service(
    config: LinkConfig,
    topics: &Topics,
    ready: oneshot::Sender<()>,
) -> Result<(), LinkError> {
    echo_service_with(config, topics, ready, |message| std::mem::take(&mut message.payload)).await
}

/// The same with answers made from what came in: of its payload, or of its size.
pub async fn echo_service_with(
    config: LinkConfig,
    topics: &Topics,
    ready: oneshot::Sender<()>,
    mut answer: impl FnMut(&mut Received) -> Vec<u8>,
) -> Result<(), LinkError> {
    let (link, mut inbox) = Link::start(config);
    let mut ready = Some(ready);
    while let Some(happening) = inbox.next().await {
        let mut message = match happening {
            Happening::Up => {
                // Nobody may be waiting; that is no reason to stop.
                let _ = ready.take().map(|ready| ready.send(()));
                continue;
            }
            Happening::Down(_) => continue,
            Happening::Message(message) => message,
        };
        let payload = answer(&mut message);
        let Some(Topic::Request { device, .. }) = topics.parse(&message.topic) else {
            continue;
        };
        let topic = match message.response_topic {
            Some(own) if topics.response_is_own(device, &own) => own,
            Some(_) => continue,
            None => match topics.build(Topic::Reply { device, instance: INSTANCE_V3 }) {
                Ok(topic) => topic,
                Err(_) => continue,
            },
        };
        let answer = Outgoing {
            topic,
            payload,
            content_type: message.content_type,
            correlation_data: message.correlation_data,
            ..Outgoing::default()
        };
        match link.publish(answer) {
            Ok(()) | Err(LinkError::Down) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
