/**
 * What a lock does not cut: each line of the table in docs/REFERENCE.md. Should the platform let them be cut
 * one day, these fail, and the table gets shorter.
 */
import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { admin, as, someone } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { readStatus } from "./statuses.ts";

type Person = ReturnType<typeof someone>;

const bytes = (content: string) => new TextEncoder().encode(content);
const text = (chunk: Uint8Array | undefined) => new TextDecoder().decode(chunk);

/** An answer of this person's whose first piece has arrived. */
async function openAnswer(person: Person, path: string, upstream: Puppet, headers: Record<string, string> = {}) {
  const answer = as(person, path);
  await upstream.request();
  upstream.accept(200, headers);
  const reader = (await answer).body?.getReader();
  if (!reader) throw new Error("no body");
  upstream.send(bytes("first\n"));
  expect(text((await reader.read()).value)).toBe("first\n");
  return reader;
}

/** Locks a person, and resolves when the edge has cut what it cuts: the lock holds there then. */
async function lockAndCut(person: Person): Promise<void> {
  const upstream = await Puppet.make();
  const path = `/api/v1/namespaces/demo/pods/${upstream.name}/log?follow=true`;
  const reader = await openAnswer(person, path, upstream);
  const body = JSON.stringify({ reason: "stolen laptop" });
  expect((await as(admin, `/-/admin/locks/${person.email}`, { method: "PUT", body })).status).toBe(200);
  await expect(reader.read()).rejects.toThrow();
  expect(await readStatus(await as(person, "/api/v1/namespaces/demo/pods"))).toMatchObject({ code: 403 });
}

describe("a lock does not cut", () => {
  it("a list, which goes on until it is complete", async () => {
    const person = someone();
    const upstream = await Puppet.make();
    const reader = await openAnswer(person, `/api/v1/namespaces/${upstream.name}/configmaps`, upstream);
    await lockAndCut(person);
    upstream.send(bytes("the rest\n"));
    expect(text((await reader.read()).value)).toBe("the rest\n");
    upstream.close();
    expect((await reader.read()).done).toBe(true);
  });

  it("a workload's answer that is compressed, though the same answer otherwise", async () => {
    const person = someone();
    const [packed, plain] = [await Puppet.make(), await Puppet.make()];
    const pathOf = ({ name }: Puppet) => `/api/v1/namespaces/demo/pods/${name}/proxy/events`;
    // Nothing here unpacks this encoding, so the pieces are what the workload sends.
    const encoded = await openAnswer(person, pathOf(packed), packed, { "Content-Encoding": "x-pack" });
    const other = await openAnswer(person, pathOf(plain), plain);
    await Promise.all([lockAndCut(person), expect(other.read()).rejects.toThrow()]);
    packed.send(bytes("second\n"));
    expect(text((await encoded.read()).value)).toBe("second\n");
    packed.close();
    expect((await encoded.read()).done).toBe(true);
  });

  it("a watch or a log over WebSocket, but a shell and a workload's WebSocket", async () => {
    const person = someone();
    const pathsOf = {
      watch: ({ name }: Puppet) => `/api/v1/namespaces/${name}/pods?watch=true`,
      log: ({ name }: Puppet) => `/api/v1/namespaces/demo/pods/${name}/log?follow=true`,
      shell: (puppet: Puppet) => puppet.path(),
      proxied: (puppet: Puppet) => puppet.path("", "proxy"),
    };
    const open = async (pathOf: (upstream: Puppet) => string) => {
      const upstream = await Puppet.make();
      const headers = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Protocol": "v5.channel.k8s.io" };
      const socket = (await as(person, pathOf(upstream), { headers })).webSocket;
      if (!socket) throw new Error("no socket");
      const seen: string[] = [];
      socket.binaryType = "arraybuffer";
      socket.addEventListener("message", ({ data }) => seen.push(typeof data === "string" ? data : "bytes"));
      socket.addEventListener("close", () => seen.push("closed"));
      socket.accept();
      return { upstream, seen };
    };
    const watch = await open(pathsOf.watch);
    const log = await open(pathsOf.log);
    const shell = await open(pathsOf.shell);
    const proxied = await open(pathsOf.proxied);
    await lockAndCut(person);
    for (const { seen } of [shell, proxied]) await eventually(() => expect(seen).toContain("closed"));
    for (const { upstream, seen } of [watch, log]) {
      upstream.send("after the lock");
      await eventually(() => expect(seen).toEqual(["after the lock"]));
      upstream.close(1000, "");
    }
  });
});
