/** Checks of a person's access while something of theirs is open. */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { err, ok } from "../../common/result.ts";
import { denial } from "../../worker/denials.ts";
import { AccessWatch, type CheckAccess, tolerateOneUnanswered } from "../../worker/sessions/access-watch.ts";
import { STATE_MAX_AGE_MS } from "../../worker/sessions/state-max-age.ts";

const ANSWERS = {
  yes: ok(null),
  locked: err(denial("user_locked", "locked")),
  unavailable: err(denial("object_unavailable", "does not answer")),
  unreachable: err(denial("identity_unreachable", "does not answer")),
};
type Answer = keyof typeof ANSWERS;

/** @returns what a stream hears of checks that have these answers */
async function hears(...answers: Answer[]): Promise<(string | null)[]> {
  let at = 0;
  const ages: unknown[] = [];
  const check: CheckAccess = async (maxAgeMs) => {
    ages.push(maxAgeMs);
    return ANSWERS[answers[at++] as Answer];
  };
  const tolerant = tolerateOneUnanswered(check);
  const heard: (string | null)[] = [];
  for (const _ of answers) {
    const checked = await tolerant(5_000);
    heard.push(checked.ok ? null : checked.error.code);
  }
  expect(ages).toEqual(answers.map(() => 5_000));
  return heard;
}

describe("a watch", () => {
  const PHASES_MS = Array.from({ length: 10 }, (_, second) => 60_000 + second * 1_000);

  it.each(PHASES_MS)(
    "that is open for %i ms hears of a decision while an answer from before counts",
    async (openMs) => {
      vi.useFakeTimers();
      onTestFinished(() => void vi.useRealTimers());
      let decidedAt = Number.POSITIVE_INFINITY;
      // Answers as old as they may be.
      const check: CheckAccess = async (maxAgeMs = 0) =>
        Date.now() - maxAgeMs < decidedAt ? ANSWERS.yes : ANSWERS.locked;
      const watch = new AccessWatch(check);
      onTestFinished(() => watch.stop());
      await vi.advanceTimersByTimeAsync(openMs);
      expect(watch.signal.aborted).toBe(false);
      decidedAt = Date.now() + 1;
      await vi.advanceTimersByTimeAsync(STATE_MAX_AGE_MS);
      expect(watch.denial?.code).toBe("user_locked");
    },
  );

  it.each<[Answer[]]>([[["unavailable", "yes", "unreachable", "yes", "unavailable"]], [["unreachable"]]])(
    "outlasts one check in a row that nobody answers: %j",
    async (answers) => {
      expect(await hears(...answers)).toEqual(answers.map(() => null));
    },
  );

  it("ends at the second one in a row, whoever does not answer", async () => {
    expect(await hears("unavailable", "unreachable")).toEqual([null, "identity_unreachable"]);
    expect(await hears("yes", "unreachable", "unavailable")).toEqual([null, null, "object_unavailable"]);
  });

  it("ends at once where the answer is no, also after none", async () => {
    expect(await hears("locked")).toEqual(["user_locked"]);
    expect(await hears("unavailable", "locked")).toEqual([null, "user_locked"]);
  });
});
