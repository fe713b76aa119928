/** A lock cuts what a person has open. Real time: the edge here is a Worker of its own. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { isOpenEnded } from "../../kubernetes/open-ended.ts";
import { parseRequestInfo } from "../../kubernetes/request-info.ts";
import { AccessWatch } from "../../worker/sessions/access-watch.ts";
import { eventually } from "../support/eventually.ts";
import { admin, as, handlerAs, someone } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { readStatus } from "./statuses.ts";
import { shortenTimer } from "./timers.ts";

type Person = ReturnType<typeof someone>;

const lock = (user: string) =>
  as(admin, `/-/admin/locks/${user}`, { method: "PUT", body: JSON.stringify({ reason: "stolen laptop" }) });
const deniedFor = (user: string) =>
  `${user} is locked by admin@example.com, and administrators can lift it: stolen laptop`;
const text = (chunk: Uint8Array | undefined) => new TextDecoder().decode(chunk);
const bytes = (content: string) => new TextEncoder().encode(content);

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A stream of this person's that has sent its first piece. */
async function openStream(person: Person, pathOf: (upstream: Puppet) => string, headers: Record<string, string> = {}) {
  const upstream = await Puppet.make();
  const answer = as(person, pathOf(upstream));
  await upstream.request();
  upstream.accept(200, headers);
  const response = await answer;
  const reader = response.body?.getReader();
  if (!reader) throw new Error("no body");
  upstream.send(bytes("first\n"));
  expect(text((await reader.read()).value)).toBe("first\n");
  return { upstream, response, reader };
}

const STREAMS: [string, (upstream: Puppet) => string][] = [
  ["a watch", ({ name }) => `/api/v1/namespaces/${name}/pods?watch=true`],
  ["a log that is followed", ({ name }) => `/api/v1/namespaces/demo/pods/${name}/log?follow=true`],
  ["a workload's answer", ({ name }) => `/api/v1/namespaces/demo/pods/${name}/proxy/events`],
];

describe("a lock cuts", () => {
  it("watches, logs and workloads' answers, at both ends, and nobody else's", async () => {
    const [person, neighbour] = [someone(), someone()];
    const theirs = await Promise.all(STREAMS.map(([, pathOf]) => openStream(person, pathOf)));
    const others = await Promise.all(STREAMS.map(([, pathOf]) => openStream(neighbour, pathOf)));
    const [named] = await Promise.all([lock(person.email), ...theirs.map(({ upstream }) => upstream.cancelled())]);
    expect(named.status).toBe(200);
    // Broken off, which a client can tell from an answer that is complete.
    for (const { reader } of theirs) await expect(reader.read()).rejects.toThrow();
    for (const { upstream, reader } of others) {
      upstream.send(bytes("second\n"));
      expect(text((await reader.read()).value)).toBe("second\n");
      upstream.close();
      expect((await reader.read()).done).toBe(true);
    }
  });

  it("an upload, whose client reads why, and which never becomes complete at the cluster", async () => {
    const person = someone();
    const upstream = await Puppet.make();
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    const path = `/api/v1/namespaces/demo/configmaps/${upstream.name}`;
    const answer = as(person, path, { method: "PUT", body: readable });
    await writer.write(Uint8Array.of(1, 2, 3));
    await eventually(() => expect(upstream.received).toEqual([Uint8Array.of(1, 2, 3)]));
    await lock(person.email);
    const cut = await readStatus(await answer);
    expect(cut).toMatchObject({ code: 403, reason: "Forbidden" });
    expect(cut.message).toBe(
      `${deniedFor(person.email)}; the request was cut off while it was sent, and may have been carried out`,
    );
    await upstream.cancelled();
    // The row is there before the answer, and gets its reason afterwards.
    await eventually(async () => {
      const found = await env.AUDIT_DB.prepare("SELECT * FROM requests WHERE user = ? AND verb = 'update'")
        .bind(person.email)
        .first();
      expect(found).toMatchObject({ decision: "allowed", reason: cut.message });
    });
  });
});

describe("a stream that a lock may cut", () => {
  it("keeps its length, its status and its bytes", async () => {
    const { upstream, response, reader } = await openStream(
      someone(),
      ({ name }) => `/api/v1/namespaces/demo/pods/${name}/proxy/file`,
      { "Content-Length": "9", "Content-Type": "text/x-test" },
    );
    expect(response.headers.get("Content-Length")).toBe("9");
    expect(response.headers.get("Content-Type")).toBe("text/x-test");
    upstream.send(bytes("end"));
    upstream.close();
    expect(text((await reader.read()).value)).toBe("end");
    expect((await reader.read()).done).toBe(true);
  });

  it("ends at the cluster when its client goes away", async () => {
    const { upstream, reader } = await openStream(someone(), ({ name }) => `/api/v1/namespaces/demo/pods/${name}/log`);
    await reader.cancel();
    await upstream.cancelled();
  });

  it.each([
    ["GET", "/api/v1/namespaces/demo/pods?watch=true", true],
    ["GET", "/api/v1/watch/namespaces/demo/pods", true],
    ["GET", "/api/v1/namespaces/demo/pods/web/log", true],
    ["GET", "/apis/build.openshift.io/v1/namespaces/demo/builds/b/log?follow=", true],
    ["POST", "/api/v1/namespaces/demo/services/web/proxy/upload", true],
    ["GET", "/api/v1/namespaces/demo/pods", false],
    ["GET", "/api/v1/namespaces/demo/pods/web", false],
    // The API server answers it as a plain get.
    ["GET", "/api/v1/namespaces/demo/pods/web?watch=true", false],
    ["PATCH", "/api/v1/namespaces/demo/pods/web", false],
  ])("%s %s: %s", (method, path, expected) => {
    const read = parseRequestInfo(method, new URL(path, "http://localhost"));
    expect(read.ok && isOpenEnded(read.value)).toBe(expected);
  });
});

describe("an answer that comes late", () => {
  it("is not shown to who was locked meanwhile", async () => {
    const person = someone();
    const { promise: answered, resolve } = Promise.withResolvers<Response>();
    const asked = Promise.withResolvers<void>();
    const fetch = () => {
      asked.resolve();
      return answered;
    };
    const isolate = handlerAs(person, { bindings: { KUBE_API: { fetch } } });
    const answer = isolate("/api/v1/namespaces/demo/secrets/db");
    await asked.promise;
    await lock(person.email);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 10_000 });
    resolve(Response.json({ data: "secret" }));
    expect(await readStatus(await answer)).toMatchObject({ code: 403, message: deniedFor(person.email) });
  });
});

describe("the look-out", () => {
  const DENIAL = { code: "object_unavailable", message: "try again" } as const;

  it("asks every four seconds for what is at most five seconds old, and cuts where nobody knows", async () => {
    shortenTimer(4_000, 1);
    const asked: (number | undefined)[] = [];
    const watch = new AccessWatch(async (maxAgeMs) => {
      asked.push(maxAgeMs);
      return asked.length < 3 ? { ok: true, value: null } : { ok: false, error: DENIAL };
    });
    await eventually(() => expect(watch.signal.aborted).toBe(true));
    expect(watch.denial).toEqual(DENIAL);
    expect(asked).toEqual([5_000, 5_000, 5_000]);
  });

  it("ends when it is stopped, also while it asks", async () => {
    vi.useFakeTimers();
    const answer = Promise.withResolvers<{ ok: false; error: typeof DENIAL }>();
    const watch = new AccessWatch(() => answer.promise);
    await vi.advanceTimersByTimeAsync(4_000);
    watch.stop();
    answer.resolve({ ok: false, error: DENIAL });
    await vi.advanceTimersByTimeAsync(60_000);
    expect([watch.signal.aborted, watch.denial, vi.getTimerCount()]).toEqual([false, undefined, 0]);
  });
});
