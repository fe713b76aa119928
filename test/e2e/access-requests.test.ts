/** Access for a while: asked for, approved and taken back with real kubectl on the local stack as it is. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PERSONAS } from "../../dev/access/personas.ts";
import type { Finished, Kubectl } from "../../dev/programs/kubectl.ts";
import { type Stack, startStack } from "../../dev/stack/index.ts";
import { ONLY_BINDING, SECOND } from "../../dev/stack/local-config.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

let people: TestStack;
let admin: Kubectl;
/** The same stack again, with another document. */
let again: Stack | undefined;

beforeAll(async () => {
  people = await startTestStack();
  admin = people.kubectl("admin");
});
afterAll(async () => {
  await again?.stop();
  await people?.stop();
});

interface Asked {
  readonly id: string;
  readonly state: string;
  readonly approvers: string;
  readonly address: string;
}

const ask = (who: Kubectl, query: string, reason = "INC-17: checkout is down\n") =>
  who.runWithInput(reason, "create", "--raw", `/-/access?${query}`, "-f", "-");
const decide = (who: Kubectl, id: string, decision: object) =>
  who.runWithInput(JSON.stringify(decision), "create", "--raw", `/-/approvals/${id}`, "-f", "-");

function read<T = Asked>({ code, stdout, stderr }: Finished): T {
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as T;
}

/** Whom the cluster sees. */
async function whoami(who: Kubectl) {
  const review = read<{ status: { userInfo: { groups: string[]; extra?: Record<string, string[]> } } }>(
    await who.run("auth", "whoami", "-o", "json"),
  );
  const { groups, extra = {} } = review.status.userInfo;
  return { groups: groups.filter((group) => !group.startsWith("system:")), grants: extra["sallyport-grant"] };
}

describe("access for a while", () => {
  it("is asked for by one, approved by another, seen by the cluster, and over within ten seconds", async () => {
    expect(await whoami(people.alice)).toEqual({ groups: ["developers"], grants: undefined });
    const asked = read(await ask(people.alice, "grant=prod-admin&minutes=60"));
    expect(asked).toMatchObject({
      ...{ state: "pending", reason: "INC-17: checkout is down", minutes: 60, isNew: true },
      approvers: "bob@example.com or holders of the role admin",
      address: expect.stringMatching(/^https?:\/\/127\.0\.0\.1:\d+\/-\/approvals\/[\w-]{64}$/),
    });
    const { id } = asked;
    expect(read<{ items: Asked[] }>(await people.alice.run("get", "--raw", "/-/access")).items).toMatchObject([{ id }]);

    const own = await decide(people.alice, id, { decision: "approve" });
    expect(own).toMatchObject({ code: 1, stderr: expect.stringContaining("(Forbidden): this is your own request") });
    await expect
      .poll(
        async () => read<{ pending: Asked[] }>(await admin.run("get", "--raw", "/-/approvals?state=pending")).pending,
      )
      .toMatchObject([{ id, state: "pending" }]);
    expect(read(await decide(admin, id, { decision: "approve", reason: "seen it" }))).toMatchObject({
      state: "active",
    });
    await expect
      .poll(() => whoami(people.alice), { timeout: 15_000 })
      .toEqual({ groups: ["developers", "prod-admins"], grants: ["prod-admin"] });

    const revokedAt = Date.now();
    expect(read(await people.bob.run("delete", "--raw", `/-/grants/${id}?reason=over`))).toMatchObject({
      ...{ state: "revoked", end: { by: "bob@example.com", reason: "over" } },
    });
    await expect
      .poll(() => whoami(people.alice), { timeout: 15_000 })
      .toEqual({ groups: ["developers"], grants: undefined });
    // kubectl itself takes a while on a busy machine.
    expect(Date.now() - revokedAt).toBeLessThan(15_000);
    const again = await decide(admin, id, { decision: "approve" });
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("(Conflict)") });
  });

  it("is shown with its reason where it is refused", async () => {
    const refused = async (query: string) => (await ask(people.bob, query)).stderr;
    expect(await refused("grant=prod-admin")).toContain("(NotFound): there is no grant of this name for you");
    const { stderr } = await ask(people.alice, "grant=prod-admin&minutes=121");
    expect(stderr).toContain("the grant prod-admin is for 120 minutes at most: ask for fewer");
  });

  it("is what a shell waits for where a rule requires it, and the next one does not", async () => {
    const pod = ["run", "vault", "--image=localhost/busybox:1", "--image-pull-policy=Never", "--restart=Never"];
    expect((await people.alice.run(...pod, "--", "sleep", "600")).code).toBe(0);
    expect((await people.alice.run("wait", "--for=condition=Ready", "pod/vault", "--timeout=60s")).code).toBe(0);
    const waiting = people.alice.start(["exec", "vault", "--", "echo", "inside"]);
    await expect.poll(() => waiting.stderr(), { timeout: 30_000 }).toMatch(/\/-\/approvals\/[\w-]{64}/);
    expect(waiting.stdout()).toBe("");
    const [, id = ""] = /\/-\/approvals\/([\w-]{64})/.exec(waiting.stderr()) ?? [];
    expect(read(await decide(people.bob, id, { decision: "approve" }))).toMatchObject({
      ...{ state: "active", grant: "vault-shell", purpose: expect.stringContaining("vault") },
    });
    expect(await waiting.finished).toMatchObject({ code: 0, stdout: "inside\n" });
    const next = await people.alice.run("exec", "vault", "--", "echo", "again");
    expect(next).toMatchObject({ code: 0, stdout: "again\n" });
  });

  it("is not decided by somebody who was an approver when it was asked for, and is one no longer", async () => {
    const { id, approvers } = read(await ask(people.alice, "grant=prod-admin"));
    expect(approvers).toContain("bob@example.com");
    await people.stack.stop();
    const grant = {
      ...{ name: "prod-admin", for: [{ claim: "custom.groups", value: "developers" }] },
      ...{ gives: { groups: ["prod-admins"] }, approvers: { roles: ["admin" as const] } },
    };
    again = await startStack({ stateDir: people.stack.stateDir, port: 0, config: { grants: [grant] }, quiet: true });
    const { code, stderr } = await decide(people.bob, id, { decision: "approve" });
    expect([code, stderr]).toEqual([
      ...[1, expect.stringContaining("you may not decide about prod-admin: holders of the role admin may")],
    ]);
    expect(read(await admin.run("get", "--raw", `/-/approvals/${id}`))).toMatchObject({ state: "pending" });
    expect(read(await decide(admin, id, { decision: "approve" }))).toMatchObject({ state: "active" });
  });
});

it("is not decided by an identity that is the same Kubernetes user at another cluster alone", async () => {
  const isOf = (email: string, user: string) => ({ match: { email }, user, groups: ["developers"] });
  const clusters = [
    { name: "first", hostnames: ["127.0.0.1", "localhost"], binding: ONLY_BINDING },
    {
      ...{ name: SECOND.name, hostnames: [SECOND.hostname], binding: SECOND.binding },
      identities: [
        ...[PERSONAS.alice, PERSONAS.admin].map(({ email }) => isOf(email, "shared-operator")),
        isOf(PERSONAS.bob.email, "bob-operator"),
      ],
    },
  ];
  const two = await startTestStack({ clusters }, { secondCluster: true });
  try {
    const { id } = read(await ask(two.alice, "grant=prod-admin"));
    for (const context of ["admin", "admin-second"]) {
      const refused = await decide(two.kubectl(context), id, { decision: "approve" });
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("decides their own request") });
    }
    const shown = await two.alice.run("get", "--raw", `/-/approvals/${id}`);
    expect(read(shown)).toMatchObject({ state: "pending" });
    expect(read(await decide(two.bob, id, { decision: "approve" }))).toMatchObject({ state: "active" });
  } finally {
    await two.stop();
  }
});
