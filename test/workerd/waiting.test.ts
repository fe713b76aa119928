import { expect, it, vi } from "vitest";
import { MAX_UNTAKEN_BYTES } from "../../durable/relay/upstream-writer.ts";
import { MAX_WAITING_BYTES } from "../../durable/session/limits.ts";
import { ended } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { directlyAs, someone, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";

const MIB = 1024 * 1024;
const CHUNK = MAX_UNTAKEN_BYTES - MIB;
const PIECE = MIB / 8;
/** More than a connection takes although nobody reads. What no longer fits into memory goes to SQLite. */
const PIECES = 40;
/**
 * Each session that begins to wait holds the object back for more than a second (see Brake), so all of them
 * take half a minute, and a busy machine some minutes.
 */
const FILLED_WITHIN_MS = 200_000;

it("the session with the most unread bytes is ended before all sessions of a user fill the object", async () => {
  const person = someone();
  const limits = {
    maxSessionsPerUser: 40,
    idleTimeoutSeconds: 600,
    maxDurationSeconds: 3600,
    stallTimeoutSeconds: 60,
    maxBufferedStdinBytes: 64 * MIB,
  };
  const count = Math.ceil(MAX_WAITING_BYTES / CHUNK);
  const sessions: { client: Client; pod: Puppet }[] = [];
  for (let i = 0; i < count; i++) {
    const pod = await Puppet.make();
    const client = await Client.open(directlyAs(person, pod.path(), { headers: UPGRADE }, { config: { limits } }));
    sessions.push({ client, pod });
  }
  for (const { client, pod } of sessions) {
    pod.stall(FILLED_WITHIN_MS);
    // What is on its way when the reader stops is still read.
    for (const size of [1, 1, CHUNK, ...Array<number>(PIECES).fill(PIECE)]) client.send(new Uint8Array(size));
  }
  // Which of them is the fullest depends on how much its connection took; see test/unit/limits.test.ts.
  const stalled = await vi.waitFor(
    () => {
      const found = sessions.filter(({ client }) => client.hungUp);
      expect(found).not.toEqual([]);
      return found;
    },
    { timeout: FILLED_WITHIN_MS, interval: 20 },
  );
  for (const { client } of stalled) {
    expect(await ended(client.sessionId)).toMatchObject({
      ...{ outcome: "stalled", reason: "session ended: the cluster stopped reading what it was sent" },
    });
  }
  expect(stalled.length).toBeLessThan(sessions.length / 2);
  for (const { client } of sessions) client.close();
});
