#!/usr/bin/env python3
"""A till in Python (paho-mqtt 2, MQTT 5): scan a member, quote a basket, commit the sale, with retry.

usage: till.py HOST PORT STORE DEVICE PASSWORD [SKU]

The one rule of retrying: ask again with the same id. The shop's box answers a request it has decided with the first
answer, so a sale whose reply was lost is never sold twice. Keep id and body on disk until the reply is there.
"""
import json
import queue
import sys
import uuid
from datetime import date

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

HOST, PORT, STORE, DEVICE, PASSWORD = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]
SKU = sys.argv[6] if len(sys.argv) > 6 else "6901234000017"
BASE = f"aisle/1/{STORE}/dev/{DEVICE}"
REPLY_TO = f"{BASE}/rep/main"
ANSWER_WITHIN_S, TRIES = 5, 6


class Till:
    def __init__(self):
        self.replies = queue.Queue()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=DEVICE, protocol=mqtt.MQTTv5)
        self.client.username_pw_set(DEVICE, PASSWORD)
        self.client.on_connect = lambda client, *_: client.subscribe(REPLY_TO, qos=1)
        self.client.on_message = lambda client, _, message: self.replies.put(json.loads(message.payload))
        self.client.connect(HOST, PORT)
        self.client.loop_start()  # connects again by itself when the line breaks

    def ask(self, op, data):
        """The reply's data, or an exception with the stable code of the problem."""
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = REPLY_TO
        properties.ContentType = "application/json"
        request = json.dumps({"v": 1, "id": str(uuid.uuid4()), "data": data})
        properties.CorrelationData = json.loads(request)["id"].encode()
        for _ in range(TRIES):
            self.client.publish(f"{BASE}/req/{op}", request, qos=1, properties=properties)
            reply = self.reply_to(json.loads(request)["id"])
            if reply is None or reply["status"] in (429, 503):
                continue  # no answer, or "not now": the same request again
            if reply["status"] != 200:
                raise RuntimeError(f"{reply['code']} {reply['title']}: {reply.get('detail', '')}")
            return reply["data"]
        raise TimeoutError(f"{op}: no answer; the request may be sent again later, with the same id")

    def reply_to(self, request_id):
        while True:
            try:
                reply = self.replies.get(timeout=ANSWER_WITHIN_S)
            except queue.Empty:
                return None
            if reply.get("re") == request_id:
                return reply


till = Till()
member = {"kind": "card", "value": "88001001"}
scan = till.ask("scan", {"token": member})
print("member:", scan["member"] and scan["member"]["id"], "- offers:", [offer["title"] for offer in scan["offers"]])
basket = {"lines": [{"line": "1", "sku": SKU, "qty": 2}]}
quote = till.ask("quote", {"basket": basket, "member": member})
print("to pay:", quote["total"], "of", quote["subtotal"], "-", [applied["title"] for applied in quote["applied"]])
receipt = till.ask("commit", {
    "transaction": {"business_day": date.today().isoformat(), "seq": uuid.uuid4().int % 1_000_000 + 1},
    "quote": quote["quote"],
    "tenders": [{"kind": "cash", "amount": quote["total"]}],
})
assert receipt["total"] == quote["total"]
print("sold:", receipt["total"], "- decision", receipt["decision"])
