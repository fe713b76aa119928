/** The protocol between Kubernetes clients and credential plugins. */
import { describe, expect, it } from "vitest";
import { parseExecInfo, renderExecCredential } from "../../../cli/exec-info.ts";

const V1 = "client.authentication.k8s.io/v1";

const info = (spec: unknown, rest: Readonly<Record<string, unknown>> = {}) =>
  JSON.stringify({ apiVersion: V1, kind: "ExecCredential", spec, ...rest });

describe("KUBERNETES_EXEC_INFO", () => {
  it("is read with the cluster that kubectl asks for", () => {
    const cluster = {
      server: "https://k8s.example.com",
      "certificate-authority-data": Buffer.from("PEM").toString("base64"),
      config: null,
    };
    expect(parseExecInfo(info({ cluster, interactive: true }))).toEqual({
      ok: true,
      value: {
        apiVersion: V1,
        isInteractive: true,
        cluster: { server: "https://k8s.example.com", certificateAuthority: "PEM", isTlsVerificationOff: false },
      },
    });
  });

  it("may be missing: some clients do not set it", () => {
    for (const text of [undefined, ""]) {
      expect(parseExecInfo(text)).toEqual({ ok: true, value: { apiVersion: V1, isInteractive: false } });
    }
  });

  it("says when the server's certificate is not verified", () => {
    const read = parseExecInfo(info({ cluster: { server: "https://x", "insecure-skip-tls-verify": true } }));
    expect(read).toMatchObject({ ok: true, value: { cluster: { isTlsVerificationOff: true } } });
  });

  it.each([
    ["no JSON", "{", "not a JSON object"],
    ["a list", "[]", "not a JSON object"],
    ["another kind", info({}, { kind: "Pod" }), "no ExecCredential"],
    ["a version that is gone", info({}, { apiVersion: "client.authentication.k8s.io/v1alpha1" }), "set apiVersion"],
    ["no server", info({ cluster: {} }), "without a server"],
    ["data of another type", info({ cluster: { server: "https://x", "certificate-authority-data": 1 } }), "not text"],
  ])("is refused with %s", (_, text, message) => {
    expect(parseExecInfo(text)).toEqual({ ok: false, error: expect.stringContaining(message) });
  });
});

describe("the answer", () => {
  it.each([V1, "client.authentication.k8s.io/v1beta1"] as const)(
    "is in the version that was asked for: %s",
    (version) => {
      const asked = parseExecInfo(JSON.stringify({ apiVersion: version, kind: "ExecCredential", spec: {} }));
      expect(asked).toMatchObject({ ok: true, value: { apiVersion: version } });
      expect(JSON.parse(renderExecCredential(version, "oauth:abc", Date.UTC(2026, 10, 26, 12, 0, 0, 999)))).toEqual({
        apiVersion: version,
        kind: "ExecCredential",
        status: { token: "oauth:abc", expirationTimestamp: "2026-11-26T12:00:00Z" },
      });
    },
  );
});
