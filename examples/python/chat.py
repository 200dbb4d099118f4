"""Talk in a chat room with paho-mqtt (1.6 or 2.x): what you type is said, what others and the assistant say is printed.

    python chat.py --name Ada --room main
"""

import argparse
import json
import sys
import uuid

import paho.mqtt.client as mqtt


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--name", default="Ada")
    parser.add_argument("--room", default="main")
    options = parser.parse_args()
    base = "chatroom" if options.room == "main" else f"chatroom/{options.room}"
    me = {"client_id": f"python-{uuid.uuid4().hex[:8]}", "username": options.name}

    # What is sent on every topic carries who speaks; the server decides which name is shown.
    name = {"client_id": me["client_id"]}
    if hasattr(mqtt, "CallbackAPIVersion"):
        name["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
    client = mqtt.Client(**name)

    def send(tail, body):
        return client.publish(f"{base}/{tail}", json.dumps(body, ensure_ascii=False), qos=1)

    def on_connect(_client, _userdata, _flags, code, _properties=None):
        # paho 1.x gives a number and no properties, paho 2.x a reason that compares with numbers.
        if code != 0:
            sys.exit(f"not let in: {mqtt.connack_string(code)}")
        client.subscribe([(f"{base}/messages/out", 1), (f"{base}/system", 1)])

    def on_subscribe(*_):
        # Joined once the room is heard, so that nothing is missed.
        send("users/join", me)
        print(f"in room {options.room}; type and press Enter, @AI asks the assistant, an empty line ends", flush=True)

    def on_message(_client, _userdata, message):
        try:
            said = json.loads(message.payload)
            text = f"{said['username']}: {said['content']}" if "content" in said else f"* {said.get('message', '')}"
        except (ValueError, TypeError, KeyError):
            text = message.payload.decode("utf-8", "replace")
        print(text, flush=True)

    client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
    client.reconnect_delay_set(min_delay=1, max_delay=120)
    client.connect(options.host, options.port, keepalive=60)
    client.loop_start()
    for line in sys.stdin:
        if not line.strip():
            break
        send("messages/in", {**me, "message": line.strip()})
    send("users/leave", {"client_id": me["client_id"]}).wait_for_publish(2)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()
