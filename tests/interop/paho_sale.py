#!/usr/bin/env python3
"""A sale as a till vendor would write it from asyncapi.yaml alone: scan, quote, commit, the same commit again.

usage: paho_sale.py HOST PORT STORE DEVICE PASSWORD_PREFIX
"""
import json
import queue
import sys
import uuid

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

HOST, PORT, STORE, DEVICE, PREFIX = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]
ROOT = f"aisle/1/{STORE}/dev/{DEVICE}"
REPLIES = queue.Queue()


def ask(client, op, data, request_id=None):
    request_id = request_id or str(uuid.uuid4())
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic = f"{ROOT}/rep/main"
    properties.CorrelationData = request_id.encode()
    properties.ContentType = "application/json"
    body = json.dumps({"v": 1, "id": request_id, "data": data})
    client.publish(f"{ROOT}/req/{op}", body, qos=1, properties=properties)
    while True:
        message = REPLIES.get(timeout=20)
        if message.properties.CorrelationData == request_id.encode():
            return json.loads(message.payload)


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED {what}")
    print(f"ok {what}")


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=DEVICE, protocol=mqtt.MQTTv5)
client.username_pw_set(DEVICE, PREFIX + DEVICE)
subscribed = queue.Queue()
client.on_message = lambda c, u, message: REPLIES.put(message)
client.on_subscribe = lambda c, u, mid, codes, p: subscribed.put(codes[0])
client.connect(HOST, PORT)
client.loop_start()
client.subscribe(f"{ROOT}/rep/main", qos=1)
subscribed.get(timeout=20)

check(ask(client, "scan", {"token": {"kind": "card", "value": "none"}})["data"]["member"] is None, "an unknown card is nobody")
lines = [{"line": "1", "sku": "open-price-article", "qty": 2, "unit_price": 1250}]
quote = ask(client, "quote", {"basket": {"lines": lines}})
check(quote["status"] == 200 and quote["data"]["subtotal"] == 2500, "a basket is priced")
sale = {
    "transaction": {"business_day": "2026-11-21", "seq": uuid.uuid4().int % 1_000_000 + 1},
    "quote": quote["data"]["quote"],
    "tenders": [{"kind": "cash", "amount": quote["data"]["total"]}],
}
request_id = str(uuid.uuid4())
receipt = ask(client, "commit", sale, request_id)
check(receipt["status"] == 200 and receipt["data"]["total"] == quote["data"]["total"], "the sale is as quoted")
again = ask(client, "commit", sale, request_id)
check(again.get("replayed") is True and again["data"] == receipt["data"], "the same request gets the first answer again")
refused = ask(client, "commit", dict(sale, tenders=[]), request_id)
check(refused["status"] == 409 and refused["code"] == "AIS-1012", "the same id with another body is refused")
client.disconnect()
client.loop_stop()
