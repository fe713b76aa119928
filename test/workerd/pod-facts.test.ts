/**
 * What changes of pods ask for, in the audit log: their bodies are read beside the stream, which nothing
 * holds up, and which arrives as it was sent.
 */
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { PodFacts } from "../../audit/pod-facts.ts";
import { MAX_READ_BYTES } from "../../worker/request-audit/pod-facts.ts";
import { eventually } from "../support/eventually.ts";
import { directlyAs, someone } from "./people.ts";

const NS = "/api/v1/namespaces/demo";
const POD = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "tool" },
  spec: {
    hostPID: true,
    serviceAccountName: "builder",
    containers: [{ name: "tool", image: "registry.example.com/tool:1", securityContext: { privileged: true } }],
  },
};
const POD_FACTS = {
  images: ["registry.example.com/tool:1"],
  more_images: 0,
  privileged: true,
  host_namespaces: ["pid"],
  service_account: "builder",
};
const encoder = new TextEncoder();

/** The `pod_facts` of the user's only request, once it has its answer. */
function factsOf(user: string): Promise<PodFacts | null> {
  return eventually(async () => {
    const { results } = await env.AUDIT_DB.prepare("SELECT status, pod_facts FROM requests WHERE user = ?")
      .bind(user)
      .all<{ status: number | null; pod_facts: string | null }>();
    const [row, ...others] = results;
    if (!row || row.status === null) throw new Error("the answer is not in D1 yet");
    expect(others).toEqual([]);
    return row.pod_facts === null ? null : JSON.parse(row.pod_facts);
  });
}

/** A cluster that reads the whole body before it answers, and what it got. */
function readingCluster() {
  const got: { bytes: number; text: string }[] = [];
  const fetch = async (_: unknown, init: RequestInit) => {
    const text = await new Response(init.body ?? null).text();
    got.push({ bytes: encoder.encode(text).length, text });
    return new Response("{}", { status: 201 });
  };
  return { got, bindings: { KUBE_API: { fetch } } };
}

function send(path: string, init: RequestInit) {
  const person = someone();
  const { got, bindings } = readingCluster();
  return { person, got, response: directlyAs(person, path, init, { bindings }) };
}

const json = { "Content-Type": "application/json" };

describe("a change of pods", () => {
  it.each<[string, string, string, unknown]>([
    ["a pod", "POST", `${NS}/pods`, POD],
    ["a deployment", "PUT", "/apis/apps/v1/namespaces/demo/deployments/x", { spec: { template: { spec: POD.spec } } }],
  ])("says what it asks for: %s", async (_, method, path, body) => {
    const text = JSON.stringify(body);
    const { person, got, response } = send(path, { method, headers: json, body: text });
    expect((await response).status).toBe(201);
    expect(got).toMatchObject([{ text }]);
    expect(await factsOf(person.email)).toEqual(POD_FACTS);
  });

  it("says so of a server-side apply in YAML, sent in chunks", async () => {
    const text = "spec:\n  template:\n    spec:\n      hostIPC: yes\n      containers: [{ image: app:1 }]\n";
    const body = new ReadableStream({
      type: "bytes",
      async pull(controller) {
        for (const part of text.split(/(?<=\n)/)) controller.enqueue(encoder.encode(part));
        controller.close();
      },
    });
    const headers = { "Content-Type": "application/apply-patch+yaml" };
    const { person, got, response } = send("/apis/batch/v1/namespaces/demo/jobs/x", { method: "PATCH", headers, body });
    expect((await response).status).toBe(201);
    expect(got).toMatchObject([{ text }]);
    expect(await factsOf(person.email)).toMatchObject({ images: ["app:1"], host_namespaces: ["ipc"] });
  });

  it.each<[string, Record<string, string>, string | Uint8Array, string]>([
    ["in protobuf", { "Content-Type": "application/vnd.kubernetes.protobuf" }, "k8s\0", "protobuf"],
    ["in CBOR", { "Content-Type": "application/cbor" }, "\u0001", "cbor"],
    ["compressed", { ...json, "Content-Encoding": "gzip" }, "\u0001", "content_type"],
    ["without a meaning", json, "{", "invalid"],
    ["too large", json, JSON.stringify({ ...POD, pad: "x".repeat(MAX_READ_BYTES) }), "too_large"],
  ])("is unread %s", async (_, headers, body, unread) => {
    const { person, got, response } = send(`${NS}/pods`, { method: "POST", headers, body });
    expect((await response).status).toBe(201);
    expect(got[0]?.bytes).toBe(typeof body === "string" ? encoder.encode(body).length : body.length);
    expect(await factsOf(person.email)).toEqual({ unread });
  });

  it("is unread where it is too large without having said so, and arrives whole", async () => {
    const chunk = encoder.encode("x".repeat(64 * 1024));
    let left = 40;
    const body = new ReadableStream({
      type: "bytes",
      pull(controller) {
        if (left-- > 0) controller.enqueue(chunk.slice());
        else controller.close();
      },
    });
    const { person, got, response } = send(`${NS}/pods`, { method: "POST", headers: json, body });
    expect((await response).status).toBe(201);
    expect(got[0]?.bytes).toBe(40 * chunk.length);
    expect(await factsOf(person.email)).toEqual({ unread: "too_large" });
  });

  it("reaches the cluster chunk by chunk, and is incomplete where the answer does not wait for its end", async () => {
    const person = someone();
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    const firstChunk = Promise.withResolvers<string>();
    const KUBE_API = {
      fetch: async (_: unknown, init: RequestInit) => {
        const reader = (init.body as ReadableStream<Uint8Array>).getReader();
        firstChunk.resolve(new TextDecoder().decode((await reader.read()).value));
        await reader.cancel();
        return new Response("{}", { status: 409 });
      },
    };
    const init = { method: "POST", headers: json, body: readable };
    const answered = directlyAs(person, `${NS}/pods`, init, { bindings: { KUBE_API } });
    const written = writer.write(encoder.encode('{"spec":'));
    expect(await firstChunk.promise).toBe('{"spec":');
    expect((await answered).status).toBe(409);
    await written.catch(() => {});
    expect(await factsOf(person.email)).toEqual({ unread: "incomplete" });
  });

  it("has no facts if it deletes, or is about something else", async () => {
    for (const [method, path] of [
      ["DELETE", `${NS}/pods/tool`],
      ["POST", `${NS}/configmaps`],
      ["PATCH", "/apis/apps/v1/namespaces/demo/deployments/x/scale"],
    ] as const) {
      const { person, response } = send(path, { method, headers: json, body: JSON.stringify(POD) });
      expect((await response).status).toBe(201);
      expect(await factsOf(person.email)).toBe(null);
    }
  });
});
