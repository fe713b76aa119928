/** What one person's sessions may add to the audit log. */
import { describe, expect, it } from "vitest";
import { MAX_REFUSED_COMMAND_CHARS, refusedCommand } from "../../durable/session/refused-command.ts";
import {
  MAX_EVENT_BYTES_PER_MINUTE,
  MAX_SESSIONS_PER_MINUTE,
  SessionRate,
} from "../../durable/session/session-rate.ts";

const NOW = Date.parse("2026-11-26T12:00:00Z");
/** Each character has six in the audit log. */
const LONGEST = ["sh", "-c", "\u0001".repeat(5_000)];

/** Of the three events of `exec -- true`. */
const USUAL_BYTES = 2_200;

/** Begins sessions for as long as they may. @returns how many began */
function begin(rate: SessionRate, bytes: number, now: number): number {
  let begun = 0;
  for (; rate.waitMs(now) === 0; begun++) {
    rate.begin(now);
    rate.wrote(bytes, now);
  }
  return begun;
}

describe("the rate of sessions", () => {
  it("lets a script that waits for each session go on for ever", () => {
    const rate = new SessionRate();
    for (let at = NOW; at < NOW + 10 * 60_000; at += 130) {
      expect(rate.waitMs(at)).toBe(0);
      rate.begin(at);
      rate.wrote(USUAL_BYTES, at);
    }
  });

  it("bounds their number within a minute, and says when the next one may begin", () => {
    const rate = new SessionRate();
    expect(begin(rate, USUAL_BYTES, NOW)).toBe(MAX_SESSIONS_PER_MINUTE);
    expect(rate.waitMs(NOW + 20_000)).toBe(40_000);
    expect(begin(rate, USUAL_BYTES, NOW + 60_000)).toBe(MAX_SESSIONS_PER_MINUTE);
  });

  it("bounds what their events add, whichever of them is long", () => {
    const rate = new SessionRate();
    const bytes = 30_000;
    const begun = begin(rate, bytes, NOW);
    expect(begun).toBeLessThan(MAX_SESSIONS_PER_MINUTE);
    expect(begun * bytes).toBeLessThan(MAX_EVENT_BYTES_PER_MINUTE + bytes);
    // An open session goes on, and what it adds counts too.
    rate.wrote(MAX_EVENT_BYTES_PER_MINUTE, NOW + 60_000);
    expect(rate.waitMs(NOW + 60_000)).toBe(60_000);
  });
});

describe("the command of a refused attempt", () => {
  it("is there as it was asked for", () => {
    for (const command of [[], ["sh"], ["sh", "-c", "", "echo 'a  b'"]])
      expect(refusedCommand(command)).toEqual(command);
  });

  it("is cut where it is very long, in one word or in many", () => {
    const [shell, flag, script] = refusedCommand(LONGEST);
    expect([shell, flag]).toEqual(["sh", "-c"]);
    expect(script).toMatch(/… \(cut\)$/);
    for (const command of [LONGEST, Array(20_000).fill(""), Array(20_000).fill("a")]) {
      expect(refusedCommand(command).join(" ").length).toBeLessThan(MAX_REFUSED_COMMAND_CHARS + 20);
    }
  });
});
