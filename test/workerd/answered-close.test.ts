/**
 * What a client sees that closes its session, and handles nothing while it is answered. By then the other end
 * is gone: the platform tells it of an error first, and of the answer after that.
 */
import { expect, it } from "vitest";
import { endedOf } from "./audit-rows.ts";
import { frame } from "./client.ts";
import { Stage } from "./stage.ts";

it("a close that is answered before its sender looks is no broken connection", async () => {
  const stage = await Stage.reach("during close", {}, true);
  await stage.stopReading((client) => {
    client.send(frame(0, new Uint8Array(100_000)));
    client.close(1000);
  });
  await endedOf(stage.person.email, 1);
  expect(stage.client?.hungUp).toBeUndefined();
  stage.readOn();
  await stage.hungUp();
  expect(stage.client?.hungUp?.code).toBe(1000);
});
