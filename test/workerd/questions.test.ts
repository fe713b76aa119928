/** The cookbook's questions through the API: the same rows as by hand, for auditors only, and read-only. */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { SECTIONS } from "../../audit/questions/index.ts";
import { compileQuestion, type Question, renderExample } from "../../audit/questions/question.ts";
import { readValues } from "../../worker/api/question-values.ts";
import { seed } from "./cookbook-seed.ts";
import { admin, alice, as, directlyAs } from "./people.ts";
import { expectApiDenial } from "./statuses.ts";

const QUESTIONS = "/-/admin/questions";
const questions = SECTIONS.flatMap((section) => section.questions);

const examplesOf = ({ parameters }: Question) =>
  new URLSearchParams(Object.entries(parameters).map(([name, { example }]) => [name, String(example)]));

interface Answer {
  readonly columns: string[];
  readonly rows: unknown[][];
  readonly complete: boolean;
  readonly values: Record<string, unknown>;
}

async function ask(name: string, query: URLSearchParams | string = ""): Promise<Answer> {
  const response = await as(admin, `${QUESTIONS}/${name}?${query}`);
  expect(response.status).toBe(200);
  return response.json();
}

beforeAll(seed);

describe.each(questions)("$name", (question) => {
  it("finds what the cookbook's SQL finds", async () => {
    const byHand = await env.AUDIT_DB.prepare(renderExample(question)).raw({ columnNames: true });
    const { columns, rows, complete } = await ask(question.name, examplesOf(question));
    expect([columns, ...rows]).toEqual(byHand);
    expect(complete).toBe(true);
  });

  it("writes nothing", async () => {
    const values = readValues(question, Object.fromEntries(examplesOf(question)), Date.now());
    const { sql, bound } = compileQuestion(question, values.ok ? values.value : {}, 10);
    const plan = await env.AUDIT_DB.prepare(`EXPLAIN ${sql}`)
      .bind(...bound)
      .all<{ opcode: string; p1: number }>();
    const opcodes = plan.results.map(({ opcode }) => opcode);
    // The transaction of a statement that writes has p2 = 1.
    const transactions = plan.results.filter(({ opcode }) => opcode === "Transaction") as unknown as { p2: number }[];
    expect(transactions.map(({ p2 }) => p2)).toEqual(transactions.map(() => 0));
    expect(opcodes).not.toContain("OpenWrite");
  });
});

describe("an answer", () => {
  it("has columns also where nothing is found", async () => {
    const { columns, rows } = await ask("secrets-read", "namespace=nowhere");
    expect(columns).toEqual(["at", "user", "verb", "cluster", "namespace", "name", "client_address"]);
    expect(rows).toEqual([]);
  });

  it("has no more rows than asked for, and says so", async () => {
    const query = "since=2026-11-01&until=2026-11-18";
    const whole = await ask("refused-by-reason", query);
    expect(whole.rows.length).toBeGreaterThan(2);
    const cut = await ask("refused-by-reason", `${query}&limit=2`);
    expect(cut.rows).toEqual(whole.rows.slice(0, 2));
    expect([cut.complete, whole.complete]).toEqual([false, true]);
  });

  it("may be CSV", async () => {
    const query = "since=2026-11-10&until=2026-11-18&namespace=payments&format=csv";
    const response = await as(admin, `${QUESTIONS}/secrets-read?${query}`);
    expect(response.headers.get("content-type")).toMatch(/^text\/csv/);
    expect(response.headers.get("content-disposition")).toBe('attachment; filename="secrets-read.csv"');
    expect((await response.text()).split("\r\n")[0]).toBe(
      '"at","user","verb","cluster","namespace","name","client_address"',
    );
  });

  it("takes a hostile parameter for what it is", async () => {
    const hostile = encodeURIComponent("payments' OR 1=1; DELETE FROM events; --");
    expect((await ask("secrets-read", `namespace=${hostile}&since=2026-11-10&until=2026-11-18`)).rows).toEqual(
      // Those of all namespaces at once, as with any other name.
      (await ask("secrets-read", "namespace=other&since=2026-11-10&until=2026-11-18")).rows,
    );
    expect(await env.AUDIT_DB.prepare("SELECT count(*) AS n FROM events").first("n")).toBeGreaterThan(0);
  });
});

describe("questions", () => {
  it("are listed with their SQL", async () => {
    const { items } = await (await as(admin, QUESTIONS)).json<{ items: { name: string; sql: string }[] }>();
    expect(items.map(({ name }) => name)).toEqual(questions.map(({ name }) => name));
    expect(items[0]).toMatchObject({
      section: "Who was where",
      cost: "index",
      sql: expect.stringContaining("cluster = :cluster"),
      parameters: expect.arrayContaining([
        expect.objectContaining({ name: "cluster", type: "text", required: true, example: "prod" }),
        expect.objectContaining({ name: "since", type: "time", required: false }),
      ]),
    });
  });

  it("are for auditors and administrators", async () => {
    for (const path of [QUESTIONS, `${QUESTIONS}/locked`]) {
      await expectApiDenial(await as(alice, path), "not_admin", /admin or auditor/);
      const config = { identities: [{ match: { email: "alice@example.com" }, roles: ["auditor" as const] }] };
      expect((await directlyAs(alice, path, {}, { config })).status).toBe(200);
    }
  });

  it.each<[string, RegExp]>([
    ["secrets-read", /namespace is missing/],
    ["secrets-read?namespace=a&colour=blue", /unknown query parameter colour/],
    ["secrets-read?namespace=a&namespace=b", /query parameter namespace is repeated/],
    ["secrets-read?namespace=a&limit=1001", /limit/],
    ["secrets-read?namespace=a&since=2026-01-01&until=2026-11-01", /100 days at most/],
  ])("refuse %s", async (path, message) => {
    await expectApiDenial(await as(admin, `${QUESTIONS}/${path}`), "bad_request", message);
  });

  it("that do not exist are not found", async () => {
    await expectApiDenial(await as(admin, `${QUESTIONS}/constructor`), "not_found", /GET \/-\/admin\/questions lists/);
  });

  it("say where D1 is too slow for them, or away", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const raw = () => Promise.reject(new Error("D1_ERROR: timeout"));
    const AUDIT_DB = { prepare: () => ({ bind: () => ({ raw }) }) };
    const response = await directlyAs(admin, `${QUESTIONS}/locked`, {}, { bindings: { AUDIT_DB } });
    await expectApiDenial(response, "audit_database_unavailable", /ask about a shorter time/);
    vi.restoreAllMocks();
  });
});
