/** `GET /-/admin/live`: what auditors are told of live sessions, and when it ends for them. */
import { env } from "cloudflare:workers";
import type { JWTPayload } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";
import { MAX_STREAMS_PER_PERSON } from "../../durable/directory/live-streams.ts";
import { type LiveRecordJson, liveRecord } from "../../worker/api/schemas/live.ts";
import { eventually } from "../support/eventually.ts";
import { Client, frame } from "./client.ts";
import { inAnHour, knownEdge } from "./known-edge.ts";
import { admin, alice, as, bob, directlyAs, handlerAs, someone, upgrade } from "./people.ts";
import { expectApiDenial } from "./statuses.ts";
import { StreamReader } from "./stream-reader.ts";
import { changeTimers } from "./timers.ts";
import { WATCH_UPGRADE, Watcher, watchPath } from "./watcher.ts";

const LIVE = "/-/admin/live";

afterEach(() => void vi.restoreAllMocks());

class Reader extends StreamReader<LiveRecordJson> {
  constructor(response: Response) {
    super(response, liveRecord);
  }

  get live(): readonly string[] {
    const ids = new Set<string>();
    for (const record of this.records) {
      if (record.type === "sessions") for (const { id } of record.sessions) ids.add(id);
      if (record.type === "ended") for (const id of record.ids) ids.delete(id);
    }
    return [...ids];
  }
}

const streamOf = async (who: JWTPayload, headers: Record<string, string> = {}) => {
  const response = await as(who, LIVE, { headers });
  expect(response.status).toBe(200);
  return { response, reader: new Reader(response) };
};
const silent = (who: ReturnType<typeof someone>) =>
  Client.open(upgrade(who, "/api/v1/namespaces/demo/pods/silent/exec?command=sh&stdin=true"));

describe("the stream of what is live", () => {
  it("tells who is where, then what begins, is used and ends", async () => {
    const person = someone();
    const before = await silent(person);
    const { response, reader } = await streamOf(admin, { Accept: "application/json, */*" });
    expect(response.headers.get("content-type")).toBe("application/jsonl");
    await eventually(() => expect(reader.live).toContain(before.sessionId));
    expect(reader.records[0]).toMatchObject({ type: "summary" });
    const after = await silent(person);
    await eventually(() => expect(reader.live).toContain(after.sessionId));
    after.send(frame(0, "1234"));
    await eventually(() => {
      const counts = reader.records.flatMap((record) => (record.type === "counts" ? record.sessions : []));
      expect(counts).toContainEqual(expect.objectContaining({ id: after.sessionId, bytesIn: 5, messagesIn: 1 }));
    });
    const shown = reader.records
      .flatMap((record) => (record.type === "sessions" ? record.sessions : []))
      .find(({ id }) => id === after.sessionId);
    expect(shown).toMatchObject({ user: person.email, pod: "silent", state: "live", namespace: "demo" });
    after.close();
    await eventually(() => expect(reader.live).not.toContain(after.sessionId));
    expect(reader.live).toContain(before.sessionId);
    expect(reader.isOver).toBe(false);
    await reader.leave();
    before.close();
  });

  it("is of events for a browser, each on one line", async () => {
    const { response, reader } = await streamOf(admin, { Accept: "text/event-stream" });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    await eventually(() => expect(reader.records.length).toBeGreaterThan(0));
    expect(reader.text).toMatch(/^(data: \{.*\}\n\n)+$/);
    await reader.leave();
  });

  it("works while D1 is away", async () => {
    const person = someone();
    const client = await silent(person);
    const away = { prepare: () => expect.unreachable(), batch: () => expect.unreachable() };
    const response = await directlyAs(admin, LIVE, {}, { bindings: { AUDIT_DB: away } });
    const reader = new Reader(response);
    await eventually(() => expect(reader.live).toContain(client.sessionId));
    await reader.leave();
    client.close();
  });

  it("shows no control characters of a client's", async () => {
    const person = someone();
    const client = await Client.open(
      upgrade(person, "/api/v1/namespaces/demo/pods/silent/exec?command=%1B%5D0%3Bx%07", { "User-Agent": "a\u009Bb" }),
    );
    const { reader } = await streamOf(admin);
    await eventually(() => expect(reader.live).toContain(client.sessionId));
    expect(reader.text).not.toMatch(/[^\P{C}\n]/u);
    await reader.leave();
    client.close();
  });
});

describe("the stream is refused", () => {
  it("to whoever has no role, and to pages of other sites", async () => {
    await expectApiDenial(await as(alice, LIVE), "not_admin", /admin or auditor/);
    await expectApiDenial(await as(bob, LIVE), "not_admin", /admin or auditor/);
    const foreign = { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" };
    await expectApiDenial(await as(admin, LIVE, { headers: foreign }), "cross_site", /another site/);
  });

  it("to whoever has too many, until one is closed; others are not kept out", async () => {
    const config = { identities: [{ match: { emailDomain: "example.com" }, roles: ["auditor" as const] }] };
    const [one, other] = [someone(), someone()];
    const ask = (who: JWTPayload) => directlyAs(who, LIVE, {}, { config });
    const open = [];
    for (let n = 0; n < MAX_STREAMS_PER_PERSON; n++) open.push(new Reader(await ask(one)));
    await expectApiDenial(await ask(one), "too_many_watchers", /5 streams .* close one$/);
    const theirs = new Reader(await ask(other));
    await open.pop()?.leave();
    const again = await eventually(async () => {
      const response = await ask(one);
      expect(response.status).toBe(200);
      return new Reader(response);
    });
    for (const reader of [...open, theirs, again]) await reader.leave();
  });

  it("by a directory of an earlier version, which knows no stream, and by one that fails", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    for (const fetch of [
      () => Promise.reject(new TypeError("Handler does not export a fetch() function.")),
      () => Promise.reject(new Error("the directory is broken")),
    ]) {
      const DIRECTORY = { getByName: () => ({ fetch }) };
      const refused = await directlyAs(admin, LIVE, {}, { bindings: { DIRECTORY } });
      await expectApiDenial(refused, "directory_unavailable", /sessions\?state=live lists what is live$/);
    }
    vi.spyOn(console, "error").mockImplementation(() => {});
    const DIRECTORY = { getByName: () => ({ fetch: async () => new Response("no", { status: 500 }) }) };
    await expectApiDenial(await directlyAs(admin, LIVE, {}, { bindings: { DIRECTORY } }), "contract_mismatch", /parts/);
  });
});

describe("the stream ends", () => {
  /** What the edge and the person's object do every few seconds, at once. */
  const hurry = () => changeTimers(new Map([[4_000, 20]]));

  const identities = [
    { match: { group: "auditors" }, roles: ["auditor" as const] },
    { match: { emailDomain: "example.com" } },
  ];

  function edge(
    who: JWTPayload & { exp: number },
    known: { groups: string[] },
    path = LIVE,
    headers: Record<string, string> = {},
  ) {
    const send = knownEdge(who, known, { identities });
    return () => send(path, { headers });
  }

  it("when the role is lost, and not before", async () => {
    hurry();
    const known = { groups: ["auditors"] };
    const reader = new Reader(await edge({ ...someone(), exp: inAnHour() }, known)());
    await eventually(() => expect(reader.records.length).toBeGreaterThan(0));
    // Several looks later it is still open.
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(reader.isOver).toBe(false);
    known.groups = [];
    await eventually(() => expect(reader.isOver).toBe(true));
    // Broken off: nobody takes it for all.
    expect(reader.error).toBeDefined();
  });

  /** A session with two auditors, the first of whom is to lose the role. */
  async function watchedTwice(headers: Record<string, string>) {
    hurry();
    const person = someone();
    const client = await silent(person);
    const watchAs = async (known: { groups: string[] }) => {
      const auditor = { ...someone(), exp: inAnHour() };
      return { auditor, response: await edge(auditor, known, watchPath(client.sessionId), headers)() };
    };
    const known = { groups: ["auditors"] };
    const [lost, kept] = [await watchAs(known), await watchAs({ groups: ["auditors"] })];
    const loseRole = () => {
      known.groups = [];
    };
    const onlyLostHasEnded = () =>
      eventually(async () => {
        const { results } = await env.AUDIT_DB.prepare(
          "SELECT data ->> '$.by' AS by FROM events WHERE user = ? AND type = 'watch_end'",
        )
          .bind(person.email)
          .all();
        expect(results).toEqual([{ by: lost.auditor.email }]);
        expect(client.hungUp).toBeUndefined();
      });
    return { client, lost, kept, loseRole, onlyLostHasEnded };
  }

  it("of a session that somebody watches as lines, when they lose the role, and not the session", async () => {
    const { client, lost, kept, loseRole, onlyLostHasEnded } = await watchedTwice({});
    const [cut, other] = [lost, kept].map(({ response }) =>
      (response.body as ReadableStream<Uint8Array>).getReader(),
    ) as [ReadableStreamDefaultReader<Uint8Array>, ReadableStreamDefaultReader<Uint8Array>];
    // The header comes first, for both.
    expect((await cut.read()).done).toBe(false);
    expect((await other.read()).done).toBe(false);
    loseRole();
    await expect(cut.read()).rejects.toThrow();
    await onlyLostHasEnded();
    await other.cancel();
    client.close();
  });

  it("… and as a WebSocket, which says why", async () => {
    const { client, lost, kept, loseRole, onlyLostHasEnded } = await watchedTwice(WATCH_UPGRADE);
    const [cut, other] = [await Watcher.of(lost.response), await Watcher.of(kept.response)];
    for (const { lines } of [cut, other]) await eventually(() => expect(lines).toHaveLength(1));
    loseRole();
    await eventually(() => expect(cut.closed).toMatchObject({ code: 1000 }));
    expect(cut.closed?.reason).toMatch(/^this requires the role admin or auditor, which /);
    await onlyLostHasEnded();
    expect(other.closed).toBeUndefined();
    other.close();
    client.close();
  });

  it("when the sign-in is over", async () => {
    hurry();
    const reader = new Reader(
      await edge({ ...someone(), exp: Math.floor(Date.now() / 1_000) + 2 }, { groups: ["auditors"] })(),
    );
    await eventually(() => expect(reader.records.length).toBeGreaterThan(0));
    await eventually(() => expect(reader.isOver).toBe(true));
  });

  it("when its reader is locked", async () => {
    const config = { identities: [{ match: { emailDomain: "example.com" }, roles: ["auditor" as const] }] };
    const person = someone();
    const reader = new Reader(await handlerAs(person, { config })(LIVE));
    await eventually(() => expect(reader.records.length).toBeGreaterThan(0));
    expect((await as(admin, `/-/admin/locks/${person.email}?reason=drill`, { method: "PUT" })).status).toBe(200);
    await eventually(() => expect(reader.isOver).toBe(true));
    expect(reader.error).toBeDefined();
  });
});
