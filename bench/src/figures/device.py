"""A device in the manner of the integration guide: paho-mqtt, events kept in SQLite until they are acknowledged."""
import collections
import json
import sqlite3
import sys
import threading
import time

import paho.mqtt.client as mqtt

port, path, per_second = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
BASE = "rtk/v1/home/bench/player-1"
db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; CREATE TABLE pending (id INTEGER PRIMARY KEY, topic TEXT, payload TEXT)")
acked, rows, online = collections.deque(), {}, threading.Event()


def on_publish(client, userdata, mid):
    # paho calls this with its own lock held, which publish() takes too: a lock of ours around both would be the end of it.
    acked.append(mid)


client = mqtt.Client("player-1", clean_session=False)
client.on_publish = on_publish
client.on_connect = lambda *_: online.set()
client.connect("127.0.0.1", port, 60)
client.loop_start()
online.wait()
start, n = time.monotonic(), 0
while True:
    time.sleep(max(0, start + n / per_second - time.monotonic()))
    at_us, now = time.time_ns() // 1000, int(time.time() * 1000)
    if n % 2 == 0:
        data = {"at_us": at_us, "interface": "eth0", "status": "up"}
        body = {"schema": "evt.bench/1.0", "ts": now, "device_id": "player-1", "event_type": "bench", "severity": "info", "data": data}
        text = json.dumps(body)
        row = db.execute("INSERT INTO pending (topic, payload) VALUES (?, ?)", (BASE + "/evt/bench", text)).lastrowid
        rows[client.publish(BASE + "/evt/bench", text, qos=1).mid] = row
        for _ in range(len(acked)):
            mid = acked.popleft()
            row = rows.pop(mid, None)
            if row:
                db.execute("DELETE FROM pending WHERE id = ?", (row,))
    else:
        body = {"schema": "telemetry.bench/1.0", "ts": now, "value": at_us, "unit": "us"}
        client.publish(BASE + "/telemetry/bench", json.dumps(body), qos=0)
    n += 1
