"""A device in one file: a sensor that joins Talkwire with paho-mqtt (1.6 or 2.x).

    python device.py --host 127.0.0.1 --tenant home --site living --id 0200000000aa

Read it from the bottom up: `Sensor` is the device, `Device` is what every device needs.
"""

import argparse
import collections
import json
import random
import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import paho.mqtt.client as mqtt


class CommandError(Exception):
    """Why a command was not done: a stable code, and one sentence."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


def now_ms():
    return int(time.time() * 1000)


class Device:
    """Connects, says who it is, answers commands. Tools are functions of their arguments, by op."""

    def __init__(self, options, attributes, tools):
        self.id, self.attributes = options.id, attributes
        self.base = f"rtk/v1/{options.tenant}/{options.site}/{options.id}"
        self.tools = {"device.status": self.status, "device.get_capabilities": self.capabilities, **tools}
        self.started, self.last_command_ts = time.monotonic(), None
        self.load = (0.0, time.monotonic(), time.process_time())  # percent (0 until it was measured for 5 s), and since when
        self.answers = collections.OrderedDict()  # command id → its result, or None while it runs
        self.lock = threading.Lock()
        self.workers = ThreadPoolExecutor(4)

        # A client id of its own and clean_session=False: what is sent meanwhile waits at the broker.
        name = {"client_id": f"sensor-{self.id}", "clean_session": False}
        if hasattr(mqtt, "CallbackAPIVersion"):
            name["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
        self.client = mqtt.Client(**name)
        if options.username:
            self.client.username_pw_set(options.username, options.password)
        if options.ca:
            self.client.tls_set(ca_certs=options.ca, certfile=options.cert, keyfile=options.key)
        # paho keeps what has QoS 1 until it is acknowledged, also while the broker is away: bound it.
        self.client.max_queued_messages_set(1000)
        self.client.reconnect_delay_set(min_delay=1, max_delay=120)
        self.client.will_set(f"{self.base}/lwt", self.stamped("lwt", {"status": "offline", "reason": "unexpected_disconnect"}), qos=1, retain=True)
        self.client.on_connect, self.client.on_message = self.on_connect, self.on_message
        self.client.connect_async(options.host, options.port, keepalive=60)

    # --- saying something

    def stamped(self, family, body):
        return json.dumps({"schema": f"{family}/1.0", "ts": now_ms(), **body}, ensure_ascii=False)

    def say(self, tail, family, body, qos=1, retain=False):
        self.client.publish(f"{self.base}/{tail}", self.stamped(family, body), qos=qos, retain=retain)

    def telemetry(self, metric, value, unit):
        if self.client.is_connected():  # an old figure is of no use
            self.say(f"telemetry/{metric}", f"telemetry.{metric}", {"value": value, "unit": unit}, qos=0)

    def event(self, name, data):
        self.say(f"evt/{name}", f"evt.{name}", {"device_id": self.id, "event_type": name, "data": data})

    def state(self):
        self.say("state", "state", self.status({}), retain=True)

    # --- what every device answers

    def status(self, _args):
        """CPU and memory are what this program uses."""
        percent, since, used = self.load
        now, cpu = time.monotonic(), time.process_time()
        if now - since >= 5:  # over a shorter time it says little
            percent = round(100 * (cpu - used) / (now - since), 2)
            self.load = (percent, now, cpu)
        with open("/proc/meminfo", encoding="ascii") as file:
            total_kb = int(file.readline().split()[1])
        return {
            "health": "ok",
            "uptime_s": round(now - self.started, 3),
            "cpu_usage": percent,
            "memory_usage": round(100 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / total_kb, 2),
            "connection_status": "connected",
            "last_command_ts": self.last_command_ts,
        }

    def capabilities(self, _args):
        ops = [*self.tools, "batch.execute"]
        return {"device_type": self.attributes["device_type"], "tools": {op: {"supported": True, "version": "1.0"} for op in ops}}

    # --- the connection

    def on_connect(self, client, _userdata, _flags, code, _properties=None):
        """paho 1.x gives a number and no properties, paho 2.x a reason that compares with numbers."""
        if code != 0:
            print("not let in:", mqtt.connack_string(code), flush=True)
            return
        client.subscribe(f"{self.base}/cmd/req", qos=1)
        self.say("lwt", "lwt", {"status": "online"}, retain=True)
        self.say("attr", "attr", {"device_id": self.id, **self.attributes, "capabilities": self.capabilities({})}, retain=True)
        self.state()
        print("connected", flush=True)

    def on_message(self, _client, _userdata, message):
        """Never raises and never waits: an exception here would end paho's loop, a pause would hold everything up."""
        try:
            command = json.loads(message.payload)
            body = command.get("payload") or command
            command_id, op, args = body["id"], body["op"], body.get("args", {})
            if not isinstance(command_id, str) or not isinstance(op, str):
                raise TypeError("id and op must be strings")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            print("not a command:", error, flush=True)
            return
        self.last_command_ts = now_ms()
        self.say("cmd/ack", "cmd.ack", {"id": command_id, "status": "received"})
        with self.lock:
            if command_id in self.answers:  # run once; a repeat gets the stored result
                known = self.answers[command_id]
                if known:
                    self.say("cmd/res", *known)
                return
            self.answers[command_id] = None
            while len(self.answers) > 200:
                self.answers.popitem(last=False)
        self.workers.submit(self.answer, command_id, op, args)

    def answer(self, command_id, op, args):
        try:
            body = ("cmd.result", {"id": command_id, "status": "completed", "result": self.run(op, args)})
        except CommandError as error:
            body = ("cmd.error", {"id": command_id, "status": "failed", "error": {"code": error.code, "message": error.message}})
        with self.lock:
            self.answers[command_id] = body
        self.say("cmd/res", *body)

    def run(self, op, args):
        if not isinstance(args, dict):
            raise CommandError("E_INVALID_ARGS", "args must be an object")
        if op == "batch.execute":
            return {"results": [self.batch_item(item) for item in self.commands(args)]}
        if op not in self.tools:
            raise CommandError("E_UNKNOWN_OP", f"this device has no tool {op}")
        try:
            return self.tools[op](args)
        except CommandError:
            raise
        except Exception as error:  # a tool that breaks is an answer, not the end
            raise CommandError("E_DEVICE", f"{op} failed: {error}") from error

    def commands(self, args):
        items = args.get("commands")
        if not isinstance(items, list) or not 1 <= len(items) <= 32 or not all(isinstance(item, dict) for item in items):
            raise CommandError("E_INVALID_ARGS", "args.commands must be a list of 1-32 commands {id, op, args}")
        return items

    def batch_item(self, item):
        try:
            if item.get("op") == "batch.execute":
                raise CommandError("E_INVALID_ARGS", "a batch cannot stand inside a batch")
            return {"command_id": item.get("id"), "status": "success", "result": self.run(item.get("op"), item.get("args", {}))}
        except CommandError as error:
            return {"command_id": item.get("id"), "status": "error", "error": {"code": error.code, "message": error.message}}

    def live(self, state_every, work):
        """Until Ctrl-C; then a goodbye, so that the will is not needed."""
        self.client.loop_start()
        next_state = time.monotonic() + state_every
        try:
            while True:
                work()
                time.sleep(5)
                if time.monotonic() >= next_state:
                    next_state += state_every
                    self.state()
        except KeyboardInterrupt:
            self.client.publish(f"{self.base}/lwt", self.stamped("lwt", {"status": "offline", "reason": "shutdown"}), qos=1, retain=True).wait_for_publish(2)
            self.client.disconnect()
            self.client.loop_stop()


class Sensor:
    """The device itself: it knows a temperature, and how to read it several times."""

    def temperature(self):
        return round(21 + random.random(), 2)

    def read(self, args):
        samples = args.get("samples", 1)
        if isinstance(samples, bool) or not isinstance(samples, int) or not 1 <= samples <= 10:
            raise CommandError("E_INVALID_ARGS", "args.samples must be a whole number from 1 to 10")
        return {"temperature_c": [self.temperature() for _ in range(samples)]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--tenant", default="home")
    parser.add_argument("--site", default="living")
    parser.add_argument("--id", default="0200000000aa", help="12 lower-case hex digits, or a free id")
    parser.add_argument("--username")
    parser.add_argument("--password")
    parser.add_argument("--ca", help="certificate authority of the broker (PEM): switches TLS on")
    parser.add_argument("--cert", help="the device's own certificate (PEM), when the broker asks for one")
    parser.add_argument("--key", help="its private key (PEM)")
    parser.add_argument("--state-every", type=float, default=300, help="seconds")
    options = parser.parse_args()

    sensor = Sensor()
    attributes = {"device_type": "sensor", "manufacturer": "Example", "model": "python-sensor", "firmware_version": "1.0.0", "mac_address": options.id}
    device = Device(options, attributes, {"sensor.read": sensor.read})
    device.event("system.start", {"reason": "power_on"})
    device.live(options.state_every, lambda: device.telemetry("temperature", sensor.temperature(), "celsius"))


if __name__ == "__main__":
    main()
