/** Which application a sign-in is for, and how an answer says how to sign in. */
import { describe, expect, it } from "vitest";
import { applicationAt, isResourceOf } from "../../../cli/application.ts";
import { readUnauthenticated } from "../../../cli/oauth/challenge.ts";

describe("an application", () => {
  it("is the origin of a server, whatever its path", () => {
    expect(applicationAt("https://K8s.example.com:8443/some/path?x#y")).toEqual({
      ok: true,
      value: {
        id: "https://k8s.example.com:8443",
        origin: "https://k8s.example.com:8443",
        isAdmin: false,
        probeUrl: "https://k8s.example.com:8443/-/whoami",
      },
    });
  });

  it("for administrators is the path of the admin API, with a sign-in of its own", () => {
    expect(applicationAt("https://k8s.example.com", { isAdmin: true })).toMatchObject({
      value: { id: "https://k8s.example.com/-/admin", probeUrl: "https://k8s.example.com/-/admin/export" },
    });
  });

  it.each([
    ["http://k8s.example.com", "not an https address"],
    ["http://127.0.0.1:8080", "not an https address"],
    ["file:///etc/passwd", "not an address"],
    ["ssh://k8s.example.com", "not an https address"],
    ["k8s.example.com", "not an address"],
    ["", "not an address"],
    ["https://user:password@k8s.example.com", "must not have a user name"],
  ])("is never at %s", (address, message) => {
    expect(applicationAt(address)).toEqual({ ok: false, error: expect.stringContaining(message) });
  });
});

describe("a resource identifier", () => {
  const asked = "https://k8s.example.com/-/admin/export";

  it.each([
    "https://k8s.example.com",
    "https://k8s.example.com/",
    "https://k8s.example.com/-/admin",
    "https://k8s.example.com/-/admin/",
  ])("covers what is below it: %s", (resource) => {
    expect(isResourceOf(resource, asked)).toBe(true);
  });

  it.each([
    "https://evil.example.com",
    "https://k8s.example.com.evil.example.com",
    "https://k8s.example.com:8443",
    "http://k8s.example.com",
    "https://k8s.example.com/-/adm",
    "https://k8s.example.com/-/admin/exports",
    "https://k8s.example.com/?x",
    "https://k8s.example.com/#x",
    "https://user@k8s.example.com/",
    "k8s.example.com",
    "",
  ])("covers nothing else: %s", (resource) => {
    expect(isResourceOf(resource, asked)).toBe(false);
  });
});

describe("an answer without a credential", () => {
  const METADATA = "https://k8s.example.com/.well-known/oauth-protected-resource";

  it.each([
    ["quoted", `Bearer realm="a, b", resource_metadata="${METADATA}"`],
    ["first", `Bearer resource_metadata="${METADATA}", error="invalid_token"`],
    ["as a token", `bearer resource_metadata=${METADATA}`],
    ["beside another scheme", `Basic realm="x", Bearer error="e",resource_metadata="${METADATA}"`],
  ])("says where the metadata is: %s", (_, header) => {
    expect(readUnauthenticated(401, header)).toEqual({ kind: "challenge", resourceMetadata: METADATA });
  });

  it("may be a challenge that does not say where the metadata is", () => {
    expect(readUnauthenticated(401, "Bearer")).toEqual({ kind: "challenge", resourceMetadata: undefined });
    expect(readUnauthenticated(401, 'Bearer x_resource_metadata="https://evil"')).toEqual({
      kind: "challenge",
      resourceMetadata: undefined,
    });
  });

  it.each([
    ["a refusal of the edge", 401, null, "refused"],
    ["another scheme", 401, 'Basic realm="Bearer of news"', "refused"],
    ["Access's page for browsers", 302, null, "browser-page"],
    ["a device with WARP", 200, null, "open"],
    ["a policy that blocks", 403, null, "refused"],
    ["an outage", 503, 'Bearer resource_metadata="x"', "refused"],
  ] as const)("of %s is no challenge", (_, status, header, kind) => {
    expect(readUnauthenticated(status, header).kind).toBe(kind);
  });
});
