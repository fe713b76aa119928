import { describe, expect, test } from "vitest";
import {
  buildUpstreamHeaders,
  type Impersonation,
  type ImpersonationError,
} from "../../kubernetes/upstream-headers.ts";

const ALICE: Impersonation = { user: "alice@example.org", groups: ["developers", "viewers"], extra: {} };

function build(client: [string, string][], mode: { upgrade?: "websocket" } = {}, as = ALICE): Headers {
  const headers = buildUpstreamHeaders(new Headers(client), as, mode);
  if (!headers.ok) throw new Error(headers.error.message);
  return headers.value;
}

const ONLY_ALICE = [
  ["impersonate-group", "developers, viewers"],
  ["impersonate-user", "alice@example.org"],
];

describe("an allowed header of the client reaches the API server unchanged", () => {
  test.each([
    ["Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"],
    ["Accept-Encoding", "gzip"],
    ["Content-Type", "application/apply-patch+yaml"],
    ["Content-Encoding", "gzip"],
    ["If-Match", '"1"'],
    ["If-None-Match", '"2"'],
    ["If-Modified-Since", "Sun, 22 Nov 2026 00:00:00 GMT"],
    ["User-Agent", "kubectl/v1.36.3 (linux/amd64) kubernetes/0f29094"],
    ["Kubectl-Command", "kubectl exec"],
    ["Kubectl-Session", "b6f1a1c8"],
  ])("%s: %s", (name, value) => {
    expect(build([[name, value]]).get(name)).toBe(value);
  });
});

test("characters outside ASCII reach the API server and its audit log as question marks", () => {
  expect(build([["User-Agent", "kubectl\u009b2J\u00fc\t(linux)"]]).get("User-Agent")).toBe("kubectl?2J?\t(linux)");
});

describe("any other header is left out", () => {
  test.each([
    ["Authorization", "Bearer s3cret"],
    ["Cookie", "CF_Authorization=s3cret"],
    ["Cf-Access-Jwt-Assertion", "s3cret"],
    ["Cf-Access-Client-Secret", "s3cret"],
    ["Cf-Connecting-Ip", "192.0.2.1"],
    ["X-Remote-User", "system:admin"],
    ["X-Remote-Group", "system:masters"],
    ["X-Remote-Extra-Scopes", "all"],
    ["X_Remote_User", "system:admin"],
    ["Impersonate-User", "system:admin"],
    ["Impersonate-Group", "system:masters"],
    ["Impersonate-Uid", "0"],
    ["Impersonate-Extra-Scopes", "all"],
    ["impersonate-extra-sallyport.dev%2Fsession", "forged"],
    ["Impersonate_User", "system:admin"],
    ["Impersonate_Group", "system:masters"],
    ["Connection", "Impersonate-User"],
    ["Connection", "close, Impersonate-Group, Impersonate-User"],
    ["Keep-Alive", "timeout=5"],
    ["X-Forwarded-For", "127.0.0.1"],
    ["X-Forwarded-Host", "evil.example.org"],
    ["X-Forwarded-Uri", "/api/v1"],
    ["X-Real-Ip", "127.0.0.1"],
    ["X-Original-Url", "/api/v1/secrets"],
    ["X-Http-Method-Override", "DELETE"],
    ["Forwarded", "for=127.0.0.1"],
    ["Via", "1.1 evil"],
    ["Proxy-Authorization", "Basic s3cret"],
    ["Proxy-Connection", "keep-alive"],
    ["TE", "trailers"],
    ["Trailer", "Impersonate-User"],
    ["Transfer-Encoding", "chunked"],
    ["Content-Length", "0"],
    ["Expect", "100-continue"],
    ["Host", "evil.example.org"],
    ["Upgrade", "websocket"],
    ["Upgrade", "SPDY/3.1"],
    ["HTTP2-Settings", "AAMAAABkAAQAAP__"],
    ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="],
    ["Sec-WebSocket-Protocol", "v5.channel.k8s.io"],
    ["X-Stream-Protocol-Version", "v4.channel.k8s.io"],
    ["Origin", "https://evil.example.org"],
    ["Range", "bytes=0-1"],
    ["Audit-ID", "forged"],
    ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
    ["tracestate", "a=b"],
    ["baggage", "user=admin"],
  ])("%s: %s", (name, value) => {
    expect([...build([[name, value]])]).toEqual(ONLY_ALICE);
  });
});

describe("the identity", () => {
  test("is set, however often the client sends another", () => {
    const headers = build([
      ["Impersonate-User", "system:admin"],
      ["impersonate-user", ""],
      ["IMPERSONATE-USER", "root"],
      ["Impersonate-Group", "system:masters"],
      ["Connection", "Impersonate-User, Impersonate-Group"],
    ]);
    expect([...headers]).toEqual(ONLY_ALICE);
  });

  test("has a line for the user and for each group", () => {
    const appended: string[] = [];
    const append = Headers.prototype.append;
    Headers.prototype.append = function (name, value) {
      appended.push(`${name}: ${value}`);
      append.call(this, name, value);
    };
    try {
      build([]);
    } finally {
      Headers.prototype.append = append;
    }
    expect(appended).toEqual([
      "impersonate-user: alice@example.org",
      "impersonate-group: developers",
      "impersonate-group: viewers",
    ]);
  });

  test("has uid and extras, with keys in lower case and escaped as client-go does", () => {
    const headers = build(
      [],
      {},
      {
        user: "alice",
        groups: [],
        uid: "42",
        extra: {
          "sallyport.dev/Session": ["s-1"],
          scopes: ["a", "b"],
          "100%": ["x"],
          "ü:@": ["y"],
          __proto__x: ["z"],
          none: [],
        },
      },
    );
    expect(Object.fromEntries(headers)).toEqual({
      "impersonate-user": "alice",
      "impersonate-uid": "42",
      "impersonate-extra-sallyport.dev%2fsession": "s-1",
      "impersonate-extra-scopes": "a, b",
      "impersonate-extra-100%25": "x",
      "impersonate-extra-%c3%bc%3a%40": "y",
      "impersonate-extra-__proto__x": "z",
    });
  });

  test("may have names that Kubernetes uses", () => {
    const groups = ["system:serviceaccounts:demo", "CN=ops,OU=it,DC=example", "oidc:a b#c/d+e'f\"g\\h"];
    for (const group of groups) {
      expect(
        build([], {}, { user: "system:serviceaccount:demo:x", groups: [group], extra: {} }).get("impersonate-group"),
      ).toBe(group);
    }
  });
});

describe("an identity that headers cannot represent exactly is an error", () => {
  test.each<[string, ImpersonationError["part"], Partial<Impersonation>]>([
    ["no user, so that the request would run as the proxy", "user", { user: "" }],
    ["a user of spaces", "user", { user: "  " }],
    ["a space before the user", "user", { user: " alice" }],
    ["a space after the user", "user", { user: "alice " }],
    ["a line break in the user", "user", { user: "alice\r\nImpersonate-Group: system:masters" }],
    ["a bare line feed in the user", "user", { user: "alice\n" }],
    ["a NUL in the user", "user", { user: "alice\0" }],
    ["a tab in the user", "user", { user: "a\tb" }],
    ["a Latin-1 letter in the user", "user", { user: "jürgen" }],
    ["a letter beyond Latin-1 in the user", "user", { user: "алиса" }],
    ["a no-break space before a group", "group", { groups: ["\u00a0system:masters"] }],
    ["a space before a group", "group", { groups: ["ok", " system:masters"] }],
    ["an empty group", "group", { groups: ["ok", ""] }],
    ["a line break in a group", "group", { groups: ["a\nb"] }],
    ["an emoji in a group", "group", { groups: ["😀"] }],
    ["an empty uid", "uid", { uid: "" }],
    ["a line break in the uid", "uid", { uid: "1\r2" }],
    ["a line break in an extra", "extra", { extra: { scopes: ["a\r\nb"] } }],
    ["an empty extra", "extra", { extra: { scopes: [""] } }],
    ["an extra without a key", "extra", { extra: { "": ["a"] } }],
    ["a lone surrogate in an extra's key", "extra", { extra: { "\ud800": ["a"] } }],
  ])("%s", (_, part, wrong) => {
    expect(buildUpstreamHeaders(new Headers(), { ...ALICE, ...wrong }, {})).toMatchObject({
      ok: false,
      error: { code: "invalid_impersonation", part },
    });
  });

  test("the message does not contain the value", () => {
    expect(buildUpstreamHeaders(new Headers(), { ...ALICE, user: "s3cret\n" }, {})).toMatchObject({
      ok: false,
      error: { message: expect.not.stringContaining("s3cret") },
    });
  });
});

describe("an upgrade request", () => {
  test("has Upgrade and the offered subprotocols, and no Connection", () => {
    const headers = build(
      [
        ["Connection", "Upgrade"],
        ["Upgrade", "websocket"],
        ["Sec-WebSocket-Version", "13"],
        ["Sec-WebSocket-Protocol", "v5.channel.k8s.io"],
      ],
      { upgrade: "websocket" },
    );
    expect([...headers]).toEqual([
      ...ONLY_ALICE,
      ["sec-websocket-protocol", "v5.channel.k8s.io"],
      ["upgrade", "websocket"],
    ]);
  });

  const bearer = "base64url.bearer.authorization.k8s.io";
  test.each<[string, string | null]>([
    ["SPDY/3.1+portforward.k8s.io", "SPDY/3.1+portforward.k8s.io"],
    ["v5.channel.k8s.io,v4.channel.k8s.io , channel.k8s.io", "v5.channel.k8s.io, v4.channel.k8s.io, channel.k8s.io"],
    ["base64.binary.k8s.io, something-new", "base64.binary.k8s.io, something-new"],
    [`${bearer}.czNjcmV0, v4.channel.k8s.io`, "v4.channel.k8s.io"],
    [`v4.channel.k8s.io,${bearer}.czNjcmV0`, "v4.channel.k8s.io"],
    [`BASE64URL.Bearer.Authorization.K8S.IO.czNjcmV0,v4.channel.k8s.io`, "v4.channel.k8s.io"],
    [`${bearer}.YQ, ${bearer}.Yg, v4.channel.k8s.io`, "v4.channel.k8s.io"],
    [`x${bearer}.czNjcmV0, v4.channel.k8s.io`, "v4.channel.k8s.io"],
    [`"${bearer}.czNjcmV0", v4.channel.k8s.io`, "v4.channel.k8s.io"],
    [`\u0085${bearer}.czNjcmV0, v4.channel.k8s.io`, "v4.channel.k8s.io"],
    [`${bearer}.czNjcmV0`, null],
    [`${bearer}.`, null],
    [",, ,", null],
    ["a b", null],
  ])("offers, for %j, %j", (offered, sent) => {
    expect(build([["Sec-WebSocket-Protocol", offered]], { upgrade: "websocket" }).get("sec-websocket-protocol")).toBe(
      sent,
    );
  });

  test("a token in a second header line is stripped too", () => {
    const headers = build(
      [
        ["Sec-WebSocket-Protocol", "v4.channel.k8s.io"],
        ["sec-websocket-protocol", `${bearer}.czNjcmV0`],
      ],
      { upgrade: "websocket" },
    );
    expect(headers.get("sec-websocket-protocol")).toBe("v4.channel.k8s.io");
  });
});
