import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { NO_COUNTS } from "../../audit/events.ts";
import { SessionJournal } from "../../durable/storage/session-journal.ts";
import { eventually } from "../support/eventually.ts";
import { ended, endedOf, eventsOf } from "./audit-rows.ts";
import { Client, frame, SUCCESS } from "./client.ts";
import { admin, as, someone, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";

const SILENT = "/api/v1/namespaces/demo/pods/silent/exec?command=sh";
const REASON = /^the object that held the session stopped \(crash, eviction or deploy\) after \d{4}-\d\d-\d\dT/;

const objectOf = (person: { email: string }) => env.USER_SESSIONS.getByName(person.email);

afterEach(() => void vi.restoreAllMocks());

it("the alarm alone ends a session whose object has stopped as interrupted, with the last saved counts", async () => {
  const person = someone();
  const pod = await Puppet.make();
  const client = await Client.open(upgrade(person, pod.path()));
  client.send(frame(0, "1234"));
  pod.send(frame(1, "12"));
  const counts = { bytes_in: 5, bytes_out: 3, messages_in: 1, messages_out: 1 };
  await eventually(async () => {
    const open = await runInDurableObject(objectOf(person), (_, { storage }) =>
      new SessionJournal(storage.sql).openSessions(),
    );
    expect(open).toEqual([expect.objectContaining({ sessionId: client.sessionId, counts })]);
  }, 200);

  await abortAllDurableObjects();
  expect(await runDurableObjectAlarm(objectOf(person))).toBe(true);
  const row = await ended(client.sessionId);
  expect(row).toMatchObject({ outcome: "interrupted", exit_code: null, ended_by: null, ...counts });
  expect(row.reason).toMatch(REASON);
  expect((await eventsOf(client.sessionId)).map(({ seq, type }) => [seq, type])).toEqual([
    [0, "start"],
    [1, "connect"],
    [2, "end"],
  ]);
});

it("the client and the cluster of a session whose object stops do not hang", async () => {
  const pod = await Puppet.make();
  const client = await Client.open(upgrade(someone(), pod.path()));
  await abortAllDurableObjects();
  expect((await client.closed).code).toBe(1006);
});

it("a session whose object has stopped no longer counts against the limit", async () => {
  const person = someone();
  for (let i = 0; i < 3; i++) await Client.open(upgrade(person, SILENT));
  expect((await upgrade(person, SILENT)).status).toBe(429);
  await abortAllDurableObjects();
  const again = [];
  for (let i = 0; i < 3; i++) again.push(await Client.open(upgrade(person, SILENT)));
  expect((await upgrade(person, SILENT)).status).toBe(429);
  for (const client of again) client.close();
  const rows = await endedOf(person.email, 3 + 1 + 3 + 1);
  const count = (wanted: string) => rows.filter(({ outcome }) => outcome === wanted).length;
  expect([count("interrupted"), count("disconnected"), count("refused")]).toEqual([3, 3, 2]);
});

it("an attempt that was waiting for the cluster is ended too", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const person = someone();
  const pod = await Puppet.make({ hold: true });
  const answer = upgrade(person, pod.path()).catch(() => undefined);
  await pod.request();
  await abortAllDurableObjects();
  await answer;
  await runDurableObjectAlarm(objectOf(person));
  const [row] = await endedOf(person.email, 1);
  expect(row).toMatchObject({ outcome: "interrupted", ...NO_COUNTS });
});

it("the next life of an object delivers the events that D1 lacks, in order", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const person = someone();
  // D1 refuses every event meanwhile.
  const sql = `CREATE TRIGGER broken BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'broken'); END`;
  await env.AUDIT_DB.prepare(sql).run();
  const over = await Client.open(upgrade(person, "/api/v1/namespaces/demo/pods/exit-3/exec?command=sh"));
  await over.closed;
  const open = await Client.open(upgrade(person, SILENT));
  await abortAllDurableObjects();
  await env.AUDIT_DB.prepare("DROP TRIGGER broken").run();
  await runDurableObjectAlarm(objectOf(person));
  expect(await ended(over.sessionId)).toMatchObject({ outcome: "exited", exit_code: 3 });
  expect(await ended(open.sessionId)).toMatchObject({ outcome: "interrupted" });
  expect((await eventsOf(over.sessionId)).map(({ seq }) => seq)).toEqual([0, 1, 2]);
  expect((await eventsOf(open.sessionId)).map(({ seq }) => seq)).toEqual([0, 1, 2]);
});

it("a kill of a session whose object has stopped finds nothing and changes nothing", async () => {
  const person = someone();
  const client = await Client.open(upgrade(person, SILENT));
  await abortAllDurableObjects();
  const response = await as(admin, `/-/admin/sessions/${client.sessionId}`, { method: "DELETE" });
  expect(response.status).toBe(404);
  expect(await ended(client.sessionId)).toMatchObject({ outcome: "interrupted", ended_by: null });
});

it("an idle object with nothing to deliver sets no further alarm", async () => {
  const person = someone();
  const client = await Client.open(upgrade(person, SILENT));
  client.close();
  await ended(client.sessionId);
  await eventually(() =>
    runInDurableObject(objectOf(person), (_, { storage }) =>
      expect(storage.sql.exec("SELECT session_id FROM recordings").toArray()).toEqual([]),
    ),
  );
  await runDurableObjectAlarm(objectOf(person));
  expect(await runInDurableObject(objectOf(person), (_, { storage }) => storage.getAlarm())).toBeNull();
});

it("while a session is open an alarm is always due, so that a crash is noticed", async () => {
  const person = someone();
  const client = await Client.open(upgrade(person, SILENT));
  for (let i = 0; i < 2; i++) {
    const at = await runInDurableObject(objectOf(person), (_, { storage }) => storage.getAlarm());
    expect((at ?? Number.POSITIVE_INFINITY) - Date.now()).toBeLessThanOrEqual(30_000);
    await runDurableObjectAlarm(objectOf(person));
  }
  client.close();
});

it("an object that stops before it has written a command's end writes the same end later", async () => {
  const person = someone();
  const pod = await Puppet.make();
  const client = await Client.open(upgrade(person, pod.path()));
  client.send(frame(0, "12345"));
  await eventually(() => expect(pod.received).toHaveLength(1));
  pod.send(frame(1, "12"));
  pod.send(SUCCESS);
  await eventually(() => expect(client.text(3)).toContain('"Success"'));
  await abortAllDurableObjects();
  await runDurableObjectAlarm(objectOf(person));
  const row = await ended(client.sessionId);
  const counts = { bytes_in: 6, bytes_out: 3 + SUCCESS.length, messages_in: 1, messages_out: 2 };
  expect(row).toMatchObject({ outcome: "exited", exit_code: 0, reason: null, ...counts });
});

it("a client hears how its command ended, although the object cannot save it", async () => {
  const logged = vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(SessionJournal.prototype, "saveFinalStatus").mockImplementation(() => {
    throw new Error("database or disk is full");
  });
  const pod = await Puppet.make();
  const client = await Client.open(upgrade(someone(), pod.path()));
  pod.send(SUCCESS);
  pod.close(1000);
  expect(await client.closed).toMatchObject({ code: 1000 });
  expect(client.text(3)).toContain('"Success"');
  expect(await ended(client.sessionId)).toMatchObject({ outcome: "exited", exit_code: 0 });
  expect(logged.mock.calls.flat().join()).toContain('"event":"final_status_not_saved"');
});
