import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { takeLock } from "../../dev/stack/lock.ts";

let dir: string;
let lock: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "sallyport-lock-"));
  lock = join(dir, "lock.json");
});
afterEach(() => rmSync(dir, { recursive: true }));

describe("the lock of a state directory", () => {
  it("is held by one stack at a time, and released", () => {
    const release = takeLock(lock, dir);
    expect(() => takeLock(lock, dir)).toThrow(`another local stack (pid ${process.pid}) is running`);
    release();
    expect(existsSync(lock)).toBe(false);
    takeLock(lock, dir)();
  });

  it("names the directory and what to do if it is held", () => {
    takeLock(lock, dir);
    expect(() => takeLock(lock, dir)).toThrow(new RegExp(`${dir}\n.*--state DIR`));
  });

  it("is taken over from a process that has ended", async () => {
    const child = spawn(process.execPath, ["--eval", ""], { stdio: "ignore" });
    await once(child, "exit");
    writeFileSync(lock, JSON.stringify({ pid: child.pid }));
    takeLock(lock, dir)();
  });

  it.runIf(existsSync("/proc/self/stat"))("is taken over if its pid belongs to a later process", () => {
    writeFileSync(lock, JSON.stringify({ pid: process.pid, startTime: "1" }));
    takeLock(lock, dir)();
  });

  it("is taken over if it is unreadable", () => {
    writeFileSync(lock, "");
    takeLock(lock, dir)();
  });

  it("is not released by a stack that has lost it", () => {
    const release = takeLock(lock, dir);
    writeFileSync(lock, JSON.stringify({ pid: 1 }));
    release();
    expect(existsSync(lock)).toBe(true);
  });

  it("leaves no other file behind", () => {
    writeFileSync(lock, "");
    takeLock(lock, dir)();
    expect(readdirSync(dir)).toEqual([]);
  });
});
