/** Sign-ins of Access that the console's calls need: one way there and back, and never in circles. */
import { describe, expect, it } from "vitest";
import { SignIns } from "../../../console/src/api/sign-in.ts";

const ADMIN = "/-/admin/sessions";
const HERE = "/-/console/sessions?user=alice%40example.com";

/** A browser whose storage outlives its pages, as that of a tab does. */
function tab() {
  const kept = new Map<string, string>();
  let now = 1_000_000;
  const left: string[] = [];
  const open = () =>
    new SignIns({
      storage: {
        getItem: (key) => kept.get(key) ?? null,
        setItem: (key, value) => void kept.set(key, value),
        removeItem: (key) => void kept.delete(key),
      },
      address: () => HERE,
      leave: (address) => void left.push(address),
      now: () => now,
    });
  return { open, left, wait: (ms: number) => (now += ms) };
}

/** What a promise has settled to after everything that is ready has run. */
async function settled<T>(promise: Promise<T>): Promise<T | "pending"> {
  return Promise.race([promise, new Promise<"pending">((resolve) => setImmediate(resolve, "pending"))]);
}

describe("a call that Access answers with its sign-in", () => {
  it("leads through the admin API's application, and names the page to come back to", async () => {
    const { open, left } = tab();
    expect(await settled(open().require(ADMIN))).toBe("pending");
    expect(left).toEqual([`/-/admin/console?to=${encodeURIComponent(HERE)}`]);
  });

  it("of the host's own application reloads the page", async () => {
    const { open, left } = tab();
    expect(await settled(open().require("/-/whoami"))).toBe("pending");
    expect(left).toEqual([HERE]);
  });

  it("leaves once, however many calls wait", async () => {
    const { open, left } = tab();
    const page = open();
    await Promise.all([
      settled(page.require(ADMIN)),
      settled(page.require("/-/admin/live")),
      settled(page.require(ADMIN)),
    ]);
    expect(left).toHaveLength(1);
  });

  it("just after a sign-in says so, and is tried again only by the person", async () => {
    const { open, left } = tab();
    await settled(open().require(ADMIN));
    const back = open();
    expect(await settled(back.require(ADMIN))).toMatchObject({ ok: false, error: { code: "sign_in" } });
    expect(left).toHaveLength(1);
    back.begin("admin");
    expect(left).toHaveLength(2);
  });

  it("begins another sign-in once calls have been answered, or a while later", async () => {
    const { open, left, wait } = tab();
    await settled(open().require(ADMIN));
    const back = open();
    back.succeeded(ADMIN);
    expect(await settled(back.require(ADMIN))).toBe("pending");
    wait(60_000);
    expect(await settled(open().require(ADMIN))).toBe("pending");
    expect(left).toHaveLength(3);
  });

  it("of one application does not count for the other", async () => {
    const { open, left } = tab();
    await settled(open().require(ADMIN));
    const back = open();
    back.succeeded("/-/whoami");
    expect(await settled(back.require(ADMIN))).toMatchObject({ ok: false });
    expect(await settled(back.require("/-/whoami"))).toBe("pending");
    expect(left).toHaveLength(2);
  });
});
