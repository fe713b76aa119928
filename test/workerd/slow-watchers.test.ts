/** Watchers who do not read: nothing is held for them, and their session flows on. */
import { expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { Client, frame } from "./client.ts";
import { admin, as, someone, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { WATCH_UPGRADE, Watcher, watchPath } from "./watcher.ts";

const PIECE = "x".repeat(32 * 1024);
const PIECES = 256;

/** Opens a watch that is not read until it is released: no socket receives before it is accepted. */
async function sleepingWatcher(sessionId: string) {
  const { webSocket } = await as(admin, watchPath(sessionId), { headers: WATCH_UPGRADE });
  let received = "";
  webSocket?.addEventListener("message", ({ data }) => {
    received += data;
  });
  return { release: () => webSocket?.accept(), received: () => received };
}

it("a watcher that does not read costs its session nothing, and is shown the present once it reads", async () => {
  const pod = await Puppet.make();
  const client = await Client.open(upgrade(someone(), pod.path()));
  const sleeper = await sleepingWatcher(client.sessionId);
  const reader = await Watcher.open(admin, client.sessionId);
  const flow = async () => {
    for (let count = 0; count < PIECES; count++) pod.send(frame(1, PIECE));
    pod.send(frame(1, "the end"));
    await eventually(() => expect(client.text(1).endsWith("the end")).toBe(true));
  };
  await flow();
  expect(client.text(1).length).toBe(PIECES * PIECE.length + "the end".length);
  // A line that the border of an uploaded part cuts is shown to nobody who is behind, so more must come.
  const goOn = (seen: () => string) =>
    eventually(() => {
      pod.send(frame(1, "and on "));
      expect(seen()).toContain("and on ");
    });
  await goOn(() => reader.shown);
  expect(sleeper.received()).toBe("");
  // It goes on in the present: nothing of what it missed was held for it.
  sleeper.release();
  await goOn(sleeper.received);
  expect(sleeper.received()).toMatch(/MiB (?:are left out here|before this are on their way)/);
  expect(sleeper.received().length).toBeLessThan(3 * 1024 * 1024);
  client.close(1000);
});
