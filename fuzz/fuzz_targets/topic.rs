//! Any text as a topic: never a panic, and what is taken prints to something that parses to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talkwire_proto::{DeviceId, DeviceKey, Topic};

fuzz_target!(|text: &str| {
    if let Ok(topic) = text.parse::<Topic>() {
        let printed = topic.to_string();
        assert_eq!(printed.parse::<Topic>().as_ref(), Ok(&topic), "{printed:?}");
    }
    if let Ok(key) = text.parse::<DeviceKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(id) = DeviceId::from_door(text) {
        assert_eq!(DeviceId::from_door(&id.shown()), Ok(id));
    }
});
