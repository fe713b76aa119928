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
    if (line.startsWith("get configmap")) return say(JSON.stringify({ items: this.objects }));
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
    expect(cluster.objects.map(({ kind }) => kind)).toEqual(["ConfigMap", "CertificateSigningRequest"]);
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
  it("is read back from the cluster; other ConfigMaps are ignored", async () => {
    const cluster = new FakeCluster();
    await cluster.issue();
    cluster.objects.push({
      kind: "ConfigMap",
      metadata: { name: "x" },
      data: { id: "'); DROP TABLE requests; --" },
    } as never);
    const { extra: _, ...identity } = GRANT.identity;
    expect(await listGrants(ACCESS, cluster)).toEqual([{ ...GRANT, identity }]);
  });

  it("is one row of the audit log however often it is entered, whatever its reason contains", () => {
    const database = new DatabaseSync(":memory:");
    for (const { statements } of readMigrations(resolve(import.meta.dirname, "../../migrations"))) {
      for (const statement of statements) database.exec(statement);
    }
    const { data } = grantConfigMap({ ...GRANT, reason: "it's\n'); DROP TABLE requests; --" }, "sallyport") as {
      data: Record<string, string>;
    };
    const grant = parseGrant(data);
    if (!grant) throw new Error("the grant cannot be read back");
    for (let i = 0; i < 2; i++) database.exec(auditLogStatement(grant));
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
