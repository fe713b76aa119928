/**
 * Large objects on a real cluster and on the embedded one, both through Sallyport: the same statuses,
 * messages and bytes.
 */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestStack, type TestStack } from "./support/people.ts";
import { KubectlProxy, realCluster } from "./support/real-cluster.ts";
import { sendLarge } from "./support/send-large.ts";

const cluster = realCluster("large objects on a real cluster and on the embedded one");
const MIB = 1024 * 1024;
/** Of a request's body (`MaxRequestBodyBytes` of k8s.io/apiserver). */
const LIMIT = 3 * MIB;
const TWELVE_MB = 12_000_000;
const CONFIGMAPS = "/api/v1/namespaces/demo/configmaps";
/** Unique, because others use the cluster too. */
const LABEL = `large-${randomBytes(4).toString("hex")}`;

interface Sent {
  readonly who?: "alice" | "bob";
  readonly line: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A ConfigMap whose text has so many characters. */
function configMap(name: string, characters: number): string {
  const metadata = { name: `${LABEL}-${name}`, labels: { test: LABEL } };
  return JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata, data: { text: "x".repeat(characters) } });
}

/** The same with a text that makes the whole body that long. */
function bodyOf(name: string, bytes: number): string {
  return configMap(name, bytes - configMap(name, 0).length);
}

const POST = `POST ${CONFIGMAPS}`;
const ONE = `${CONFIGMAPS}/${LABEL}-one`;
const merge = { "Content-Type": "application/merge-patch+json" };
const CASES: [string, Sent][] = [
  ["a POST of 12 MB", { line: POST, body: configMap("a", TWELVE_MB) }],
  [
    "a POST of 12 MB in chunks",
    { line: POST, body: configMap("b", TWELVE_MB), headers: { "Transfer-Encoding": "chunked" } },
  ],
  [
    "a POST of 12 MB of protobuf",
    {
      line: POST,
      body: "k8s\0".padEnd(TWELVE_MB, "x"),
      headers: { "Content-Type": "application/vnd.kubernetes.protobuf" },
    },
  ],
  ["a POST of 12 MB by somebody who may only read", { who: "bob", line: POST, body: configMap("c", TWELVE_MB) }],
  ["a PUT of 12 MB", { line: `PUT ${ONE}`, body: configMap("one", TWELVE_MB) }],
  ["a PATCH of 12 MB", { line: `PATCH ${ONE}`, body: configMap("one", TWELVE_MB), headers: merge }],
  ["a DELETE with options of 12 MB", { line: `DELETE ${ONE}`, body: bodyOf("options", TWELVE_MB) }],
  ["a body as long as may be", { line: POST, body: bodyOf("d", LIMIT) }],
  ["one byte more", { line: POST, body: bodyOf("e", LIMIT + 1) }],
  ["a ConfigMap of a MiB and a byte", { line: POST, body: configMap("g", MIB + 1) }],
];

describe.skipIf(!cluster)("large objects on a real cluster and on the embedded one", () => {
  let proxy: KubectlProxy;
  let real: TestStack;
  let embedded: TestStack;
  beforeAll(async () => {
    if (!cluster) return;
    proxy = await KubectlProxy.start(cluster);
    [real, embedded] = await Promise.all([startTestStack({}, { upstream: proxy.url }), startTestStack()]);
    for (const { alice } of [real, embedded]) {
      expect((await alice.runWithInput(configMap("one", 1), "create", "-f", "-")).stderr).toBe("");
    }
  });
  afterAll(async () => {
    await real?.alice.run("delete", "configmaps", "-l", `test=${LABEL}`, "--wait=false");
    await Promise.all([real?.stop(), embedded?.stop()]);
    proxy?.stop();
  });

  /** What a client can tell of an answer. */
  async function answerOf({ stack }: TestStack, { who = "alice", line, headers, body }: Sent) {
    const sent = { "Content-Type": "application/json", ...headers };
    const { status, json } = await sendLarge(stack.personas[who].url, line, sent, body);
    const { reason, code, message = "" } = json as { reason?: string; code?: number; message?: string };
    // Up to Kubernetes 1.30 or so it counted characters.
    return { status, reason, code, message: message.replace(/\bcharacters\b/, "bytes") };
  }

  it.each(CASES)("%s has the same answer", async (_, sent) => {
    const answers = [await answerOf(embedded, sent), await answerOf(real, sent)];
    expect(answers[0]).toEqual(answers[1]);
    // None of them is Sallyport's own.
    expect([400, 403, 413, 422]).toContain(answers[0]?.status);
  });

  it("ConfigMaps of a MiB are made, and a list of 12 MiB arrives whole", async () => {
    for (const test of [embedded, real]) {
      const url = `${test.stack.personas.alice.url}${CONFIGMAPS}`;
      const headers = { "Content-Type": "application/json" };
      for (let number = 0; number < 12; number++) {
        const body = configMap(`list-${number}`, MIB);
        expect((await fetch(url, { method: "POST", headers, body })).status).toBe(201);
      }
      const answer = await fetch(`${url}?labelSelector=test%3D${LABEL}`);
      const { items } = (await answer.json()) as { items: { metadata: { name: string }; data: { text: string } }[] };
      const listed = items.filter(({ metadata }) => metadata.name.startsWith(`${LABEL}-list-`));
      expect(listed).toHaveLength(12);
      expect(listed.every(({ data }) => data.text === "x".repeat(MIB))).toBe(true);
    }
  });
});
