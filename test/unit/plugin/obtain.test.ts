/** What is kept of a sign-in, what it believes of the answers to it, and how long it waits for others. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { applicationAt } from "../../../cli/application.ts";
import { lockTimeoutMs, obtain } from "../../../cli/obtain.ts";
import { applicationFor, requireServes } from "../../../cli/shared-sign-in.ts";
import { ownPlace } from "../../../cli/store/lock.ts";
import { recordName } from "../../../cli/store/paths.ts";
import { openStore } from "../../../cli/store/store.ts";
import { type AccessAnswers, startAccess } from "./access-server.ts";
import { surroundingsOf } from "./support.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "plugin-obtain-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const NOW_MS = 1_800_000_000_000;

/** Somebody at a terminal whose browser agrees at once. */
async function personAt(answers?: AccessAnswers) {
  const access = await startAccess(answers);
  const browsing: Promise<void>[] = [];
  const surroundings = surroundingsOf({
    env: { SALLYPORT_HOME: folder, SALLYPORT_BROWSER: "none" },
    isStderrTerminal: true,
    now: () => NOW_MS,
    note: (line) => {
      const [address] = /https:\S+/.exec(line) ?? [];
      if (address !== undefined) browsing.push(access.browse(address));
    },
  });
  const application = applicationAt(access.url);
  if (!application.ok) throw new Error(application.error);
  const store = openStore(surroundings);
  const options = { application: application.value, store, surroundings, mayReadStdin: false };
  const signIn = async (isForced = true) => {
    const record = await obtain({ ...options, certificateAuthority: access.ca, isForced });
    await Promise.all(browsing);
    return record;
  };
  const question = { origin: access.secondUrl, store, surroundings, certificateAuthority: access.ca };
  return { access, application: application.value, store, signIn, question };
}

describe("a sign-in", () => {
  it("remembers which hosts its deployment has named, until the next one", async () => {
    const { access, application, store, signIn, question } = await personAt();
    await signIn();
    await requireServes(application, question);
    expect((await store.read(application.id))?.origins).toEqual([access.secondUrl]);
    const asked = access.asked.length;
    await requireServes(application, question);
    expect(access.asked).toHaveLength(asked);

    const again = await signIn();
    expect(again.tokens.accessToken).toBe("oauth:2");
    expect((await store.read(application.id))?.origins).toEqual([]);
    // A cluster that the deployment still names gets its token as before.
    await requireServes(application, question);
    expect((await store.read(application.id))?.origins).toEqual([access.secondUrl]);
  });

  it("with the answer of another authorization server is refused before its code goes anywhere", async () => {
    const mixedUp = await personAt({ redirect: { iss: "https://team.cloudflareaccess.com" } });
    await expect(mixedUp.signIn()).rejects.toMatchObject({ code: "sign_in_failed" });
    expect(mixedUp.access.asked).not.toContain("/token");
  });

  it("with an answer that names its own authorization server is made (RFC 9207)", async () => {
    const redirect: { iss?: string } = {};
    const { access, signIn } = await personAt({ redirect });
    redirect.iss = access.url;
    expect((await signIn()).tokens.accessToken).toBe("oauth:1");
  });

  it.each([-1, "soon", null])("whose token counts for %j seconds is refused, with a message", async (lifetime) => {
    const { signIn } = await personAt({ tokens: { expires_in: lifetime } });
    await expect(signIn()).rejects.toMatchObject({ code: "sign_in_failed" });
  });

  it("whose token counts for absurdly long is kept, and used", async () => {
    const { signIn } = await personAt({ tokens: { expires_in: 1e300 } });
    const { tokens } = await signIn();
    expect(await signIn(false)).toMatchObject({ tokens });
  });
});

describe("another process that has a sign-in in hand", () => {
  const hold = (application: { readonly id: string }) =>
    writeFileSync(
      join(folder, `${recordName(application.id)}.lock`),
      JSON.stringify({ pid: process.pid, host: ownPlace(), nonce: "n" }),
    );

  it("does not keep a token from a cluster that the deployment names", async () => {
    const { application, store, signIn, question } = await personAt();
    await signIn();
    hold(application);
    await requireServes(application, question);
    expect(await applicationFor(question)).toEqual(application);
    expect((await store.read(application.id))?.origins).toEqual([]);
  });

  it.each([
    ["for its person's sign-in, where somebody is here too", {}, true, 330_000],
    ["for as long as the person has said", { timeoutMs: 10_000 }, true, 40_000],
    ["for its renewal, where nobody is here", {}, false, 45_000],
    ["hardly, for a look at another deployment", { isSilent: true }, true, 5_000],
    ["hardly, for a look where nobody is here", { isSilent: true, timeoutMs: 600_000 }, false, 5_000],
  ])("is waited for %s", (_, options, isPossible, ms) => {
    expect(lockTimeoutMs(options, isPossible)).toBe(ms);
  });
});
