/** What grants cease to give, and what was opened with it. */
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  compareGiven,
  type GivenAccess,
  loadGivenAccess,
  type OpenedWith,
  SETTLED_AFTER_MS,
  tryLoadGivenAccess,
  whyNoLongerGiven,
} from "../../../contract/given-access.ts";

const NOW = Date.parse("2026-11-27T12:00:00Z");
const WEEK = 7 * 24 * 60 * 60_000;

const grant = (name: string, groups: string[], rules: string[] = []) => ({ name, gives: { groups, rules } });

/** What is noted of documents that follow each other. */
function noted(...documents: ReturnType<typeof grant>[][]): GivenAccess | undefined {
  let known: GivenAccess | undefined;
  for (const [index, grants] of documents.entries()) {
    known = compareGiven(known, grants, NOW + index * SETTLED_AFTER_MS) ?? known;
  }
  return known;
}

afterEach(() => void vi.restoreAllMocks());

describe("what is noted", () => {
  it("is at first what grants give, and nothing that they have ceased to", () => {
    expect(noted([grant("prod", ["a"], ["r"])])).toEqual({
      ...{ grants: { prod: { groups: ["a"], rules: ["r"] } }, changedAt: NOW, lost: [] },
    });
  });

  it("is what a grant has ceased to give, and not what it gives in addition", () => {
    const lost = [{ grant: "prod", groups: ["b"], rules: ["r"], at: NOW + SETTLED_AFTER_MS }];
    const before = [grant("prod", ["a", "b"], ["r", "s"])];
    const known = noted(before, [grant("new", ["d"]), grant("prod", ["a", "e"], ["s"])]);
    expect(known?.lost).toEqual(lost);
    // What was given in between counts, too.
    const again = noted(before, [grant("prod", ["a", "e"], ["s"])], [grant("prod", ["a"], ["s"])]);
    expect(again?.lost).toEqual([...lost, { grant: "prod", groups: ["e"], rules: [], at: NOW + 2 * SETTLED_AFTER_MS }]);
  });

  it("stays as it is where nothing has changed, in whatever order, and right after a change", () => {
    const known = noted([grant("one", ["a"]), grant("two", ["b"])]);
    expect(compareGiven(known, [grant("two", ["b"]), grant("one", ["a"])], NOW + WEEK)).toBeUndefined();
    // The version before the deploy may still be triggered.
    const less = [grant("one", []), grant("two", ["b"])];
    expect(compareGiven(known, less, NOW + SETTLED_AFTER_MS - 1)).toBeUndefined();
    expect(compareGiven(known, less, NOW + SETTLED_AFTER_MS)?.lost).toHaveLength(1);
  });

  it("forgets what is older than any access", () => {
    const known = noted([grant("prod", ["a", "b"])], [grant("prod", ["a"])]);
    const later = (ms: number) => compareGiven(known, [grant("prod", ["z"])], NOW + SETTLED_AFTER_MS + ms)?.lost;
    expect(later(WEEK - 1)).toHaveLength(2);
    expect(later(WEEK)).toHaveLength(1);
  });

  it("is all that a grant gave that is gone, also where it comes back with less", () => {
    const wide = [grant("kept", ["k"]), grant("prod", ["a", "b"], ["r"])];
    const lost = [{ grant: "prod", groups: ["a", "b"], rules: ["r"], at: NOW + SETTLED_AFTER_MS }];
    expect(noted(wide, [grant("kept", ["k"])])?.lost).toEqual(lost);
    expect(noted(wide, [grant("kept", ["k"])], [grant("kept", ["k"]), grant("prod", ["a"])])?.lost).toEqual(lost);
  });

  it("knows no grant by the name of what every object has", () => {
    const known = noted([grant("constructor", ["a"])], [grant("prod", ["a"])]);
    expect(known?.lost).toMatchObject([{ grant: "constructor", groups: ["a"] }]);
  });
});

describe("what is open", () => {
  const known = noted(
    [grant("prod", ["a", "b"], ["shells"]), grant("gone", ["c"])],
    [grant("prod", ["a"]), grant("other", ["b"], ["shells"])],
  ) as GivenAccess;
  const opened = (more: Partial<OpenedWith> = {}): OpenedWith => ({
    ...{ at: NOW, grants: ["prod"], groups: ["developers", "a"], rule: null },
    ...more,
  });

  it.each<[string, Partial<OpenedWith>, string]>([
    ["with the group", { groups: ["a", "b"] }, 'the access "prod" no longer gives the group b'],
    ["with the rule", { rule: "shells" }, 'the access "prod" is no longer an approval for the rule shells'],
    [
      "by an isolate with the document from before, a moment after the change was noted",
      { at: NOW + 2 * SETTLED_AFTER_MS - 1, groups: ["b"] },
      'the access "prod" no longer gives the group b',
    ],
    ["with a grant that is gone", { grants: ["gone"], groups: ["c"] }, 'the access "gone" no longer gives the group c'],
    [
      "with another grant, too, which never gave it",
      { grants: ["prod", "constructor"], groups: ["b"] },
      'the access "prod" no longer gives the group b',
    ],
  ])("ends that was opened %s", (_, more, why) => {
    expect(whyNoLongerGiven(known, opened(more))).toBe(why);
  });

  it.each<[string, Partial<OpenedWith>]>([
    ["with what the grant still gives", {}],
    ["with another grant", { grants: ["other"], groups: ["b"], rule: "shells" }],
    ["without a grant", { grants: [], groups: ["b"], rule: "shells" }],
    ["with another grant that gives it, too", { grants: ["prod", "other"], groups: ["b"], rule: "shells" }],
    ["when the grant had long ceased to give it", { at: NOW + 2 * SETTLED_AFTER_MS, groups: ["b"], rule: "shells" }],
  ])("goes on that was opened %s", (_, more) => {
    expect(whyNoLongerGiven(known, opened(more))).toBeUndefined();
  });

  it("goes on where the grant gives it again, also in the minutes after that, and what it does not give ends", () => {
    const wide = grant("prod", ["a", "b"], ["shells"]);
    const again = noted([wide], [grant("prod", ["a"])], [grant("prod", ["a", "b"])]) as GivenAccess;
    const at = NOW + SETTLED_AFTER_MS + 60_000;
    for (const openedAt of [NOW, at]) {
      expect(whyNoLongerGiven(again, opened({ at: openedAt, groups: ["b"] }))).toBeUndefined();
      expect(whyNoLongerGiven(again, opened({ at: openedAt, rule: "shells" }))).toContain("the rule shells");
    }
  });
});

describe("the note in R2", () => {
  type Get = Parameters<typeof loadGivenAccess>[0]["get"];
  const bucket = (get: Get) => ({ get });

  it("is read with what a later version adds, and may be missing", async () => {
    const note = { grants: {}, changedAt: NOW, lost: [] };
    expect(await loadGivenAccess(bucket(async () => ({ json: async () => ({ ...note, more: 1 }) })))).toEqual(note);
    expect(await loadGivenAccess(bucket(async () => null))).toBeUndefined();
  });

  it("that is none, or cannot be read, ends nothing, and is logged", async () => {
    const log = vi.spyOn(console, "warn").mockImplementation(() => {});
    const broken: Get[] = [async () => ({ json: async () => ({ lost: 1 }) }), () => Promise.reject(new Error("away"))];
    for (const get of broken) expect(await tryLoadGivenAccess(bucket(get))).toBeUndefined();
    expect(log.mock.calls.flat().map((line) => JSON.parse(line).event)).toEqual(
      Array(broken.length).fill("given_access_unreadable"),
    );
  });
});
