// A till in Java 17 with nothing but the JDK, for terminals where no library can be installed: MQTT 3.1.1 by hand.
// Scan a member, quote a basket, commit the sale, with retry.
//
// usage: java Till.java HOST PORT STORE DEVICE PASSWORD
//
// The one rule of retrying: ask again with the same id. The shop's box answers a request it has decided with the first
// answer, so a sale whose reply was lost is never sold twice. Keep id and body on disk until the reply is there.
// MQTT 3.1.1 has no response topic: replies come to rep/v3 and carry the request's id as "re".
import java.io.*;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Till {
    static final int ANSWER_WITHIN_MS = 5000, TRIES = 6, KEEP_ALIVE_S = 60;
    static final int CONNECT = 0x10, PUBLISH_QOS1 = 0x32, PUBACK = 0x40, SUBSCRIBE = 0x82;

    final String host, device, password, base;
    final int port;
    Socket socket;
    DataInputStream in;
    OutputStream out;
    int packet = 0;

    Till(String host, int port, String store, String device, String password) {
        this.host = host;
        this.port = port;
        this.device = device;
        this.password = password;
        this.base = "aisle/1/" + store + "/dev/" + device;
    }

    void connect() throws IOException {
        socket = new Socket(host, port);
        socket.setSoTimeout(ANSWER_WITHIN_MS);
        in = new DataInputStream(new BufferedInputStream(socket.getInputStream()));
        out = socket.getOutputStream();
        var body = new Body();
        body.text("MQTT");
        body.writeByte(4);    // version 3.1.1
        body.writeByte(0xC2); // user name, password, clean session
        body.writeShort(KEEP_ALIVE_S);
        body.text(device);
        body.text(device);
        body.text(password);
        send(CONNECT, body);
        byte[] accepted = receive().body;
        if (accepted[1] != 0) throw new IOException("the broker refused " + device + ": return code " + accepted[1]);
        body = new Body();
        body.writeShort(nextPacket());
        body.text(base + "/rep/v3");
        body.writeByte(1);
        send(SUBSCRIBE, body);
        receive(); // SUBACK
    }

    /** The reply as JSON text. Throws with the stable code of a problem. */
    String ask(String op, String data) throws IOException {
        String id = UUID.randomUUID().toString();
        String request = "{\"v\":1,\"id\":\"" + id + "\",\"data\":" + data + "}";
        for (int tried = 0; tried < TRIES; tried++) {
            try {
                if (socket == null) connect();
                var body = new Body();
                body.text(base + "/req/" + op);
                body.writeShort(nextPacket());
                body.write(request.getBytes(StandardCharsets.UTF_8));
                send(PUBLISH_QOS1, body);
                String reply = replyTo(id);
                String status = field(reply, "status");
                if (status.equals("200")) return reply;
                if (status.equals("429") || status.equals("503")) continue; // not now: the same again
                throw new IllegalStateException(field(reply, "code") + " " + field(reply, "title"));
            } catch (SocketTimeoutException silence) {
                // No answer: the same request again.
            } catch (IOException broken) {
                if (tried == TRIES - 1) throw broken;
                if (socket != null) socket.close();
                socket = null;
            }
        }
        throw new IOException(op + ": no answer; the request may be sent again later, with the same id");
    }

    String replyTo(String id) throws IOException {
        while (true) {
            Packet packet = receive();
            if ((packet.kind & 0xF0) != 0x30) continue; // PUBACK of our own
            var body = new DataInputStream(new ByteArrayInputStream(packet.body));
            body.skipBytes(body.readUnsignedShort()); // topic
            if ((packet.kind & 0x06) != 0) {
                var acknowledgement = new Body();
                acknowledgement.writeShort(body.readUnsignedShort());
                send(PUBACK, acknowledgement);
            }
            String reply = new String(body.readAllBytes(), StandardCharsets.UTF_8);
            if (field(reply, "re").equals(id)) return reply;
        }
    }

    record Packet(int kind, byte[] body) {}

    /** A packet's variable part. */
    static class Body extends DataOutputStream {
        Body() { super(new ByteArrayOutputStream()); }

        void text(String text) throws IOException {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            writeShort(bytes.length);
            write(bytes);
        }

        byte[] bytes() { return ((ByteArrayOutputStream) out).toByteArray(); }
    }

    int nextPacket() { return packet = packet % 65535 + 1; }

    void send(int kind, Body body) throws IOException {
        byte[] bytes = body.bytes();
        var packet = new ByteArrayOutputStream();
        packet.write(kind);
        int length = bytes.length;
        do {
            packet.write(length > 127 ? length % 128 | 128 : length);
            length /= 128;
        } while (length > 0);
        packet.write(bytes);
        out.write(packet.toByteArray());
        out.flush();
    }

    Packet receive() throws IOException {
        int kind = in.readUnsignedByte(), length = 0, shift = 0, digit;
        do {
            digit = in.readUnsignedByte();
            length |= (digit & 127) << shift;
            shift += 7;
        } while ((digit & 128) != 0);
        byte[] body = new byte[length];
        in.readFully(body);
        return new Packet(kind, body);
    }

    /** A plain value of a JSON document by its first occurrence: enough here; a real till has a JSON library. */
    static String field(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\":(?:\"([^\"]*)\"|(-?\\d+))").matcher(json);
        if (!found.find()) return "";
        return found.group(1) != null ? found.group(1) : found.group(2);
    }

    public static void main(String[] args) throws Exception {
        var till = new Till(args[0], Integer.parseInt(args[1]), args[2], args[3], args[4]);
        String member = "{\"kind\":\"card\",\"value\":\"88001001\"}";
        System.out.println("scan: " + till.ask("scan", "{\"token\":" + member + "}"));
        String line = "{\"line\":\"1\",\"sku\":\"6901234000017\",\"qty\":2}";
        String quote = till.ask("quote", "{\"basket\":{\"lines\":[" + line + "]},\"member\":" + member + "}");
        String total = field(quote, "total");
        System.out.println("to pay: " + total + " of " + field(quote, "subtotal"));
        int seq = ThreadLocalRandom.current().nextInt(1, 1_000_000);
        String receipt = till.ask("commit", "{\"transaction\":{\"business_day\":\"" + LocalDate.now() + "\",\"seq\":" + seq
            + "},\"quote\":\"" + field(quote, "quote") + "\",\"tenders\":[{\"kind\":\"cash\",\"amount\":" + total + "}]}");
        if (!field(receipt, "total").equals(total)) throw new IllegalStateException("the receipt is not as quoted");
        System.out.println("sold: " + field(receipt, "total") + " - decision " + field(receipt, "decision"));
        till.socket.close();
    }
}
