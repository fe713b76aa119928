import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as x509 from "@peculiar/x509";
import { describe, expect, it } from "vitest";
import { readMigrations } from "../../dev/stack/migrations.ts";
import { type Access, readRecordObject, recordObject, recordStatement } from "../../tools/break-glass/access.ts";
import { breakGlass, ordersOf, type Place } from "../../tools/break-glass/break-glass.ts";
import { makeRequest } from "../../tools/break-glass/certificate.ts";
import { OperatorError } from "../../tools/deployment/operator-error.ts";
import type { KubectlAnswer } from "../../tools/ports/kubectl.ts";

const NOW = Date.parse("2026-11-22T10:00:00.000Z");
const HOUR = 3_600_000;
const ORDER: Access = {
  ...{ id: "bg0123456789ab", cluster: "prod", reason: "INC-17: it's down", by: "kubernetes-admin" },
  identity: {
    name: "alice@acme.test",
    user: "alice@acme.test",
    groups: ["developers", "sre"],
    extra: { team: ["core"] },
  },
  ...{ method: "certificate", from: NOW, until: NOW + HOUR },
};
const PLACE: Place = {
  target: { path: "/admin", context: undefined },
  namespace: "sallyport",
  serviceAccount: "connector",
};
const EC = { name: "ECDSA", namedCurve: "P-256" };

/** A cluster that signs what it is asked to, for as long as it likes. */
class Cluster {
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
      const users = [{ name: "admin", user: { token: "the-admins-own-token" } }];
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
    if (!spec) throw new Error("nothing was asked for");
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

  give(order: Partial<Access> = {}): Promise<string> {
    const wait = async (ms: number) => {
      this.now += ms;
    };
    return breakGlass({ ...ORDER, ...order }, PLACE, { kubectl: this.kubectl, now: () => this.now, wait });
  }
}

const userOf = (kubeconfig: string) =>
  (JSON.parse(kubeconfig) as { users: { name: string; user: Record<string, unknown> }[] }).users[0]?.user ?? {};
const decode = (value: unknown) => Buffer.from(String(value), "base64").toString();

describe("break-glass with a certificate", () => {
  it("gives one of the cluster's authority, in Sallyport's names, with the key that was made here", async () => {
    const cluster = new Cluster();
    const text = await cluster.give();
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
    expect(text).not.toContain("the-admins-own-token");
  });

  it("is written down before it is asked for, and not given where it cannot be", async () => {
    const cluster = new Cluster();
    await cluster.give();
    expect(cluster.objects.map(({ kind }) => kind)).toEqual(["ConfigMap", "CertificateSigningRequest"]);
    const other = Object.assign(new Cluster(), { mayWrite: false });
    await expect(other.give()).rejects.toThrow(/Forbidden/);
    expect(other.commands.join("\n")).not.toMatch(/certificate|token/);
  });

  it.each<[string, Partial<Cluster>, RegExp]>([
    [
      "the cluster is so old that it would sign for a year",
      { version: "v1.21.14" },
      /v1\.21\.14, which would make .* a year/,
    ],
    [
      "the cluster signs for a year all the same",
      { lastsMs: 365 * 24 * HOUR },
      /lasts until 2027-11-22.*its key is thrown away/,
    ],
    ["the cluster signs other groups", { names: (asked) => `${asked}, O=system:masters` }, /for other names/],
    ["the cluster signs another user", { names: () => "CN=root, O=developers, O=sre" }, /for other names/],
    ["the cluster signs nothing", { signs: false }, /signs no client certificates.*--method token/],
    ["the admin's kubeconfig verifies nothing", { verifies: false }, /does not verify the API server/],
  ])("gives nothing where %s", async (_what, fault, words) => {
    const cluster = Object.assign(new Cluster(), fault);
    await expect(cluster.give()).rejects.toThrow(words);
  });

  it.each<[string, Partial<Access>]>([
    ["for longer than a day's work", { until: NOW + 9 * HOUR }],
    ["for less than Kubernetes makes", { until: NOW + 60_000 }],
    ["without a reason", { reason: "  " }],
    ["for system:masters", { identity: { ...ORDER.identity, groups: ["system:masters"] } }],
  ])("refuses an order %s, before the cluster hears of it", async (_what, order) => {
    const cluster = new Cluster();
    await expect(cluster.give(order)).rejects.toBeInstanceOf(OperatorError);
    expect(cluster.commands).toEqual([]);
  });

  it("asks for names as they are, whatever they would mean in a distinguished name", async () => {
    const identity = {
      name: "x",
      user: 'a,O=system:masters+CN="b"@acme.test',
      groups: ["#0c0e73797374656d3a6d617374657273", "a=b"],
    };
    const { request } = await makeRequest({ identity });
    const { subjectName } = new x509.Pkcs10CertificateRequest(request);
    expect(subjectName.getField("CN")).toEqual([identity.user]);
    expect(subjectName.getField("O")).toEqual(identity.groups);
  });
});

describe("break-glass with the connector's token", () => {
  it("acts as the person, with its own id where Sallyport has a session's", async () => {
    const cluster = new Cluster();
    expect(userOf(await cluster.give({ method: "token" }))).toMatchObject({
      as: "alice@acme.test",
      "as-groups": ["developers", "sre"],
      "as-user-extra": { team: ["core"], "sallyport-session": [ORDER.id] },
    });
    expect(cluster.commands).toContain("create token connector -n sallyport --duration=3600s");
  });

  it("gives nothing where the cluster's token lasts longer than was ordered", async () => {
    const cluster = Object.assign(new Cluster(), { tokenLastsMs: 24 * HOUR });
    await expect(cluster.give({ method: "token" })).rejects.toThrow(/the token lasts until 2026-11-23/);
  });
});

describe("what was given", () => {
  it("is read back from the cluster, and nothing else that somebody put there", async () => {
    const cluster = new Cluster();
    await cluster.give();
    cluster.objects.push({
      kind: "ConfigMap",
      metadata: { name: "x" },
      data: { id: "'); DROP TABLE requests; --" },
    } as never);
    const { extra: _, ...identity } = ORDER.identity;
    expect(await ordersOf(PLACE, cluster)).toEqual([{ ...ORDER, identity }]);
  });

  it("is one row of the record however often it is entered, whatever its words are", () => {
    const database = new DatabaseSync(":memory:");
    for (const { statements } of readMigrations(resolve(import.meta.dirname, "../../migrations"))) {
      for (const statement of statements) database.exec(statement);
    }
    const { data } = recordObject({ ...ORDER, reason: "it's\n'); DROP TABLE requests; --" }, "sallyport") as {
      data: Record<string, string>;
    };
    const order = readRecordObject(data);
    if (!order) throw new Error("it cannot be read back");
    for (let i = 0; i < 2; i++) database.exec(recordStatement(order));
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
