import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NO_COUNTS } from "../../../audit/events.ts";
import { MAX_REPORTED_SESSIONS, type Report, type ReportAnswer } from "../../../contract/directory.ts";
import { cutList, directoryRow, type ReportedSession } from "../../../durable/directory/directory-row.ts";
import { DirectoryReporter } from "../../../durable/directory/reporter.ts";
import { liveRowOf } from "../../support/live-row.ts";

const NEXT_IN_MS = 5_000;
const ANSWER: ReportAnswer = { missing: [], nextInMs: NEXT_IN_MS };

let logged: unknown[];

beforeEach(() => {
  vi.useFakeTimers();
  logged = [];
  vi.spyOn(console, "warn").mockImplementation((line: string) => void logged.push(JSON.parse(line)));
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** An object with sessions, and a directory that answers as it is told. */
class Setting {
  readonly reports: Report[] = [];
  readonly sessions = new Map<string, ReportedSession>();
  answer: (report: Report) => Promise<ReportAnswer> = async () => ANSWER;
  readonly reporter = new DirectoryReporter({
    objectId: "object",
    sessions: () => this.sessions.values(),
    send: (report) => {
      this.reports.push(report);
      return this.answer(report);
    },
    now: () => Date.now(),
    random: () => 0.99,
  });

  open(id: string): void {
    this.sessions.set(id, { id, row: liveRowOf(id), activeAt: Date.now(), counts: NO_COUNTS, waitsFor: null });
    this.reporter.sessionsChanged(this.sessions.size);
  }

  end(id: string): void {
    this.sessions.delete(id);
    this.reporter.sessionsChanged(this.sessions.size);
  }

  /** As the object's clock: a tick a second, none while no session is open. */
  async pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      await vi.advanceTimersByTimeAsync(1_000);
      if (this.sessions.size > 0) this.reporter.tick();
      await vi.advanceTimersByTimeAsync(0);
    }
  }

  /** Each report's sessions, and whether with their rows. */
  get told() {
    return this.reports.map(({ sessions }) => sessions.map(({ id, row }) => (row ? `${id} and its row` : id)));
  }
}

describe("the directory is told", () => {
  it("of a new session within a second, of counts when it wants them, and of the last end at once", async () => {
    const setting = new Setting();
    setting.open("a");
    await setting.pass(1);
    expect(setting.told).toEqual([["a and its row"]]);
    await setting.pass(4);
    expect(setting.told.length).toBe(1);
    await setting.pass(1);
    expect(setting.told).toEqual([["a and its row"], ["a"]]);
    setting.open("b");
    await setting.pass(1);
    expect(setting.told.at(-1)).toEqual(["a", "b and its row"]);
    setting.end("a");
    await setting.pass(1);
    expect(setting.told.at(-1)).toEqual(["b"]);
    setting.end("b");
    expect(setting.told.at(-1)).toEqual([]);
    await setting.pass(60);
    expect(setting.told.length).toBe(5);
  });

  it("nothing of a session that was over before the first tick", async () => {
    const setting = new Setting();
    for (let count = 0; count < 20; count++) {
      setting.open("short");
      setting.end("short");
    }
    await setting.pass(10);
    expect(setting.reports).toEqual([]);
  });

  it("the rows that it lacks", async () => {
    const setting = new Setting();
    setting.open("a");
    await setting.pass(1);
    setting.answer = async ({ sessions }) => ({
      ...ANSWER,
      missing: sessions.flatMap(({ id, row }) => (row ? [] : [id])),
    });
    await setting.pass(5);
    await setting.pass(1);
    expect(setting.told).toEqual([["a and its row"], ["a"], ["a and its row"]]);
  });

  it("that the sessions of an earlier life are over", async () => {
    const setting = new Setting();
    setting.reporter.sessionsInterrupted();
    expect(setting.told).toEqual([[]]);
    await setting.pass(60);
    expect(setting.told).toEqual([[]]);
  });

  it("of an end that came while a report was under way", async () => {
    const setting = new Setting();
    const { promise, resolve } = Promise.withResolvers<ReportAnswer>();
    setting.answer = () => promise;
    setting.open("a");
    await setting.pass(1);
    setting.end("a");
    expect(setting.told.length).toBe(1);
    resolve(ANSWER);
    await vi.advanceTimersByTimeAsync(0);
    expect(setting.told).toEqual([["a and its row"], []]);
  });

  it("in an order that a clock which is put back does not change", async () => {
    const setting = new Setting();
    setting.open("a");
    await setting.pass(1);
    vi.setSystemTime(Date.now() - 3_600_000);
    setting.open("b");
    await setting.pass(1);
    const [first, second] = setting.reports.map(({ at }) => at);
    expect(second).toBeGreaterThan(first ?? Number.NaN);
  });

  it("how many sessions are beyond what a report may have", async () => {
    const setting = new Setting();
    for (let count = 0; count < MAX_REPORTED_SESSIONS + 3; count++) setting.open(`s-${count}`);
    await setting.pass(1);
    expect([setting.reports[0]?.sessions.length, setting.reports[0]?.omitted]).toEqual([MAX_REPORTED_SESSIONS, 3]);
  });
});

describe("a directory that", () => {
  it.each<[string, () => Promise<ReportAnswer>]>([
    ["rejects", () => Promise.reject(new Error("overloaded"))],
    [
      "throws",
      () => {
        throw new Error("gone");
      },
    ],
  ])("%s is asked less and less often, and told everything once it answers", async (_, answer) => {
    const setting = new Setting();
    setting.answer = answer;
    setting.open("a");
    await setting.pass(600);
    // 4, 8, 16, 32 and then 60 s apart.
    expect(setting.reports.length).toBeLessThan(20);
    expect(setting.reports.length).toBeGreaterThan(8);
    expect(logged.length).toBe(2);
    expect(logged[0]).toMatchObject({ event: "directory_not_told", level: "warn", attempt: 1 });
    setting.answer = async () => ANSWER;
    await setting.pass(61);
    expect(setting.told.at(-1)).toEqual(["a"]);
    expect(setting.told.some((report) => report.includes("a and its row"))).toBe(true);
  });

  it("never answers has at most three calls waiting, however long sessions last", async () => {
    const setting = new Setting();
    setting.answer = () => new Promise(() => {});
    for (let count = 0; count < 3; count++) setting.open(`s-${count}`);
    await setting.pass(3_600);
    expect(setting.reports.length).toBe(3);
    for (const id of [...setting.sessions.keys()]) setting.end(id);
    expect(setting.reports.length).toBe(3);
  });

  it("answers too late is told again", async () => {
    const setting = new Setting();
    const late = Promise.withResolvers<ReportAnswer>();
    setting.answer = () => late.promise;
    setting.open("a");
    await setting.pass(7);
    setting.answer = async () => ANSWER;
    late.resolve(ANSWER);
    await setting.pass(10);
    // What was answered too late counts as not told.
    expect(setting.told.slice(0, 2)).toEqual([["a and its row"], ["a and its row"]]);
  });
});

describe("a session's row in the directory", () => {
  it("is bounded whatever its user typed, and says where it was cut", () => {
    const command = ["sh", "-c", "x".repeat(60_000)];
    const groups = Array.from({ length: 10_000 }, (_, index) => `group-${index}`);
    const forwards = [{ port: 80, connections: 1, bytes_in: 1, bytes_out: 1, errors: 0, first_error: null }];
    const row = directoryRow({ row: liveRowOf("a", { command, kubernetes_groups: groups, forwards }) });
    expect(JSON.stringify(row).length).toBeLessThan(4_000);
    expect(row.command.slice(0, 2)).toEqual(["sh", "-c"]);
    expect(row.command.at(-1)).toMatch(/^x+… \(cut: 3 in all\)$/);
    expect(row.kubernetes_groups.at(-1)).toMatch(/\(cut: 10000 in all\)$/);
    expect(row.forwards).toBeNull();
  });

  it.each<[readonly string[], number, readonly string[]]>([
    [["sh", "-c", "true"], 100, ["sh", "-c", "true"]],
    [[], 10, []],
    [["", "", ""], 6, ["", "", "… (cut: 3 in all)"]],
    [["abcdef"], 6, ["abc… (cut: 1 in all)"]],
    [["ab\u{1F6AA}"], 6, ["ab�… (cut: 1 in all)"]],
  ])("keeps of %j in %i characters %j", (texts, maxChars, kept) => {
    expect(cutList(texts, maxChars)).toEqual(kept);
  });
});
