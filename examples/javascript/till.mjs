// A kiosk or till in JavaScript (the `mqtt` package, MQTT 5): scan a member, quote a basket, commit the sale, with retry.
//
// usage: node till.mjs HOST PORT STORE DEVICE PASSWORD
//
// The one rule of retrying: ask again with the same id. The shop's box answers a request it has decided with the first
// answer, so a sale whose reply was lost is never sold twice. Keep id and body on disk until the reply is there.
import { randomInt, randomUUID } from "node:crypto";
import mqtt from "mqtt";

const [host, port, store, device, password] = process.argv.slice(2);
const base = `aisle/1/${store}/dev/${device}`;
const replyTo = `${base}/rep/main`;
const answerWithinMs = 5000;
const tries = 6;

const client = await mqtt.connectAsync(`mqtt://${host}:${port}`, {
  protocolVersion: 5, clientId: device, username: device, password,
});
await client.subscribeAsync(replyTo, { qos: 1 });
const waiting = new Map();
client.on("message", (_topic, payload) => {
  const reply = JSON.parse(payload);
  waiting.get(reply.re)?.(reply);
});

/** The reply's data, or an error with the stable code of the problem. */
async function ask(op, data) {
  const id = randomUUID();
  const request = JSON.stringify({ v: 1, id, data });
  const properties = { responseTopic: replyTo, correlationData: Buffer.from(id), contentType: "application/json" };
  for (let tried = 0; tried < tries; tried++) {
    let timer;
    const answer = new Promise((resolve) => {
      waiting.set(id, resolve);
      timer = setTimeout(resolve, answerWithinMs);
    });
    await client.publishAsync(`${base}/req/${op}`, request, { qos: 1, properties });
    const reply = await answer;
    clearTimeout(timer);
    waiting.delete(id);
    if (!reply || reply.status === 429 || reply.status === 503) continue; // no answer, or "not now": the same again
    if (reply.status !== 200) throw new Error(`${reply.code} ${reply.title}: ${reply.detail ?? ""}`);
    return reply.data;
  }
  throw new Error(`${op}: no answer; the request may be sent again later, with the same id`);
}

const member = { kind: "card", value: "88001001" };
const scan = await ask("scan", { token: member });
console.log("member:", scan.member?.id ?? null, "- offers:", scan.offers.map((offer) => offer.title));
const basket = { lines: [{ line: "1", sku: "6901234000017", qty: 2 }] };
const quote = await ask("quote", { basket, member });
console.log("to pay:", quote.total, "of", quote.subtotal, "-", quote.applied.map((applied) => applied.title));
const receipt = await ask("commit", {
  transaction: { business_day: new Date().toISOString().slice(0, 10), seq: randomInt(1, 1_000_000) },
  quote: quote.quote,
  tenders: [{ kind: "cash", amount: quote.total }],
});
if (receipt.total !== quote.total) throw new Error("the receipt is not as quoted");
console.log("sold:", receipt.total, "- decision", receipt.decision);
await client.endAsync();
