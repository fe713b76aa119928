import { expect, it } from "vitest";
import { MAX_UNTAKEN_BYTES } from "../../durable/relay/upstream-writer.ts";
import { MAX_WAITING_BYTES } from "../../durable/session/limits.ts";
import { eventually } from "../support/eventually.ts";
import { ended } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { directlyAs, someone, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";

const CHUNK = MAX_UNTAKEN_BYTES - 1024 * 1024;

it("the session with the most unread bytes is ended before all sessions of a user fill the object", async () => {
  const person = someone();
  const limits = {
    maxSessionsPerUser: 40,
    idleTimeoutSeconds: 600,
    maxDurationSeconds: 3600,
    stallTimeoutSeconds: 60,
    maxBufferedStdinBytes: 64 * 1024 * 1024,
  };
  const count = Math.ceil(MAX_WAITING_BYTES / CHUNK) + 1;
  const sessions: { client: Client; pod: Puppet }[] = [];
  for (let i = 0; i < count; i++) {
    const pod = await Puppet.make();
    const client = await Client.open(directlyAs(person, pod.path(), { headers: UPGRADE }, { config: { limits } }));
    sessions.push({ client, pod });
  }
  for (const [i, { client, pod }] of sessions.entries()) {
    pod.stall(20_000);
    // What is on its way when the reader stops is still read.
    for (const size of [1, 1, i === 2 ? CHUNK + 1024 : CHUNK]) client.send(new Uint8Array(size));
  }
  const fullest = sessions[2]?.client;
  await eventually(() => expect(fullest?.hungUp).toBeDefined());
  expect(await ended(fullest?.sessionId ?? "")).toMatchObject({
    ...{ outcome: "stalled", reason: "session ended: the cluster stopped reading what it was sent" },
  });
  const others = sessions.filter(({ client }) => client !== fullest).map(({ client }) => client);
  expect(others.filter(({ hungUp }) => hungUp !== undefined).length).toBeLessThan(others.length);
  for (const client of others) client.close();
});
