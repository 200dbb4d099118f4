"""Pieces the guide's device together as the guide shows it, method by method, and runs it until a line is typed.

Arguments: a folder with the guide's code blocks in their order, the port.
"""

import ast
import glob
import os
import sys
import time

guide = {"__name__": "guide"}
methods = {}
examples = []


def run(node):
    exec(compile(ast.Module(body=[node], type_ignores=[]), "guide", "exec"), guide)


for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.py"))):
    with open(path, encoding="utf-8") as file:
        source = file.read()
    for node in ast.parse(source).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            try:
                run(node)
            except ImportError:
                pass  # the block on encryption needs a library that this device does without
        elif isinstance(node, ast.ClassDef):
            run(node)
        elif isinstance(node, ast.FunctionDef):
            run(node)
            methods[node.name] = guide[node.name]
        elif ast.get_source_segment(source, node).startswith("client.publish_telemetry"):
            examples.append(node)

printed = guide["RTKMQTTClient"]
for name, method in methods.items():
    setattr(printed, name, method)


class Device(printed):
    """What the guide leaves to the device's maker."""

    last_command_ts = None

    def _get_uptime(self):
        return int(time.monotonic())

    def _get_cpu_usage(self):
        return 12.5

    def _get_memory_usage(self):
        return 40.0

    def _cmd_restart(self, args):
        return {"restarting": False}

    def _send_command_error(self, command_id, text):
        topic = "rtk/v1/{tenant}/{site}/{device_id}/cmd/res".format(**self.config["device"])
        answer = {"schema": "cmd.result/1.0", "ts": int(time.time() * 1000), "id": command_id, "status": "error", "error": text}
        self.client.publish(topic, guide["json"].dumps(answer), qos=1)


device = Device({
    "mqtt": {"broker_host": "127.0.0.1", "broker_port": int(sys.argv[2]), "client_id": "router-aabbccddeeff", "keep_alive": 60},
    "device": {"tenant": "your-org", "site": "main-office", "device_id": "aabbccddeeff", "device_type": "router"},
})
device.connect()
device._setup_reconnection()
while not device.connected:
    time.sleep(0.05)
device.publish_device_attributes()
device.start_state_reporting()
guide["client"] = device
for example in examples:
    run(example)
device._on_network_change("eth0", "up")
device.publish_topology_update({"devices": [], "connections": []})
print("device ready", len(examples), flush=True)
sys.stdin.readline()
os._exit(0)
