/** The console's pages of approvals, in a browser, while real kubectl waits for what is decided there. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { PERSONAS } from "../../dev/access/personas.ts";
import { withoutBrowser } from "../../dev/programs/chromium.ts";
import type { ConfigOverrides } from "../../dev/stack/index.ts";
import {
  type ConsolePage,
  carryOut,
  expectAllAccessible,
  LOOKS,
  openConsole,
  startBrowser,
} from "./support/console.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { Terminal } from "./support/terminal.ts";

/** A grant each, so that no test's approval lets another test's shell in. */
const GRANTS = ["opened", "refused", "attended", "in-pairs"] as const;
type GrantName = (typeof GRANTS)[number];
const DEVELOPERS = [{ claim: "custom.groups", value: "developers" }];
const APPROVERS = { roles: ["admin" as const], users: [PERSONAS.bob.email] };

const CONFIG: ConfigOverrides = {
  rules: GRANTS.map((grant) => ({
    ...{ name: `${grant} shells`, action: "allow", approval: { grant, waitMinutes: 5 } },
    match: { kinds: ["exec"], names: [`pod-${grant}`] },
  })),
  grants: [
    ...GRANTS.map((name) => ({
      ...{ name, for: DEVELOPERS, gives: { rules: [`${name} shells`] }, approvers: APPROVERS },
      count: name === "in-pairs" ? 2 : 1,
    })),
    {
      ...{ name: "prod-admin", for: DEVELOPERS, gives: { groups: ["prod-admins"] }, approvers: APPROVERS },
      ...{ maxMinutes: 120, requireReason: true },
    },
  ],
};

const HOSTILE_REASON = '<img src=x onerror="document.title=1"> INC-17: restore';

let people: TestStack;
let browser: Browser;

beforeAll(async () => {
  if (withoutBrowser !== undefined) return;
  [people, browser] = await Promise.all([startTestStack(CONFIG), startBrowser()]);
  const flags = ["--image=localhost/busybox:1", "--image-pull-policy=Never", "--restart=Never"];
  const pods = (["opened", "refused", "attended"] satisfies GrantName[]).map((grant) => `pod-${grant}`);
  await Promise.all(pods.map((pod) => people.alice.run("run", pod, ...flags, "--", "sleep", "600")));
  const ready = await people.alice.run(
    "wait",
    "--for=condition=Ready",
    "--timeout=60s",
    ...pods.map((p) => `pod/${p}`),
  );
  expect(ready).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await browser?.close();
  await people?.stop();
});

const consoleOf = (who: "admin" | "alice" | "bob", options = {}, expected: readonly RegExp[] = []) =>
  openConsole(browser, people.stack.personas[who].url, options, expected);

const ADDRESS = /http\S+(\/-\/approvals\/[\w-]{64})/;

/** A shell that waits. @returns its terminal, and the address that kubectl prints for the approver */
async function waitingShell(grant: GrantName): Promise<{ readonly terminal: Terminal; readonly path: string }> {
  const terminal = new Terminal(people.alice.command("exec", "-it", `pod-${grant}`, "--", "sh"));
  await terminal.shows(ADDRESS);
  return { terminal, path: ADDRESS.exec(terminal.shown)?.[1] ?? "" };
}

/** Asks as a person does, with kubectl. @returns the request's path */
async function ask(grant: GrantName | "prod-admin", reason: string): Promise<string> {
  const path = `/-/access?grant=${grant}&minutes=60`;
  const asked = await people.alice.runWithInput(reason, "create", "--raw", path, "-f", "-");
  expect(asked).toMatchObject({ code: 0 });
  const { id } = JSON.parse(asked.stdout) as { id: string };
  onTestFinished(async () => void (await people.alice.run("delete", "--raw", `/-/access/${id}`)));
  return `/approvals/${id}`;
}

const dialogOf = ({ page }: ConsolePage) => page.getByRole("dialog");

/** The API's paths that a page has asked since then. */
function askedBy({ page }: ConsolePage): readonly string[] {
  const paths: string[] = [];
  page.on("request", (request) => void paths.push(new URL(request.url()).pathname));
  return paths;
}

describe.skipIf(withoutBrowser !== undefined)("a request for access", () => {
  it("is on its approver's page as it is asked and withdrawn, without a page that asks again and again", async () => {
    const bob = await consoleOf("bob");
    await bob.page.clock.install();
    const asked = askedBy(bob);
    const lists = () => asked.filter((path) => path === "/-/approvals").length;
    await bob.open("/approvals");
    // Once by the page itself, and once because the stream has begun.
    await expect.poll(lists).toBe(2);
    expect(asked.filter((path) => path === "/-/access/live")).toHaveLength(1);
    await bob.page.clock.fastForward(40_000);

    const path = await ask("attended", "as it happens");
    const card = bob.page.getByRole("article", { name: "alice@example.com asks for attended" });
    await card.waitFor();
    expect(lists()).toBe(3);
    expect(await people.alice.run("delete", "--raw", path.replace("/approvals/", "/-/access/"))).toMatchObject({
      code: 0,
    });
    await card.waitFor({ state: "detached" });
    expect(lists()).toBe(4);
    await bob.close();
  });
});

describe.skipIf(withoutBrowser !== undefined)("the address that a waiting kubectl prints", () => {
  it("opens the request in the approver's browser, who approves, and kubectl gets its shell", async () => {
    const { terminal, path } = await waitingShell("opened");
    const bob = await consoleOf("bob");
    await bob.page.goto(people.stack.personas.bob.url + path);
    expect(new URL(bob.page.url()).pathname).toBe(path.replace("/-/", "/-/console/"));
    await bob.page.getByText("exec in the pod pod-opened").waitFor();
    await bob.page.getByText("0 of 1 approval").waitFor();
    // What waits is itself what the person did in the last hour.
    await bob.page.getByRole("heading", { name: "Their last hour" }).waitFor();
    await bob.page.getByText("demo/pod-opened").waitFor();
    // They see that hour, and nothing else of the person.
    expect(await bob.page.getByRole("link", { name: /demo\/|alice/ }).count()).toBe(0);
    await bob.page.getByRole("button", { name: "Approve", exact: true }).click();
    await dialogOf(bob)
      .getByLabel(/Minutes/)
      .fill("15");
    await dialogOf(bob)
      .getByLabel(/^Reason/)
      .fill("seen the incident");
    await dialogOf(bob).getByRole("button", { name: "Approve", exact: true }).click();
    await terminal.shows("sallyport: approved by bob@example.com (opened).");
    terminal.type("echo in-$((6*7))\n");
    await terminal.shows("in-42");
    await bob.page.getByText("seen the incident").waitFor();
    expect(await bob.page.getByRole("button", { name: "Approve", exact: true }).count()).toBe(0);

    await carryOut(bob, "Revoke", { Reason: "incident over" });
    expect(await terminal.exited).toBe(1);
    expect(terminal.shown.trimEnd()).toMatch(/error: .*bob@example.com.*\(incident over\)$/);
    await bob.page.getByText("revoked", { exact: true }).waitFor();
    await bob.close();
  });

  it("is where it is denied, too, and kubectl prints the reason as it is", async () => {
    const { terminal, path } = await waitingShell("refused");
    const bob = await consoleOf("bob");
    await bob.page.goto(people.stack.personas.bob.url + path);
    await carryOut(bob, "Deny", { Reason: "not <b>now</b>" });
    expect(await terminal.exited).toBe(1);
    expect(terminal.shown.trimEnd()).toMatch(/error: bob@example.com denied the access refused: not <b>now<\/b>$/);
    await bob.page.getByText("not <b>now</b>").waitFor();
    await bob.page.getByText("denied", { exact: true }).waitFor();
    await bob.close();
  });

  it("stays the API's own for kubectl, and for a page's call", async () => {
    const path = await ask("attended", "look");
    const seen = await people.bob.run("get", "--raw", `/-${path}`);
    expect(JSON.parse(seen.stdout)).toMatchObject({ state: "pending", mayDecide: ["approve", "deny"] });
  });
});

describe.skipIf(withoutBrowser !== undefined)("what somebody may not do", () => {
  it("has no button: one's own request, or that of others without a role", async () => {
    const path = await ask("attended", HOSTILE_REASON);
    const alice = await consoleOf("alice");
    await alice.open(path);
    await alice.page.getByText("You cannot decide your own request").waitFor();
    expect(await alice.page.getByRole("button", { name: /^(Approve|Deny|Revoke)$/ }).count()).toBe(0);
    await carryOut(alice, "Withdraw", { Reason: "not needed any more" });
    await alice.page.getByText("revoked", { exact: true }).waitFor();
    expect(await alice.page.getByRole("button", { name: "Withdraw" }).count()).toBe(0);
    // Who decides nothing has no list of others' requests.
    await alice.open("/approvals?view=pending");
    await alice.page.getByRole("heading", { name: "My requests" }).waitFor();
    expect(await alice.page.getByRole("navigation", { name: "Approvals" }).count()).toBe(0);
    await alice.close();
  });

  it("is to approve twice: the second approval of a pair is another person's", async () => {
    const path = await ask("in-pairs", "both of you");
    const bob = await consoleOf("bob");
    await bob.open(path);
    await carryOut(bob, "Approve", { Reason: "one" });
    await bob.page.getByText("1 of 2 approvals").waitFor();
    expect(await bob.page.getByRole("button", { name: "Approve", exact: true }).count()).toBe(0);
    expect(await bob.page.getByRole("button", { name: "Deny", exact: true }).count()).toBe(1);
    const admin = await consoleOf("admin");
    await admin.open(path);
    await carryOut(admin, "Approve", { Reason: "two" });
    await admin.page.getByText("active", { exact: true }).waitFor();
    await Promise.all([bob.close(), admin.close()]);
  });
});

describe.skipIf(withoutBrowser !== undefined)("the page Approvals", () => {
  it("lists what waits, with a reason that stays text, and a new request without a reload", async () => {
    await ask("attended", HOSTILE_REASON);
    const bob = await consoleOf("bob");
    await bob.open("/approvals");
    const first = bob.page.getByRole("article", { name: "alice@example.com asks for attended" });
    await first.getByText('<img src=x onerror="document.title=1"> INC-17: restore').waitFor();
    expect(await bob.page.title()).toBe("Approvals · Sallyport");
    await ask("prod-admin", "INC-18");
    // As when the approver comes back to the tab.
    await bob.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
    await bob.page.getByRole("article", { name: "alice@example.com asks for prod-admin" }).waitFor();
    await bob.page.getByRole("link", { name: "Review and decide" }).first().click();
    await bob.page.getByRole("button", { name: "Deny" }).waitFor();
    await bob.close();
  });

  it("is where somebody asks with a reason that the grant requires, and gives the access back", async () => {
    const alice = await consoleOf("alice");
    await alice.open("/approvals");
    const row = alice.page.getByRole("row").filter({ hasText: "prod-admins" });
    await row.getByRole("button", { name: "Ask" }).click();
    const dialog = dialogOf(alice);
    await dialog.getByRole("button", { name: "Ask" }).click();
    // The browser itself asks for the reason.
    expect(await dialog.locator("input[name=reason]:invalid").count()).toBe(1);
    await dialog.getByLabel("Reason").fill("INC-19: rotate a key");
    await dialog.getByLabel(/Minutes/).fill("90");
    await dialog.getByRole("button", { name: "Ask" }).click();
    await alice.page.getByRole("heading", { name: "The request" }).waitFor();
    await alice.page.getByText("INC-19: rotate a key").waitFor();
    const path = new URL(alice.page.url()).pathname.replace("/-/console", "");

    const admin = await consoleOf("admin");
    await admin.open(path);
    await carryOut(admin, "Approve", { Reason: "go" });
    await admin.open("/approvals?view=active");
    const active = admin.page.getByRole("row").filter({ hasText: "prod-admin" });
    await expect
      .poll(async () => {
        await admin.page.getByRole("button", { name: "Reload" }).click();
        return active.getByRole("button", { name: "Revoke" }).count();
      })
      .toBe(1);
    await alice.open("/approvals");
    const own = alice.page.getByRole("row").filter({ hasText: "INC-19" });
    await own.getByRole("button", { name: "Give back" }).click();
    await dialog.getByRole("button", { name: "Give back" }).click();
    await own.getByText("revoked").waitFor();
    await admin.open("/approvals?view=decided");
    await admin.page.getByText("withdrawn or given back").first().waitFor();
    await admin.page.getByRole("link", { name: "Who asked for access, and who decided?" }).click();
    await admin.page.getByRole("row").filter({ hasText: "INC-19: rotate a key" }).waitFor();
    await Promise.all([alice.close(), admin.close()]);
  });

  it.each(LOOKS)("has no serious finding of axe-core and is not wider than the screen: %s", async (_, options) => {
    const path = await ask("attended", HOSTILE_REASON);
    const bob = await consoleOf("bob", options);
    const pages = [
      ["/approvals", bob.page.getByRole("article").first()],
      ["/approvals?view=active", bob.page.getByRole("button", { name: "Reload" })],
      ["/approvals?view=mine", bob.page.getByRole("heading", { name: "My requests" })],
      [path, bob.page.getByRole("heading", { name: "Their last hour" })],
    ] as const;
    await expectAllAccessible(bob, pages);
    await bob.close();
  });

  it("is used by the keyboard alone", async () => {
    const path = await ask("attended", "by the keyboard");
    const { page, open, close } = await consoleOf("bob");
    await open(path);
    const approve = page.getByRole("button", { name: "Approve", exact: true });
    await approve.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Approve" }).waitFor();
    await page.keyboard.press("Escape");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Approve");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Deny");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Deny" }).waitFor();
    await page.keyboard.type("no");
    await page.keyboard.press("Enter");
    await page.getByText("denied", { exact: true }).waitFor();
    await close();
  });
});
