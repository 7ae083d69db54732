#!/usr/bin/env python3
"""paho-mqtt against a shop's broker: both protocol versions ask and are answered, and a forged publish gets nowhere.

usage: paho_client.py HOST PORT STORE DEVICE OTHER_DEVICE [PASSWORD_PREFIX]

A device's password is the prefix followed by its id; without a prefix it gives none (the demo's open registry).
Something must answer requests (the daemon, or the echo service). Exit code 0 if all holds; one line per check.
"""
import queue
import sys
import uuid

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

DEADLINE_S = 20
HOST, PORT, STORE, DEVICE, OTHER = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]
PREFIX = sys.argv[6] if len(sys.argv) > 6 else None
ROOT = f"aisle/1/{STORE}"


class Till:
    """One connection of a till, and what happens on it, in order."""

    def __init__(self, version, device=DEVICE, client_id=""):
        self.happenings = queue.Queue()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version)
        self.client.username_pw_set(device, None if PREFIX is None else PREFIX + device)
        self.client.on_connect = lambda c, u, f, rc, p: self.happenings.put(("connect", rc))
        self.client.on_subscribe = lambda c, u, mid, rcs, p: self.happenings.put(("subscribe", rcs[0]))
        self.client.on_publish = lambda c, u, mid, rc, p: self.happenings.put(("publish", rc))
        self.client.on_message = lambda c, u, message: self.happenings.put(("message", message))
        self.client.on_disconnect = lambda c, u, f, rc, p: self.happenings.put(("disconnect", rc))

    def __enter__(self):
        self.client.connect(HOST, PORT, keepalive=30)
        self.client.loop_start()
        code = self.wait("connect")
        check(not code.is_failure, f"connect: {code}")
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    def wait(self, *kinds):
        """What the next happening of one of these kinds brought."""
        while True:
            kind, what = self.happenings.get(timeout=DEADLINE_S)
            if kind in kinds:
                return what if len(kinds) == 1 else (kind, what)


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED {what}")
    print(f"ok {what}")


def asks_and_is_answered(version, name, instance):
    with Till(version) as till:
        till.client.subscribe(f"{ROOT}/dev/{DEVICE}/rep/+", qos=1)
        check(not till.wait("subscribe").is_failure, f"{name}: subscription to its own replies")
        properties = None
        if version == mqtt.MQTTv5:
            properties = Properties(PacketTypes.PUBLISH)
            properties.ResponseTopic = f"{ROOT}/dev/{DEVICE}/rep/{instance}"
            properties.CorrelationData = b"\x00\x01paho"
            properties.ContentType = "application/json"
        request = '{"v":1,"id":"%s","data":{"token":{"kind":"card","value":"none"}}}' % uuid.uuid4()
        till.client.publish(f"{ROOT}/dev/{DEVICE}/req/scan", request, qos=1, properties=properties)
        reply = till.wait("message")
        check(reply.topic == f"{ROOT}/dev/{DEVICE}/rep/{instance}", f"{name}: reply on {reply.topic}")
        if version == mqtt.MQTTv5:
            check(reply.properties.CorrelationData == b"\x00\x01paho", f"{name}: correlation data echoed")
            check(reply.properties.ContentType == "application/json", f"{name}: content type of the request")


def is_kept_to_itself():
    """A broker may refuse a foreign subscription (the embedded one) or grant it and stay silent (Mosquitto)."""
    with Till(mqtt.MQTTv5) as spy, Till(mqtt.MQTTv5, OTHER) as other:
        for foreign in ("#", f"{ROOT}/dev/{OTHER}/rep/#", f"$share/x/{ROOT}/dev/+/rep/+"):
            spy.client.subscribe(foreign, qos=1)
            spy.wait("subscribe")
        other.client.subscribe(f"{ROOT}/dev/{OTHER}/rep/+", qos=1)
        other.wait("subscribe")
        other.client.publish(f"{ROOT}/dev/{OTHER}/req/scan", b"{}", qos=1)
        other.wait("message")
        spy.client.subscribe(f"{ROOT}/dev/{DEVICE}/rep/+", qos=1)
        spy.wait("subscribe")
        spy.client.publish(f"{ROOT}/dev/{DEVICE}/req/scan", b"{}", qos=1)
        while True:
            heard = spy.wait("message").topic
            check(f"/{OTHER}/" not in heard, f"hears {heard}, nothing of another device")
            if heard.startswith(f"{ROOT}/dev/{DEVICE}/rep/"):
                break
        spy.client.publish(f"{ROOT}/dev/{OTHER}/req/commit", b"forged", qos=1)
        check(spy.wait("publish").is_failure, "publish as another device refused")


def main():
    asks_and_is_answered(mqtt.MQTTv5, "MQTT 5", "paho")
    asks_and_is_answered(mqtt.MQTTv311, "MQTT 3.1.1", "v3")
    is_kept_to_itself()


main()
