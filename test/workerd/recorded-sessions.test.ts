import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { recordingKey } from "../../contract/recording.ts";
import { eventually } from "../support/eventually.ts";
import { ended, eventsOf } from "./audit-rows.ts";
import { Client, frame, SUCCESS } from "./client.ts";
import { admin, as, directlyAs, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectApiDenial } from "./statuses.ts";

afterEach(() => void vi.restoreAllMocks());

type CastEvent = [number, string, string];

async function castOf(response: Response): Promise<{ header: Record<string, unknown>; events: CastEvent[] }> {
  expect(response.status).toBe(200);
  const [header, ...events] = new TextDecoder()
    .decode(await response.arrayBuffer())
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { header, events };
}

const linesOf = ({ events }: { events: CastEvent[] }) => events.map(([, code, data]) => [code, data]);
const recordingOf = (sessionId: string) => as(admin, `/-/admin/sessions/${sessionId}/recording`);

async function uploaded(sessionId: string): Promise<R2Object> {
  return eventually(async () => {
    const found = await env.RECORDINGS.head(recordingKey(sessionId));
    if (!found) throw new Error("R2 has no such recording");
    return found;
  });
}

async function recordOf(sessionId: string) {
  await ended(sessionId);
  const data = (await eventsOf(sessionId)).at(-1)?.data ?? {};
  return "recording" in data ? data.recording : undefined;
}

it.each(["exec", "attach"])(
  "an administrator reads the output of %s, live and ended, and not its input",
  async (subresource) => {
    const pod = await Puppet.make();
    const client = await Client.open(
      upgrade(someone(), pod.path("command=sh&stdin=true&stdout=true&tty=true", subresource)),
    );
    client.send(frame(4, '{"Width":100,"Height":40}'));
    client.send(frame(0, "typed"));
    await eventually(() => expect(pod.received).toHaveLength(2));
    pod.send(frame(1, "shown"));
    await eventually(() => expect(client.text(1)).toBe("shown"));
    const live = await castOf(await recordingOf(client.sessionId));
    expect(live.header).toMatchObject({ width: 100, height: 40 });
    expect(linesOf(live)).toEqual([["o", "shown"]]);

    pod.send(SUCCESS);
    pod.close(1000);
    const found = await uploaded(client.sessionId);
    const response = await recordingOf(client.sessionId);
    expect(response.headers.get("Content-Type")).toBe("application/x-asciicast");
    expect(response.headers.get("Content-Length")).toBe(String(found.size));
    expect(linesOf(await castOf(response))).toEqual([
      ["o", "shown"],
      ["m", "exit code 0"],
    ]);
    expect(await recordOf(client.sessionId)).toEqual({ state: "complete", bytes: found.size, reason: null });
  },
);

it("a session whose object stops has a recording up to the last second, finished by the alarm alone", async () => {
  const person = someone();
  const pod = await Puppet.make();
  const client = await Client.open(upgrade(person, pod.path()));
  pod.send(frame(2, "oh no\n"));
  const stub = () => env.USER_SESSIONS.getByName(person.email);
  await eventually(() =>
    runInDurableObject(stub(), (_, { storage }) =>
      expect(storage.sql.exec("SELECT 1 FROM recording_chunks").toArray().length).toBeGreaterThan(0),
    ),
  );
  await abortAllDurableObjects();
  await runDurableObjectAlarm(stub());
  await uploaded(client.sessionId);
  const [mark, output, notice, end] = linesOf(await castOf(await recordingOf(client.sessionId)));
  expect([mark, output]).toEqual([
    ["e", "stderr"],
    ["o", "\u001b[31moh no\r\n\u001b[39m"],
  ]);
  expect(notice?.[1]).toContain("recording interrupted here");
  expect(end).toEqual(["m", "interrupted"]);
  expect(await recordOf(client.sessionId)).toMatchObject({ state: "interrupted" });
});

it("a session whose object stops after the command's Status has a complete recording", async () => {
  const person = someone();
  const pod = await Puppet.make();
  const client = await Client.open(upgrade(person, pod.path()));
  pod.send(frame(1, "the last words"));
  pod.send(SUCCESS);
  // It is relayed only once it is durable.
  await eventually(() => expect(client.text(3)).toContain("Success"));
  await abortAllDurableObjects();
  await runDurableObjectAlarm(env.USER_SESSIONS.getByName(person.email));
  const found = await uploaded(client.sessionId);
  expect(linesOf(await castOf(await recordingOf(client.sessionId)))).toEqual([
    ["o", "the last words"],
    ["m", "exit code 0"],
  ]);
  expect(await recordOf(client.sessionId)).toEqual({ state: "complete", bytes: found.size, reason: null });
});

it("the cast ends with an administrator's kill and its reason", async () => {
  const client = await Client.open(upgrade(someone(), "/api/v1/namespaces/demo/pods/silent/exec?command=sh"));
  await as(admin, `/-/admin/sessions/${client.sessionId}?reason=because`, { method: "DELETE" });
  await uploaded(client.sessionId);
  expect(linesOf(await castOf(await recordingOf(client.sessionId)))).toEqual([["m", "ended: terminated: because"]]);
});

it("a port-forward and a session with mode off have no recording, and the answer says so", async () => {
  const pod = await Puppet.make();
  const forward = await Client.open(upgrade(someone(), pod.path("ports=80", "portforward")));
  const off = await Client.open(
    directlyAs(
      someone(),
      "/api/v1/namespaces/demo/pods/silent/exec?command=sh",
      { headers: UPGRADE },
      {
        config: { recording: { mode: "off", onFailure: "continue", onFull: "continue", maxBytes: 1 << 20 } },
      },
    ),
  );
  for (const { sessionId } of [forward, off]) {
    const message = "this session has no recording: its kind or its rule has none, or it never opened";
    await expectApiDenial(await recordingOf(sessionId), "not_found", message);
  }
  forward.close();
  off.close();
  expect(await recordOf(off.sessionId)).toBeUndefined();
});

it("mode full has the input, and the audit log says when a recording reached its size", async () => {
  const pod = await Puppet.make();
  const config = { recording: { mode: "full", onFailure: "continue", onFull: "continue", maxBytes: 65_536 } } as const;
  const client = await Client.open(directlyAs(someone(), pod.path(), { headers: UPGRADE }, { config }));
  client.send(frame(0, "typed"));
  await eventually(() => expect(pod.received).toHaveLength(1));
  for (let i = 0; i < 8; i++) pod.send(frame(1, "x".repeat(10_000)));
  await eventually(() => expect(client.text(1)).toHaveLength(80_000));
  pod.send(SUCCESS);
  pod.close(1000);
  await uploaded(client.sessionId);
  const cast = await castOf(await recordingOf(client.sessionId));
  expect(linesOf(cast)[0]).toEqual(["i", "typed"]);
  expect(linesOf(cast).at(-1)).toEqual(["m", "exit code 0"]);
  expect(await recordOf(client.sessionId)).toMatchObject({
    state: "capped",
    reason: expect.stringContaining("64 KiB"),
  });
});

it("a rule may set the mode and end a session with its recording, and the user reads why", async () => {
  const pod = await Puppet.make();
  const person = someone();
  const recording = { mode: "full", onFull: "end", maxBytes: 65_536 } as const;
  const identities = [{ match: { email: person.email }, groups: [], roles: [], limits: {}, recording }];
  const client = await Client.open(directlyAs(person, pod.path(), { headers: UPGRADE }, { config: { identities } }));
  client.send(frame(0, "typed"));
  await eventually(() => expect(pod.received).toHaveLength(1));
  for (let i = 0; i < 8; i++) pod.send(frame(1, "x".repeat(10_000)));
  expect((await client.closed).code).toBe(1000);
  const message = "session ended: its recording reached the largest size allowed, 64 KiB";
  expect(client.text(3)).toContain(message);
  expect(await ended(client.sessionId)).toMatchObject({
    ...{ outcome: "recording_limit", reason: message, recording_mode: "full", recording: "capped" },
  });
  await uploaded(client.sessionId);
  const cast = await castOf(await recordingOf(client.sessionId));
  expect(linesOf(cast)[0]).toEqual(["i", "typed"]);
  expect(linesOf(cast).at(-1)).toEqual(["m", `ended: recording_limit: ${message}`]);
});

it("a virtual machine's console is recorded as a terminal, its screen and ports are not", async () => {
  const path = (vm: Puppet, kind: string) =>
    `/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachineinstances/${vm.name}/${kind}`;
  const open = async (vm: Puppet, kind: string) =>
    Client.open(upgrade(someone(), path(vm, kind), { "Sec-WebSocket-Protocol": "plain.kubevirt.io" }));
  const [machine, screen] = [await Puppet.make(), await Puppet.make()];
  const client = await open(machine, "console");
  const vnc = await open(screen, "vnc");
  machine.send(new TextEncoder().encode("login: "));
  screen.send(new TextEncoder().encode("RFB 003.008\n"));
  await eventually(() => expect(client.received).toHaveLength(1));
  client.close();
  vnc.close();
  await uploaded(client.sessionId);
  const cast = await castOf(await recordingOf(client.sessionId));
  expect(cast.header).toMatchObject({ env: { SALLYPORT_KIND: "console", SALLYPORT_TTY: "true" } });
  expect(linesOf(cast)).toEqual([
    ["o", "login: "],
    ["m", "ended: disconnected"],
  ]);
  expect(await ended(vnc.sessionId)).toMatchObject({ recording_mode: "off", recording: null });
  expect((await recordingOf(vnc.sessionId)).status).toBe(404);
});

it("only an administrator may read a recording", async () => {
  const person = someone();
  const client = await Client.open(upgrade(person, "/api/v1/namespaces/demo/pods/silent/exec?command=sh"));
  expect((await as(person, `/-/admin/sessions/${client.sessionId}/recording`)).status).toBe(403);
  client.close();
});
