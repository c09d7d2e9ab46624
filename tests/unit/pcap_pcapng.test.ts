import assert from "node:assert/strict";
import fc from "fast-check";
import { LinkType } from "../../src/pcap/format.ts";
import { nameBlock, PcapngWriter } from "../../src/pcap/pcapng.ts";
import { readPcapng } from "../../src/pcap/pcapng_reader.ts";
import { udpFrame } from "../../src/pcap/udp_frame.ts";
import { needing, run } from "../e2e/support/program.ts";
import { address, concat, hex } from "../support/packets.ts";

/**
 * A cell in a datagram from 10.9.0.1:5000 to 10.9.0.2:5001, as text2pcap (Wireshark 4.0.17) made it
 * up.
 */
const FRAME = hex(`
  45000028 12340000 ff11957c 0a090001 0a090002
  13881389 001494ce
  51000000 00000001 70696e67`);

/** 2023-11-14 22:13:20.123456 UTC. */
const TIME = 1_700_000_000_123.456;

function writer(): PcapngWriter {
  return new PcapngWriter({
    application: "onion 0.1.0",
    interfaces: [{ linkType: LinkType.raw, name: "tun1" }],
  });
}

/** The 64-bit timestamp in an Enhanced Packet Block, by way of bigint. */
function timestampOf(packet: Uint8Array): bigint {
  const view = new DataView(packet.buffer, packet.byteOffset);
  return BigInt(view.getUint32(12, true)) << 32n | BigInt(view.getUint32(16, true));
}

Deno.test("pcapng writer: golden section header of editcap", () => {
  // editcap (Wireshark 4.0.17) gives this application.
  const application = "Editcap (Wireshark) 4.0.17 (Git v4.0.17 packaged as 4.0.17-0+deb12u3)";
  const header = new PcapngWriter({ application, interfaces: [{ linkType: LinkType.raw, name: "" }] })
    .header();
  assert.deepEqual(
    header.subarray(0, 0x6c),
    hex(`
      0a0d0d0a 6c000000 4d3c2b1a 01000000 ffffffff ffffffff
      04004500 45646974 63617020 28576972 65736861 726b2920 342e302e 3137 2028 4769 7420 7634 2e30
      2e31 3720 7061 636b 6167 6564 2061 7320 342e 302e 3137 2d30 2b64 6562 3132 7533 29000000 00000000
      6c000000`),
  );
});

Deno.test("pcapng writer: golden interface of text2pcap", () => {
  const header = writer().header();
  assert.deepEqual(
    header.subarray(-0x28),
    // text2pcap -l 101 -N tun1 (Wireshark 4.0.17), but for if_tsresol, which is 9 there.
    hex("01000000 28000000 65000000 00000400 02000400 74756e31 09000100 06000000 00000000 28000000"),
  );
});

Deno.test("pcapng writer: golden interfaces and names, field by field", () => {
  const header = new PcapngWriter({
    application: "onion",
    interfaces: [
      { linkType: LinkType.raw, name: "tun1", description: "packets" },
      { linkType: LinkType.ipv4, name: "cells" },
    ],
    names: [
      { address: address("10.9.0.1"), names: ["proxy"] },
      { address: address("10.9.0.2"), names: ["r1", "exit"] },
    ],
  }).header();
  assert.deepEqual(
    header,
    concat(
      // Section: shb_userappl "onion".
      hex(
        "0a0d0d0a 2c000000 4d3c2b1a 0100 0000 ffffffffffffffff  0400 0500 6f6e696f6e 000000  00000000 2c000000",
      ),
      // Interface (§4.2): LINKTYPE_RAW, 262,144 bytes; if_name "tun1", if_description "packets",
      // if_tsresol 6.
      hex("01000000 34000000 6500 0000 00000400  0200 0400 74756e31"),
      hex("0300 0700 7061636b657473 00  0900 0100 06 000000  00000000 34000000"),
      // LINKTYPE_IPV4; if_name "cells", if_tsresol 6.
      hex("01000000 2c000000 e400 0000 00000400  0200 0500 63656c6c73 000000  0900 0100 06 000000"),
      hex("00000000 2c000000"),
      // Names (§4.5): addresses in network order, names ended by zero; nrb_record_end.
      hex("04000000 30000000  0100 0a00 0a090001 70726f787900 0000"),
      hex("0100 0c00 0a090002 723100 6578697400  00000000 30000000"),
    ),
  );
});

Deno.test("pcapng writer: golden packet with a comment of editcap", () => {
  const comment = "relay data, circuit 0x01";
  const rest = concat(
    hex("28000000 28000000"),
    FRAME,
    hex("0100 1800 72656c61792064617461 2c2063697263756974 2030783031 00000000 68000000"),
  );
  assert.deepEqual(
    writer().packet(TIME, FRAME, comment),
    concat(hex("06000000 68000000 00000000 240a0600 40222018"), rest),
  );
});

Deno.test("pcapng writer: pads a packet with zeros, without options if there is no comment", () => {
  const packet = writer().packet(TIME, hex("0102030405"));
  assert.deepEqual(
    packet,
    hex("06000000 28000000 00000000 240a0600 40222018 05000000 05000000 01020304 05000000 28000000"),
  );
});

Deno.test("pcapng writer: keeps whole microseconds exact until 2109", () => {
  const last = BigInt(Date.UTC(2109, 0)) * 1000n;
  fc.assert(fc.property(fc.bigInt(0n, last), (microseconds) => {
    // The nearest double, which is what a sum of a clock's parts comes to.
    const timestamp = Number(microseconds) / 1000;
    assert.equal(timestampOf(writer().packet(timestamp, FRAME)), microseconds);
  }));
});

Deno.test("pcapng writer: carries a fraction that rounds up to a millisecond", () => {
  const timestamp = 2 ** 32 - 2 ** -20;
  assert.equal(timestampOf(writer().packet(timestamp, FRAME)), 1000n << 32n);
});

Deno.test("pcapng writer: rejects a long comment and an unknown interface", () => {
  assert.throws(
    () => writer().packet(TIME, FRAME, "x".repeat(65_536)),
    new RangeError("a text of 65536 bytes is too long for a capture file"),
  );
  assert.throws(
    () => writer().packet(TIME, FRAME, "", 1),
    new RangeError("the capture has no interface 1"),
  );
  const [packet] = readPcapng(
    concat(writer().header(), writer().packet(TIME, FRAME, "x".repeat(65_535))),
  );
  assert.equal(packet?.kind === "packet" && packet.comments[0]?.length, 65_535);
});

const proxy = { address: address("10.9.0.1"), port: 5000 };
const router = { address: address("10.9.0.2"), port: 5001 };
const cell = hex("51000000 00000001 70696e67");

/** What tcpdump prints of a file; -v has it check checksums. */
async function tcpdump(file: Uint8Array): Promise<string> {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    await Deno.writeFile(path, file);
    const { code, stdout, stderr } = await run("tcpdump", ["-nn", "-v", "-tt", "-r", path]);
    assert.equal(code, 0, stderr);
    return stdout;
  } finally {
    await Deno.remove(path);
  }
}

Deno.test(needing("pcapng writer: tcpdump prints cells as datagrams", "tcpdump"), async () => {
  const capture = new PcapngWriter({
    application: "onion 0.1.0",
    interfaces: [{ linkType: LinkType.raw, name: "link" }],
    names: [{ address: proxy.address, names: ["proxy"] }, { address: router.address, names: ["router-1"] }],
  });
  const printed = await tcpdump(concat(
    capture.header(),
    capture.packet(TIME, udpFrame(proxy, router, cell), "relay data"),
    nameBlock([{ address: address("10.9.0.3"), names: ["router-2"] }]),
    capture.packet(TIME + 1, udpFrame(router, proxy, cell.subarray(0, 11)), "an odd length"),
  ));
  assert.match(
    printed,
    /^1700000000\.123456 IP \(tos 0x0, ttl 64, id 0, offset 0, flags \[DF\], proto UDP \(17\), length 40\)\n +10\.9\.0\.1\.5000 > 10\.9\.0\.2\.5001: .*UDP, length 12$/m,
  );
  assert.match(printed, /^1700000000\.124456 [^]+ 10\.9\.0\.2\.5001 > 10\.9\.0\.1\.5000: .*UDP, length 11$/m);
  assert.doesNotMatch(printed, /bad|truncated/);
});

Deno.test(
  needing("pcapng writer: tcpdump reads several interfaces of one link type", "tcpdump"),
  async () => {
    const capture = new PcapngWriter({
      application: "onion 0.1.0",
      interfaces: [
        { linkType: LinkType.ipv4, name: "tun1" },
        { linkType: LinkType.ipv4, name: "link" },
      ],
    });
    const printed = await tcpdump(concat(
      capture.header(),
      capture.packet(TIME, FRAME),
      capture.packet(TIME + 1, udpFrame(proxy, router, cell), "relay data", 1),
    ));
    assert.match(printed, /^1700000000\.123456 [^]+^1700000000\.124456 /m);
    assert.doesNotMatch(printed, /bad|truncated/);
  },
);
