import { describe, expect, it } from "vitest";
import { newestFirst } from "../../audit/session-filter.ts";
import { mergeLive } from "../../worker/api/merge-live.ts";
import { liveRowOf } from "../support/live-row.ts";
import { Random } from "../support/random.ts";

const { active_at: _, ...rowOfD1 } = liveRowOf("a", { started_at: 5, command: ["sh", "-c", "a long command"] });

describe("a list from D1 and the directory", () => {
  it("has a live session once: its row of D1, the counts of the directory", () => {
    const live = liveRowOf("a", { started_at: 5, command: ["… (cut: 3 in all)"], bytes_in: 7, active_at: 9 });
    expect(mergeLive([rowOfD1], [live], [])).toEqual([{ ...rowOfD1, bytes_in: 7, active_at: 9 }]);
  });

  it("has what D1 has not heard of yet, in its place", () => {
    const [older, newer] = [liveRowOf("b", { started_at: 4 }), liveRowOf("c", { started_at: 6 })];
    expect(mergeLive([rowOfD1], [newer, older], []).map(({ id }) => id)).toEqual(["c", "a", "b"]);
  });

  it("has what D1 calls live and the directory does not know", () => {
    expect(mergeLive([rowOfD1], [], [])).toEqual([rowOfD1]);
  });

  it("shows no session as live of which D1 has the end", () => {
    const over = { ...rowOfD1, state: "ended" as const, ended_at: 7, bytes_in: 70 };
    const late = liveRowOf("a", { started_at: 5, bytes_in: 7 });
    expect(mergeLive([over], [late], [])).toEqual([over]);
    expect(mergeLive([], [late], ["a"])).toEqual([]);
  });

  it("is in order and has no session twice, whatever each has", () => {
    const random = new Random(11);
    for (let count = 0; count < 500; count++) {
      const some = () =>
        Array.from({ length: random.below(8) }, () => random.below(10))
          .filter((value, index, all) => all.indexOf(value) === index)
          .map((value) => liveRowOf(`s${value}`, { started_at: value >> 1 }))
          .sort(newestFirst);
      const [rows, live] = [some(), some()];
      const merged = mergeLive(rows, live, []).map(({ id }) => id);
      expect(new Set(merged)).toEqual(new Set([...rows, ...live].map(({ id }) => id)));
      expect(merged.length).toBe(new Set(merged).size);
      const byOrder = [...merged].sort((one, other) =>
        newestFirst(
          liveRowOf(one, { started_at: Number(one.slice(1)) >> 1 }),
          liveRowOf(other, { started_at: Number(other.slice(1)) >> 1 }),
        ),
      );
      expect(merged).toEqual(byOrder);
    }
  });
});
