import { describe, expect, it } from "vitest";
import {
  acceptFor,
  bodyFraming,
  checkUpgrade,
  encodeKey,
  encodeRequest,
  findHeadEnd,
  parseHead,
  type ResponseHead,
} from "../../../durable/websocket/handshake.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

function bytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "latin1"));
}

function head(text: string): ResponseHead {
  const parsed = parseHead(bytes(text.replaceAll("\n", "\r\n")));
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

describe("the opening handshake", () => {
  it("answers the key of RFC 6455, section 1.3", async () => {
    expect(await acceptFor(KEY)).toBe(ACCEPT);
  });

  it("makes a key of 16 bytes", () => {
    expect(encodeKey(new Uint8Array(16))).toBe("AAAAAAAAAAAAAAAAAAAAAA==");
    expect(() => encodeKey(new Uint8Array(15))).toThrow(RangeError);
  });

  it("writes the request with its own handshake headers and no extension", () => {
    const request = encodeRequest(
      "/api/v1/namespaces/demo/pods/shell/exec?command=sh",
      "localhost",
      [
        ["Impersonate-User", "alice@example.com"],
        ["Sec-WebSocket-Protocol", "v5.channel.k8s.io"],
        ["Sec-WebSocket-Key", "the client's"],
        ["Sec-WebSocket-Extensions", "permessage-deflate"],
        ["Connection", "close"],
        ["Host", "elsewhere"],
      ],
      KEY,
    );
    expect(Buffer.from(request ?? []).toString("latin1")).toBe(
      [
        "GET /api/v1/namespaces/demo/pods/shell/exec?command=sh HTTP/1.1",
        "Host: localhost",
        "Impersonate-User: alice@example.com",
        "Sec-WebSocket-Protocol: v5.channel.k8s.io",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        `Sec-WebSocket-Key: ${KEY}`,
        "",
        "",
      ].join("\r\n"),
    );
  });

  it.each([
    ["a line break in a value", "/", [["Impersonate-User", "alice\r\nImpersonate-Group: system:masters"]]],
    ["a lone line feed in a value", "/", [["Impersonate-User", "alice\nX: y"]]],
    ["a character above Latin-1", "/", [["Impersonate-User", "alic\u0101"]]],
    ["a colon in a name", "/", [["X: y\r\nZ", "v"]]],
    ["an empty name", "/", [["", "v"]]],
    ["a space in the target", "/api HTTP/1.1\r\nX: y", []],
    ["a target that is no path", "http://elsewhere/", []],
  ] as [string, string, [string, string][]][])("writes no request with %s", (_, target, headers) => {
    expect(encodeRequest(target, "localhost", headers, KEY)).toBeUndefined();
  });

  it("finds the end of a head wherever it is", () => {
    expect(findHeadEnd(bytes("HTTP/1.1 101 X\r\n\r\nrest"))).toBe(18);
    expect(findHeadEnd(bytes("HTTP/1.1 101 X\r\n\r"))).toBeUndefined();
    expect(findHeadEnd(bytes("\n\n"))).toBeUndefined();
    // Wherever the search was interrupted.
    const head = bytes("HTTP/1.1 101 X\r\n\r\nrest");
    for (let searched = 0; searched < 18; searched++) expect(findHeadEnd(head, searched)).toBe(18);
  });

  it.each([
    "HTTP/2 101\r\n\r\n",
    "HTTP/1.1 101x\r\n\r\n",
    "SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "HTTP/1.1 101 OK\r\nUpgrade websocket\r\n\r\n",
    "HTTP/1.1 101 OK\r\n folded: value\r\n\r\n",
    "HTTP/1.1 101 OK\r\nUpgrade : websocket\r\n\r\n",
    "HTTP/1.1 101 OK\r\nX: a\0b\r\n\r\n",
    "HTTP/1.1 101 OK\nUpgrade: websocket\r\n\r\n",
  ])("does not read %j", (text) => {
    expect(parseHead(bytes(text)).ok).toBe(false);
  });

  const GOOD = `HTTP/1.1 101 Switching Protocols\nUpgrade: WebSocket\nConnection: keep-alive, Upgrade\nSec-WebSocket-Accept: ${ACCEPT}\nSec-WebSocket-Protocol: v5.channel.k8s.io\n\n`;

  it("takes an upgrade, and says which subprotocol was chosen", () => {
    expect(checkUpgrade(head(GOOD), ACCEPT, ["v5.channel.k8s.io"])).toEqual({ ok: true, value: "v5.channel.k8s.io" });
    const none = GOOD.replace(/Sec-WebSocket-Protocol.*\n/, "");
    expect(checkUpgrade(head(none), ACCEPT, ["v5.channel.k8s.io"])).toEqual({ ok: true, value: "" });
  });

  it.each([
    ["another status", GOOD.replace("101", "200")],
    ["another protocol to upgrade to", GOOD.replace("Upgrade: WebSocket", "Upgrade: SPDY/3.1")],
    ["no Upgrade in Connection", GOOD.replace("keep-alive, Upgrade", "keep-alive")],
    ["the accept of another key", GOOD.replace("s3pP", "S3pP")],
    ["no accept", GOOD.replace(/Sec-WebSocket-Accept.*\n/, "")],
    ["two accepts", GOOD.replace(/(Sec-WebSocket-Accept.*\n)/, "$1$1")],
    ["an extension", GOOD.replace("\n\n", "\nSec-WebSocket-Extensions: permessage-deflate\n\n")],
    ["a subprotocol that was not offered", GOOD.replace("v5.channel", "v4.channel")],
    ["two subprotocols", GOOD.replace("v5.channel.k8s.io", "v5.channel.k8s.io, v5.channel.k8s.io")],
  ])("takes none with %s", (_, text) => {
    expect(checkUpgrade(head(text), ACCEPT, ["v5.channel.k8s.io"]).ok).toBe(false);
  });
});

describe("a refusal's body", () => {
  it.each<[string, ReturnType<typeof bodyFraming>]>([
    ["HTTP/1.1 403 Forbidden\nContent-Length: 12\n\n", { kind: "length", bytes: 12 }],
    ["HTTP/1.1 403 Forbidden\nTransfer-Encoding: chunked\nContent-Length: 3\n\n", { kind: "chunked" }],
    ["HTTP/1.1 403 Forbidden\nTransfer-Encoding: gzip\n\n", { kind: "until-close" }],
    ["HTTP/1.1 403 Forbidden\nContent-Length: -1\n\n", { kind: "until-close" }],
    ["HTTP/1.1 403 Forbidden\n\n", { kind: "until-close" }],
    ["HTTP/1.1 204 No Content\n\n", { kind: "length", bytes: 0 }],
  ])("is framed as %j says", (text, framing) => {
    expect(bodyFraming(head(text))).toEqual(framing);
  });
});
