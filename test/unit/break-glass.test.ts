import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as x509 from "@peculiar/x509";
import { describe, expect, it } from "vitest";
import { readMigrations } from "../../dev/stack/migrations.ts";
import { makeCertificateRequest } from "../../tools/break-glass/certificate.ts";
import { auditLogStatement, type Grant, grantConfigMap, parseGrant } from "../../tools/break-glass/grant.ts";
import { type AdminAccess, issueGrant, listGrants } from "../../tools/break-glass/issue-grant.ts";
import { OperatorError } from "../../tools/deployment/operator-error.ts";
import type { KubectlAnswer } from "../../tools/ports/kubectl.ts";

const NOW = Date.parse("2026-11-22T10:00:00.000Z");
const HOUR = 3_600_000;
const GRANT: Grant = {
  ...{ id: "bg0123456789ab", cluster: "prod", reason: "INC-17: it's down", by: "kubernetes-admin" },
  identity: {
    name: "alice@acme.test",
    user: "alice@acme.test",
    groups: ["developers", "sre"],
    extra: { team: ["core"] },
  },
  ...{ method: "certificate", from: NOW, until: NOW + HOUR },
};
const ACCESS: AdminAccess = {
  target: { path: "/admin", context: undefined },
  namespace: "sallyport",
  serviceAccount: "connector",
};
const EC = { name: "ECDSA", namedCurve: "P-256" };

/** A cluster that signs certificates and issues tokens, of whatever validity and names a test sets. */
class FakeCluster {
  readonly commands: string[] = [];
  readonly objects: {
    kind: string;
    metadata: { name: string };
    data?: Record<string, string>;
    spec?: { request: string; expirationSeconds: number };
  }[] = [];
  version = "v1.36.2";
  signs = true;
  lastsMs: number | undefined;
  names: ((asked: string) => string) | undefined;
  verifies = true;
  mayWrite = true;
  tokenLastsMs = HOUR;
  now = NOW;

  readonly kubectl = async (_target: unknown, args: readonly string[], input?: string): Promise<KubectlAnswer> => {
    const line = args.join(" ");
    this.commands.push(line);
    const say = (stdout: string) => ({ code: 0, stdout, stderr: "" });
    if (line.startsWith("config view")) {
      const cluster = {
        server: "https://10.0.0.1:6443",
        ...(this.verifies ? { "certificate-authority-data": "Q0E=" } : { "insecure-skip-tls-verify": true }),
      };
      const users = [{ name: "admin", user: { token: "the-administrators-own-token" } }];
      return say(JSON.stringify({ clusters: [{ name: "c", cluster }], users }));
    }
    if (line === "get --raw /version") return say(JSON.stringify({ gitVersion: this.version }));
    if (line.startsWith("create -f")) {
      if (!this.mayWrite) return { code: 1, stdout: "", stderr: "Error from server (Forbidden): no\n" };
      this.objects.push(JSON.parse(input ?? ""));
      return say("created");
    }
    if (line.startsWith("certificate approve")) return say("approved");
    if (line.startsWith("get csr")) return say(this.signs ? await this.#sign() : "");
    if (line.startsWith("create token")) {
      const payload = Buffer.from(JSON.stringify({ exp: (this.now + this.tokenLastsMs) / 1000 })).toString("base64url");
      return say(`e30.${payload}.c2ln\n`);
    }
    if (line.startsWith("get configmap")) return say(JSON.stringify({ items: this.stored("ConfigMap") }));
    if (line.startsWith("get secret")) return say(JSON.stringify(this.stored("Secret")[0] ?? "").replace('""', ""));
    throw new Error(`unexpected: ${line}`);
  };

  async #sign(): Promise<string> {
    const spec = this.objects.find(({ kind }) => kind === "CertificateSigningRequest")?.spec;
    if (!spec) throw new Error("no certificate was requested");
    const request = new x509.Pkcs10CertificateRequest(Buffer.from(spec.request, "base64").toString());
    const keys = await crypto.subtle.generateKey(EC, false, ["sign", "verify"]);
    const certificate = await x509.X509CertificateGenerator.create({
      ...{ issuer: "CN=kubernetes", subject: this.names?.(request.subject) ?? request.subject },
      notBefore: new Date(this.now - 300_000),
      notAfter: new Date(this.now + (this.lastsMs ?? spec.expirationSeconds * 1000)),
      ...{
        publicKey: request.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
      },
    });
    return Buffer.from(certificate.toString("pem")).toString("base64");
  }

  stored(kind: string) {
    return this.objects.filter((object) => object.kind === kind);
  }

  issue(change: Partial<Grant> = {}): Promise<string> {
    const wait = async (ms: number) => {
      this.now += ms;
    };
    return issueGrant({ ...GRANT, ...change }, ACCESS, { kubectl: this.kubectl, now: () => this.now, wait });
  }
}

const userOf = (kubeconfig: string) =>
  (JSON.parse(kubeconfig) as { users: { name: string; user: Record<string, unknown> }[] }).users[0]?.user ?? {};
const decode = (value: unknown) => Buffer.from(String(value), "base64").toString();

describe("break-glass with a certificate", () => {
  it("issues one of the cluster's authority, with the names that Sallyport gives and a key made here", async () => {
    const cluster = new FakeCluster();
    const text = await cluster.issue();
    const user = userOf(text);
    const certificate = new X509Certificate(decode(user["client-certificate-data"]));
    expect(certificate.subject.split("\n").sort()).toEqual(["CN=alice@acme.test", "O=developers", "O=sre"]);
    const key = createPrivateKey(decode(user["client-key-data"]));
    expect(certificate.publicKey.export({ type: "spki", format: "pem" })).toBe(
      createPublicKey(key).export({ type: "spki", format: "pem" }),
    );
    expect(cluster.objects.find(({ kind }) => kind === "CertificateSigningRequest")?.spec?.expirationSeconds).toBe(
      3600,
    );
    expect(text).not.toContain("the-administrators-own-token");
  });

  it("stores the grant before it requests a certificate, and requests none where it cannot", async () => {
    const cluster = new FakeCluster();
    await cluster.issue();
    expect(cluster.objects.map(({ kind }) => kind)).toEqual(["Secret", "ConfigMap", "CertificateSigningRequest"]);
    const other = Object.assign(new FakeCluster(), { mayWrite: false });
    await expect(other.issue()).rejects.toThrow(/Forbidden/);
    expect(other.commands.join("\n")).not.toMatch(/certificate|token/);
  });

  it.each<[string, Partial<FakeCluster>, RegExp]>([
    ["the cluster's version would sign for a year", { version: "v1.21.14" }, /v1\.21\.14 would sign .* a year/],
    [
      "the cluster signs for a year although it was asked for an hour",
      { lastsMs: 365 * 24 * HOUR },
      /lasts until 2027-11-22.*longer than requested: its key is discarded/,
    ],
    [
      "the cluster signs other groups",
      { names: (asked) => `${asked}, O=system:masters` },
      /has other names than requested/,
    ],
    [
      "the cluster signs another user",
      { names: () => "CN=root, O=developers, O=sre" },
      /has other names than requested/,
    ],
    ["the cluster signs nothing", { signs: false }, /signs no client certificates.*--method token/],
    [
      "the administrator's kubeconfig does not verify the API server",
      { verifies: false },
      /does not verify the API server/,
    ],
  ])("issues nothing where %s", async (_what, fault, message) => {
    const cluster = Object.assign(new FakeCluster(), fault);
    await expect(cluster.issue()).rejects.toThrow(message);
  });

  it.each<[string, Partial<Grant>]>([
    ["for longer than a working day", { until: NOW + 9 * HOUR }],
    ["for less than Kubernetes issues", { until: NOW + 60_000 }],
    ["without a reason", { reason: "  " }],
    ["for system:masters", { identity: { ...GRANT.identity, groups: ["system:masters"] } }],
  ])("refuses a grant %s, before it asks the cluster", async (_what, change) => {
    const cluster = new FakeCluster();
    await expect(cluster.issue(change)).rejects.toBeInstanceOf(OperatorError);
    expect(cluster.commands).toEqual([]);
  });

  it("requests names literally, whatever they would mean in a distinguished name", async () => {
    const identity = {
      name: "x",
      user: 'a,O=system:masters+CN="b"@acme.test',
      groups: ["#0c0e73797374656d3a6d617374657273", "a=b"],
    };
    const { request } = await makeCertificateRequest({ identity });
    const { subjectName } = new x509.Pkcs10CertificateRequest(request);
    expect(subjectName.getField("CN")).toEqual([identity.user]);
    expect(subjectName.getField("O")).toEqual(identity.groups);
  });
});

describe("break-glass with the connector's token", () => {
  it("impersonates the person, with the grant's id in place of a session's", async () => {
    const cluster = new FakeCluster();
    expect(userOf(await cluster.issue({ method: "token" }))).toMatchObject({
      as: "alice@acme.test",
      "as-groups": ["developers", "sre"],
      "as-user-extra": { team: ["core"], "sallyport-session": [GRANT.id] },
    });
    expect(cluster.commands).toContain("create token connector -n sallyport --duration=3600s");
  });

  it("issues nothing where the token lasts longer than requested", async () => {
    const cluster = Object.assign(new FakeCluster(), { tokenLastsMs: 24 * HOUR });
    await expect(cluster.issue({ method: "token" })).rejects.toThrow(/the token lasts until 2026-11-23/);
  });
});

describe("a grant", () => {
  const { extra: _, ...identity } = GRANT.identity;
  const READ_BACK = { ...GRANT, identity };
  const SEAL_NOT_VALID = "its seal is not valid";

  it("is read back from the cluster, also after others, by one key", async () => {
    const cluster = new FakeCluster();
    expect(await listGrants("prod", ACCESS, cluster)).toEqual({ grants: [], rejected: [] });
    await cluster.issue();
    const later = { id: "bgffffffffffff", from: NOW + HOUR, until: NOW + 2 * HOUR };
    await cluster.issue(later);
    expect(cluster.stored("Secret").length).toBe(1);
    expect(await listGrants("prod", ACCESS, cluster)).toEqual({
      grants: [READ_BACK, { ...READ_BACK, ...later }],
      rejected: [],
    });
  });

  it.each<[string, Record<string, string>, string]>([
    ["another person", { user: "mallory@acme.test", identity: "mallory@acme.test" }, SEAL_NOT_VALID],
    ["another reason, with commands to a terminal", { reason: "\u001b]0;owned\u0007" }, SEAL_NOT_VALID],
    ["a longer time", { until: "2026-11-23T10:00:00.000Z" }, SEAL_NOT_VALID],
    ["more groups", { groups: '["developers","sre","system:masters"]' }, SEAL_NOT_VALID],
    ["no seal", { seal: "" }, SEAL_NOT_VALID],
    ["a seal of another length", { seal: "AAAA" }, SEAL_NOT_VALID],
    ["groups that are not JSON", { groups: "[" }, "it does not have the fields of a grant"],
    ["groups that are no list of names", { groups: '{"length":1}' }, "it does not have the fields of a grant"],
    ["SQL as its id", { id: "'); DROP TABLE requests; --" }, "it does not have the fields of a grant"],
    ["another field", { more: "x" }, "it does not have the fields of a grant"],
    ["a time that is none", { from: "tomorrow" }, "it does not have the fields of a grant"],
  ])("that was forged is not one, and hides no other: %s", async (_what, change, why) => {
    const cluster = new FakeCluster();
    await cluster.issue();
    const [real] = cluster.stored("ConfigMap");
    const name = "break-glass-bg999999999999";
    cluster.objects.unshift({
      kind: "ConfigMap",
      metadata: { name },
      data: { ...real?.data, id: "bg999999999999", ...change },
    });
    expect(await listGrants("prod", ACCESS, cluster)).toEqual({ grants: [READ_BACK], rejected: [{ name, why }] });
  });

  it("is one only under its own name and in its own cluster: a copy is sealed, too", async () => {
    const cluster = new FakeCluster();
    await cluster.issue();
    const [real] = cluster.stored("ConfigMap");
    if (!real) throw new Error("nothing was stored");
    cluster.objects.push({ ...real, metadata: { name: "break-glass-copy" } });
    const why = "it is the copy of another one";
    expect(await listGrants("prod", ACCESS, cluster)).toEqual({
      grants: [READ_BACK],
      rejected: [{ name: "break-glass-copy", why }],
    });
    expect((await listGrants("staging", ACCESS, cluster)).grants).toEqual([]);
  });

  it("is none where the cluster has no key, and a key that is none is reported", async () => {
    const cluster = new FakeCluster();
    await cluster.issue();
    const [key] = cluster.stored("Secret");
    cluster.objects.splice(0, 1);
    expect(await listGrants("prod", ACCESS, cluster)).toMatchObject({
      grants: [],
      rejected: [{ why: SEAL_NOT_VALID }],
    });
    if (key) cluster.objects.push({ ...key, data: { key: "c2hvcnQ=" } });
    await expect(listGrants("prod", ACCESS, cluster)).rejects.toThrow(/secret\/break-glass-key .* is not a key/);
  });

  it("has a reason that no terminal obeys", async () => {
    const cluster = new FakeCluster();
    await cluster.issue({ reason: "INC-17\u001b[2J: \u202edown\n" });
    const { grants } = await listGrants("prod", ACCESS, cluster);
    expect(grants[0]?.reason).toBe("INC-17 [2J:  down");
  });

  it("is read back where the limit cuts a character of its reason in two", async () => {
    const cluster = new FakeCluster();
    await cluster.issue({ reason: `${"x".repeat(511)}\u{1f600}` });
    const { grants, rejected } = await listGrants("prod", ACCESS, cluster);
    expect(rejected).toEqual([]);
    expect(grants[0]?.reason).toBe(`${"x".repeat(511)}\ufffd`);
  });

  it("is one row of the audit log however often it is entered, whatever its reason contains", () => {
    const database = new DatabaseSync(":memory:");
    for (const { statements } of readMigrations(resolve(import.meta.dirname, "../../migrations"))) {
      for (const statement of statements) database.exec(statement);
    }
    const key = new Uint8Array(32);
    const { metadata, data } = grantConfigMap(
      { ...GRANT, reason: "it's\n'); DROP TABLE requests; --" },
      "sallyport",
      key,
    ) as { metadata: { name: string }; data: Record<string, string> };
    const grant = parseGrant({ name: metadata.name, data }, "prod", key);
    if (!grant.ok) throw new Error(grant.error);
    for (let i = 0; i < 2; i++) database.exec(auditLogStatement(grant.value));
    expect(database.prepare("SELECT * FROM requests").all()).toEqual([
      expect.objectContaining({
        id: "2026-11-22T10:00:00.000Z-bg0123456789ab",
        at: NOW,
        user: "alice@acme.test",
        category: "admin",
        decision: "allowed",
        rule: "break-glass",
        reason:
          "it's '); DROP TABLE requests; -- (certificate given by kubernetes-admin, until 2026-11-22T11:00:00.000Z)",
      }),
    ]);
  });
});
