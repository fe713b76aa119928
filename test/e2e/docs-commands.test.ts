/**
 * The `sh stack` blocks of the documents, with real curl and kubectl against a local stack in place of a
 * deployment.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Finished, kubectlPath } from "../../dev/programs/kubectl.ts";
import { fencedBlocks } from "../support/markdown.ts";
import { sessionWhere } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

const stackBlocks = (document: string) =>
  fencedBlocks(readFileSync(document, "utf8")).flatMap(({ info, text }) => (info === "sh stack" ? [text] : []));

const hasCurl = spawnSync("curl", ["--version"]).status === 0;
if (!hasCurl) console.info("SKIP the documents' commands: there is no curl on the path");

let people: TestStack;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  people = await startTestStack();
  const bin = join(people.home, "bin");
  mkdirSync(bin);
  symlinkSync(kubectlPath(), join(bin, "kubectl"));
  environment = {
    PATH: `${bin}:${process.env["PATH"]}`,
    HOME: people.home,
    KUBECONFIG: people.stack.kubeconfig,
    ADMIN: `${people.stack.personas.admin.url}/-/admin`,
    // On a deployment it is what cloudflared prints. Locally the address is the sign-in.
    TOKEN: "not-used-by-the-local-stack",
  };
});
afterAll(() => people?.stop());

function run(script: string): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn("sh", ["-e", "-c", script], { env: environment, stdio: "pipe" });
    const texts = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk) => (texts.stdout += chunk));
    child.stderr.on("data", (chunk) => (texts.stderr += chunk));
    child.stdin.end();
    child.on("close", (code) => resolve({ code, ...texts }));
  });
}

/** Runs the block that has this text. @returns what it prints */
async function printedBy(document: string, part: string): Promise<string> {
  const block = stackBlocks(document).find((text) => text.includes(part));
  expect(block, `${dirname(document)}: ${part}`).toBeDefined();
  const { code, stdout, stderr } = await run(block ?? "");
  expect(code, stderr).toBe(0);
  return stdout;
}

/** The same for a block that prints JSON. */
async function runBlock(document: string, part: string): Promise<unknown> {
  // Several commands of a block each print a document.
  return (await printedBy(document, part))
    .trim()
    .split(/\n(?=\{)|(?<=\})(?=\{)/)
    .map((text) => JSON.parse(text) as unknown)
    .at(-1);
}

describe.skipIf(!hasCurl)("docs/GUIDE.md", () => {
  it("states a reason with plain kubectl", async () => {
    expect(await runBlock("docs/GUIDE.md", "/-/reason")).toMatchObject({ reason: "INC-17: checkout is down" });
  });

  it("acts with fewer groups", async () => {
    const printed = await printedBy("docs/GUIDE.md", "--as-group");
    expect(printed).toMatch(/^shell .* Running /m);
    expect(printed).toContain("selfsubjectaccessreviews.authorization.k8s.io");
    expect(printed).not.toContain("pods/exec");
  });
});

describe.skipIf(!hasCurl)("docs/GUIDE.md, for auditors", () => {
  it("shows a live session until it ends", async () => {
    const open = people.alice.start(["exec", "shell", "--", "sh", "-c", "echo watched; sleep 96"]);
    const { id } = await sessionWhere(people.stack.d1Path, "state = 'live' AND command ->> '$[2]' LIKE '%sleep 96'");
    environment = { ...environment, ID: String(id) };
    const watched = printedBy("docs/GUIDE.md", "/watch");
    const list = async () => (await run(`curl -sS "$ADMIN/requests?user=admin@example.com"`)).stdout;
    await expect.poll(list, { timeout: 20_000 }).toContain(`/sessions/${id}/watch`);
    await run(`curl -sS -X DELETE "$ADMIN/sessions/$ID?reason=seen+enough"`);
    await open.finished;
    expect(await watched).toContain("watched");
    expect(await watched).toContain("seen enough");
  });
});

describe("docs/ACCESS-REQUESTS.md", () => {
  it("asks for access, approves it and takes it back, in the order of the page", async () => {
    const page = "docs/ACCESS-REQUESTS.md";
    const [listed, asked, pending, decided, revoked] = stackBlocks(page);
    const json = async (block: string | undefined) => JSON.parse(await printedBy(page, block ?? "")) as object;
    expect(await json(listed)).toMatchObject({ grants: [{ name: "prod-admin" }, {}], items: [] });
    const request = await json(asked);
    expect(request).toMatchObject({ state: "pending", reason: "INC-17: checkout is down" });
    await expect.poll(() => json(pending)).toMatchObject({ pending: [{ grant: "prod-admin" }] });
    expect(await json(decided)).toMatchObject({ state: "active", approvals: [{ reason: "seen the incident" }] });
    expect(await json(revoked)).toMatchObject({ state: "revoked", end: { reason: "incident over" } });
  });
});

describe.skipIf(!hasCurl)("docs/NOTIFICATIONS.md", () => {
  it("shows whom the objects tell, and sends a test", async () => {
    expect(await runBlock("docs/NOTIFICATIONS.md", "/webhooks/test")).toMatchObject({ destinations: [] });
  });
});

describe.skipIf(!hasCurl)("docs/RUNBOOK.md", () => {
  it("cuts a person off, and lets them in again", async () => {
    const open = people.alice.start(["exec", "shell", "--", "sleep", "98"]);
    const { id } = await sessionWhere(people.stack.d1Path, "state = 'live' AND command ->> '$[1]' = '98'");
    expect(await runBlock("docs/RUNBOOK.md", "-X PUT")).toMatchObject({
      ...{ user: "alice@example.com", reason: "INC-17: stolen laptop", ended: [id] },
    });
    expect((await open.finished).stderr).toContain("session terminated by admin@example.com: INC-17: stolen laptop");
    expect((await people.alice.run("exec", "shell", "--", "true")).code).toBe(1);
    expect(await runBlock("docs/RUNBOOK.md", "INC-17 closed")).toEqual({
      ...{ user: "alice@example.com", locked: false, notReached: [] },
    });
    // The edge keeps for ten seconds that they are locked, and kubectl reads the pod first.
    await expect.poll(() => people.alice.run("exec", "shell", "--", "true")).toMatchObject({ code: 0 });
  });

  it("finds a person's live sessions, and ends them", async () => {
    const open = people.alice.start(["exec", "shell", "--", "sleep", "97"]);
    const { id } = await sessionWhere(people.stack.d1Path, "state = 'live' AND command ->> '$[1]' = '97'");
    expect(await runBlock("docs/RUNBOOK.md", "maintenance in five minutes")).toEqual({ ended: [id] });
    expect((await open.finished).stderr).toContain("maintenance in five minutes");
  });

  it("keeps sessions from opening, and says that they may open again", async () => {
    expect(await runBlock("docs/RUNBOOK.md", "upgrade of the cluster")).toEqual({ draining: false, wasDraining: true });
    const block = stackBlocks("docs/RUNBOOK.md").find(
      (text) => text.includes('"$ADMIN/drain"') && !text.includes("PUT"),
    );
    expect(JSON.parse((await run(block ?? "")).stdout)).toMatchObject({ draining: false });
  });

  it("asks who one is", async () => {
    expect(await runBlock("docs/RUNBOOK.md", "/-/whoami")).toMatchObject({ identity: "alice@example.com" });
  });

  it("has no block that none of these ran", () => {
    expect(stackBlocks("docs/GUIDE.md").length).toBe(3);
    expect(stackBlocks("docs/ACCESS-REQUESTS.md").length).toBe(5);
    expect(stackBlocks("docs/NOTIFICATIONS.md").length).toBe(1);
    expect(stackBlocks("docs/RUNBOOK.md").length).toBe(6);
  });
});
