//! The link against a real broker (Mosquitto, when it is installed).

use std::net::TcpListener;
use std::process::{Child, Command};
use std::time::Duration;
use talkwire_link::{Backoff, Events, Link, LinkConfig, LinkError, LinkEvent, Message, Qos};
use tokio::time::timeout;

struct Broker {
    port: u16,
    dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Broker {
    /// `None`, loudly, when there is no Mosquitto.
    async fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
        let mut broker = Self { port, dir: tempfile::tempdir().expect("a folder"), child: None };
        broker.run().await.then_some(broker)
    }

    async fn run(&mut self) -> bool {
        let config = self.dir.path().join("mosquitto.conf");
        std::fs::write(&config, format!("listener {} 127.0.0.1\nallow_anonymous true\nmax_packet_size 100000\n", self.port)).expect("a config");
        let spawned = ["mosquitto", "/usr/sbin/mosquitto"].iter().find_map(|name| {
            let mut command = Command::new(name);
            command.arg("-c").arg(&config).stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null());
            command.spawn().ok()
        });
        let Some(child) = spawned else {
            eprintln!("SKIPPED: mosquitto is not installed; the link was not tested against a broker");
            return false;
        };
        self.child = Some(child);
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("mosquitto did not start");
    }

    async fn kill(&mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }

    fn config(&self, name: &str) -> LinkConfig {
        LinkConfig { backoff: Backoff { min: Duration::from_millis(50), max: Duration::from_millis(200) }, ..LinkConfig::new("127.0.0.1", self.port, name) }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn wait_for(events: &mut Events, wanted: impl Fn(&LinkEvent) -> bool) -> LinkEvent {
    timeout(Duration::from_secs(10), async {
        loop {
            let event = events.next().await.expect("link open");
            if wanted(&event) {
                return event;
            }
        }
    })
    .await
    .expect("event within 10 s")
}

fn is_up(event: &LinkEvent) -> bool {
    matches!(event, LinkEvent::Up { .. })
}
fn is_message(event: &LinkEvent) -> bool {
    matches!(event, LinkEvent::Message(_))
}

#[tokio::test]
async fn messages_go_both_ways_and_wait_out_a_restart_of_the_broker() {
    let Some(mut broker) = Broker::start().await else { return };
    let (link, mut events) = Link::connect(broker.config("one")).expect("a link");
    link.subscribe("t/#", Qos::AtLeastOnce);
    wait_for(&mut events, is_up).await;
    link.publish("t/a", "你好", Qos::AtLeastOnce, false).await.expect("acknowledged");
    let LinkEvent::Message(message) = wait_for(&mut events, is_message).await else { unreachable!() };
    assert_eq!(message, Message { topic: "t/a".into(), payload: "你好".into(), qos: Qos::AtLeastOnce, retain: false });

    broker.kill().await;
    wait_for(&mut events, |event| matches!(event, LinkEvent::Down { .. })).await;
    assert_eq!(link.publish("t/b", "old news", Qos::AtMostOnce, false).await, Err(LinkError::Down));
    let kept = link.publish("t/b", "kept", Qos::AtLeastOnce, false);
    assert_eq!(link.waiting(), 1);
    assert!(broker.run().await);
    wait_for(&mut events, is_up).await;
    timeout(Duration::from_secs(10), kept).await.expect("in time").expect("acknowledged after the restart");
    let LinkEvent::Message(message) = wait_for(&mut events, is_message).await else { unreachable!() };
    assert_eq!(message.payload, "kept", "the subscription was made again by itself");
    assert_eq!(link.waiting(), 0);
    link.close(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn the_will_is_said_for_a_lost_link_and_not_for_a_closed_one() {
    let Some(broker) = Broker::start().await else { return };
    let (watcher, mut seen) = Link::connect(broker.config("watcher")).expect("a link");
    watcher.subscribe("w/+", Qos::AtLeastOnce);
    wait_for(&mut seen, is_up).await;
    for (topic, close) in [("w/closed", true), ("w/lost", false)] {
        let will = Message { topic: topic.into(), payload: "gone".into(), qos: Qos::AtLeastOnce, retain: false };
        let (link, mut events) = Link::connect(LinkConfig { will: Some(will), ..broker.config(topic) }).expect("a link");
        wait_for(&mut events, is_up).await;
        if close {
            link.close(Duration::from_secs(1)).await;
        }
    }
    let LinkEvent::Message(message) = wait_for(&mut seen, is_message).await else { unreachable!() };
    assert_eq!(message.topic, "w/lost");
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_large_message_does_not_break_the_link() {
    let Some(broker) = Broker::start().await else { return };
    let away = LinkConfig { port: 1, queue: 3, ..broker.config("away") };
    let (link, mut events) = Link::connect(away).expect("a link");
    wait_for(&mut events, |event| matches!(event, LinkEvent::Down { .. })).await;
    let kept: Vec<_> = (0..3).map(|_| link.publish("a", "x", Qos::AtLeastOnce, false)).collect();
    assert_eq!(link.publish("a", "x", Qos::AtLeastOnce, false).await, Err(LinkError::Full(3)));
    link.close(Duration::from_secs(1)).await;
    drop(link);
    for handle in kept {
        assert_eq!(handle.await, Err(LinkError::Closed));
    }

    let (link, mut events) = Link::connect(broker.config("large")).expect("a link");
    wait_for(&mut events, is_up).await;
    let large = link.publish("a", vec![b'x'; 150_000], Qos::AtLeastOnce, false).await;
    assert!(matches!(large, Err(LinkError::TooLarge { limit: 100_000, .. })), "{large:?}");
    assert!(matches!(link.publish("a/#", "x", Qos::AtLeastOnce, false).await, Err(LinkError::Topic(_))));
    link.publish("a", "x", Qos::AtLeastOnce, false).await.expect("the link still works");
}

#[tokio::test]
async fn thousands_of_messages_are_all_acknowledged() {
    let Some(broker) = Broker::start().await else { return };
    let (link, mut events) = Link::connect(LinkConfig { queue: 5000, ..broker.config("many") }).expect("a link");
    wait_for(&mut events, is_up).await;
    let handles: Vec<_> = (0..4000).map(|n| link.publish(format!("n/{n}"), n.to_string(), Qos::AtLeastOnce, false)).collect();
    for handle in handles {
        timeout(Duration::from_secs(20), handle).await.expect("in time").expect("acknowledged");
    }
    assert_eq!(link.waiting(), 0);
}

#[tokio::test]
async fn a_new_process_resumes_its_session_and_gets_what_came_meanwhile() {
    let Some(broker) = Broker::start().await else { return };
    let (link, mut events) = Link::connect(broker.config("sleeper")).expect("a link");
    link.subscribe("s/#", Qos::AtLeastOnce);
    assert_eq!(wait_for(&mut events, is_up).await, LinkEvent::Up { session_present: false });
    link.close(Duration::from_secs(1)).await;
    let (other, mut others) = Link::connect(broker.config("other")).expect("a link");
    wait_for(&mut others, is_up).await;
    for n in 0..3 {
        other.publish(format!("s/{n}"), "while you slept", Qos::AtLeastOnce, false).await.expect("acknowledged");
    }

    // Nothing of the first is left: this is what a new process is.
    let (link, mut events) = Link::connect(broker.config("sleeper")).expect("a link");
    for n in 0..3 {
        let LinkEvent::Message(message) = wait_for(&mut events, is_message).await else { unreachable!() };
        assert_eq!(message.topic, format!("s/{n}"));
    }
    link.publish("t", "it can speak", Qos::AtLeastOnce, false).await.expect("acknowledged");
    link.close(Duration::from_secs(1)).await;

    let (link, mut events) = Link::connect(LinkConfig { clean_start: true, ..broker.config("sleeper") }).expect("a link");
    assert_eq!(wait_for(&mut events, is_up).await, LinkEvent::Up { session_present: false });
    link.close(Duration::from_secs(1)).await;
}
