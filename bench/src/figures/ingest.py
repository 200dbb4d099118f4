"""The best short script: everything from MQTT into SQLite, in batches, each batch with fsync."""
import json
import sqlite3
import sys
import time

import paho.mqtt.client as mqtt

port, path = int(sys.argv[1]), sys.argv[2]
db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
db.executescript(
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
    "CREATE TABLE sample (device TEXT, metric TEXT, ts_ms INTEGER, value REAL, unit TEXT);"
    "CREATE INDEX by_device ON sample (device, metric, ts_ms)"
)
rows, stored, first, last = [], 0, None, None


def commit():
    global stored, rows, last
    if rows:
        db.execute("BEGIN")
        db.executemany("INSERT INTO sample VALUES (?, ?, ?, ?, ?)", rows)
        db.execute("COMMIT")
        stored, rows, last = stored + len(rows), [], time.monotonic()


def on_message(client, userdata, message):
    global first
    first = first or time.monotonic()
    levels = message.topic.split("/")
    body = json.loads(message.payload)
    rows.append((levels[4], levels[6], body["ts"], body["value"], body["unit"]))
    if len(rows) >= 1000:
        commit()


def on_connect(client, userdata, flags, rc):
    client.subscribe("rtk/#", 1)


def on_subscribe(client, userdata, mid, granted):
    print("ready", flush=True)


client = mqtt.Client("script")
client.on_connect, client.on_message, client.on_subscribe = on_connect, on_message, on_subscribe
client.connect("127.0.0.1", port)
began = time.monotonic()
while True:
    client.loop(0.05)
    if len(rows) and time.monotonic() - (last or first) > 0.05:
        commit()
    quiet = time.monotonic() - (last or began)
    if quiet > (2 if last else 60):
        break
counted = db.execute("SELECT count(*) FROM sample").fetchone()[0]
print(json.dumps({"rows": counted, "took_s": (last or 0) - (first or 0)}), flush=True)
