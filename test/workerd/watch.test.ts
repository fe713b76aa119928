/** A live session as auditors see it: from its beginning, without a gap or a repeat, to its end. */
import { abortAllDurableObjects, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { watchHeaders } from "../../contract/watch.ts";
import { encodeFrame } from "../../kubernetes/spdy/encoder.ts";
import { HeaderBlockWriter } from "../../kubernetes/spdy/header-block.ts";
import { eventually } from "../support/eventually.ts";
import { Client, frame, SUCCESS } from "./client.ts";
import { admin, as, directlyAs, HOST, someone, stranger, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectApiDenial } from "./statuses.ts";
import { brokenLinks } from "./user-events.ts";
import { type CastEvent, recordedText, shownBy, WATCH_UPGRADE, Watcher, watchPath, withoutNotices } from "./watcher.ts";

afterEach(() => void vi.restoreAllMocks());

async function opened(config = {}, query?: string) {
  const person = someone();
  const pod = await Puppet.make();
  const client = await Client.open(directlyAs(person, pod.path(query), { headers: UPGRADE }, { config }));
  return { person, pod, client, id: client.sessionId };
}

async function watchEventsOf(user: string, count: number) {
  return eventually(async () => {
    const { results } = await env.AUDIT_DB.prepare(
      "SELECT session_id, type, data FROM events WHERE user = ? AND type IN ('watch', 'watch_end') ORDER BY row_number",
    )
      .bind(user)
      .all<{ session_id: string; type: string; data: string }>();
    expect(results.length).toBe(count);
    return results.map(({ session_id, type, data }) => ({ id: session_id, type, ...JSON.parse(data) }));
  });
}

describe("a watcher", () => {
  it("sees the session so far, then what comes, and how it ends: what the recording has", async () => {
    const { person, pod, client, id } = await opened({}, "command=sh&stdin=true&stdout=true&tty=true");
    client.send(frame(4, '{"Width":100,"Height":40}'));
    client.send(frame(0, "typed"));
    await eventually(() => expect(pod.received).toHaveLength(2));
    pod.send(frame(1, "before ☃ "));
    await eventually(() => expect(client.text(1)).toBe("before ☃ "));

    const watcher = await Watcher.open(admin, id);
    expect(watcher.protocol).toBe("v2.asciicast");
    await watcher.shows("before ☃ ");
    expect(watcher.header).toMatchObject({ version: 2, width: 100, height: 40 });
    // Half of a character in each message.
    pod.send(frame(1, Uint8Array.of(0xe2, 0x98)));
    pod.send(frame(1, Uint8Array.of(0x83)));
    pod.send(frame(1, " after"));
    await watcher.shows("before ☃ ☃ after");
    client.send(frame(4, '{"Width":90,"Height":30}'));
    await eventually(() => expect(watcher.events.map(([, code, data]) => code + data)).toContain("r90x30"));
    pod.send(SUCCESS);
    pod.close(1000);
    const reason = "the session is over: its last line says how";
    await eventually(() => expect(watcher.closed).toEqual({ code: 1000, reason }));
    expect(watcher.shown).toContain("[the session is over: exit code 0]");

    const recorded = await recordedText(id);
    const notice = watcher.lines.filter((line) => !line.includes("the session is over"));
    expect(`${notice.join("\n")}\n`).toBe(recorded);
    const [began, ended] = await watchEventsOf(person.email, 2);
    const same = { user: person.email, session: id, by: "admin@example.com" };
    expect(began).toMatchObject({ type: "watch", ...same });
    expect(ended).toMatchObject({ type: "watch_end", ...same, watch: began.id, reason: "session_ended" });
    expect(await brokenLinks(person.email)).toEqual([]);
  });

  it("of a session without output yet has a header at once, and the size that its client tells later", async () => {
    const { pod, client, id } = await opened();
    const watcher = await Watcher.open(admin, id);
    await eventually(() => expect(watcher.lines).toHaveLength(1));
    expect(watcher.header).toMatchObject({ width: 80, height: 24 });
    client.send(frame(4, '{"Width":120,"Height":50}'));
    await eventually(() => expect(pod.received).toHaveLength(1));
    pod.send(frame(1, "first"));
    await watcher.shows("first");
    expect(watcher.lines.slice(1)).toEqual(['[0,"r","120x50"]', '[0,"o","first"]']);
    client.close(1000);
  });

  it("without Upgrade gets lines as they come, and what is left after the end of the session", async () => {
    const { pod, id } = await opened();
    pod.send(frame(1, "one\n"));
    const response = await as(admin, watchPath(id));
    expect(response.headers.get("Content-Type")).toBe("application/x-asciicast");
    const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    const readUntil = async (wanted: string) => {
      while (!text.includes(wanted)) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`it ended after ${text}`);
        text += value;
      }
    };
    await readUntil("one");
    pod.send(frame(2, "two\n"));
    await readUntil("two");
    pod.send(SUCCESS);
    pod.close(1000);
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    const events = text
      .trimEnd()
      .split("\n")
      .slice(1)
      .map((line): CastEvent => JSON.parse(line));
    expect(shownBy(withoutNotices(events))).toBe("one\r\n\u001b[31mtwo\r\n\u001b[39m");
    expect(events.map(([, code, data]) => code + data)).toContain("mexit code 0");
  });

  it.each(["WebSocket", "stream"])("who leaves a %s is no longer one, and the session goes on", async (how) => {
    const { person, pod, client, id } = await opened();
    if (how === "WebSocket") {
      const watcher = await Watcher.open(admin, id);
      await eventually(() => expect(watcher.lines).not.toEqual([]));
      watcher.close();
    } else {
      const response = await as(admin, watchPath(id));
      const reader = (response.body as ReadableStream).getReader();
      await reader.read();
      await reader.cancel();
    }
    pod.send(frame(1, "x"));
    expect((await watchEventsOf(person.email, 2))[1]).toMatchObject({ reason: "left" });
    await eventually(() => expect(client.text(1)).toBe("x"));
    client.close(1000);
  });

  it("sees a session that is not recorded from now on, without what is typed", async () => {
    const { pod, client, id } = await opened(
      { recording: { mode: "off" } },
      "command=sh&stdin=true&stdout=true&tty=true",
    );
    client.send(frame(4, '{"Width":100,"Height":40}'));
    pod.send(frame(1, "before"));
    await eventually(() => expect(client.text(1)).toBe("before"));
    const watcher = await Watcher.open(admin, id);
    await watcher.shows("this session is not recorded");
    expect(watcher.header).toMatchObject({ width: 100, height: 40 });
    client.send(frame(0, "secret"));
    pod.send(frame(1, "after"));
    await watcher.shows("after");
    expect(watcher.lines.join()).not.toMatch(/before|secret/);
    const second = await Watcher.open(admin, id);
    await second.shows("this session is not recorded");
    pod.send(frame(1, " both"));
    await second.shows(" both");
    expect(shownBy(withoutNotices(second.events))).toBe(" both");
    await watcher.shows("after both");
    pod.send(SUCCESS);
    pod.close(1000);
    await eventually(() => expect([watcher.closed?.code, second.closed?.code]).toEqual([1000, 1000]));
    expect(watcher.events.map(([, code, data]) => code + data)).toContain("mexit code 0");
  });

  it("sees what is typed where the recording has it", async () => {
    const { client, pod, id } = await opened({ recording: { mode: "full" } });
    const watcher = await Watcher.open(admin, id);
    client.send(frame(0, "typed"));
    pod.send(frame(1, "shown"));
    await watcher.shows("shown");
    expect(watcher.events.map(([, code, data]) => code + data)).toEqual(["ityped", "oshown"]);
    client.close(1000);
  });

  it("sees a session go on whose recording has reached its largest size", async () => {
    const { pod, client, id } = await opened({ recording: { maxBytes: 64 * 1024 } });
    const watcher = await Watcher.open(admin, id);
    for (let count = 0; count < 16; count++) pod.send(frame(1, "x".repeat(8 * 1024)));
    await watcher.shows("recording stopped here");
    pod.send(frame(1, "still here"));
    await watcher.shows("still here");
    const late = await Watcher.open(admin, id);
    await late.shows("recording stopped here");
    pod.send(frame(1, " and now"));
    await late.shows(" and now");
    expect(late.shown).not.toContain("still here");
    client.close(1000);
  });

  it("sees a tunnel's ports, connections and bytes as lines", async () => {
    const pod = await Puppet.make();
    const headers = { ...UPGRADE, "Sec-WebSocket-Protocol": "SPDY/3.1+portforward.k8s.io" };
    const client = await Client.open(upgrade(someone(), pod.path("", "portforward"), headers));
    const headerBlocks = new HeaderBlockWriter();
    const syn = (streamId: number, streamtype: string) =>
      encodeFrame(
        {
          ...{ type: "SYN_STREAM", streamId, associatedStreamId: 0, priority: 0, fin: false, unidirectional: false },
          headers: [
            ["streamtype", streamtype],
            ["port", "5432"],
            ["requestid", "0"],
          ],
        },
        headerBlocks,
      );
    const watcher = await Watcher.open(admin, client.sessionId);
    client.send(syn(1, "error"));
    client.send(syn(3, "data"));
    client.send(
      encodeFrame({ type: "DATA", streamId: 3, fin: false, data: new TextEncoder().encode("query") }, headerBlocks),
    );
    await watcher.shows("port 5432: 1 connection, 5 bytes in, 0 bytes out\r\n");
    // Who comes later is shown what there was.
    const late = await Watcher.open(admin, client.sessionId);
    await late.shows("port 5432: 1 connection, 5 bytes in, 0 bytes out\r\n");
    expect(late.shown).not.toContain("not recorded");
    client.close(1000);
    await eventually(() => expect(watcher.closed?.code).toBe(1000));
  });

  it("who is locked is cut off", async () => {
    const auditor = someone();
    const identities = [
      { match: { email: auditor.email }, groups: ["developers"], roles: ["auditor" as const] },
      { match: { claim: "custom.groups", value: "developers" }, groups: ["developers"] },
    ];
    const { person, client, id } = await opened();
    const response = await directlyAs(auditor, watchPath(id), { headers: WATCH_UPGRADE }, { config: { identities } });
    const watcher = await Watcher.of(response);
    await as(admin, `/-/admin/locks/${auditor.email}`, { method: "PUT" });
    await vi.waitFor(() => expect(watcher.closed?.code).toBe(1000), { timeout: 20_000 });
    expect(watcher.closed?.reason).toContain("locked");
    expect((await watchEventsOf(person.email, 2))[1]).toMatchObject({ by: auditor.email, reason: "locked" });
    expect(client.hungUp).toBeUndefined();
    client.close(1000);
  });

  it("whose sign-in is over is cut off, and told so, while others are shown every line", async () => {
    const { person, pod, client, id } = await opened();
    const exp = Math.floor(Date.now() / 1_000) + 3;
    const [cut, kept] = [await Watcher.open({ ...admin, exp }, id), await Watcher.open(admin, id)];
    let sent = "";
    const goOn = () => {
      const text = `${sent.length} `;
      sent += text;
      pod.send(frame(1, text));
    };
    // Several looks long, in an invocation that has answered long ago.
    await eventually(() => {
      goOn();
      expect(cut.closed).toEqual({ code: 1000, reason: "your sign-in is over: sign in again" });
    }, 250);
    const shown = cut.shown;
    goOn();
    await kept.shows(sent);
    expect(shownBy(withoutNotices(kept.events))).toBe(sent);
    expect([cut.shown, sent.startsWith(shownBy(withoutNotices(cut.events)))]).toEqual([shown, true]);
    expect(kept.closed).toBeUndefined();
    expect((await watchEventsOf(person.email, 3))[2]).toMatchObject({ type: "watch_end", reason: "left" });
    client.close(1000);
  });

  it("who sends more than a few messages is cut off", async () => {
    const { pod, client, id } = await opened();
    const watcher = await Watcher.open(admin, id);
    for (let count = 0; count < 100; count++) watcher.send("x");
    pod.send(frame(1, "still here"));
    await watcher.shows("still here");
    expect(watcher.closed).toBeUndefined();
    watcher.send("x");
    await eventually(() => expect(watcher.closed).toEqual({ code: 1000, reason: "a watcher sends nothing" }));
    client.close(1000);
  });

  it("of an edge that passes the object's own WebSocket on, as earlier ones do, is shown the same", async () => {
    const { pod, client, id, person } = await opened();
    const watcher = { name: "admin@example.com", address: null, country: null, person: null };
    const headers = watchHeaders({ sessionId: id, watcher });
    headers.set("Upgrade", "websocket");
    const object = env.USER_SESSIONS.getByName(person.email);
    const shown = await Watcher.of(await object.fetch("http://object/watch", { headers }));
    pod.send(frame(1, "here"));
    await shown.shows("here");
    pod.send(SUCCESS);
    pod.close(1000);
    await eventually(() => expect(shown.closed).toEqual({ code: 1000, reason: "the session is over: exit code 0" }));
    await client.closed;
  });

  it("whose object stops has its end in the audit log all the same", async () => {
    const { person, id } = await opened();
    const watcher = await Watcher.open(admin, id);
    const [began] = await watchEventsOf(person.email, 1);
    await abortAllDurableObjects();
    const reason = "the watch broke off: try again";
    await eventually(() => expect(watcher.closed).toEqual({ code: 1013, reason }));
    await runDurableObjectAlarm(env.USER_SESSIONS.getByName(person.email));
    expect((await watchEventsOf(person.email, 2))[1]).toMatchObject({ watch: began.id, reason: "interrupted" });
    expect(await brokenLinks(person.email)).toEqual([]);
  });
});

describe("nobody watches", () => {
  it.each([
    ["without the role", () => someone()],
    ["their own session without the role", undefined],
    ["as somebody unknown", () => stranger],
  ])("%s", async (_, who) => {
    const { person, client, id } = await opened();
    for (const headers of [{}, WATCH_UPGRADE]) {
      const response = await as(who?.() ?? person, watchPath(id), { headers });
      expect([response.status, response.webSocket]).toEqual([403, null]);
    }
    client.send(frame(0, "x"));
    client.close(1000);
    await client.closed;
    await eventually(async () => {
      const { results } = await env.AUDIT_DB.prepare("SELECT type FROM events WHERE session_id = ?").bind(id).all();
      expect(results.map(({ type }) => type)).toContain("end");
    });
    expect(await watchEventsOf(person.email, 0)).toEqual([]);
  });

  it.each([{ Origin: "https://evil.example" }, { "Sec-Fetch-Site": "cross-site" }, { Origin: "null" }])(
    "from a page of another site: %o",
    async (from) => {
      const { client, id } = await opened();
      const refused = await as(admin, watchPath(id), { headers: { ...WATCH_UPGRADE, ...from } });
      await expectApiDenial(refused, "cross_site", /another site/);
      await expectApiDenial(
        await as(admin, watchPath(id), { headers: from as Record<string, string> }),
        "cross_site",
        /another site/,
      );
      const own = await as(admin, watchPath(id), { headers: { ...WATCH_UPGRADE, Origin: HOST } });
      expect(own.status).toBe(101);
      (await Watcher.of(own)).close();
      client.close(1000);
    },
  );

  it("a session that is over, unknown or of another object", async () => {
    const { client, id, person } = await opened();
    client.close(1000);
    await client.closed;
    const response = await eventually(async () => {
      const answer = await as(admin, watchPath(id));
      if (answer.ok) {
        await answer.body?.cancel();
        throw new Error("still live");
      }
      return answer;
    });
    await expectApiDenial(response, "session_not_live", /not live/);
    await expectApiDenial(await as(admin, watchPath("nonsense")), "not_found", /no session/);
    expect((await watchEventsOf(person.email, 0)).length).toBe(0);
  });

  it("over a WebSocket that offers no protocol that we speak", async () => {
    const { client, id } = await opened();
    const headers = { ...WATCH_UPGRADE, "Sec-WebSocket-Protocol": "v1.alis" };
    await expectApiDenial(await as(admin, watchPath(id), { headers }), "bad_request", /v2.asciicast/);
    client.close(1000);
  });

  it("beside ten others", async () => {
    const { client, pod, id } = await opened();
    const watchers = await Promise.all(Array.from({ length: 10 }, () => Watcher.open(admin, id)));
    await expectApiDenial(await as(admin, watchPath(id), { headers: WATCH_UPGRADE }), "too_many_watchers", /10 people/);
    pod.send(frame(1, "for all"));
    await Promise.all(watchers.map((watcher) => watcher.shows("for all")));
    watchers[0]?.close();
    const next = await eventually(() => Watcher.open(admin, id));
    await next.shows("for all");
    client.close(1000);
  });
});
