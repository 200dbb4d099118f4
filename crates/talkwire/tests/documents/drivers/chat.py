"""Drives the printed chat class: what is typed is sent; an empty line ends it. Arguments: the printed program, the port."""

import importlib.util
import sys

spec = importlib.util.spec_from_file_location("printed", sys.argv[1])
printed = importlib.util.module_from_spec(spec)
spec.loader.exec_module(printed)

client = printed.ChatRoomMQTTClient("driven_client_001", "测试员", broker_port=int(sys.argv[2]))
if not client.connect():
    sys.exit("not connected")
try:
    for line in sys.stdin:
        if not line.strip():
            break
        client.send_message(line.strip())
finally:
    client.disconnect()
