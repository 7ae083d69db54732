#!/usr/bin/env python3
"""A device fetches its identity from the shop's box with a code that a person read to it. Standard library only.

usage: enroll.py HOST PORT DEVICE CODE FINGERPRINT FOLDER

CODE and FINGERPRINT are what `aisled devices enroll DEVICE` shows on the box. Into FOLDER go ca.pem (whom the device believes from
now on), device.json (store, user name) and password (mode 0600). Then MQTT over TLS with ca.pem, user name and password.
"""
import hashlib
import http.client
import json
import os
import ssl
import sys

HOST, PORT, DEVICE, CODE, FINGERPRINT, FOLDER = sys.argv[1], int(sys.argv[2]), *sys.argv[3:7]


def ask(context, method, path, body=None):
    connection = http.client.HTTPSConnection(HOST, PORT, context=context, timeout=10)
    connection.request(method, path, body)
    response = connection.getresponse()
    text = response.read().decode()
    if response.status != 200:
        problem = json.loads(text)
        sys.exit(f"{problem['code']} {problem['title']}")
    return text


# 1. The authority, from whoever answers: nothing is believed yet.
nobody = ssl._create_unverified_context()
authority = ask(nobody, "GET", "/ca.pem")
# 2. It is the shop's if its fingerprint is the one that the person was shown.
shown = hashlib.sha256(ssl.PEM_cert_to_DER_cert(authority)).hexdigest()
if shown != FINGERPRINT.replace(":", "").replace(" ", "").lower():
    sys.exit(f"somebody stands between this device and the box: fingerprint {shown}")
# 3. From here on the box proves who it is; only now the code is told.
context = ssl.create_default_context(cadata=authority)
context.minimum_version = ssl.TLSVersion.TLSv1_3
identity = json.loads(ask(context, "POST", "/enroll", json.dumps({"device": DEVICE, "code": CODE})))

os.makedirs(FOLDER, exist_ok=True)
with open(os.path.join(FOLDER, "ca.pem"), "w") as file:
    file.write(identity.pop("ca"))
private = os.open(os.path.join(FOLDER, "password"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
with os.fdopen(private, "w") as file:
    file.write(identity.pop("password"))
with open(os.path.join(FOLDER, "device.json"), "w") as file:
    json.dump(identity, file)
print(f"{identity['device']} is a {identity['role']} of {identity['store']}")
