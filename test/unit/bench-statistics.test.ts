import { describe, expect, test } from "vitest";
import { added, compare, medianInterval, ratioInterval, rotate, summarize } from "../../bench/statistics.ts";
import { Random } from "../../tools/random.ts";
import { median, percentile, slope } from "../../tools/statistics.ts";

describe("a median", () => {
  test("is the middle value of an odd number of values, in any order", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([10, 9])).toBe(9.5);
  });

  test("of an even number of values lies between the two in the middle", () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });

  test("of nothing is NaN", () => {
    expect(median([])).toBeNaN();
  });

  test("leaves its input as it was", () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe("the interval of a median", () => {
  test("is that of its ranks", () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    // Ranks 50 - 9.8 and 50 + 9.8.
    expect(medianInterval(hundred)).toEqual({ median: 50.5, low: 41, high: 61 });
  });

  test("has the true median in about 95 of 100 samples", () => {
    let seed = 1;
    const random = () => {
      // Numerical Recipes' generator.
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed / 2 ** 32;
    };
    let hits = 0;
    for (let trial = 0; trial < 1_000; trial++) {
      const { low, high } = medianInterval(Array.from({ length: 200 }, () => random() ** 3));
      if (low <= 0.125 && 0.125 <= high) hits++;
    }
    expect(hits).toBeGreaterThan(930);
    expect(hits).toBeLessThan(985);
  });

  test("of few samples is all of them", () => {
    expect(medianInterval([3, 1, 2])).toEqual({ median: 2, low: 1, high: 3 });
    expect(medianInterval([]).low).toBeNaN();
  });
});

describe("the interval of a ratio of percentiles", () => {
  const random = new Random(7);
  /** Each turn has its own speed, which both share. */
  const inTurn = (factor: number) => {
    const [base, samples]: [number[][], number[][]] = [[], []];
    for (let turn = 0; turn < 40; turn++) {
      const speed = 1 + random.next();
      base.push(Array.from({ length: 10 }, () => speed * random.logNormal(1, 0.5)));
      samples.push(Array.from({ length: 10 }, () => factor * speed * random.logNormal(1, 0.5)));
    }
    return { base, samples };
  };

  test.each([0.5, 0.9, 0.99])("has the true ratio of p%d in most measurements", (share) => {
    let hits = 0;
    for (let trial = 0; trial < 20; trial++) {
      const { base, samples } = inTurn(1.3);
      const { low, high } = ratioInterval(samples, base, share);
      if (low <= 1.3 && 1.3 <= high) hits++;
    }
    expect(hits).toBeGreaterThan(15);
  });

  test("is one value where nothing varies", () => {
    const same = [
      [2, 2],
      [2, 2],
    ];
    expect(ratioInterval(same, same, 0.99)).toEqual({ median: 1, low: 1, high: 1 });
    expect(ratioInterval([[3]], [[2]], 0.5)).toEqual({ median: 1.5, low: 1.5, high: 1.5 });
  });
});

describe("a percentile", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

  test.each([
    [0, 1],
    [0.5, 50],
    [0.99, 99],
    [1, 100],
  ])("%d of 1 to 100 is %d", (share, expected) => {
    expect(percentile(hundred, share)).toBe(expected);
  });

  test("of few values is the next higher one", () => {
    expect(percentile([10, 20, 30], 0.5)).toBe(20);
    expect(percentile([10, 20, 30], 0.99)).toBe(30);
  });

  test("of nothing is NaN", () => {
    expect(percentile([], 0.5)).toBeNaN();
  });
});

test("a summary has the median and the spread", () => {
  expect(summarize([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
});

describe("a comparison", () => {
  test("is a ratio", () => {
    expect(compare([2, 4, 6], [1, 2, 3])).toEqual({ ofMedians: 2, pairwise: 2 });
  });

  test("within each round is unaffected by a machine that becomes slower", () => {
    // Twice as slow in every round; the machine gets ten times slower in the last two.
    expect(compare([2, 20, 20], [1, 10, 10]).pairwise).toBe(2);
    // One round's hiccup moves neither.
    expect(compare([2, 2, 200], [1, 1, 1])).toEqual({ ofMedians: 2, pairwise: 2 });
  });
});

test("the difference is the median of those within each round", () => {
  expect(added([3, 14, 25], [1, 11, 21])).toBe(3);
});

describe("a rotation", () => {
  test("keeps the order and starts at another place", () => {
    expect(rotate(["a", "b", "c"], 1)).toEqual(["b", "c", "a"]);
    expect(rotate(["a", "b", "c"], 3)).toEqual(["a", "b", "c"]);
  });

  test("of nothing is nothing", () => {
    expect(rotate([], 2)).toEqual([]);
  });
});

describe("the slope", () => {
  test("is that of the line with the least squares", () => {
    expect(slope([1, 2, 3].map((x) => ({ x, y: 2 * x + 1 })))).toBe(2);
    expect(slope([0, 1, 2, 3].map((x, index) => ({ x, y: [0, 1, 1, 2][index] ?? 0 })))).toBeCloseTo(0.6);
  });
});
