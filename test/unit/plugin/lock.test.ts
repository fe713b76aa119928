/**
 * One process at a time changes a sign-in: it waits for those that live, and takes over from those that are
 * gone.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isStale, type LockClock, ownPlace, withLock } from "../../../cli/store/lock.ts";
import { isPassing, retryPassing } from "../../../cli/store/windows.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "plugin-lock-"));
  path = join(folder, "x.lock");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const patient = { timeoutMs: 60_000, onWait: () => {} };

/** Nobody has this process id: it is above Linux's largest. */
const NOBODY = 2 ** 30;

const held = (pid: number, host: string) => writeFileSync(path, JSON.stringify({ pid, host, nonce: "n" }));

/** A clock that goes on while somebody waits. What happens meanwhile is up to the test. */
function clockThat(onSleep: (nowMs: number) => void = () => {}, steps: readonly number[] = []): LockClock {
  let nowMs = 0;
  const left = [...steps];
  return {
    now: () => nowMs,
    sleep: async () => {
      nowMs += left.shift() ?? 1_000;
      onSleep(nowMs);
    },
  };
}

describe("the lock", () => {
  it("lets one work at a time", async () => {
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        withLock(path, patient, async () => {
          most = Math.max(most, ++inside);
          await new Promise((resolve) => setImmediate(resolve));
          inside--;
        }),
      ),
    );
    expect(most).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("of a process that is gone is taken over", async () => {
    held(NOBODY, ownPlace());
    const clock = clockThat();
    expect(await withLock(path, { ...patient, clock }, async () => "done")).toBe("done");
    expect(clock.now()).toBe(1_000);
  });

  it.each([
    ["another machine", () => "another-machine"],
    ["a container with the name of this host, whose process ids are others", () => `${hostname()} pid:[1]`],
    ["an earlier version, which did not say in which container", () => hostname()],
  ])("of %s is taken over only after nobody has touched it for long", async (_, host) => {
    held(NOBODY, host());
    const clock = clockThat();
    await withLock(path, { ...patient, clock }, async () => {});
    expect(clock.now()).toBeGreaterThan(30_000);
  });

  it("that its holder touches is waited for, however wrong its clock is", async () => {
    held(NOBODY, "another-machine");
    utimesSync(path, new Date(0), new Date(0));
    const clock = clockThat((nowMs) => {
      // Another machine, years behind.
      if (nowMs % 5_000 === 0) utimesSync(path, nowMs / 1000, nowMs / 1000);
    });
    const waiting = withLock(path, { timeoutMs: 120_000, onWait: () => {}, clock }, async () => "done");
    await expect(waiting).rejects.toMatchObject({ code: "busy" });
  });

  it.each([
    ["goes on", [1_000, 3_600_000]],
    ["stands still", []],
  ])("that was not touched while the machine slept is not taken over, where the clock %s", async (_, steps) => {
    held(process.pid, ownPlace());
    // By the wall clock it is an hour old.
    utimesSync(path, Date.now() / 1000 - 3_600, Date.now() / 1000 - 3_600);
    let looks = 0;
    const clock = clockThat(() => {
      if (++looks === 5) rmSync(path);
    }, steps);
    await withLock(path, { ...patient, timeoutMs: 10_000_000, clock }, async () => {});
    expect(looks).toBe(5);
  });

  it("of a process that lives is waited for, and not for ever", async () => {
    held(process.pid, ownPlace());
    await expect(withLock(path, { ...patient, timeoutMs: 0 }, async () => "done")).rejects.toThrow(`remove ${path}`);
    expect(readdirSync(folder)).toEqual(["x.lock"]);
  });

  it("that cannot be written says where another one could be", async () => {
    const nowhere = join(folder, "no-folder", "x.lock");
    await expect(withLock(nowhere, patient, async () => "done")).rejects.toMatchObject({
      code: "store",
      message: `cannot use ${nowhere} (ENOENT): SALLYPORT_HOME names another folder`,
    });
  });

  it("is free again after a failure", async () => {
    const failing = withLock(path, patient, async () => {
      throw new Error("failed");
    });
    await expect(failing).rejects.toThrow("failed");
    expect(readdirSync(folder)).toEqual([]);
  });

  it("that was taken over meanwhile is left to its new holder, and the work counts", async () => {
    const worked = await withLock(path, patient, async () => {
      held(process.pid, "another-machine");
      return "done";
    });
    expect([worked, JSON.parse(readFileSync(path, "utf8")).host]).toEqual(["done", "another-machine"]);
  });

  it.each([
    ["of a living process here", { holder: { pid: 1, host: "here" }, unchangedMs: 29_000 }, false],
    ["of a dead process here", { holder: { pid: 2, host: "here" }, unchangedMs: 0 }, true],
    ["of a pid on another machine", { holder: { pid: 2, host: "there" }, unchangedMs: 29_000 }, false],
    ["that is being written", { holder: undefined, unchangedMs: 0 }, false],
    ["untouched", { holder: { pid: 1, host: "here" }, unchangedMs: 31_000 }, true],
  ])("%s is stale: %j, %s", (_, sight, stale) => {
    expect(isStale(sight, "here", (pid) => pid === 1)).toBe(stale);
  });
});

describe("where a process id counts", () => {
  it("is this machine where the system has no namespaces", () => {
    const place = ownPlace(() => {
      throw new Error("no /proc");
    });
    expect(place).toBe(hostname());
  });

  const unshared = spawnSync("unshare", ["--pid", "--fork", "--mount-proc", "readlink", "/proc/self/ns/pid"], {
    encoding: "utf8",
  });
  if (unshared.status !== 0) console.info("SKIP a lock of another container: unshare is not allowed here");
  it.skipIf(unshared.status !== 0)("is another place in another container of this machine", () => {
    expect(ownPlace(() => unshared.stdout.trim())).not.toBe(ownPlace());
  });
});

describe("Windows, where another program has the file open", () => {
  const failure = (code: string) => Object.assign(new Error(code), { code });

  it.each(["EACCES", "EBUSY", "EPERM"])("says %s for a moment, which elsewhere is for good", (code) => {
    expect([isPassing(failure(code), "win32"), isPassing(failure(code), "linux")]).toEqual([true, false]);
  });

  it("says ENOENT for good", () => {
    expect(isPassing(failure("ENOENT"), "win32")).toBe(false);
  });

  /**
   * Fails so often, then succeeds.
   *
   * @returns what came of it, how often it was tried, and how long that took
   */
  function tryAt(platform: NodeJS.Platform, failures: number, code = "EPERM") {
    let tries = 0;
    let nowMs = 0;
    const clock = {
      platform,
      now: () => nowMs,
      sleep: (ms: number) => {
        nowMs += ms;
      },
    };
    const work = () => {
      if (++tries <= failures) throw failure(code);
      return "done";
    };
    let result: unknown;
    try {
      result = retryPassing(work, clock);
    } catch (error) {
      result = error;
    }
    return { result, tries, nowMs };
  }

  it("is tried again, and not for ever", () => {
    expect(tryAt("win32", 3)).toMatchObject({ result: "done", tries: 4 });
    const { result, nowMs } = tryAt("win32", Number.POSITIVE_INFINITY);
    expect(result).toMatchObject({ code: "EPERM" });
    expect(nowMs).toBeLessThan(3_000);
  });

  it("is not tried again for another failure, or on another system", () => {
    expect(tryAt("win32", 1, "ENOSPC")).toMatchObject({ result: { code: "ENOSPC" }, tries: 1 });
    expect(tryAt("linux", 1)).toMatchObject({ result: { code: "EPERM" }, tries: 1 });
  });
});
