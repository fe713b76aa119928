/** Sign-ins of Access that the console's calls need: one way there and back, and never in circles. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
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
    expect(await settled(back.require(ADMIN))).toMatchObject({
      ...{ ok: false, error: { code: "sign_in", signIn: "admin" } },
    });
    expect(left).toHaveLength(1);
    back.begin("admin");
    expect(left).toHaveLength(2);
  });

  it("that was in vain is told of as such by what runs by itself, too, however much later", async () => {
    const { open, wait } = tab();
    await settled(open().require(ADMIN));
    const back = open();
    const first = await settled(back.require(ADMIN));
    expect(first).toMatchObject({ error: { message: expect.stringContaining("again, just after one") } });
    expect(await settled(back.require(ADMIN, { mayLeave: false }))).toEqual(first);
    wait(600_000);
    expect(await settled(back.require(ADMIN, { mayLeave: false }))).toEqual(first);
    // Once a call was answered, it is one that is over.
    back.succeeded(ADMIN);
    expect(await settled(back.require(ADMIN, { mayLeave: false }))).toMatchObject({
      error: { message: expect.stringContaining("is over") },
    });
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

  it.each([
    [ADMIN, "admin"],
    ["/-/approvals", "host"],
  ])("of %s fails where nobody asked for it, and the page stays", async (path, application) => {
    const { open, left } = tab();
    const page = open();
    expect(await settled(page.require(path, { mayLeave: false }))).toMatchObject({
      ...{ ok: false, error: { code: "sign_in", signIn: application } },
    });
    expect(left).toEqual([]);
    // What somebody asks for next leads there.
    expect(await settled(page.require(path))).toBe("pending");
    expect(left).toHaveLength(1);
  });
});

describe("in the browser", () => {
  const left: string[] = [];
  const answers: (() => Response)[] = [];
  const signInPage = () => new Response("<html>", { status: 401, headers: { "Content-Type": "text/html" } });

  beforeEach(() => {
    left.length = 0;
    vi.resetModules();
    vi.stubGlobal("sessionStorage", { getItem: () => null, setItem: () => {}, removeItem: () => {} });
    vi.stubGlobal("location", { pathname: HERE, search: "", assign: (address: string) => left.push(address) });
    vi.stubGlobal("fetch", async () => (answers.shift() ?? signInPage)());
  });
  afterEach(() => vi.unstubAllGlobals());

  it("a refresh fails, and a call that somebody asked for leaves", async () => {
    const { call } = await import("../../../console/src/api/client.ts");
    const quiet = await call("GET /-/approvals", {}, undefined, { mayLeave: false });
    expect(quiet).toMatchObject({ ok: false, error: { code: "sign_in", signIn: "host" } });
    expect(left).toEqual([]);
    void call("GET /-/approvals");
    await vi.waitFor(() => expect(left).toEqual([HERE]));
  });

  it("a stream that connects again says so, and the first connection leaves", async () => {
    const { followLines } = await import("../../../console/src/api/stream.ts");
    const ended = new AbortController();
    const down = vi.fn(() => ended.abort());
    const handler = { onOpen: vi.fn(), onRecord: vi.fn(), onDown: down };
    answers.push(() => new Response('{"type":"x"}\n', { headers: { "Content-Type": "application/jsonl" } }));
    await followLines("/-/admin/live", handler, ended.signal);
    expect(handler.onRecord).toHaveBeenCalledTimes(1);
    expect(down).toHaveBeenCalledWith(expect.objectContaining({ code: "sign_in", signIn: "admin" }));
    expect(left).toEqual([]);
    void followLines("/-/admin/live", handler, new AbortController().signal);
    await vi.waitFor(() => expect(left).toHaveLength(1));
  });
});
