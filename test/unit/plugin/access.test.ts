/** The verbs for access for a while: what they ask of a deployment, what they show, and how they end. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  accessTable,
  describeRequest,
  findRequest,
  grantTable,
  parseAccessRequest,
  parseApprovals,
  parseOwnAccess,
} from "../../../cli/access.ts";
import { runProgram } from "../../../cli/program.ts";
import { VERBS } from "../../../cli/verbs.ts";
import { surroundingsOf } from "./support.ts";

const id = (start: string) => start.padEnd(64, "x");
const REQUEST = {
  ...{ id: id("AZ1"), state: "pending", grant: "prod-admin", user: "alice@example.com", minutes: 60 },
  ...{ reason: "INC-17", purpose: null, requestedAt: "2026-11-26T12:00:00.000Z", until: null },
  ...{ approvers: "lead@example.com", address: `https://prod.example.com/-/approvals/${id("AZ1")}` },
};
const GRANT = {
  name: "prod-admin",
  groups: ["admins"],
  rules: ["exec"],
  maxMinutes: 120,
  count: 2,
  approvers: "leads",
};
const NOW = Date.parse("2026-11-26T12:05:00Z");

interface Asked {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly body: unknown;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const piece of request) text += String(piece);
  return text === "" ? undefined : JSON.parse(text);
}

/** Runs the program against a deployment that answers one after the other. */
async function run(args: readonly string[], ...answers: (readonly [status: number, body: unknown])[]) {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    asked.push({ method: request.method, path: request.url, body: await bodyOf(request) });
    const [status, body] = answers[Math.min(asked.length, answers.length) - 1] ?? [500, {}];
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const [printed, noted] = [[] as string[], [] as string[]];
  const surroundings = {
    ...surroundingsOf(),
    now: () => NOW,
    print: (line: string) => void printed.push(line),
    note: (line: string) => void noted.push(line),
  };
  const { port } = server.address() as AddressInfo;
  const target = ["--server", `http://127.0.0.1:${port}`];
  const code = await runProgram([...args, ...target], { version: "0", verbs: VERBS }, surroundings);
  return { code, asked, printed: printed.join("\n"), noted: noted.join("\n") };
}

describe("request", () => {
  it("asks, and says who may approve and where", async () => {
    const args = ["request", "prod-admin", "--minutes", "30", "--reason", "INC-17"];
    const { code, asked, printed } = await run(args, [200, REQUEST]);
    expect(asked).toEqual([
      { method: "POST", path: "/-/access?grant=prod-admin&minutes=30", body: { reason: "INC-17" } },
    ]);
    expect(printed).toBe(
      `prod-admin for alice@example.com waits for an approval by lead@example.com: ${REQUEST.address}`,
    );
    expect(code).toBe(0);
  });

  it.each([
    ["active", 0, "holds for alice@example.com until 2026-11-26T13:05:00Z."],
    ["denied", 1, "is denied."],
    ["expired", 1, "is expired."],
  ])("with --wait ends once it is %s, with %d", async (state, expected, text) => {
    const decided = { ...REQUEST, state, until: state === "active" ? "2026-11-26T13:05:00Z" : null };
    const { code, asked, printed } = await run(
      ["request", "prod-admin", "--wait"],
      ...([
        [200, REQUEST],
        [200, REQUEST],
        [200, decided],
      ] as const),
    );
    expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "POST /-/access?grant=prod-admin",
      ...Array(2).fill(`GET /-/approvals/${REQUEST.id}`),
    ]);
    expect(printed).toContain(text);
    expect(code).toBe(expected);
  });

  it("shows a refusal, and where a grant is not known yet", async () => {
    const refused = await run(["request", "nope"], [404, { kind: "Status", message: "there is no grant" }]);
    expect(refused).toMatchObject({ code: 1, noted: "kubectl sallyport request: there is no grant" });
    const { noted } = await run(["request", "x"], [200, { ...REQUEST, state: "active", notReached: ["weur"] }]);
    expect(noted).toBe("Not yet at the clusters of weur: it follows.");
  });
});

describe("access and approvals", () => {
  it("show what there is, or that there is nothing", async () => {
    const { printed } = await run(["access"], [200, { grants: [GRANT], items: [REQUEST] }]);
    expect(printed).toMatch(/^GRANT +GIVES +AT MOST +APPROVED BY\nprod-admin +admins, exec +120m +2 of leads\n\nID /);
    expect((await run(["access"], [200, { grants: [], items: [] }])).noted).toBe(
      "There is nothing that you may ask for.",
    );
    const decision = {
      ...{ id: id("D"), grant: "g", user: "a", by: "b", at: REQUEST.requestedAt },
      decision: "deny",
      reason: null,
    };
    const all = await run(["approvals", "--state", "all"], [200, { pending: [REQUEST], decided: [decision] }]);
    expect(all.asked[0]?.path).toBe("/-/approvals?state=all");
    expect(all.printed).toMatch(
      /^ID +USER +GRANT[\s\S]*AZ1x+ +alice@example.com +prod-admin +pending +60m +5m +INC-17\n\nID +USER +GRANT +DECISION/u,
    );
    expect((await run(["approvals"], [200, { pending: [], decided: [] }])).noted).toBe("There are none.");
  });
});

describe("approve, deny and revoke", () => {
  const active = { ...REQUEST, state: "active", until: "2026-11-26T13:05:00Z" };

  it("decide about the request that a short id names", async () => {
    const list = [200, { pending: [REQUEST], decided: [] }] as const;
    const { asked, code } = await run(["approve", "AZ1", "--minutes", "5", "--reason", "seen"], list, [200, active]);
    expect(asked[1]).toEqual({
      ...{ method: "POST", path: `/-/approvals/${REQUEST.id}` },
      body: { decision: "approve", minutes: 5, reason: "seen" },
    });
    expect(code).toBe(0);
    expect((await run(["approve", "B"], list)).noted).toContain('no request has an id that begins with "B"');
  });

  it("ask about a whole id nobody", async () => {
    const denied = await run(["deny", REQUEST.id], [200, { ...REQUEST, state: "denied" }]);
    expect(denied.asked).toEqual([{ method: "POST", path: `/-/approvals/${REQUEST.id}`, body: { decision: "deny" } }]);
    const revoked = await run(["revoke", REQUEST.id, "--reason", "done"], [200, { ...REQUEST, state: "revoked" }]);
    expect(revoked.asked).toEqual([{ method: "DELETE", path: `/-/grants/${REQUEST.id}`, body: { reason: "done" } }]);
    expect(revoked.printed).toBe("prod-admin for alice@example.com is revoked.");
  });

  it("need an id", async () => {
    for (const verb of ["approve", "deny", "revoke"]) expect((await run([verb])).code).toBe(2);
  });
});

describe("what a deployment answers", () => {
  it("cannot act on a terminal", () => {
    const hostile = { ...REQUEST, user: "\u001b]0;x\u0007", reason: "\u001b[2J", grant: "g\r" };
    const text = [
      accessTable([hostile], NOW, true),
      describeRequest(hostile),
      grantTable([{ ...GRANT, name: "\u009b" }]),
    ];
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for one
    expect(text.join("")).not.toMatch(/[\u001b\u0007\r\u009b]/);
  });

  it("is read as docs/API.md describes it, or not at all", () => {
    expect(parseAccessRequest({ ...REQUEST, needed: 2 })).toMatchObject(REQUEST);
    expect(parseOwnAccess({ grants: [GRANT], items: [] })).toEqual({ grants: [GRANT], items: [] });
    const faults = [
      null,
      [],
      7,
      {},
      { ...REQUEST, minutes: "60" },
      { ...REQUEST, reason: 7 },
      { ...REQUEST, id: undefined },
    ];
    for (const fault of faults) expect(parseAccessRequest(fault)).toBeUndefined();
    expect(parseOwnAccess({ grants: [{}], items: [] })).toBeUndefined();
    expect(parseApprovals({ pending: [], decided: [{}] })).toBeUndefined();
  });

  it("names one request, or none", () => {
    const all = [REQUEST, { id: id("AZ2") }, REQUEST];
    expect(findRequest("AZ1", all)).toEqual({ ok: true, value: REQUEST.id });
    expect(findRequest("AZ", all)).toEqual({ ok: false, error: expect.stringContaining("2 requests") });
    expect(findRequest("", all).ok).toBe(false);
  });
});
