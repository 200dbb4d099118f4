//! The client library that the rest of Talkwire uses, against this broker.

use crate::house::House;
use rumqttc::mqttbytes::QoS;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, PublishOptions};
use std::time::Duration;

async fn until<T>(events: &mut EventLoop, mut wanted: impl FnMut(Incoming) -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Event::Incoming(packet) = events.poll().await.unwrap()
                && let Some(found) = wanted(packet)
            {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("in time")
}

#[tokio::test]
async fn it_connects_subscribes_publishes_and_hears_itself_in_each_quality() {
    let house = House::new().await;
    let addr = house.addr(false);
    let mut options = MqttOptions::new("real", (addr.ip().to_string(), addr.port()));
    options.set_keep_alive(5);
    let (client, mut events) = AsyncClient::builder(options).capacity(10).build();
    client.subscribe("真/#", QoS::ExactlyOnce).await.unwrap();
    until(&mut events, |p| matches!(p, Incoming::SubAck(_)).then_some(())).await;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let options = PublishOptions::new(qos);
        client.publish("真/消息", "你好", options).await.unwrap();
        let heard = until(&mut events, |p| match p {
            Incoming::Publish(publish) => Some(publish),
            _ => None,
        })
        .await;
        assert_eq!((&heard.payload[..], heard.qos), ("你好".as_bytes(), qos));
    }
}
